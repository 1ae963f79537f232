"""The rules of the lint that are data: open sets of values, identifier tags, deprecated fields, ranges.

https://creator.poe.com/docs/server-bots/poe-protocol-specification
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum

import attrs

from poeproto.vocabulary.events import EVENT_CLASSES, Error, File
from poeproto.vocabulary.messages import Attachment, Feedback, Message, Reaction
from poeproto.vocabulary.requests import ReportFeedbackRequest, ReportReactionRequest
from poeproto.vocabulary.settings import SettingsResponse

__all__ = ["Finding", "Severity"]


class Severity(Enum):
    """How much a departure matters."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


@attrs.frozen
class Finding:
    """One departure from the protocol.

    Attributes:
        path: the place in the JSON, as in ``query[0].role``; in a reply, the number of the event before it, as in
            ``events[3].text``; empty for the whole.
        rule: the rule's name, in lower case with hyphens; stable, for machines.
        severity: how much it matters.
        message: what is wrong, for people.
    """

    path: str
    rule: str
    severity: Severity
    message: str


_REACTIONS = frozenset({"like", "dislike", "heart", "laughing", "surprised", "sad"})
_ERROR_TYPES = frozenset(
    {"user_message_too_long", "insufficient_fund", "user_caused_error", "privacy_authorization_error"}
)
# The sets that are open to readers. Others are kept, and a writer that uses them should know it.
OPEN_SETS: Mapping[tuple[type, str], frozenset[str]] = {
    (Message, "role"): frozenset({"system", "user", "bot", "tool"}),
    (Message, "content_type"): frozenset({"text/markdown", "text/plain"}),
    (Message, "message_type"): frozenset({"function_call"}),
    (Feedback, "type"): frozenset({"like", "dislike"}),
    (Reaction, "reaction"): _REACTIONS,
    (ReportFeedbackRequest, "feedback_type"): frozenset({"like", "dislike"}),
    (ReportReactionRequest, "reaction"): _REACTIONS,
    (EVENT_CLASSES["meta"], "content_type"): frozenset({"text/markdown", "text/plain"}),
    (Error, "error_type"): _ERROR_TYPES,
}
# What the identifiers in fields of these names begin with.
IDENTIFIER_TAGS = {"user_id": "u", "conversation_id": "c", "message_id": "m"}
DEPRECATED: Mapping[type, frozenset[str]] = {
    SettingsResponse: frozenset({"context_clear_window_secs", "allow_user_context_clear", "custom_rate_card"}),
    Message: frozenset({"sender_id"}),
    EVENT_CLASSES["meta"]: frozenset({"linkify"}),
}
NOT_EMPTY = {(File, "inline_ref"), (Attachment, "inline_ref")}
BIAS_RANGE = (-100, 100)
