"""The requests a Poe server sends to a bot server, one class for each `type`.

Identifiers that are absent are read as empty, since peers leave them out; none is checked for its form on receipt.
Keys this version does not know are kept in `extra`, but for `access_key` and `api_key`, which are dropped.

https://creator.poe.com/docs/server-bots/poe-protocol-specification
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

from poeproto.vocabulary.field_types import NO_EXTRA, checked
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
    """A question: the conversation so far, to which the bot answers with a stream of events.

    Attributes:
        query: the messages, oldest first; Poe cuts them at 1,000.
        user_id: the user's identifier, different for each bot.
        conversation_id: the conversation's identifier.
        message_id: the identifier of the reply to come.
        metadata: a ``d-`` identifier to be echoed when calling other bots.
        temperature: the sampling temperature the user asks for.
        skip_system_prompt: whether the bot is asked to leave out its own system prompt.
        logit_bias: token to bias, -100 to 100.
        stop_sequences: strings at which generation is to stop.
        language_code: the user's language (BCP 47).
        adopt_current_bot_name: whether a called bot answers under the caller's name.
        bot_query_id: what costs are charged under.
        users: the people in the conversation.
        tools: tools offered to the model.
        tool_calls: calls the model made in an earlier round.
        tool_results: what they answered.
        query_creation_time: microseconds since the epoch.
        extra_params: parameters for the model, passed on as they are.
        version: the protocol's version, as sent.
        extra: keys this version does not know.
    """

    query: list[Message]
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
    """Asks for the bot's settings.

    Attributes:
        version: the protocol's version, as sent.
        extra: keys this version does not know.
    """

    version: str = PROTOCOL_VERSION
    extra: Mapping[str, Any] = attrs.field(default=NO_EXTRA, kw_only=True, hash=False)


@checked
@prefilled
@attrs.frozen
class ReportFeedbackRequest:
    """Tells what a user thinks of a reply (deprecated; reactions replace it).

    Attributes:
        message_id: which reply.
        user_id: which user.
        conversation_id: which conversation.
        feedback_type: "like" or "dislike" (open).
        version: the protocol's version, as sent.
        extra: keys this version does not know.
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
    """Tells how a user reacted to a reply.

    Attributes:
        message_id: which reply.
        user_id: which user.
        conversation_id: which conversation.
        reaction: "like", "dislike", "heart", "laughing", "surprised", "sad" or an emoji (open).
        version: the protocol's version, as sent.
        extra: keys this version does not know.
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
    """Tells what the Poe server found wrong with an earlier answer.

    Attributes:
        message: the complaint.
        metadata: details; any JSON object.
        version: the protocol's version, as sent.
        extra: keys this version does not know.
    """

    message: str = ""
    metadata: dict[str, Any] = attrs.field(factory=new_dict)
    version: str = PROTOCOL_VERSION
    extra: Mapping[str, Any] = attrs.field(default=NO_EXTRA, kw_only=True, hash=False)


@checked
@prefilled
@attrs.frozen
class UnknownRequest:
    """A request of a type this version does not know; a bot server answers it with 501.

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
