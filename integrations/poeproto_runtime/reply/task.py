"""The bot's task: runs one bot for one query, and sends its events in one response, however it ends."""

from __future__ import annotations

import asyncio
import contextvars
import logging
import math
from collections.abc import Callable, Coroutine
from typing import Any, cast

import anyio

from poeproto import Bot, BotExchange, Done, Error, LocalProtocolError, QueryRequest, State
from poeproto_runtime.bot_failures import error_meant_by, exceptions_in
from poeproto_runtime.bot_location import suspended_code
from poeproto_runtime.bot_mistakes import failure_line, place_of_yield, yields_after
from poeproto_runtime.cancellation import is_cancelled
from poeproto_runtime.channel import Channel, ChannelFailed, ClientDisconnected
from poeproto_runtime.context import RequestContext
from poeproto_runtime.hooks import Progress
from poeproto_runtime.reply.sender import EventSender
from poeproto_runtime.reply.states import (
    BOT_ONLY,
    FINISHED,
    IDLE,
    RESUMED,
    STOP,
    SUSPEND,
    SUSPENDED,
    UNDER_WAY,
    ReplyState,
    Server,
    Writing,
)
from poeproto_runtime.reply.suspension import as_events, await_with_hook, close_events, has_ended
from poeproto_runtime.reply.tasks import make_reply_tasks
from poeproto_runtime.reply.timers import ReplyTimers
from poeproto_runtime.reply.writer import CoalescingWriter

logger = logging.getLogger("poeproto")

# The text that the user reads; the error's id follows.
_STOPPED = "This bot's server is restarting."
_TIMED_OUT = "This bot took too long to answer."
_NO_ANSWER = "This bot gave no answer."

_OPEN = frozenset({State.OPENED, State.UNANSWERED, State.ANSWERED})
_FINAL = frozenset({State.FAILED, State.DONE})


class ReplyStream:
    """One reply under way. `poeproto_runtime.reply` explains its tasks; `ReplyState` is where it stands.

    The bot's failure becomes an `error` event, and its details a log record with the same id.

    Args:
        bot: the bot.
        exchange: has received the query.
        channel: the request, and its response.
        context: given to the bot.
        progress: kept up to date, for hooks.
        timers: tick for this reply from its first suspension on.
    """

    __slots__ = (
        "_answering",
        "_bot",
        "_bot_scope",
        "_cancelled_at",
        "_channel",
        "_context",
        "_context_variables",
        "_exchange",
        "_idle_since",
        "_limits",
        "_progress",
        "_sender",
        "_state",
        "_tasks",
        "_timers",
        "_writer",
        "_writes_seen",
        "_yielded_at",
    )

    def __init__(
        self,
        bot: Bot,
        exchange: BotExchange,
        channel: Channel,
        context: RequestContext,
        progress: Progress,
        timers: ReplyTimers,
    ) -> None:
        self._bot = bot
        self._exchange = exchange
        self._channel = channel
        self._context = context
        self._progress = progress
        self._timers = timers
        self._limits = context.limits
        self._state = ReplyState()
        self._writer = CoalescingWriter(channel, context.limits.write_buffer, self._state)
        self._sender = EventSender(exchange, self._writer, self._state, context, progress)
        self._bot_scope = anyio.CancelScope()
        self._tasks = make_reply_tasks()
        self._context_variables: contextvars.Context | None = None  # the bot's, for tasks that others start
        self._writes_seen = 0
        self._yielded_at: str | None = None  # where the bot's code yielded what could not be sent
        self._idle_since = 0.0
        self._answering: Coroutine[Any, Any, None] | None = None  # None before `run` and after it
        self._cancelled_at: float | None = None  # as the timers noticed; infinite once that has been logged

    async def run(self, request: QueryRequest) -> None:
        """Answer the query. Returns when the response has been sent, or the client has disconnected."""
        async with self._tasks:
            try:
                self._answering = answering = self._answer(request)
                await await_with_hook(answering, self._before_suspension)
                self._progress.complete = True
            except ClientDisconnected as exc:
                logger.debug("the client disconnected during its reply: %s", exc)
            finally:
                self._answering = None
                self._timers.discard(self)
                self._progress.events, self._progress.bytes = self._exchange.events, self._writer.bytes_sent
                if self._state.tasks is not BOT_ONLY:
                    self._end_tasks()
                failed = self._progress.error_id is not None or not self._progress.complete
                await self._context.close(self._progress.id, failed=failed)

    async def _answer(self, request: QueryRequest) -> None:
        await self._writer.start(self._exchange.begin())
        self._progress.status = 200
        if self._state.server is Server.STOPPING:
            apology = self._apology("the server stopped before a reply", text=_STOPPED, allow_retry=True)
            await self._writer.finish(apology)
            return
        self._bot_scope.deadline = anyio.current_time() + self._limits.answer_seconds
        try:
            with self._bot_scope:
                await self._context.prepare()
                events = as_events(self._bot.get_response(request, self._context))
                try:
                    await self._sender.send(events)
                except Exception:
                    self._yielded_at = place_of_yield(events)
                    raise
                finally:
                    if not has_ended(events):
                        if self._exchange.our_state in _FINAL and (place := yields_after(events)) is not None:
                            self._warn_of_dropped_events(place)
                        # Closed here, because a scope or task group that the bot holds open around a `yield` must be
                        # left within the scopes that it was entered in. For the same reason the deadline is that of the
                        # bot's scope: another scope would come between.
                        latest = anyio.current_time() + self._limits.cleanup_seconds
                        self._bot_scope.deadline = min(self._bot_scope.deadline, latest)
                        await close_events(events)
        except BaseException as exc:
            ending = self._ending_after(exc)
            if ending is None:
                raise
        else:
            ending = await self._ending()
        await self._writer.finish(ending)

    def stop(self) -> None:
        """Cancel the bot now, and end the reply with an `error` that allows a retry."""
        self._state.server = STOP[self._state.server]
        self._bot_scope.cancel()

    def location(self) -> str:
        """The bot, and the line where it is. May be called from any thread."""
        name, where = type(self._bot).__name__, suspended_code(self._answering)
        return name if where is None else f"{name} at {where}"

    # --- beside the bot

    def start_soon(self, run: Callable[..., Coroutine[Any, Any, None]], *arguments: object) -> None:
        """Start a task beside the bot's; it is cancelled when the reply ends."""
        assert self._context_variables is not None, "the bot has been suspended"
        self._tasks.start_soon(self._context_variables, run, *arguments)

    def tick(self, now: float, interval: float) -> None:
        """Treat a client that does not read as disconnected, and send a heartbeat while the bot is idle."""
        is_disconnected = self._tasks.is_cancelled
        if is_disconnected or self._bot_scope.cancel_called:
            self._log_if_overdue(now)
        if is_disconnected:
            return
        state, writer = self._state, self._writer
        if writer.writes != self._writes_seen:
            self._writes_seen, self._idle_since = writer.writes, now
            return
        idle = now - self._idle_since  # or up to an interval more
        if state.writing in UNDER_WAY:
            if idle + interval / 2 >= self._limits.send_seconds:
                logger.debug("the client has not read for %g s; its reply is cancelled", self._limits.send_seconds)
                self._cancel()
        elif idle + 2 * interval > self._limits.heartbeat_seconds and state.writing is IDLE:
            self._idle_since = now  # one heartbeat is enough, however long its writer waits for its turn
            self._send_heartbeat()

    def _log_if_overdue(self, now: float) -> None:
        """Log once that the bot has been cancelled, and has not ended in its time for cleanup."""
        if self._cancelled_at is None:
            self._cancelled_at = now
        elif now - self._cancelled_at >= self._limits.cleanup_seconds:
            self._cancelled_at = math.inf
            if (where := suspended_code(self._answering)) is not None:
                logger.error(
                    "%s: the bot still runs %g s after it was cancelled (error id %s), at %s; it must not swallow the"
                    " exception that cancels it, nor wait where it cannot be cancelled",
                    type(self._bot).__name__,
                    self._limits.cleanup_seconds,
                    self._progress.id,
                    where,
                )

    def _send_heartbeat(self) -> None:
        # A bot that has sent its own Done may still be cleaning up, and the end of the body waits for that.
        if self._exchange.our_state is not State.DONE:
            self._writer.buffer(self._exchange.heartbeat())
        if self._writer.hand_over(staying=False):
            self.start_soon(self._write)

    def _before_suspension(self) -> None:
        """The hook of `await_with_hook`: the bot's task is about to be suspended, and nothing may be awaited here."""
        state = self._state
        if state.pace is RESUMED and state.tasks is not BOT_ONLY:
            # Fast path: a lone event was written, or buffered for the write under way, which leaves nothing to be done.
            state.pace = SUSPENDED
            return
        self._sender.before_suspension()
        if state.tasks is BOT_ONLY:
            state.tasks = SUSPEND[state.tasks]
            self._context_variables = contextvars.copy_context()
            self.start_soon(self._cancel_on_disconnect)
            self._idle_since = anyio.current_time()
            self._timers.add(self)
        if self._writer.hand_over():
            self.start_soon(self._write)

    def _end_tasks(self) -> None:
        """Cancel the other tasks, because the reply has ended."""
        self._tasks.cancel_beside()

    def _cancel(self) -> None:
        self._tasks.cancel()

    async def _cancel_on_disconnect(self) -> None:
        try:  # noqa: SIM105 - contextlib's object would stay in memory as long as the stream waits
            await self._channel.wait_disconnected()
        except ClientDisconnected:
            pass
        # Servers report the end of an exchange as a disconnect, too, from within the call that ends it. To cancel that
        # call would interrupt them while they close the connection, or make it ready for the next request.
        if self._state.writing not in FINISHED:
            self._cancel()

    async def _write(self) -> None:
        try:
            await self._writer.run()
        except ClientDisconnected:
            self._cancel()

    # --- the end of the reply

    def end_at_time_limit(self) -> bytes:
        """The bytes that end a reply whose time limit has passed."""
        return self._apology("the bot took too long", text=_TIMED_OUT, allow_retry=True)

    async def _ending(self) -> bytes:
        """The bytes that end the reply of a bot that returned, or was cancelled by its scope."""
        state = self._exchange.our_state
        if self._bot_scope.cancelled_caught:
            if state in _FINAL:
                return self._apology("after its reply the bot took too long to clean up")
            if self._state.server is Server.STOPPING:
                return self._apology("the server stopped during a reply", text=_STOPPED, allow_retry=True)
            return self.end_at_time_limit()
        nothing_sent = not self._exchange.events
        try:
            files = self._sender.files()
        except LocalProtocolError as exc:
            return self._apology("the bot failed", cause=exc)
        if state in (State.OPENED, State.UNANSWERED) and not files:
            return self._apology("the bot ended without an answer", text=_NO_ANSWER)
        if files and nothing_sent:
            self._writer.buffer(files)
            files = b""
            await self._sender.flush_first_event()
        return b"" if state is State.DONE else files + self._exchange.send(Done())

    def _ending_after(self, exc: BaseException) -> bytes | None:
        """The bytes that end the reply of a bot that raised this; None if the exception must propagate."""
        if isinstance(exc, ClientDisconnected | ChannelFailed):
            return None
        if isinstance(exc, asyncio.CancelledError | anyio.get_cancelled_exc_class()):
            if isinstance(exc, anyio.get_cancelled_exc_class()) and is_cancelled():
                return None
            self._skip_cut_short()
            return self._apology("the bot was cancelled by itself, or awaited something that was", cause=exc)
        if isinstance(exc, Exception):
            self._skip_cut_short()
            return self._error_meant_by(exc) or self._apology("the bot failed", cause=exc)
        if isinstance(exc, BaseExceptionGroup) and is_cancelled():
            group = cast("BaseExceptionGroup[BaseException]", exc)
            # On trio, exceptions of a bot's tasks that are cancelled arrive in one group with the cancellation. The
            # whole reply is cancelled only after a disconnect, so no client is left to read an error.
            failures, rest = group.split(Exception)
            if failures is not None and rest is not None:
                logger.error(
                    "the bot failed while it was cancelled (error id %s)", self._progress.id, exc_info=failures
                )
                raise rest from None
        return None

    def _skip_cut_short(self) -> None:
        """Complete the reply although a write was cut short, if a task group or scope that the bot held open
        around its `yield` cancelled it. The end is an error, so the client does not take the reply for complete.
        """
        cancelled = self._bot_scope.cancel_called or is_cancelled()
        if self._state.writing is Writing.CUT_SHORT and not cancelled and self._exchange.our_state in _OPEN:
            self._writer.skip_cut_short()

    def _error_meant_by(self, exc: Exception) -> bytes:
        """The end of a reply whose bot lets another's error propagate; nothing for a failure of its own."""
        error = error_meant_by(exc)
        if error is None or self._exchange.our_state not in _OPEN:
            return b""
        try:
            ending = self._sender.files() + self._exchange.send(error)
        except LocalProtocolError:
            return b""  # it cannot be encoded, and is handled as a failure
        name = type(self._bot).__name__
        # The exception may be a group, whose text counts its exceptions and does not name them.
        meant = error.text if error.error_type is None else f"{error.text} ({error.error_type})"
        logger.info("%s ends its reply with an error (error id %s): %s", name, self._progress.id, meant)
        self._progress.error_event(error)
        return ending + self._exchange.send(Done())

    def _warn_of_dropped_events(self, place: str) -> None:
        last = "Done" if self._exchange.our_state is State.DONE else "Error"
        logger.warning(
            "%s: %s: this yield is not reached: the bot has ended its reply with %s; yield %s last, or not at all",
            type(self._bot).__name__,
            place,
            last,
            last,
        )

    def _apology(
        self, what: str, *, text: str | None = None, allow_retry: bool = False, cause: BaseException | None = None
    ) -> bytes:
        self._progress.failed()
        level = logging.INFO if self._state.server is Server.STOPPING and cause is None else logging.ERROR
        line = "" if cause is None else f": {failure_line(cause, self._bot.get_response, self._yielded_at)}"
        if cause is not None and self._context.query_is_empty and isinstance(next(exceptions_in(cause)), IndexError):
            line += "; this query has no messages, and every query of Poe has one: the client that sent it is at fault"
        name = type(self._bot).__name__
        logger.log(level, "%s: %s (error id %s)%s", name, what, self._progress.id, line, exc_info=cause)
        if text is not None:
            text = f"{text} Error id: {self._progress.id}"
        if self._exchange.our_state in _OPEN:
            self._progress.error_event(Error(text=text, allow_retry=allow_retry))
        apology = self._exchange.fail(self._progress.id, text=text, allow_retry=allow_retry)
        assert isinstance(apology, bytes), "the stream has begun"
        return apology
