"""Messages of a conversation and what hangs on them.

Every class keeps the keys it does not know in `extra`, so that a message can be passed on whole. Sets of names (roles,
content types, kinds of feedback) are open: a value this version does not know is kept as it came.

https://creator.poe.com/docs/server-bots/poe-protocol-specification
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

from poeproto.vocabulary.field_types import NO_EXTRA, checked
from poeproto.vocabulary.slot_defaults import new_dict, new_list, prefilled

__all__ = ["Attachment", "Feedback", "Message", "Reaction", "Sender", "User"]


@checked
@prefilled
@attrs.frozen
class Attachment:
    """A file that belongs to a message.

    Attributes:
        url: where it can be fetched, for ten minutes after the request was made.
        content_type: its media type, as in "image/png".
        name: its file name.
        inline_ref: the label under which the message's text refers to it, if it does.
        parsed_content: its text, or for an image ``filename***description``, where the bot's settings ask for that.
        extra: keys this version does not know.
    """

    url: str
    content_type: str
    name: str
    inline_ref: str | None = None
    parsed_content: str | None = None
    extra: Mapping[str, Any] = attrs.field(default=NO_EXTRA, kw_only=True, hash=False)


@checked
@prefilled
@attrs.frozen
class Sender:
    """Who wrote a message.

    Attributes:
        id: the user's or bot's identifier.
        name: the name to show.
        extra: keys this version does not know.
    """

    id: str | None = None
    name: str | None = None
    extra: Mapping[str, Any] = attrs.field(default=NO_EXTRA, kw_only=True, hash=False)


@checked
@prefilled
@attrs.frozen
class User:
    """A person in the conversation.

    Attributes:
        id: the user's identifier, different for each bot.
        name: the name to show.
        extra: keys this version does not know.
    """

    id: str = ""
    name: str | None = None
    extra: Mapping[str, Any] = attrs.field(default=NO_EXTRA, kw_only=True, hash=False)


@checked
@prefilled
@attrs.frozen
class Feedback:
    """What a user thinks of a message.

    Attributes:
        type: "like" or "dislike" (open).
        reason: the user's words.
        extra: keys this version does not know.
    """

    type: str
    reason: str | None = None
    extra: Mapping[str, Any] = attrs.field(default=NO_EXTRA, kw_only=True, hash=False)


@checked
@prefilled
@attrs.frozen
class Reaction:
    """A reaction to a message.

    Attributes:
        user_id: whose it is.
        reaction: "like", "dislike", "heart", "laughing", "surprised", "sad" or an emoji (open).
        extra: keys this version does not know.
    """

    user_id: str = ""
    reaction: str = ""
    extra: Mapping[str, Any] = attrs.field(default=NO_EXTRA, kw_only=True, hash=False)


@checked
@prefilled
@attrs.frozen
class Message:
    """One message of a conversation.

    Attributes:
        role: "system", "user", "bot" or "tool" (open).
        content: the text.
        content_type: "text/markdown" or "text/plain" (open).
        message_type: None, or "function_call" (open).
        parameters: values of the bot's parameter controls; any JSON.
        timestamp: microseconds since the epoch; 0 where unknown.
        message_id: ``m-`` and 32 characters; empty where unknown.
        sender: who wrote it.
        sender_id: the same, as older versions had it (deprecated).
        feedback: what users think of it.
        attachments: its files.
        metadata: what the bot stored with its last `data` event when it wrote this message.
        referenced_message: the message it answers.
        reactions: how users reacted.
        extra: keys this version does not know.
    """

    role: str
    content: str
    content_type: str = "text/markdown"
    message_type: str | None = None
    parameters: dict[str, Any] = attrs.field(factory=new_dict)
    timestamp: int = 0
    message_id: str = ""
    sender: Sender | None = None
    sender_id: str | None = None
    feedback: list[Feedback] = attrs.field(factory=new_list)
    attachments: list[Attachment] = attrs.field(factory=new_list)
    metadata: str | None = None
    referenced_message: Message | None = None
    reactions: list[Reaction] = attrs.field(factory=new_list)
    extra: Mapping[str, Any] = attrs.field(default=NO_EXTRA, kw_only=True, hash=False)
