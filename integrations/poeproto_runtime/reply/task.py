"""Running a bot's answer to a query: its events out, one stream, however it ends."""

from __future__ import annotations

import asyncio
import contextvars
import logging
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import suppress
from typing import Any

import anyio

from poeproto import Bot, BotExchange, Done, Event, LocalProtocolError, QueryRequest, State
from poeproto_runtime.bot_failures import error_meant_by
from poeproto_runtime.cancellation import is_cancelled
from poeproto_runtime.channel import Channel, ChannelFailed, ClientDisconnected
from poeproto_runtime.context import RequestContext
from poeproto_runtime.hooks import Progress
from poeproto_runtime.reply.sender import EventSender
from poeproto_runtime.reply.suspension import (
    as_events,
    await_with_hook,
    close_events,
    has_ended,
)
from poeproto_runtime.reply.timers import ReplyTimers
from poeproto_runtime.reply.writer import CoalescingWriter

logger = logging.getLogger("poeproto")

# What the peer, and so the user, reads; the error's id follows.
_STOPPED = "This bot's server is restarting."
_TOO_LATE = "This bot took too long to answer."
_NO_ANSWER = "This bot gave no answer."

_OPEN = frozenset({State.OPENED, State.UNANSWERED, State.ANSWERED})


class ReplyStream:
    """One reply under way.

    The bot's task also writes. When it waits for the first time, another comes to share the reply, which waits for the
    peer's departure and then cancels all; `ReplyTimers` begins to look after it; and the writer gets a task of its own
    when the bot's leaves it something to write. The bot's failure becomes an `error` event, its details a log record
    with the same id.
    """

    __slots__ = (
        "_bot",
        "_bot_scope",
        "_channel",
        "_context",
        "_exchange",
        "_limits",
        "_progress",
        "_quiet_since",
        "_sender",
        "_stopped",
        "_tasks",
        "_variables",
        "_watch",
        "_writer",
        "_writes_seen",
    )

    def __init__(
        self,
        bot: Bot,
        exchange: BotExchange,
        channel: Channel,
        context: RequestContext,
        progress: Progress,
        watch: ReplyTimers,
    ) -> None:
        self._bot = bot
        self._exchange = exchange
        self._channel = channel
        self._context = context
        self._progress = progress
        self._watch = watch
        self._limits = context.limits
        self._writer = CoalescingWriter(channel, context.limits.write_buffer)
        self._sender = EventSender(exchange, self._writer, context, progress)
        self._stopped = False
        self._bot_scope = anyio.CancelScope()
        self._tasks = anyio.create_task_group()
        self._variables: contextvars.Context | None = None  # those of the bot's task, once others share the reply
        self._writes_seen = 0
        self._quiet_since = 0.0

    async def run(self, request: QueryRequest) -> None:
        """Answer the query; returns when the answer has been sent, or the peer has gone."""
        async with self._tasks:
            try:
                await await_with_hook(self._answer(request), self._waits)
                self._progress.complete = True
            except ClientDisconnected:
                logger.debug("the peer went away during its reply")
            finally:
                self._progress.events, self._progress.bytes = self._exchange.events, self._writer.taken
                if self._variables is not None:
                    self._give_up()
                await self._context.close(self._progress.id)

    def stop(self) -> None:
        """Let the bot stop now, and the reply end with an `error` that allows a retry."""
        self._stopped = True
        self._bot_scope.cancel()

    # --- beside the bot

    def start_soon(self, run: Callable[..., Coroutine[Any, Any, None]], *arguments: object) -> None:
        """Start a task, which is cancelled when the stream ends."""
        assert self._variables is not None, "the stream waits"
        self._variables.run(self._tasks.start_soon, run, *arguments)

    def tick(self, now: float, pause: float) -> None:
        """Give up on a peer that does not read, and break the silence of a bot."""
        writer = self._writer
        if writer.writes != self._writes_seen:
            self._writes_seen, self._quiet_since = writer.writes, now
            return
        quiet = now - self._quiet_since  # or up to a pause more
        if writer.writing:
            if quiet + pause / 2 >= self._limits.send_seconds:
                logger.debug("the peer does not read what it is sent")
                self._give_up()
        elif quiet + 2 * pause > self._limits.heartbeat_seconds and not writer.closed:
            self._quiet_since = now  # one heartbeat is enough, however long its writer waits for its turn
            # A bot that has sent its own Done may still be cleaning up, and the end of the body waits for that.
            if self._exchange.our_state is not State.DONE:
                writer.put(self._exchange.heartbeat())
            if writer.hand_over(staying=False):
                self.start_soon(self._write)

    def _waits(self) -> None:
        """Called when the bot's task is about to wait, and must not be held up."""
        self._sender.before_waiting()
        if self._variables is None:
            self._variables = contextvars.copy_context()
            self.start_soon(self._cancel_on_disconnect)
            self._quiet_since = anyio.current_time()
            self._watch.add(self)
        if self._writer.hand_over():
            self.start_soon(self._write)

    def _give_up(self) -> None:
        self._watch.discard(self)
        self._tasks.cancel_scope.cancel()

    async def _cancel_on_disconnect(self) -> None:
        with suppress(ClientDisconnected):
            await self._channel.wait_disconnected()
        # Servers report the end of an exchange as a departure, too, from within the call that ends it: cancelling that
        # would catch them halfway through closing the connection, or making it ready for the next request.
        if not self._writer.closed:
            self._give_up()

    async def _write(self) -> None:
        try:
            await self._writer.run()
        except ClientDisconnected:
            self._give_up()

    # --- the bot

    async def _answer(self, request: QueryRequest) -> None:
        await self._writer.start(self._exchange.begin())
        self._progress.status = 200
        await self._writer.finish(await self._run_bot(request))

    async def _run_bot(self, request: QueryRequest) -> bytes:
        """Send the bot's events, and return the bytes that end the stream."""
        if self._stopped:
            return self._apology("the server stopped before a reply", text=_STOPPED, allow_retry=True)
        self._bot_scope.deadline = anyio.current_time() + self._limits.answer_seconds
        try:
            with self._bot_scope:
                await self._send_events(request)
        except (ClientDisconnected, ChannelFailed):
            raise
        except (asyncio.CancelledError, anyio.get_cancelled_exc_class()) as exc:
            if isinstance(exc, anyio.get_cancelled_exc_class()) and is_cancelled():
                raise
            self._mend()
            return self._apology("the bot was cancelled by itself, or awaited something that was", cause=exc)
        except Exception as exc:  # noqa: BLE001 - a bot is foreign code, and the peer must hear of its end
            self._mend()
            return self._error_meant_by(exc) or self._apology("the bot failed", cause=exc)
        except BaseExceptionGroup as group:
            # On trio, what a bot's tasks raise while they are cancelled comes together with the cancellation. Who
            # cancels all has given up on the peer, so nobody else is left to be told.
            failures, rest = group.split(Exception)
            if failures is None or rest is None or not is_cancelled():
                raise
            logger.error("the bot failed while it was cancelled (error id %s)", self._progress.id, exc_info=failures)
            raise rest from None
        state = self._exchange.our_state
        if self._bot_scope.cancelled_caught:
            if state in (State.FAILED, State.DONE):
                return self._apology("after its reply the bot took too long to clean up")
            if self._stopped:
                return self._apology("the server stopped during a reply", text=_STOPPED, allow_retry=True)
            return self._apology("the bot took too long", text=_TOO_LATE, allow_retry=True)
        begins = not self._exchange.events
        try:
            files = self._sender.files()
        except LocalProtocolError as exc:
            return self._apology("the bot failed", cause=exc)
        if state in (State.OPENED, State.UNANSWERED) and not files:
            return self._apology("the bot ended without an answer", text=_NO_ANSWER)
        if files and begins:
            self._writer.put(files)
            files = b""
            await self._sender.tell_first_event()
        return b"" if state is State.DONE else files + self._exchange.send(Done())

    async def _send_events(self, request: QueryRequest) -> None:
        await self._context.prepare()
        events = as_events(self._bot.get_response(request, self._context))
        try:
            await self._sender.send(events)
        finally:
            await self._close(events)

    async def _close(self, events: AsyncIterator[Event | str]) -> None:
        if has_ended(events):
            return
        # Here, because a scope or task group that the bot holds open around a `yield` can be left only where it was
        # entered. For the same reason the deadline is the bot's own: another scope would lie between.
        self._bot_scope.deadline = min(self._bot_scope.deadline, anyio.current_time() + self._limits.cleanup_seconds)
        await close_events(events)

    def _mend(self) -> None:
        """Let the reply end in order though a write was cut short, if that was done from within a task group or scope
        that the bot held open around its `yield`. The end is an error, so nothing is taken for complete that is not.
        """
        ours = self._bot_scope.cancel_called or is_cancelled()
        if self._writer.cut_short and not ours and self._exchange.our_state in _OPEN:
            self._writer.pass_over()

    def _error_meant_by(self, exc: Exception) -> bytes:
        """The end of a reply whose bot lets another's error pass; nothing for a failure of its own."""
        error = error_meant_by(exc)
        if error is None or self._exchange.our_state not in _OPEN:
            return b""
        try:
            ending = self._sender.files() + self._exchange.send(error)
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
