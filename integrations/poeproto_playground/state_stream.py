"""The stream of changes that the page follows: lines of JSON, each a list of changes.

A subscriber does not queue changes. It remembers which objects have changed since its last line, and of each text how
much was sent. So a page that reads slowly, or a bot that sends ten thousand events at once, costs a set of names and no
more: the next line has each object once, in its newest state, and each text as one piece.
"""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from typing import Any, Protocol

import anyio

from poeproto_playground.bot_log import BotLog
from poeproto_playground.conversations import Chat, ShownMessage

# How often a line is sent at most, and after how long an empty one says that the connection works.
_INTERVAL = 0.05
_HEARTBEAT = 15.0

Change = dict[str, Any]
Key = tuple[str, ...]


class StateSource(Protocol):
    """The state that the stream shows."""

    def snapshot(self) -> dict[str, Any]:
        """The whole state."""
        ...

    def change(self, key: Key) -> Change | None:
        """The newest state of the object with this key; None if it was removed."""
        ...

    def chat(self, conversation_id: str) -> Chat | None:
        """The conversation with that identifier."""
        ...

    @property
    def bot_log(self) -> BotLog:
        """The log lines of the bots."""
        ...


class StateStream:
    """Notifies the subscribers of changes.

    Args:
        source: has the state.
        interval: the least time between two lines, in seconds.
    """

    def __init__(self, source: StateSource, interval: float = _INTERVAL) -> None:
        self._source = source
        self._interval = interval
        self._subscribers: set[Subscriber] = set()

    def mark(self, *key: str) -> None:
        """Mark the object with this key as changed."""
        for subscriber in self._subscribers:
            subscriber.mark(key)

    async def lines(self) -> AsyncGenerator[bytes]:
        """The lines for one subscriber, until it closes the generator."""
        subscriber = Subscriber(self._source)
        self._subscribers.add(subscriber)
        try:
            yield _line(subscriber.snapshot())
            while True:
                changes: list[Change] = []
                with anyio.move_on_after(_HEARTBEAT):
                    await subscriber.wait()
                    changes = subscriber.changes()
                    if not changes:
                        continue
                yield _line(changes)
                await anyio.sleep(self._interval)
        finally:
            self._subscribers.discard(subscriber)


def _line(changes: list[Change]) -> bytes:
    return json.dumps(changes, ensure_ascii=False).encode("utf-8", "replace") + b"\n"


class Subscriber:
    """One page: the changes since its last line."""

    def __init__(self, source: StateSource) -> None:
        self._source = source
        self._dirty: dict[Key, None] = {}  # a dict, because a set has no order
        self._changed = anyio.Event()
        # Of each text: its epoch, how many parts were sent, and their length in UTF-16.
        self._sent: dict[tuple[str, str, int], tuple[int, int, int]] = {}
        self._last_log = 0

    def mark(self, key: Key) -> None:
        """Remember that this has changed."""
        self._dirty[key] = None
        self._changed.set()

    async def wait(self) -> None:
        """Wait for a change."""
        await self._changed.wait()

    def snapshot(self) -> list[Change]:
        """The first line."""
        self._last_log = self._source.bot_log.last
        return [{"type": "snapshot", "state": self._source.snapshot()}]

    def changes(self) -> list[Change]:
        """The changes since the last line."""
        dirty, self._dirty = self._dirty, {}
        self._changed = anyio.Event()
        found: list[Change] = []
        for key in dirty:
            match key:
                case ("text", conversation, message) if ("message", conversation, message) not in dirty:
                    found += self._texts(conversation, message)
                case ("text", *_):
                    pass  # the whole message is sent
                case ("message" | "messages", conversation, *_):
                    self._note_sent(conversation, key[2] if key[0] == "message" else None)
                    found += _present(self._source.change(key))
                case ("bots",):
                    found += self.snapshot()
                case ("log",):
                    found.append({"type": "log", **self._source.bot_log.as_json(self._last_log)})
                    self._last_log = self._source.bot_log.last
                case _:
                    found += _present(self._source.change(key))
        return found

    def _texts(self, conversation: str, message_id: str) -> list[Change]:
        found: list[Change] = []
        message = self._message(conversation, message_id)
        for index, shown in message.texts.items() if message else ():
            epoch, sent, start = self._sent.get((conversation, message_id, index), (0, 0, 0))
            if epoch != shown.epoch:
                sent, start = 0, 0
            append = "".join(shown.parts[sent:])
            length = start + utf16_length(append)
            self._sent[conversation, message_id, index] = shown.epoch, len(shown.parts), length
            if append or epoch != shown.epoch:
                change = {"type": "text", "conversation": conversation, "message": message_id, "index": index}
                found.append({**change, "epoch": shown.epoch, "start": start, "append": append})
        return found

    def _note_sent(self, conversation: str, message_id: str | None) -> None:
        """The whole texts are about to be sent."""
        chat = self._source.chat(conversation)
        for message in chat.messages if chat else ():
            if message_id in (None, message.id):
                for index, shown in message.texts.items():
                    key = conversation, message.id, index
                    if message.status == "streaming":
                        self._sent[key] = shown.epoch, len(shown.parts), utf16_length(shown.text)
                    else:
                        self._sent.pop(key, None)

    def _message(self, conversation: str, message_id: str) -> ShownMessage | None:
        chat = self._source.chat(conversation)
        place = None if chat is None else chat.index_of(message_id)
        return None if chat is None or place is None else chat.messages[place]


def utf16_length(text: str) -> int:
    """The length of a text as JavaScript counts it."""
    return len(text) if text.isascii() else len(text.encode("utf-16-le", "surrogatepass")) // 2


def _present(change: Change | None) -> list[Change]:
    return [] if change is None else [change]
