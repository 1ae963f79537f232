"""Values and fields that the lint knows: open sets, tags of identifiers, deprecated fields, ranges.

https://creator.poe.com/docs/server-bots/poe-protocol-specification
"""

from __future__ import annotations

from collections.abc import Mapping

from poeproto.vocabulary.controls import Section, Tab
from poeproto.vocabulary.events import EVENT_CLASSES, Error, File
from poeproto.vocabulary.messages import Attachment, Feedback, Message, Reaction
from poeproto.vocabulary.requests import QueryRequest, ReportFeedbackRequest, ReportReactionRequest
from poeproto.vocabulary.settings import SettingsResponse

_REACTIONS = frozenset({"like", "dislike", "heart", "laughing", "surprised", "sad"})
_ERROR_TYPES = frozenset(
    {"user_message_too_long", "insufficient_fund", "user_caused_error", "privacy_authorization_error"}
)
# Open sets: readers keep other values, but a sender may have made a mistake.
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
# The tags of the identifiers in these fields; the class is None where every class has the field.
IDENTIFIER_TAGS: Mapping[tuple[type | None, str], str] = {
    (None, "user_id"): "u",
    (None, "conversation_id"): "c",
    (None, "message_id"): "m",
    (QueryRequest, "metadata"): "d",
}
DEPRECATED: Mapping[type, frozenset[str]] = {
    SettingsResponse: frozenset({"context_clear_window_secs", "allow_user_context_clear", "custom_rate_card"}),
    Message: frozenset({"sender_id"}),
    EVENT_CLASSES["meta"]: frozenset({"linkify"}),
}
NOT_EMPTY: frozenset[tuple[type, str]] = frozenset({(File, "inline_ref"), (Attachment, "inline_ref")})
BIAS_RANGE = (-100, 100)
# Settings that fastapi_poe's client pushes to Poe.
NULL_ACCEPTED: frozenset[tuple[type, str]] = frozenset({(Section, "name"), (Tab, "name")})
