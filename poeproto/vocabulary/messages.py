"""Messages of a conversation, with their senders, attachments, feedback and reactions.

Every class keeps unknown keys in `extra`, so that a message can be forwarded without loss. Sets of names (roles,
content types, kinds of feedback) are open: an unknown value is kept as received.

https://creator.poe.com/docs/server-bots/poe-protocol-specification
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from typing import Any, TypeVar

import attrs

from poeproto.vocabulary.field_types import ADVICE, NO_EXTRA, checked
from poeproto.vocabulary.slot_defaults import new_dict, new_list, prefilled

__all__ = ["Attachment", "Feedback", "Message", "Reaction", "Sender", "User"]

T = TypeVar("T")

# How many characters of a text are shown in an error.
_SHOWN = 40


@checked
@prefilled
@attrs.frozen
class Attachment:
    """A file attached to a message.

    Attributes:
        url: the URL to fetch it from, valid for ten minutes after the request was made.
        content_type: its media type, as in "image/png".
        name: its file name.
        inline_ref: the label by which the message's text refers to it, if it does.
        parsed_content: its text, or ``filename***description`` of an image, where the bot's settings ask for it.
        extra: unknown keys.
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
        name: the display name.
        extra: unknown keys.
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
        id: the user's identifier; each bot gets another one.
        name: the display name.
        extra: unknown keys.
    """

    id: str = ""
    name: str | None = None
    extra: Mapping[str, Any] = attrs.field(default=NO_EXTRA, kw_only=True, hash=False)


@checked
@prefilled
@attrs.frozen
class Feedback:
    """A user's feedback on a message.

    Attributes:
        type: "like" or "dislike" (open).
        reason: the user's comment.
        extra: unknown keys.
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
        user_id: the user who reacted.
        reaction: "like", "dislike", "heart", "laughing", "surprised", "sad" or an emoji (open).
        extra: unknown keys.
    """

    user_id: str = ""
    reaction: str = ""
    extra: Mapping[str, Any] = attrs.field(default=NO_EXTRA, kw_only=True, hash=False)


_ROLES = frozenset({"system", "user", "bot", "tool"})
_ROLE = re.compile("[a-z_-]+")


def _not_swapped(cls: type[T]) -> type[T]:
    """Decorator of `Message`: the constructor refuses a text as the role and a role as the text.

    The roles are an open set, so another name of a role is accepted. Received messages are not made by the constructor.
    """
    construct = cls.__init__

    @functools.wraps(construct)
    def __init__(self: Any, *args: Any, **kwargs: Any) -> None:
        construct(self, *args, **kwargs)
        if self.content in _ROLES and not _ROLE.fullmatch(self.role):
            raise ValueError(
                f"the role is {self.role[:_SHOWN]!r} and the content {self.content!r}: they are swapped; the role comes"
                f" first: Message({self.content!r}, text)"
            )

    cls.__init__ = __init__
    return cls


@_not_swapped
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
        timestamp: microseconds since the epoch; 0 if unknown.
        message_id: ``m-`` and 32 characters; empty if unknown.
        sender: who wrote it.
        sender_id: the sender's identifier (deprecated).
        feedback: the users' feedback.
        attachments: the attached files.
        metadata: the metadata of the last `data` event in this message's reply.
        referenced_message: the message that this one replies to.
        reactions: the users' reactions.
        extra: unknown keys.

    Raises:
        ValueError: for a text as the role and a role as the content.
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
    attachments: list[Attachment] = attrs.field(
        factory=new_list, metadata={ADVICE: "upload files with Client.upload, and write [uploaded.attachment()]"}
    )
    metadata: str | None = None
    referenced_message: Message | None = None
    reactions: list[Reaction] = attrs.field(factory=new_list)
    extra: Mapping[str, Any] = attrs.field(default=NO_EXTRA, kw_only=True, hash=False)
