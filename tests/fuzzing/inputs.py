"""Inputs of the targets: the bytes of the vectors, and mutations of them. The same seed makes the same inputs."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from random import Random
from typing import Any
from zlib import crc32

from poeproto.testing import bytewise, cut_at

FOLDER = Path(__file__).parents[1] / "vectors"
KEPT = Path(__file__).parent / "corpus"
LARGEST = 4096  # of an input; larger ones are in the tests of limits

_LINE = re.compile(rb"[^\r\n]*(?:\r\n|\r|\n)?")
_JSON_VALUE = re.compile(rb'"(?:[^"\\\r\n]|\\.)*"|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null|\{\}|\[\]')
_VALUES = [
    *(b"null", b"true", b"false", b"0", b"-0", b"-1", b"0.5", b"1e999", b"-1e999", b"1E-999", b"NaN", b"Infinity"),
    *(b"9007199254740993", b"2305843009213693951", b"18446744073709551616", b"9" * 400, b"1" + b"0" * 60, b"01"),
    *(b'""', b'"\\ud83d"', b'"\\udc08"', b'"\\ud83d\\udc08"', b'"\\u0000"', b'"\\r\\n"', b'"a\xff"', b'"\xed\xa0\x80"'),
    *(b"[]", b"{}", b"[null]", b"[[]]", b'{"":0}', b"[" * 210 + b"]" * 210, b'{"a":' * 30 + b"0" + b"}" * 30, b'"1"'),
]
_BYTES = [
    *(b"\r", b"\n", b"\r\n", b"\n\n", b"\r\r", b"\0", b":", b": ", b" ", b"\t", b"\xef\xbb\xbf", b"\xff", b"\xc3"),
    *(
        b"\xf0\x9f",
        "🐈".encode(),
        b"\xed\xa0\x80",
        "\u2028".encode(),
        "\x85".encode(),
        b"\x0b",
        b"\\",
        b'"',
        b"{",
        b"}",
    ),
    *(b"[", b"]", b",", b"\\ud83d", b"\\udc08", b"\\u0000", b"%0d%0a", b"%ff", b"***", b"- at `$.", b"`"),
]
_WORDS = [
    *(
        b"data: ",
        b"data:",
        b"data",
        b"event: ",
        b"event:",
        b"id: ",
        b"id",
        b"retry: ",
        b"retry: 5",
        b": ping",
        b"index",
    ),
    *(
        b'event: text\ndata: {"text":"a"}\n\n',
        b"event: done\ndata: {}\n\n",
        b"event: done\n\n",
        b'"index":1',
        b'"extra":{}',
    ),
    *(b"event: error\ndata: {}\n\n", b"event: meta\ndata: {}\n\n", b"event: ping\ndata: x\n\n", b'"access_key":"k"'),
]


def _wires(file: str) -> list[tuple[dict[str, Any], bytes]]:
    """The cases of a file of vectors, each with its bytes, without large ones."""
    found: list[tuple[dict[str, Any], bytes]] = []
    for case in json.loads((FOLDER / file).read_text(encoding="utf-8"))["cases"]:
        if "wire_base64" in case:
            found.append((case, base64.b64decode(case["wire_base64"])))
        elif "wire_parts" not in case:
            found.append((case, case.get("wire", "").encode()))
    return found


@cache
def streams() -> list[bytes]:
    """Streams of server-sent events, replies among them."""
    return [wire for file in ("sse.json", "replies.json") for _, wire in _wires(file)]


@cache
def bodies() -> list[bytes]:
    """Bodies of requests, and other JSON."""
    return [wire for file in ("requests.json", "json.json") for _, wire in _wires(file)]


@cache
def records() -> list[bytes]:
    """Single events: a line with the name, and the payload."""
    named = [
        b"%b\n%b" % (case["event"].encode(), json.dumps(case["payload"]).encode()) for case, _ in _wires("events.json")
    ]
    return [*named, *(b"done\n" + wire for _, wire in _wires("json.json")), b"later\nanything"]


@cache
def settings() -> list[bytes]:
    """Bodies of responses to settings requests."""
    return [json.dumps(case["body"]).encode() for case, _ in _wires("settings.json")]


@cache
def chunks() -> list[bytes]:
    """Replies in OpenAI's chunks, each a line."""
    return [
        b"\n".join(json.dumps(chunk).encode() for chunk in case["chunks"]) for case, _ in _wires("tool_chunks.json")
    ]


@cache
def requests() -> list[bytes]:
    """Whole requests: the request line, headers, a blank line, the body."""
    heads = [message(f"{case['method']} / HTTP/1.1", case["headers"], wire) for case, wire in _wires("refusals.json")]
    key = [("authorization", "Bearer not-a-real-key-00000000000000000"), ("content-type", "application/json")]
    sound = [wire for _, wire in _wires("requests.json")]
    return [
        *heads,
        *(message("POST / HTTP/1.1", key, body) for body in bodies()),
        # Most mutations of a head are rejected there, so that requests without a key get further.
        *(message("POST /open HTTP/1.1", key[1:], body) for body in sound * 3),
    ]


@cache
def responses() -> list[bytes]:
    """Whole responses: the status line, headers, a blank line, the body."""
    refusals = [message(f"HTTP/1.1 {case['status']} -", case["headers"], wire) for case, wire in _wires("answers.json")]
    stream = [("content-type", "text/event-stream")]
    replies = [wire for _, wire in _wires("replies.json")]
    replies += [wire.replace(b"\n", b"\r\n") for wire in replies]
    return [*refusals, *(message("HTTP/1.1 200 -", stream, wire) for wire in replies)]


@cache
def answers() -> list[bytes]:
    """Whole responses to calls of Poe: files, settings, costs."""
    json_type, stream_type = [("content-type", "application/json")], [("content-type", "text/event-stream")]
    upload = b'{"attachment_url": "https://files.invalid/a", "mime_type": "text/plain", "size": 3}'
    costs = [b'event: result\ndata: {"status": "success"}\n\n', b'event: result\ndata: {"status": "insufficient"}\n\n']
    return [
        *responses(),
        *(message("HTTP/1.1 200 -", json_type, body) for body in (upload, b'{"error": "full"}', *settings()[:9])),
        *(message("HTTP/1.1 200 -", stream_type, body) for body in costs),
    ]


@cache
def headers() -> list[bytes]:
    """Values of headers, in the order that `values.HEADERS` names."""
    dates = b"Sun, 06 Nov 1994 08:49:37 GMT", b"Sunday, 06-Nov-94 08:49:37 GMT", b"Sun Nov  6 08:49:37 1994"
    return [
        *(b"\n".join((one, other, b"500", b"3", b"1h2m3.5s")) for one in dates for other in dates),
        *(
            b"%b\n\n10\n0\n6ms" % value
            for value in (b"120", b"0.5", b"-1", b"9" * 400, b"999999999999999", b"/a%ff?b=%00&b")
        ),
        b"Bearer not-a-real-key-00000000000000000\nx\ny\nz\n20s\ntext/event-stream; charset=utf-8",
        b"http://[::1]:80/bot?x=1\n",
    ]


@cache
def strings() -> list[bytes]:
    """Strings to encode, with bars between them."""
    return [
        b"text|1|a text",
        b"a\rb|\0|x\r\ny",
        b"message||",
        b"https://a.invalid/(b)|a]b|[c](d) &amp; `e` <f>",
        b"\xff|\xed\xa0\x80|",
    ]


def kept(name: str) -> list[bytes]:
    """Inputs on file for a target: they reach code that the vectors do not, or failed once."""
    return [path.read_bytes() for path in sorted((KEPT / name).glob("*"))]


def message(first_line: str, headers: Sequence[Sequence[str]], body: bytes) -> bytes:
    """An HTTP message with LF as line ends."""
    lines = [first_line, *(f"{name}: {value}" for name, value in headers)]
    return "\n".join([*lines, "", ""]).encode() + body


def parsed(data: bytes) -> tuple[str, list[tuple[bytes, bytes]], bytes]:
    """First line, headers and body of such a message, whatever they contain."""
    head, _, body = data.partition(b"\n\n")
    first, *lines = head.split(b"\n")
    headers = [(name, value.removeprefix(b" ")) for name, _, value in (line.partition(b":") for line in lines)]
    return first.decode("latin-1"), headers, body


def chance_of(data: bytes) -> Random:
    """A random generator seeded with the input, so that an input always has the same effect."""
    return Random(crc32(data))


def cuts(data: bytes, chance: Random) -> list[bytes]:
    """The bytes cut at random; sometimes into single bytes, or with empty parts in between."""
    if len(data) < 200 and chance.random() < 0.1:
        return bytewise(data)
    places = [chance.randrange(len(data) + 1) for _ in range(chance.randrange(6))]
    if chance.random() < 0.1:
        places *= 2
    return cut_at(data, places)


class Mutator:
    """Makes inputs from the given ones by small mutations that know lines and JSON, or from scratch.

    Args:
        seeds: what it starts from.
        chance: where it takes its decisions from.
    """

    def __init__(self, seeds: Sequence[bytes], chance: Random) -> None:
        self._seeds = seeds
        self._chance = chance

    def make(self) -> bytes:
        """Another input."""
        if self._chance.random() < 0.05:
            return self._from_nothing()
        return self.mutate(self._chance.choice(self._seeds))

    def mutate(self, data: bytes) -> bytes:
        """The input with one or more mutations."""
        for _ in range(self._chance.choice((1, 1, 1, 2, 2, 3, 5))):
            data = self._chance.choice(_CHANGES)(self, data)[:LARGEST]
        return data

    def _from_nothing(self) -> bytes:
        if self._chance.random() < 0.5:
            return self._chance.randbytes(self._chance.randrange(200))
        return b"".join(self._chance.choice(_BYTES + _WORDS + _VALUES) for _ in range(self._chance.randrange(20)))

    def _place(self, data: bytes) -> int:
        return self._chance.randrange(len(data) + 1)

    def _span(self, data: bytes) -> tuple[int, int]:
        start = self._place(data)
        return start, min(len(data), start + self._chance.choice((1, 1, 2, 4, 8, 32, 200)))

    def change_a_byte(self, data: bytes) -> bytes:
        at = self._place(data)
        return data[:at] + bytes([self._chance.randrange(256)]) + data[at + 1 :]

    def insert(self, data: bytes) -> bytes:
        at = self._place(data)
        return data[:at] + self._chance.choice(self._chance.choice((_BYTES, _WORDS, _VALUES))) + data[at:]

    def insert_chance(self, data: bytes) -> bytes:
        at = self._place(data)
        return data[:at] + self._chance.randbytes(self._chance.randrange(1, 9)) + data[at:]

    def remove(self, data: bytes) -> bytes:
        start, end = self._span(data)
        return data[:start] + data[end:]

    def repeat(self, data: bytes) -> bytes:
        start, end = self._span(data)
        return data[:end] + data[start:end] * self._chance.choice((1, 1, 2, 10, 300)) + data[end:]

    def change_a_value(self, data: bytes) -> bytes:
        """Replace one JSON value, or a key, by another."""
        found = list(_JSON_VALUE.finditer(data))
        if not found:
            return self.insert(data)
        place = self._chance.choice(found)
        new = self._chance.choice(found)[0] if self._chance.random() < 0.3 else self._chance.choice(_VALUES)
        return data[: place.start()] + new + data[place.end() :]

    def add_a_member(self, data: bytes) -> bytes:
        """Add a key to an object: a new one, or a duplicate."""
        keys = re.findall(rb'"\w+"(?=\s*:)', data) or [b'"type"']
        places = [found.end() for found in re.finditer(rb"\{", data)]
        if not places:
            return self.insert(data)
        at = self._chance.choice(places)
        key = self._chance.choice([*keys, b'"extra"', b'"index"', b'"control"', b'"x"'])
        return data[:at] + key + b":" + self._chance.choice(_VALUES) + b"," + data[at:]

    def wrap_a_value(self, data: bytes) -> bytes:
        found = list(_JSON_VALUE.finditer(data))
        if not found:
            return self.remove(data)
        place, depth = self._chance.choice(found), self._chance.choice((1, 2, 20, 199, 201))
        return data[: place.start()] + b"[" * depth + place[0] + b"]" * depth + data[place.end() :]

    def move_lines(self, data: bytes) -> bytes:
        lines = _LINE.findall(data)
        self._chance.shuffle(lines) if len(lines) < 5 else lines.insert(self._place(data) % len(lines), lines.pop())
        return b"".join(lines)

    def change_line_ends(self, data: bytes) -> bytes:
        return data.replace(b"\n", self._chance.choice((b"\r", b"\r\n", b"\n\n", b"")), self._chance.choice((1, -1)))

    def splice(self, data: bytes) -> bytes:
        """The start of this input and the end of another."""
        other = self._chance.choice(self._seeds)
        return data[: self._place(data)] + other[self._place(other) :]

    def join(self, data: bytes) -> bytes:
        return data + self._chance.choice(self._seeds)


_CHANGES: list[Callable[[Mutator, bytes], bytes]] = [
    Mutator.change_a_byte,
    Mutator.insert,
    Mutator.insert_chance,
    Mutator.remove,
    Mutator.repeat,
    *[Mutator.change_a_value] * 3,
    Mutator.add_a_member,
    Mutator.wrap_a_value,
    Mutator.move_lines,
    Mutator.change_line_ends,
    Mutator.splice,
    Mutator.join,
]
