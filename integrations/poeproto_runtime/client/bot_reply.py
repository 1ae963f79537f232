"""The reply of another bot, as a bot reads it: what `Context.query_bot` and its kin return."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Self

from poeproto import BotError, Done, Error, Event, LocalProtocolError, Meta, ReplyFold, UnknownEvent
from poeproto_runtime.client.flow_runner import FlowRunner

Begin = Callable[[ReplyFold], Awaitable[FlowRunner[ReplyFold]]]


class BotReplyStream:
    """A `poeproto.BotReply`.

    Args:
        begin: starts the call, once; the reply gathers in the fold that it is given.
        end: is told when the call is over.
        takes_meta: whether the bot's own reply can still begin with that `Meta`.
    """

    def __init__(
        self, begin: Begin, end: Callable[[FlowRunner[ReplyFold]], object], takes_meta: Callable[[Meta], bool]
    ) -> None:
        self.fold = ReplyFold()
        self._begin = begin
        self._end = end
        self._takes_meta = takes_meta
        self._run: FlowRunner[ReplyFold] | None = None
        self._beginning = False
        self._over = False

    async def text(self) -> str:
        """Read the reply to its end, and return its text."""
        while await self._next_event() is not None:
            pass
        return self.fold.final_text()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Event:
        while (event := await self._next_event()) is not None:
            if isinstance(event, Meta) and not self._takes_meta(event):
                continue
            if not isinstance(event, UnknownEvent):
                return event
        raise StopAsyncIteration

    async def aclose(self) -> None:
        """Give up what has not been read."""
        self._over = True
        run, self._run = self._run, None
        if run is not None:
            try:
                await run.aclose()
            finally:
                self._end(run)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.aclose()

    async def _next_event(self) -> Event | None:
        """The next event through `Done`; None after the end."""
        if self._over:
            if self.fold.done or self.fold.error is not None:
                return None
            raise LocalProtocolError("the reply was given up before its end")
        if self._run is None:
            if self._beginning:
                raise LocalProtocolError("two tasks read one reply")
            self._beginning = True
            try:
                self._run = await self._begin(self.fold)
            finally:
                self._beginning = False
        event = next(self._run.ready, None) or await self._run.next_event()
        if event is None or isinstance(event, Done | Error):
            await self.aclose()
        if isinstance(event, Error):
            error = BotError(event)
            error.partial = self.fold
            raise error
        return None if isinstance(event, Done) else event

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self.fold!r}>"
