"""The replies of bots, as callers read them: one base for all of them, over the flow runner."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from functools import partial
from operator import length_hint
from typing import TYPE_CHECKING, NoReturn, Self

from poeproto import BotError, Done, Error, Event, LocalProtocolError, Meta, ReplyFold, Text, UnknownEvent
from poeproto_runtime.bot_mistakes import place_of_caller
from poeproto_runtime.client.drop_guard import DropGuard
from poeproto_runtime.client.flow_runner import FlowRunner
from poeproto_runtime.client.states import ReplyPhase
from poeproto_runtime.client.transport import OTHER_READER

__all__ = ["Reply"]

logger = logging.getLogger("poeproto")

Close = Callable[[], Awaitable[object]]


class ReplyBase:
    """One reply as it arrives: the base of every reply of a bot, read asynchronously or by blocking.

    A reply may be read within ``with`` or without. Entering it sends the query and waits for the head of the response;
    without ``with``, the first read does. Leaving the block closes the reply. Without a block, the reply closes itself
    at its end and when a read fails or is cancelled. After its end there are no more events; after an early close,
    reading raises `LocalProtocolError`.

    Args:
        runner: runs the query. Nothing is sent before it is started.
        fold: the fold of the reply, filled by the runner's flow.
        on_close: called when the reply is closed.

    Attributes:
        fold: the reply so far, through the events that were read.
    """

    _warned_of_reread = False

    def __init__(self, runner: FlowRunner[ReplyFold], fold: ReplyFold, on_close: Close | None = None) -> None:
        self.fold = fold
        self._runner = runner
        self._on_close = on_close
        self._state = ReplyPhase.NEW

    @property
    def _is_new(self) -> bool:
        return self._state is ReplyPhase.NEW

    async def _enter(self) -> None:
        if self._state in (ReplyPhase.SCOPED, ReplyPhase.CLOSED):
            raise LocalProtocolError("a reply is entered once, before it is closed: query again to get another")
        if self._runner.busy:
            raise LocalProtocolError(OTHER_READER)
        self._state = ReplyPhase.SCOPED
        try:
            await self._runner.start()
        except BaseException:
            await self._close()
            raise

    async def _read(self) -> Event | None:
        """The next event; None after the last."""
        runner = self._runner
        if runner.busy:
            raise LocalProtocolError(OTHER_READER)
        if self._state in (ReplyPhase.SCOPED, ReplyPhase.CLOSED):
            return await runner.next_event()
        self._state = ReplyPhase.UNSCOPED
        try:
            event = await runner.next_event()
        except BaseException:
            await self._close()
            raise
        if event is None:
            await self._close()
        return event

    async def _read_text(self) -> str:
        while await self._read() is not None:
            self._runner.skip_ready()
        return self.fold.final_text()

    def _warn_of_reread(self) -> None:
        """Log a loop over a reply that has been read to its end: it would have no events, and no error either."""
        if self._runner.returned and not length_hint(self._runner.ready) and not self._warned_of_reread:
            self._warned_of_reread = True
            logger.warning(
                "%s: this reply was read to its end before, and has no more events; reply.fold has what was read, such"
                " as reply.fold.final_text()",
                place_of_caller(3),
            )

    async def _close(self) -> None:
        self._state = ReplyPhase.CLOSED
        on_close, self._on_close = self._on_close, None
        await close_call(self._runner, on_close)

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self.fold!r}>"


class Reply(ReplyBase):
    """One reply as it arrives: an async iterator of events, through `Done` or `Error`, and an async context manager.

    An `Error` is an event here; only `text` raises it. Without ``async with``, a loop that is left early closes the
    reply soon if nothing refers to it any more. Where a variable does, call `aclose`.

    Attributes:
        fold: the reply so far, through the events that were read.
    """

    _guard: DropGuard | None = None

    async def text(self) -> str:
        """Read the reply to its end, and return its text.

        Raises:
            BotError: when the bot ended the reply with an error.
            IncompleteReply: when the reply broke off, or ended without any answer.
            RemoteProtocolError, TransportError: as iteration raises them.
        """
        return await self._read_text()

    async def aclose(self) -> None:
        """Close the reply: cancel its remaining events, and release or close its connection."""
        await self._close()

    async def __aenter__(self) -> Self:
        """Send the query, and wait for the head of the response.

        Raises:
            RequestRefused: when the bot answers with another status than 200, or not with an event stream.
            TransportError: when the connection fails.
            LocalProtocolError: when the reply was entered or closed before.
        """
        await self._enter()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self._close()

    if not TYPE_CHECKING:  # for who forgets an `async`; a type checker says so by itself

        def __iter__(self) -> NoReturn:
            raise TypeError("this reply is asynchronous: write `async for event in reply`, or `await reply.text()`")

        def __await__(self) -> NoReturn:
            raise TypeError("a reply is not awaited itself: write `await reply.text()`, or `async for event in reply`")

        def __enter__(self) -> NoReturn:
            raise TypeError("this reply is asynchronous: write `async with`")

        def __exit__(self, *exc_info: object) -> None:
            """Never called; without it, Python would not call `__enter__` either."""

    def __aiter__(self) -> Self:
        self._warn_of_reread()
        return self

    async def __anext__(self) -> Event:
        for event in self._runner.ready:  # the fast path: there are none before the call and after its close
            return event
        if self._is_new:
            await self._start_guard()
        # A scoped read calls the runner directly: every coroutine in between delays each event that arrives alone.
        event = await (self._runner.next_event() if self._state is ReplyPhase.SCOPED else self._read())
        if event is None:
            raise StopAsyncIteration
        return event

    async def _start_guard(self) -> None:
        self._guard = DropGuard(partial(close_call, self._runner, self._on_close))
        await self._guard.start()

    async def _close(self) -> None:
        guard, self._guard = self._guard, None
        if guard is None:
            await super()._close()
        else:
            self._state, self._on_close = ReplyPhase.CLOSED, None
            await guard.aclose()


async def close_call(runner: FlowRunner[ReplyFold], on_close: Close | None) -> None:
    """Close the call of a reply."""
    try:
        await runner.aclose()
    finally:
        if on_close is not None:
            await on_close()


class BotReplyStream(Reply):
    """The reply of another bot, as a bot reads it: a `poeproto.BotReply`, whose docstring lists the events that
    iteration leaves out.

    Unlike `Reply`, it can be forwarded by a bot. An `Error` is raised as `BotError`, so that a bot that
    does not catch it ends its own reply with the same error. `Done`, unknown events and a `Meta` that comes too late
    are left out, so that every event may be yielded. A reply that is open when the request ends is closed then.

    Args:
        runner: as in `ReplyBase`.
        fold: as in `ReplyBase`.
        on_close: as in `ReplyBase`.
        accepts_meta: whether the bot's own reply can still begin with that `Meta`.
    """

    def __init__(
        self,
        runner: FlowRunner[ReplyFold],
        fold: ReplyFold,
        on_close: Close,
        accepts_meta: Callable[[Meta], bool],
    ) -> None:
        super().__init__(runner, fold, on_close)
        self._accepts_meta = accepts_meta

    async def __anext__(self) -> Event:
        runner = self._runner
        while True:
            event = next(runner.ready, None)
            if event is None and self._is_new:
                await self._start_guard()
            if event is None and self._state is ReplyPhase.UNSCOPED and not runner.busy:
                # As in `_read`, which would be one more coroutine for every event that arrives alone.
                try:
                    event = await runner.next_event()
                except BaseException:
                    await self._close()
                    raise
                if event is None:
                    await self._close()
            elif event is None:
                event = await self._read()
            if type(event) is Text:  # fast path: nearly all events are texts
                return event
            if event is None:
                raise StopAsyncIteration
            if isinstance(event, Error):
                if self._state is ReplyPhase.UNSCOPED:
                    await self._close()
                error = BotError(event)
                error.partial = self.fold
                raise error
            if isinstance(event, Done | UnknownEvent) or (isinstance(event, Meta) and not self._accepts_meta(event)):
                continue
            return event
