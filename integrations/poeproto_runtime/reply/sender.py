"""From a bot's events to bytes in the writer: a lone event is written at once, a burst in few writes."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator

import anyio.lowlevel

from poeproto import BotExchange, Done, Error, Event, File, Meta, Text
from poeproto_runtime.bot_mistakes import place_of_yield
from poeproto_runtime.context import RequestContext
from poeproto_runtime.hooks import Progress
from poeproto_runtime.reply.states import BURST, IDLE, RESUMED, SUSPENDED, ReplyState
from poeproto_runtime.reply.unknown_values import warn_of_unknown_value
from poeproto_runtime.reply.writer import CoalescingWriter

logger = logging.getLogger("poeproto")

# The largest run of texts that is buffered before it is encoded in one call, in characters; a longer run gains nothing.
# In JSON a character takes six bytes at most, and the record around a text takes 31.
_LONGEST_RUN = 8192
_MAX_CHARACTER_BYTES = 6
_FRAME = 31

_LAST = frozenset({Error, Done})
_NO_EXTRA = Text("").extra  # shared by all texts without extra keys


class EventSender:
    """Takes the events of one reply from the bot, through the exchange, into the writer.

    An event is lone when the bot was suspended before it: it is written at once. Events that follow without a
    suspension are a burst: they are buffered until the bot is suspended, or the buffer is full.

    Args:
        exchange: encodes the events.
        writer: buffers and writes the bytes.
        state: the reply's state.
        context: holds files whose events are due before the bot's next event, and knows stale `Meta` events.
        progress: is notified of the first event, and of an `error`.
    """

    __slots__ = (
        "_context",
        "_exchange",
        "_progress",
        "_run_limit",
        "_state",
        "_texts",
        "_warned_of_posted_file",
        "_writer",
    )

    def __init__(
        self,
        exchange: BotExchange,
        writer: CoalescingWriter,
        state: ReplyState,
        context: RequestContext,
        progress: Progress,
    ) -> None:
        self._exchange = exchange
        self._writer = writer
        self._state = state
        self._context = context
        self._progress = progress
        self._texts: list[str] = []  # consecutive texts without index and extra keys, which are encoded together
        self._run_limit = 0  # how long a run of them may become; 0 outside a burst
        self._warned_of_posted_file = False

    async def send(self, events: AsyncIterator[Event | str]) -> None:
        """Send the events until the bot has no more, or has ended its reply. The last are only buffered at the end.

        Raises:
            LocalProtocolError: for an event that must not be sent; those before it are buffered.
            ClientDisconnected, ChannelFailed: as the writer does.
        """
        exchange, writer, texts, posted = self._exchange, self._writer, self._texts, self._context.posted
        state = self._state
        first = True
        size = 0
        try:
            async for event in events:
                # Fast path: most events are texts, so they take the fewest steps, in a burst and alone.
                text: object = event
                if type(event) is Text and event.index is None and event.extra is _NO_EXTRA:
                    text = event.text
                if type(text) is str and not posted:
                    size += len(text) + _FRAME
                    if size <= self._run_limit:
                        texts.append(text)
                        continue
                    if texts:
                        self._encode_texts()
                    data = exchange.send_text(text)
                else:
                    if texts:
                        self._encode_texts()
                    kind = type(event)
                    if kind is Meta:
                        if self._context.is_stale(event):
                            continue
                    elif posted:
                        writer.buffer(self.files())
                    if kind is File and self._context.was_posted(event):
                        self._warn_of_posted_file(events)
                        if not writer.buffered:
                            await anyio.lowlevel.checkpoint()  # a bot that yields nothing else must not block the loop
                            continue
                        data = b""
                    else:
                        data = exchange.send(Text(event) if isinstance(event, str) else event)
                    if isinstance(event, Meta | Error):
                        warn_of_unknown_value(event, self._context, events)
                    if kind in _LAST:
                        if isinstance(event, Error):
                            self._progress.error_event(event)
                        writer.buffer(data)
                        if first and exchange.events:
                            await self.flush_first_event()  # the events of files were buffered before it
                        return
                size = 0
                if state.pace is SUSPENDED:  # a lone event, not one of a burst
                    if state.writing is IDLE and not writer.buffered:
                        written = writer.write_lone(data)
                        if written is not None:
                            data = b""  # not to be held while a slow client reads
                            try:
                                await written
                            except BaseException as exc:  # noqa: BLE001 - `fail` raises it
                                writer.fail(exc)
                            written = None  # a coroutine that has ended takes as much memory as before
                            state.writing = IDLE
                    else:
                        writer.buffer(data)
                        await writer.flush()
                    if first:
                        first = False
                        self._progress.first_event()
                    state.pace = RESUMED
                else:
                    if writer.buffer(data):
                        await writer.flush()
                        # A channel may return without a suspension. A bot that has none either must not block the loop.
                        await anyio.lowlevel.checkpoint()
                    state.pace = BURST
                    self._run_limit = self._longest_run()
        finally:
            if texts:
                self._encode_texts()

    def before_suspension(self) -> None:
        """Called when the bot is about to be suspended: buffer the texts held back. The next event is a lone one."""
        self._run_limit = 0
        self._state.pace = SUSPENDED
        if self._texts:
            self._encode_texts()

    def files(self) -> bytes:
        """The events of files that the bot has posted since the last call."""
        posted = self._context.posted
        if not posted:
            return b""
        data = b"".join(map(self._exchange.send, posted))
        posted.clear()
        return data

    def _warn_of_posted_file(self, events: AsyncIterator[Event | str]) -> None:
        if not self._warned_of_posted_file:
            self._warned_of_posted_file = True
            logger.warning(
                "%s: %s: this yield is ignored: context.post_attachment has attached the file, and its event is sent"
                " once; remove the yield",
                self._context.bot_class,
                place_of_yield(events) or "?",
            )

    async def flush_first_event(self) -> None:
        """Write the buffer, and notify that the first event was sent."""
        await self._writer.flush()
        self._progress.first_event()

    def _longest_run(self) -> int:
        """How long a run of texts may become, in characters and frames, without breaking a limit of the exchange or the
        buffer: the text that would break it is sent by itself, so that its error is raised where it is due.
        """
        exchange = self._exchange
        longest = min(_LONGEST_RUN, self._writer.capacity // _MAX_CHARACTER_BYTES)
        return min(longest, exchange.text_left, exchange.events_left * _FRAME)

    def _encode_texts(self) -> None:
        self._writer.buffer(self._exchange.send_texts(self._texts))
        self._texts.clear()
