"""The requests that Poe sends to a bot server, one class for each `type`.

A missing identifier is read as an empty one, since some peers leave them out; the form of identifiers is not checked.
Unknown keys are kept in `extra`, except `access_key` and `api_key`, which are dropped.

https://creator.poe.com/docs/server-bots/poe-protocol-specification
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

from poeproto.vocabulary.field_types import ADVICE, NO_EXTRA, checked
from poeproto.vocabulary.messages import Message, User
from poeproto.vocabulary.slot_defaults import new_dict, new_list, prefilled
from poeproto.vocabulary.tools import ToolCall, ToolDefinition, ToolResult

__all__ = [
    "QueryRequest",
    "ReportErrorRequest",
    "ReportFeedbackRequest",
    "ReportReactionRequest",
    "Request",
    "SettingsRequest",
    "UnknownRequest",
]

PROTOCOL_VERSION = "1.2"


@checked
@prefilled
@attrs.frozen
class QueryRequest:
    """A query: the conversation so far. The bot replies with a stream of events.

    Attributes:
        query: the messages, oldest first; Poe sends the last 1,000.
        user_id: the user's identifier; each bot gets another one.
        conversation_id: the conversation's identifier.
        message_id: the identifier of the bot's reply.
        metadata: a ``d-`` identifier, to be sent along in calls to other bots.
        temperature: the sampling temperature that the user asks for.
        skip_system_prompt: whether the bot should leave out its own system prompt.
        logit_bias: token to bias, -100 to 100.
        stop_sequences: strings at which generation stops.
        language_code: the user's language (BCP 47).
        adopt_current_bot_name: whether a called bot replies under the caller's name.
        bot_query_id: the identifier to charge costs with.
        users: the people in the conversation.
        tools: the tools that the model may call.
        tool_calls: the calls that the model made in earlier rounds.
        tool_results: their results.
        query_creation_time: microseconds since the epoch.
        extra_params: parameters for the model.
        version: the protocol's version, as sent.
        extra: unknown keys.
    """

    query: list[Message] = attrs.field(metadata={ADVICE: 'write [Message("user", text)]'})
    user_id: str = ""
    conversation_id: str = ""
    message_id: str = ""
    metadata: str = ""
    temperature: float | None = None
    skip_system_prompt: bool = False
    logit_bias: dict[str, float] = attrs.field(factory=new_dict)
    stop_sequences: list[str] = attrs.field(factory=new_list)
    language_code: str = "en"
    adopt_current_bot_name: bool | None = None
    bot_query_id: str = ""
    users: list[User] = attrs.field(factory=new_list)
    tools: list[ToolDefinition] | None = None
    tool_calls: list[ToolCall] | None = None
    tool_results: list[ToolResult] | None = None
    query_creation_time: int | None = None
    extra_params: dict[str, Any] | None = None
    version: str = PROTOCOL_VERSION
    extra: Mapping[str, Any] = attrs.field(default=NO_EXTRA, kw_only=True, hash=False)


@checked
@prefilled
@attrs.frozen
class SettingsRequest:
    """A request for the bot's settings.

    Attributes:
        version: the protocol's version, as sent.
        extra: unknown keys.
    """

    version: str = PROTOCOL_VERSION
    extra: Mapping[str, Any] = attrs.field(default=NO_EXTRA, kw_only=True, hash=False)


@checked
@prefilled
@attrs.frozen
class ReportFeedbackRequest:
    """A report of a user's feedback on a reply (deprecated; reactions replace it).

    Attributes:
        message_id: the reply.
        user_id: the user.
        conversation_id: the conversation.
        feedback_type: "like" or "dislike" (open).
        version: the protocol's version, as sent.
        extra: unknown keys.
    """

    message_id: str = ""
    user_id: str = ""
    conversation_id: str = ""
    feedback_type: str = ""
    version: str = PROTOCOL_VERSION
    extra: Mapping[str, Any] = attrs.field(default=NO_EXTRA, kw_only=True, hash=False)


@checked
@prefilled
@attrs.frozen
class ReportReactionRequest:
    """A report of a user's reaction to a reply.

    Attributes:
        message_id: the reply.
        user_id: the user.
        conversation_id: the conversation.
        reaction: "like", "dislike", "heart", "laughing", "surprised", "sad" or an emoji (open).
        version: the protocol's version, as sent.
        extra: unknown keys.
    """

    message_id: str = ""
    user_id: str = ""
    conversation_id: str = ""
    reaction: str = ""
    version: str = PROTOCOL_VERSION
    extra: Mapping[str, Any] = attrs.field(default=NO_EXTRA, kw_only=True, hash=False)


@checked
@prefilled
@attrs.frozen
class ReportErrorRequest:
    """A report of an error that Poe found in an earlier response of the bot.

    Attributes:
        message: the error message.
        metadata: details; any JSON object.
        version: the protocol's version, as sent.
        extra: unknown keys.
    """

    message: str = ""
    metadata: dict[str, Any] = attrs.field(factory=new_dict)
    version: str = PROTOCOL_VERSION
    extra: Mapping[str, Any] = attrs.field(default=NO_EXTRA, kw_only=True, hash=False)


@checked
@prefilled
@attrs.frozen
class UnknownRequest:
    """A request of an unknown type; a bot server responds with status 501.

    Attributes:
        type: the type, as sent.
        version: the protocol's version, as sent.
        extra: the rest of the body.
    """

    type: str
    version: str = PROTOCOL_VERSION
    extra: Mapping[str, Any] = attrs.field(default=NO_EXTRA, kw_only=True, hash=False)


Request = (
    QueryRequest | SettingsRequest | ReportFeedbackRequest | ReportReactionRequest | ReportErrorRequest | UnknownRequest
)
"""Any request of Poe to a bot server."""
