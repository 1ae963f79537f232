"""Finds the recorded exchange that answers a request, and says what differs where there is none.

A redacted value matches any value: today's request has another key, or the same one.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from enum import Enum
from typing import Any, cast

import attrs

from poeproto import PoeprotoError
from poeproto.http import HeaderPairs, normalise_headers
from poeproto_record.exchanges import RecordedExchange
from poeproto_record.redaction import BODY_KEYS, Redaction, Redactor

__all__ = ["NoRecordedExchange", "RecordedReplies", "ReplayMatch"]

_PLACEHOLDER = re.compile(r"REDACTED(?:-\d+)?")
_ORIGIN = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^/?#]*")
# How many characters of a text are quoted, and how many differences are listed.
_QUOTED = 60
_LISTED = 5


class ReplayMatch(Enum):
    """Which recorded exchange answers a request.

    Attributes:
        LAST_MESSAGE: the same method, path, type, and last message of a query.
        EXACT: the same method, path, query string and body; JSON is compared as values.
        ORDER: the first request gets the first exchange, the next the second, whatever they ask.
    """

    LAST_MESSAGE = "last-message"
    EXACT = "exact"
    ORDER = "order"


class NoRecordedExchange(PoeprotoError):
    """No exchange of the recording answers a request, or the one that does cannot be replayed.

    Args:
        what: the request without an answer, for the message.
        nearest: as below.
        differences: as below.

    Attributes:
        nearest: the number of the exchange that comes nearest; None if there is none.
        differences: the differences between its request and this one.
    """

    def __init__(self, what: str, nearest: int | None = None, differences: Iterable[str] = ()) -> None:
        self.nearest = nearest
        self.differences = tuple(differences)
        compared = "" if nearest is None else f"; the nearest is exchange {nearest}"
        super().__init__(f"{what}{compared}{': ' if self.differences else ''}{'; '.join(self.differences)}")


@attrs.frozen
class _Asked:
    """The parts of a request that are compared."""

    method: str
    path: str
    query: str
    type: str
    text: str
    body: bytes = attrs.field(repr=False)

    @classmethod
    def of(cls, method: str, target: str, body: bytes) -> _Asked:
        path, _, query = _ORIGIN.sub("", target, count=1).partition("?")
        kind, text = _type_and_text(body)
        return cls(method, path or "/", query, kind, text, body)


class RecordedReplies:
    """The exchanges of a recording, each to be replayed to a request that it answers.

    Of several exchanges that answer a request, the first that was not used yet is taken; the last one is repeated.

    Args:
        exchanges: the exchanges, in order.
        match: which one answers a request.
        compares_path: whether the path of a URL matters; for a single bot it does not.
    """

    def __init__(
        self,
        exchanges: Iterable[RecordedExchange],
        match: ReplayMatch = ReplayMatch.LAST_MESSAGE,
        *,
        compares_path: bool = True,
    ) -> None:
        self._exchanges = [(each, _asked_by(each)) for each in exchanges]
        self._match = match
        self._compares_path = compares_path
        self._used: set[int] = set()

    def __len__(self) -> int:
        return len(self._exchanges)

    def find(self, method: str, target: str, headers: HeaderPairs, body: bytes) -> RecordedExchange:
        """The exchange that answers a request.

        Args:
            method: the method.
            target: the URL, or the path and query.
            headers: they are not compared; their secrets are hidden in errors.
            body: the whole body.

        Raises:
            NoRecordedExchange: if there is none, or a part of its response was not recorded.
        """
        asked = _Asked.of(method, target, body)
        found: RecordedExchange | None = None
        for exchange, recorded in self._exchanges:
            if self._answers(recorded, asked) and (
                self._match is not ReplayMatch.ORDER or exchange.number not in self._used
            ):
                found = exchange
                if exchange.number not in self._used:
                    break
        if found is None:
            raise self._no_match(asked, headers, target)
        self._used.add(found.number)
        if omitted := sum(each.omitted for each in found.data):
            raise NoRecordedExchange(
                f"exchange {found.number} answers the request, but {omitted} bytes of its response were not recorded: "
                "record a client that does not ask for compression"
            )
        return found

    def _answers(self, recorded: _Asked, asked: _Asked) -> bool:
        if self._match is ReplayMatch.ORDER:
            return True
        if recorded.method != asked.method or (self._compares_path and not _equal(recorded.path, asked.path)):
            return False
        if self._match is ReplayMatch.LAST_MESSAGE:
            return recorded.type == asked.type and _equal(recorded.text, asked.text)
        if self._compares_path and not _equal(recorded.query, asked.query):
            return False
        return recorded.body == asked.body or not _body_differences(recorded.body, asked.body, str)

    def _no_match(self, asked: _Asked, headers: HeaderPairs, target: str) -> NoRecordedExchange:
        if not self._exchanges:
            return NoRecordedExchange("the recording has no exchange")
        if self._match is ReplayMatch.ORDER:
            return NoRecordedExchange(f"all {len(self._exchanges)} exchanges of the recording have been replayed")
        exchange, recorded = max(self._exchanges, key=lambda each: self._nearness(each[1], asked))
        redactor = Redactor(Redaction())
        redactor.prepare(normalise_headers(headers), target)

        def shown(text: str) -> str:
            return redactor.text(text.encode("utf-8", "replace")).decode("utf-8", "replace")

        differences: list[str] = []
        for name, theirs, ours in (("method", recorded.method, asked.method), ("type", recorded.type, asked.type)):
            if theirs != ours:
                differences.append(f"{name}: recorded {_quoted(theirs)}, received {_quoted(shown(ours))}")
        if self._compares_path and not _equal(recorded.path, asked.path):
            ours = redactor.url(asked.path)
            theirs = redactor.url(recorded.path)
            differences.append(f"path: recorded {_quoted(theirs)}, received {_quoted(ours)}")
        if self._match is ReplayMatch.LAST_MESSAGE and not _equal(recorded.text, asked.text):
            differences.append(f"last message: {_compared(shown(recorded.text), shown(asked.text))}")
        if self._match is ReplayMatch.EXACT:
            if self._compares_path and not _equal(recorded.query, asked.query):
                differences.append("the query strings of the URLs")
            differences += _body_differences(recorded.body, asked.body, shown)
        return NoRecordedExchange("no exchange of the recording answers the request", exchange.number, differences)

    def _nearness(self, recorded: _Asked, asked: _Asked) -> tuple[bool, bool, bool, float, bool]:
        return (
            recorded.method == asked.method,
            recorded.type == asked.type,
            _equal(recorded.path, asked.path),
            _similarity(recorded.text, asked.text),
            _similarity(recorded.body, asked.body) > 0.5,
        )


def _asked_by(exchange: RecordedExchange) -> _Asked:
    request = exchange.request
    return _Asked.of(request.method, request.url, exchange.request_body)


def request_type(exchange: RecordedExchange) -> str:
    """The type of an exchange's request; empty if it is none of Poe's."""
    return _type_and_text(exchange.request_body)[0]


def _type_and_text(body: bytes) -> tuple[str, str]:
    """The type of a request and the text of its last message; empty strings where it has none."""
    try:
        wire: Any = json.loads(body)
    except (ValueError, RecursionError):
        return "", ""
    if not isinstance(wire, dict):
        return "", ""
    fields = cast("dict[str, Any]", wire)
    kind: Any = fields.get("type")
    messages: Any = fields.get("query", fields.get("messages"))  # `messages` as in OpenAI's API
    last: Any = cast("list[Any]", messages)[-1] if isinstance(messages, list) and messages else None
    content: Any = cast("dict[str, Any]", last).get("content") if isinstance(last, dict) else None
    text = content if isinstance(content, str) else "" if content is None else json.dumps(content, sort_keys=True)
    return (kind if isinstance(kind, str) else ""), text


def _equal(recorded: str, received: str) -> bool:
    """Whether a received text is the recorded one, in which each placeholder stands for any text. Linear time."""
    if recorded == received:
        return True
    first, *others = _PLACEHOLDER.split(recorded)
    if not others or not received.startswith(first):
        return False
    *middle, last = others
    place = len(first)
    for part in middle:
        place = received.find(part, place)
        if place < 0:
            return False
        place += len(part)
    return len(received) - len(last) >= place and received.endswith(last)


def _body_differences(recorded: bytes, received: bytes, shown: Callable[[str], str]) -> list[str]:
    """The first places at which two bodies differ, as values if both are JSON."""
    try:
        pair: tuple[Any, Any] = json.loads(recorded), json.loads(received)
    except (ValueError, RecursionError):
        theirs, ours = recorded.decode("utf-8", "replace"), received.decode("utf-8", "replace")
        return [] if _equal(theirs, ours) else [f"body: {_compared(shown(theirs), shown(ours))}"]
    differences: list[str] = []
    left: list[tuple[str, Any, Any]] = [("", *pair)]
    while left and len(differences) < _LISTED:
        place, theirs, ours = left.pop()
        match theirs, ours:
            case dict(), dict():
                recorded_object, received_object = cast("dict[str, Any]", theirs), cast("dict[str, Any]", ours)
                both: list[tuple[str, Any, Any]] = []
                for name in dict.fromkeys([*recorded_object, *received_object]):
                    where = f"{place}.{shown(name)}" if place else shown(name)
                    if name not in received_object:
                        differences.append(f"{where}: only in the recording")
                    elif name not in recorded_object:
                        differences.append(f"{where}: not in the recording")
                    else:
                        both.append((where, recorded_object[name], received_object[name]))
                left += both[::-1]
            case list(), list():
                recorded_items, received_items = cast("list[Any]", theirs), cast("list[Any]", ours)
                if len(recorded_items) != len(received_items):
                    counts = f"recorded {len(recorded_items)} items, received {len(received_items)}"
                    differences.append(f"{place or 'body'}: {counts}")
                else:
                    items = enumerate(zip(recorded_items, received_items, strict=True))
                    left += [(f"{place}[{index}]", *each) for index, each in items][::-1]
            case str(), str():
                if not _equal(theirs, ours):
                    is_secret = place.rpartition(".")[2].lower() in BODY_KEYS
                    compared = "they differ" if is_secret else _compared(shown(theirs), shown(ours))
                    differences.append(f"{place or 'body'}: {compared}")
            case _:
                is_redacted = isinstance(theirs, str) and _PLACEHOLDER.fullmatch(theirs) is not None
                if not is_redacted and (theirs != ours or isinstance(theirs, bool) != isinstance(ours, bool)):
                    differences.append(f"{place or 'body'}: recorded {_kind(theirs)}, received {_kind(ours)}")
    return differences[:_LISTED]


def _kind(value: Any) -> str:
    match value:
        case dict():
            return "an object"
        case list():
            return "an array"
        case str():
            return "a string"
        case _:
            return json.dumps(value)


def _quoted(text: str) -> str:
    return repr(text if len(text) <= _QUOTED else text[:_QUOTED] + "…")


def _compared(recorded: str, received: str) -> str:
    """Two texts, from shortly before they differ."""
    start = max(_common_prefix(recorded, received) - _QUOTED // 3, 0)
    start = start if max(len(recorded), len(received)) > _QUOTED else 0
    cut = "…" if start else ""
    return f"recorded {_quoted(cut + recorded[start:])}, received {_quoted(cut + received[start:])}"


def _similarity(recorded: str | bytes, received: str | bytes) -> float:
    """How much of two texts is the same at their start and end, from 0 to 1."""
    longest = max(len(recorded), len(received))
    if recorded == received:
        return 1.0
    prefix = _common_prefix(recorded, received)
    suffix = _common_prefix(recorded[prefix:][::-1], received[prefix:][::-1])
    return (prefix + suffix) / longest


def _common_prefix(first: str | bytes, second: str | bytes) -> int:
    """The length of the common beginning, by bisection: slices are compared in C."""
    low, high = 0, min(len(first), len(second))
    while low < high:
        middle = (low + high + 1) // 2
        if first[low:middle] == second[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low
