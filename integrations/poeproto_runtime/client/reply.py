"""A reply as it arrives, over whatever transport."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from poeproto import Event, LocalProtocolError, ReplyFold
from poeproto_runtime.client.flow_runner import FlowRunner


class Reply:
    """One reply as it arrives: an async context manager, and within it an async iterator of events.

    What comes is every event through `Done` or `Error`; an `Error` is an event here, and raised by `text` alone.

    Attributes:
        fold: the reply so far, through the events that have arrived.
    """

    def __init__(self, run: FlowRunner[ReplyFold], fold: ReplyFold) -> None:
        self.fold = fold
        self._run = run
        self._entered = False
        self._left = False

    async def text(self) -> str:
        """Read the reply to its end, and return its text.

        Raises:
            BotError: when the bot ended the reply with an error.
            IncompleteReply: when the reply broke off, or had no answer in it.
            RemoteProtocolError, TransportError: as iteration raises them.
        """
        async for _ in self:
            self._run.pass_over()
        return self.fold.final_text()

    async def __aenter__(self) -> Self:
        """Send the query, and wait for the head of the answer.

        Raises:
            RequestRefused: when the bot answers with another status than 200 or not with a stream.
            TransportError: when the connection fails.
            LocalProtocolError: when it was entered before, or a budget does not cover the call.
        """
        if self._entered:
            raise LocalProtocolError("the query was sent already; make another for another reply")
        self._entered = True
        try:
            await self._run.start()
        except BaseException:
            await self._run.aclose()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._left = True
        await self._run.aclose()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Event:
        for event in self._run.ready:  # of which there are none before the block and after it
            return event
        if not self._entered or (self._left and not self._run.returned):
            raise LocalProtocolError("the reply is not open: it can be read within its `with` block only")
        event = await self._run.next_event()
        if event is None:
            raise StopAsyncIteration
        return event

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self.fold!r}>"


def run_of(reply: Reply) -> FlowRunner[ReplyFold]:
    """What is behind a reply, for those who give it another form."""
    return reply._run  # pyright: ignore[reportPrivateUsage]  # theirs to use, and not the readers'
