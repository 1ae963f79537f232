"""The reply to a user's message: the result of `Simulator.say`, and the recorder that makes it from events."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import anyio
import attrs

from poeproto import (
    BotError,
    DeadlineExceeded,
    Error,
    Event,
    IncompleteReply,
    LimitExceeded,
    Limits,
    PoeprotoError,
    ReplyFold,
)
from poeproto.lint import ReplyQuota
from poeproto_simulator.bot_directory import BotServer
from poeproto_simulator.records import BotQuery, Charge, Conversation

__all__ = ["ReceivedFile", "ReceivedReply"]


@attrs.frozen
class ReceivedFile:
    """A file of a reply.

    Attributes:
        name: its name.
        content_type: its media type.
        url: its URL.
        inline_ref: the label by which the text refers to it.
        data: its content, if the simulator stores it; None for a file on another server.
    """

    name: str
    content_type: str
    url: str
    inline_ref: str | None = None
    data: bytes | None = attrs.field(default=None, repr=lambda data: "None" if data is None else f"{len(data)} bytes")


@attrs.frozen(eq=False, repr=False)
class ReceivedReply:
    """The reply of a bot to a user's message: complete, or failed.

    Attributes:
        conversation: the conversation, with the user's message, and with the bot's if the reply succeeded.
        query: the query that was sent to the bot.
        events: all events that were received, in order.
        fold: the reply folded from them; after a failure, the part that was received.
        files: the received files, with their content.
        charges: the costs that the bot captured for this reply.
        failure: why the reply failed: a `BotError` for the bot's `error` event, or the error of the call; None for a
            reply that succeeded.
    """

    conversation: Conversation
    query: BotQuery
    events: list[Event]
    fold: ReplyFold
    files: list[ReceivedFile]
    charges: list[Charge]
    failure: PoeprotoError | None = None

    @property
    def message_id(self) -> str:
        """The identifier of the bot's message."""
        return self.query.request.message_id

    @property
    def text(self) -> str:
        """The text of the reply; after a failure, the part that was received."""
        return self.fold.text

    @property
    def suggested_replies(self) -> list[str]:
        """The texts of the suggested replies."""
        return self.fold.suggested_replies

    @property
    def metadata(self) -> str | None:
        """The metadata that the bot stored with its message; later queries contain it as `Message.metadata`."""
        return self.fold.metadata

    @property
    def error(self) -> Error | None:
        """The bot's `error` event, if there is one."""
        return self.fold.error

    @property
    def spent(self) -> int:
        """The sum of the charges for this reply, in thousandths of a US cent."""
        return sum(charge.amount for charge in self.charges)

    def final_text(self) -> str:
        """The text of a reply that succeeded.

        Raises:
            PoeprotoError: `failure`, for a reply that failed.
        """
        if self.failure is not None:
            raise self.failure
        return self.fold.final_text()

    def __repr__(self) -> str:
        result = f"failed: {self.failure}" if self.failure else f"{len(self.files)} files"
        return f"<ReceivedReply of {self.query.bot_name}: {self.text!r}, {result}>"

    def as_json(self) -> dict[str, Any]:
        """The reply as JSON values, without the content of files."""
        without_data = attrs.filters.exclude("data")
        return {
            "conversation_id": self.conversation.id,
            "message_id": self.message_id,
            "bot_query_id": self.query.request.bot_query_id,
            "text": self.text,
            "files": [attrs.asdict(file, filter=without_data) for file in self.files],
            "suggested_replies": self.suggested_replies,
            "metadata": self.metadata,
            "amount_usd_milli_cents": self.spent,
            "failure": None if self.failure is None else str(self.failure),
        }


class ReplyRecorder:
    """Records the events of a reply, and enforces Poe's limits and deadlines.

    Args:
        limits: the bounds.
        on_event: called with each event.

    Attributes:
        events: the events so far.
        fold: the reply so far.
    """

    def __init__(self, limits: Limits, on_event: Callable[[Event], object]) -> None:
        self.events: list[Event] = []
        self.fold = ReplyFold()
        self._deadline = anyio.move_on_after(limits.first_answer_seconds)
        self._limits = limits
        self._on_event = on_event
        self._quota = ReplyQuota(limits)

    async def record(self, server: BotServer, query: BotQuery) -> tuple[ReplyFold, PoeprotoError | None]:
        """Send a query, and record its reply; returns the reply, and the error if it failed."""
        try:
            with self._deadline:
                fold = await server.ask(query.request, self._on_reply_event)
                fold.final_text()  # raises if the reply has no text
                return fold, None
            raise DeadlineExceeded(self._exceeded_deadline())
        except (BotError, IncompleteReply) as exc:
            return exc.partial if isinstance(exc.partial, ReplyFold) else self.fold, exc
        except PoeprotoError as exc:
            return self.fold, exc

    def _exceeded_deadline(self) -> str:
        if self.events:
            return f"the answer took longer than {self._limits.answer_seconds:g} s"
        return f"the first answer did not come within {self._limits.first_answer_seconds:g} s"

    def _on_reply_event(self, event: Event) -> None:
        if not self.events:
            self._deadline.deadline = anyio.current_time() + self._limits.answer_seconds
        self.events.append(event)
        self.fold.add(event)
        self._check(event)
        self._on_event(event)

    def _check(self, event: Event) -> None:
        exceeded = self._quota.exceeded_by(event)
        self._quota.count(event)
        if exceeded:
            raise LimitExceeded(f"the reply has {self._quota.describe(exceeded[0])}", limit=exceeded[0])
