"""Running a bot's answer to a query: its events out, one stream, however it ends."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator

import anyio
import anyio.lowlevel

from poeproto import Bot, BotExchange, Done, Error, Event, LocalProtocolError, Meta, QueryRequest, State, Text
from poeproto_runtime.bot_failures import error_meant_by
from poeproto_runtime.channel import Channel, PeerGone
from poeproto_runtime.context import RequestContext
from poeproto_runtime.observing import Progress
from poeproto_runtime.outlet import Outlet
from poeproto_runtime.stepping import as_events, cancellation_is_ours, close_events, noticing_suspension, resumed

logger = logging.getLogger("poeproto")

# What the peer, and so the user, reads; the error's id follows.
_STOPPED = "This bot's server is restarting."
_TOO_LATE = "This bot took too long to answer."
_NO_ANSWER = "This bot gave no answer."

_LAST = frozenset({Error, Done})
_OPEN = frozenset({State.OPENED, State.UNANSWERED, State.ANSWERED})


class ReplyStream:
    """One reply under way.

    Three tasks share it: the bot's, which also writes; the outlet's; and one that waits for the peer's departure and
    then cancels the other two. The bot's failure becomes an `error` event, its details a log record with the same id.
    """

    def __init__(
        self, bot: Bot, exchange: BotExchange, channel: Channel, context: RequestContext, progress: Progress
    ) -> None:
        self._bot = bot
        self._exchange = exchange
        self._channel = channel
        self._context = context
        self._progress = progress
        self._limits = limits = context.limits
        self._outlet = Outlet(channel, limits.write_buffer, limits.heartbeat_seconds, limits.send_seconds)
        self._stopped = False
        self._bot_scope = anyio.CancelScope()

    async def run(self, request: QueryRequest) -> None:
        """Answer the query; returns when the answer has been sent, or the peer has gone."""
        try:
            async with anyio.create_task_group() as tasks:
                try:
                    await self._channel.start(self._exchange.begin())
                    self._progress.status = 200
                    tasks.start_soon(self._leave_with_peer, tasks.cancel_scope)
                    tasks.start_soon(self._write, tasks.cancel_scope)
                    await self._outlet.finish(await self._run_bot(request))
                    self._progress.complete = True
                except PeerGone:
                    logger.debug("the peer went away during its reply")
                finally:
                    self._progress.events, self._progress.bytes = self._exchange.events, self._outlet.taken
                    tasks.cancel_scope.cancel()
                    await self._context.close(self._progress.id)
        except* Exception as group:
            # On trio, what a bot's tasks raise while they are cancelled comes together with the cancellation, and is
            # told apart from it only here. The peer has gone, so nobody else is left to be told.
            logger.error("the bot failed while it was cancelled (error id %s)", self._progress.id, exc_info=group)

    def stop(self) -> None:
        """Let the bot stop now, and the reply end with an `error` that allows a retry."""
        self._stopped = True
        self._bot_scope.cancel()

    async def _leave_with_peer(self, scope: anyio.CancelScope) -> None:
        await self._channel.departed()
        # Servers report the end of an exchange as a departure, too, from within the call that ends it: cancelling that
        # would catch them halfway through closing the connection, or making it ready for the next request.
        if not self._outlet.closed:
            scope.cancel()

    async def _write(self, scope: anyio.CancelScope) -> None:
        try:
            await self._outlet.run(self._heartbeat)
        except PeerGone:
            scope.cancel()

    def _heartbeat(self) -> bytes:
        # A bot that has sent its own Done may still be cleaning up, and the end of the body waits for that.
        return b"" if self._exchange.our_state is State.DONE else self._exchange.heartbeat()

    async def _run_bot(self, request: QueryRequest) -> bytes:
        """Send the bot's events, and return the bytes that end the stream."""
        self._bot_scope.deadline = anyio.current_time() + self._limits.answer_seconds
        try:
            with self._bot_scope:
                await self._send_events(request)
        except PeerGone:
            raise
        except asyncio.CancelledError as exc:
            if cancellation_is_ours():
                raise
            return self._apology("the bot awaited something that was cancelled", cause=exc)
        except Exception as exc:  # noqa: BLE001 - a bot is foreign code, and the peer must hear of its end
            return self._error_meant_by(exc) or self._apology("the bot failed", cause=exc)
        state = self._exchange.our_state
        if self._bot_scope.cancelled_caught:
            if state in (State.FAILED, State.DONE):
                return self._apology("after its reply the bot took too long to clean up")
            if self._stopped:
                return self._apology("the server stopped during a reply", text=_STOPPED, allow_retry=True)
            return self._apology("the bot took too long", text=_TOO_LATE, allow_retry=True)
        begins = not self._exchange.events
        try:
            files = self._files()
        except LocalProtocolError as exc:
            return self._apology("the bot failed", cause=exc)
        if state in (State.OPENED, State.UNANSWERED) and not files:
            return self._apology("the bot ended without an answer", text=_NO_ANSWER)
        if files and begins:
            self._outlet.put(files)
            files = b""
            await self._tell_first_event()
        return b"" if state is State.DONE else files + self._exchange.send(Done())

    async def _send_events(self, request: QueryRequest) -> None:
        outlet, send, put = self._outlet, self._exchange.send, self._outlet.put
        posted = self._context.posted
        await self._context.prepare()
        events = as_events(self._bot.get_response(request, self._context))
        try:
            alone = first = True  # the first event; alone is each that the bot waited for, too
            while True:
                # The first step of `await events.__anext__()` by hand, as noticing_suspension does it, but without an
                # object for each event of a burst.
                step = events.__anext__().__await__()
                try:
                    yielded = step.send(None)
                except StopIteration as stop:
                    event: Event | str = stop.value
                except StopAsyncIteration:
                    return
                else:
                    outlet.hand_over()
                    try:
                        event = await resumed(step, yielded)
                    except StopAsyncIteration:
                        return
                    alone = True
                kind = type(event)
                if kind is Meta:
                    if self._context.was_overtaken(event):
                        continue
                elif posted:
                    put(self._files())
                full = put(send(Text(event) if isinstance(event, str) else event))
                if kind in _LAST:
                    if first and self._exchange.events:
                        await self._tell_first_event()  # files went before it
                    return
                if alone:
                    alone = False
                    await outlet.flush()
                    if first:
                        first = False
                        self._progress.first_event()
                elif full:
                    await outlet.flush()
                    # A server's own send need not suspend, and a bot that never does must not keep the loop.
                    await anyio.lowlevel.checkpoint()
        finally:
            await self._close(events)

    async def _close(self, events: AsyncIterator[Event | str]) -> None:
        # Here, because a scope or task group that the bot holds open around a `yield` can be left only where it was
        # entered. For the same reason the deadline is the bot's own: another scope would lie between.
        self._bot_scope.deadline = min(self._bot_scope.deadline, anyio.current_time() + self._limits.cleanup_seconds)
        await noticing_suspension(close_events(events), self._outlet.hand_over)

    async def _tell_first_event(self) -> None:
        await self._outlet.flush()
        self._progress.first_event()

    def _files(self) -> bytes:
        """The events of files that the bot has posted since the last time."""
        posted = self._context.posted
        if not posted:
            return b""
        data = b"".join(map(self._exchange.send, posted))
        posted.clear()
        return data

    def _error_meant_by(self, exc: Exception) -> bytes:
        """The end of a reply whose bot lets another's error pass; nothing for a failure of its own."""
        error = error_meant_by(exc)
        if error is None or self._exchange.our_state not in _OPEN:
            return b""
        try:
            ending = self._files() + self._exchange.send(error)
        except LocalProtocolError:
            return b""  # it has no form that can be sent, and is then a failure like others
        name = type(self._bot).__name__
        # The exception may be a group, which tells how many there are and not what.
        meant = error.text if error.error_type is None else f"{error.text} ({error.error_type})"
        logger.info("%s ends its reply with an error (error id %s): %s", name, self._progress.id, meant)
        return ending + self._exchange.send(Done())

    def _apology(
        self, what: str, *, text: str | None = None, allow_retry: bool = False, cause: BaseException | None = None
    ) -> bytes:
        self._progress.failed()
        level = logging.INFO if self._stopped and cause is None else logging.ERROR
        logger.log(level, "%s: %s (error id %s)", type(self._bot).__name__, what, self._progress.id, exc_info=cause)
        if text is not None:
            text = f"{text} Error id: {self._progress.id}"
        apology = self._exchange.fail(self._progress.id, text=text, allow_retry=allow_retry)
        assert isinstance(apology, bytes), "the stream has begun"
        return apology
