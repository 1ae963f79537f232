"""A bot's events on their way to its outlet: what comes alone leaves at once, what comes in a burst together."""

from __future__ import annotations

from collections.abc import AsyncIterator

import anyio.lowlevel

from poeproto import BotExchange, Done, Error, Event, Meta, Text
from poeproto_runtime.context import RequestContext
from poeproto_runtime.hooks import Progress
from poeproto_runtime.reply.writer import CoalescingWriter

# What the room for a run of texts is while the bot's next event is one that it waited for, and goes out by itself; and
# after such an event, until another follows without waiting.
_ALONE = -1
_UNKNOWN = 0
# Texts that are encoded together are held as they are until then: no more of them than pays, in characters. In JSON a
# character takes six bytes at most, and the record around a text 31.
_LONGEST_RUN = 8192
_WIDEST = 6
_FRAME = 31

_LAST = frozenset({Error, Done})
_NO_EXTRA = Text("").extra  # which all texts share that have no extra keys


class EventSender:
    """Takes the events of one reply from the bot, through the exchange, into the outlet.

    Args:
        exchange: makes bytes of them.
        outlet: gathers and writes the bytes.
        context: holds files that go before the bot's next event, and knows which `Meta` came too late.
        progress: is told when the first event is out.
    """

    __slots__ = ("_context", "_exchange", "_progress", "_room", "_texts", "_writer")

    def __init__(
        self, exchange: BotExchange, writer: CoalescingWriter, context: RequestContext, progress: Progress
    ) -> None:
        self._exchange = exchange
        self._writer = writer
        self._context = context
        self._progress = progress
        self._texts: list[str] = []  # plain ones in a row, which are encoded together
        self._room = _ALONE

    async def send(self, events: AsyncIterator[Event | str]) -> None:
        """Send them until the bot has no more, or has ended its reply. Most are in the outlet only, at the end."""
        exchange, writer, texts, posted = self._exchange, self._writer, self._texts, self._context.posted
        first = True
        size = 0
        try:
            async for event in events:
                # The texts of a burst, which most events are, and what is asked of each of them, in the fewest steps.
                text: object = event
                if type(event) is Text and event.index is None and event.extra is _NO_EXTRA:
                    text = event.text
                if type(text) is str:
                    size += len(text) + _FRAME
                    if size <= self._room and not posted:
                        texts.append(text)
                        continue
                if texts:
                    self._encode_texts()
                kind = type(event)
                if kind is Meta:
                    if self._context.is_stale(event):
                        continue
                elif posted:
                    writer.put(self.files())
                full = writer.put(exchange.send(Text(event) if isinstance(event, str) else event))
                if kind in _LAST:
                    if first and exchange.events:
                        await self.tell_first_event()  # files went before it
                    return
                size = 0
                if self._room == _ALONE:
                    await writer.flush()
                    if first:
                        first = False
                        self._progress.first_event()
                    self._room = _UNKNOWN
                else:
                    if full:
                        await writer.flush()
                        # A server's own send need not suspend, and a bot that never does must not keep the loop.
                        await anyio.lowlevel.checkpoint()
                    self._room = self._room_for_texts()
        finally:
            if texts:
                self._encode_texts()

    def before_waiting(self) -> None:
        """Put all there is into the outlet: the bot is about to wait. Its next event will have come alone."""
        self._room = _ALONE
        if self._texts:
            self._encode_texts()

    def files(self) -> bytes:
        """The events of files that the bot has posted since the last time."""
        posted = self._context.posted
        if not posted:
            return b""
        data = b"".join(map(self._exchange.send, posted))
        posted.clear()
        return data

    async def tell_first_event(self) -> None:
        """Write what there is, and tell that the first event is out."""
        await self._writer.flush()
        self._progress.first_event()

    def _room_for_texts(self) -> int:
        """How large a run of plain texts may become, in characters and frames, so that it breaks no limit: then the
        one that does is sent by itself, and heard about.
        """
        exchange = self._exchange
        room = min(_LONGEST_RUN, self._writer.room // _WIDEST)
        return min(room, exchange.text_left, exchange.events_left * _FRAME)

    def _encode_texts(self) -> None:
        self._writer.put(self._exchange.send_texts(self._texts))
        self._texts.clear()
