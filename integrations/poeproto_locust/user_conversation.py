"""A conversation of several turns, as a person has it with a bot."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from secrets import token_bytes
from typing import Any

import attrs

from poeproto import Attachment, Message, QueryRequest
from poeproto.identifiers import make_identifier
from poeproto_locust.user_reply import UserReply

__all__ = ["UserConversation"]


class UserConversation:
    """One conversation of a user: each query carries all turns before it. `PoeUser.conversation` makes one.

    A turn whose reply is not complete leaves the conversation as it was, as if it had never been sent.

    Attributes:
        messages: the turns so far, of the user and of the bot.
    """

    def __init__(self, send: Callable[[QueryRequest, str], UserReply], user_id: str) -> None:
        self.messages: list[Message] = []
        self._send = send
        self._user_id = user_id
        self._id = new_identifier("c")

    def say(
        self,
        text: str,
        *,
        parameters: Mapping[str, Any] | None = None,
        attachments: Sequence[Attachment] = (),
        name: str = "query",
    ) -> UserReply:
        """Send the next message of the user, and read the bot's reply. Arguments as of `PoeUser.query`."""
        message = user_message(text, parameters, attachments)
        request = attrs.evolve(new_request([*self.messages, message], self._user_id), conversation_id=self._id)
        reply = self._send(request, name)
        if reply.is_complete:
            answer = Message("bot", reply.text, message_id=request.message_id, metadata=reply.fold.metadata)
            self.messages += [message, answer]
        return reply


def user_message(text: str, parameters: Mapping[str, Any] | None, attachments: Sequence[Attachment]) -> Message:
    """A message of a user."""
    return Message(
        "user",
        text,
        parameters=dict(parameters or {}),
        attachments=list(attachments),
        message_id=new_identifier("m"),
    )


def new_request(messages: list[Message], user_id: str) -> QueryRequest:
    """A query with these messages in a new conversation. Its identifiers are new, as those of Poe are."""
    return QueryRequest(messages, user_id=user_id, conversation_id=new_identifier("c"), message_id=new_identifier("m"))


def new_identifier(tag: str) -> str:
    """A random identifier of Poe's form."""
    return make_identifier(tag, token_bytes(20))
