"""The conversations of the playground as its page shows them: also replies that failed, were stopped, or are under way.

The simulator's own conversations have only the messages that Poe would send to a bot again.
"""

from __future__ import annotations

from typing import Any, Literal

import anyio
import attrs

from poeproto import (
    Attachment,
    Data,
    Error,
    Event,
    File,
    Json,
    Meta,
    ReplaceResponse,
    SuggestedReply,
    Text,
)
from poeproto_simulator import Conversation

_TITLE_LENGTH = 60

Status = Literal["streaming", "complete", "stopped", "failed"]


@attrs.define
class ShownText:
    """The text of one answer: parts that are appended, until a replacement begins a new epoch."""

    epoch: int = 0
    parts: list[str] = attrs.field(factory=list[str])

    @property
    def text(self) -> str:
        """The whole text."""
        return "".join(self.parts)


@attrs.define(eq=False, kw_only=True)
class ShownMessage:
    """A message as the page shows it; `as_json` has the fields of the page.

    Attributes:
        id: its `message_id` on the simulated Poe.
        role: "user" or "bot".
        bot: the bot that is asked, or answers.
        texts: by index; None is the only answer.
        exchange: the exchange of its query.
    """

    id: str
    role: Literal["user", "bot"]
    at: float
    bot: str | None = None
    texts: dict[int, ShownText] = attrs.field(factory=dict[int, ShownText])
    content_type: str = "text/markdown"
    status: Status = "complete"
    error: dict[str, Any] | None = None
    suggested_replies: list[str] = attrs.field(factory=list[str])
    attachments: list[Attachment] = attrs.field(factory=list[Attachment])
    parameters: dict[str, Any] | None = None
    reply_to: str | None = None
    feedback: str | None = None
    reactions: list[str] = attrs.field(factory=list[str])
    metadata: str | None = None
    data_events: int = 0
    exchange: str | None = None
    spent: int = 0
    first_event_ms: float | None = None
    duration_ms: float | None = None

    @property
    def text(self) -> str:
        """The text of the first answer."""
        return next(iter(self.texts.values())).text if self.texts else ""

    def receive(self, event: Event) -> bool:
        """Show an event. Whether more than text has changed."""
        match event:
            case Text():
                self._text(event.index).parts.append(event.text)
                return False
            case ReplaceResponse():
                shown = self._text(event.index)
                shown.epoch, shown.parts = shown.epoch + 1, [event.text]
                return False
            case Meta():
                self.content_type = event.content_type or self.content_type
            case File():
                self.attachments.append(Attachment(event.url, event.content_type, event.name, event.inline_ref))
            case SuggestedReply():
                self.suggested_replies.append(event.text)
            case Data():
                self.metadata = event.metadata
                self.data_events += 1
            case Json():
                self.data_events += 1
            case Error():
                self.error = {"text": event.text or "", "type": event.error_type, "allow_retry": event.allow_retry}
            case _:
                return False
        return True

    def _text(self, index: int | None) -> ShownText:
        return self.texts.setdefault(index or 0, ShownText())

    def as_json(self) -> dict[str, Any]:
        """The message as the page gets it."""
        left_out = attrs.filters.exclude("texts", "attachments")
        return {
            **attrs.asdict(self, filter=left_out, recurse=False),
            "texts": [
                {"index": index, "epoch": shown.epoch, "text": shown.text} for index, shown in self.texts.items()
            ],
            "attachments": [attachment_to_json(each) for each in self.attachments],
        }


def attachment_to_json(attachment: Attachment, size: int | None = None) -> dict[str, Any]:
    """An attachment as the page gets it."""
    return {
        "url": attachment.url,
        "content_type": attachment.content_type,
        "name": attachment.name,
        "inline_ref": attachment.inline_ref,
        "size": size,
    }


@attrs.define(eq=False, kw_only=True)
class Chat:
    """One conversation of the page.

    Attributes:
        conversation: the simulator's.
        bot: the bot that is asked by default.
        created: seconds since the epoch.
        messages: oldest first.
        reply: cancels the reply under way; None if there is none.
        network: whether the frame of a bot's HTML may use the network.
        forked_from: the conversation and the message that it was forked from.
        parameters: as they were sent last.
    """

    conversation: Conversation
    bot: str
    created: float
    title: str = ""
    messages: list[ShownMessage] = attrs.field(factory=list[ShownMessage])
    reply: anyio.CancelScope | None = None
    network: bool = False
    forked_from: dict[str, str] | None = None
    parameters: dict[str, Any] = attrs.field(factory=dict[str, Any])

    @property
    def id(self) -> str:
        """The identifier of the conversation on the simulated Poe."""
        return self.conversation.id

    def index_of(self, message_id: str) -> int | None:
        """The place of a message in the list."""
        return next((place for place, each in enumerate(self.messages) if each.id == message_id), None)

    def cut(self, place: int) -> None:
        """Remove the messages from this place on, here and at the simulated Poe."""
        removed = {each.id for each in self.messages[place:]}
        del self.messages[place:]
        kept = [each for each in self.conversation.messages if each.message_id not in removed]
        self.conversation.messages[:] = kept

    def summary(self) -> dict[str, Any]:
        """The conversation as the page's list has it."""
        first = next((each.text for each in self.messages if each.role == "user"), "")
        return {
            "id": self.id,
            "title": self.title or " ".join(first.split())[:_TITLE_LENGTH],
            "bot": self.bot,
            "created": self.created,
            "messages": len(self.messages),
            "streaming": self.reply is not None,
            "network": self.network,
            "forked_from": self.forked_from,
            "parameters": self.parameters,
        }


def copy_message(message: ShownMessage) -> ShownMessage:
    """A message for a forked conversation, which may change on its own."""
    return attrs.evolve(
        message,
        texts={index: ShownText(shown.epoch, [shown.text]) for index, shown in message.texts.items()},
        attachments=list(message.attachments),
        suggested_replies=list(message.suggested_replies),
        reactions=list(message.reactions),
    )
