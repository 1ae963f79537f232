"""The client's own reader of chunks: the body is the same as h11's, at every cut of the bytes."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterable

import h11
import pytest

from poeproto import (
    ConnectionLost,
    DeadlineExceeded,
    Done,
    HttpRequest,
    IncompleteChunkedBody,
    RemoteProtocolError,
    Text,
    encode_event,
)
from poeproto.testing import bytewise, cut_at, two_way_splits
from poeproto_h11 import Client, Timeouts
from poeproto_h11.client.chunks import ChunkReader
from poeproto_h11.client.connection import Connection
from poeproto_h11.client.timeouts import Clock

from ...support.scripted_peer import LAST_CHUNK, STREAM_HEAD, CannedConnector, CannedStream, chunk, reply, response

pytestmark = pytest.mark.anyio

URL = "http://bot.example/"
CONTENT = [b"a", b"event: text\n", b"x" * 300, b"\r\n", b"0\r\n\r\n", b"5\r\nhello\r\n"]
BODY = b"".join(map(chunk, CONTENT))
WHOLE = b"".join(CONTENT)
GOOD = [
    pytest.param(BODY + LAST_CHUNK, id="plain"),
    pytest.param(LAST_CHUNK, id="empty"),
    pytest.param(BODY + b"000\r\nx-trailer: 1\r\n\r\n", id="trailer"),
    pytest.param(BODY + b"0;last\r\n\r\n", id="extension of the last"),
    pytest.param(BODY + b"5;a=b\r\nhello\r\n" + BODY + LAST_CHUNK, id="extension"),
    pytest.param(BODY + b"5 \r\nhello\r\n" + BODY + LAST_CHUNK, id="space"),
    pytest.param(BODY + b"0000000000005\r\nhello\r\n" + BODY + LAST_CHUNK, id="many digits"),
    pytest.param(b"0000000A\r\n0123456789\r\n" + b"aB\r\n" + b"y" * 0xAB + b"\r\n" + LAST_CHUNK, id="digits"),
]
BAD = [
    pytest.param(BODY + b"3\r\nabcX\r\n" + BODY, id="no end"),
    pytest.param(BODY + b"3\r\nabc\rX" + BODY, id="half an end"),
    pytest.param(BODY + b"3\r\nabc\n" + BODY, id="LF as the end"),
    pytest.param(BODY + b"3\r\nabc5\r\nhello\r\n" + LAST_CHUNK, id="a chunk too short for its data"),
    pytest.param(BODY + b"x\r\n" + BODY, id="no number"),
    pytest.param(BODY + b"\r\n" + BODY, id="no size"),
    pytest.param(BODY + b"-1\r\n" + BODY, id="negative"),
    pytest.param(BODY + b"0x5\r\nhello\r\n" + BODY, id="prefix"),
    pytest.param(BODY + b"1_0\r\n" + BODY, id="underscore"),
    pytest.param(BODY + b"5\nhello\n" + BODY, id="LF after the size"),
    pytest.param(BODY + b"5" * 21 + b"\r\n" + BODY, id="beyond all sizes"),
    pytest.param(BODY + b"0\r\nno trailer\r\n\r\n", id="bad trailer"),
    pytest.param(BODY, id="cut after a chunk"),
    pytest.param(BODY[:-1], id="cut in an end"),
    pytest.param(BODY[:-2], id="cut before an end"),
    pytest.param(BODY[:-5], id="cut in a chunk"),
    pytest.param(BODY + b"5", id="cut in a size"),
    pytest.param(BODY + b"5\r", id="cut behind a size"),
    pytest.param(BODY + b"0\r\n", id="cut in the last"),
]


def as_h11_has_it(data: bytes) -> tuple[bytes, type[Exception] | None]:
    """The content of the response's body, and the error in it."""
    connection = h11.Connection(h11.CLIENT)
    connection.send(h11.Request(method="GET", target="/", headers=[("host", "x")]))
    connection.send(h11.EndOfMessage())
    content = b""
    connection.receive_data(data)
    try:
        while not isinstance(event := connection.next_event(), h11.EndOfMessage):
            if event is h11.NEED_DATA:
                connection.receive_data(b"")
            elif isinstance(event, h11.Data):
                content += event.data
    except h11.RemoteProtocolError:
        return content, IncompleteChunkedBody if connection.trailing_data[1] else RemoteProtocolError
    return content, None


async def as_we_have_it(pieces: Iterable[bytes]) -> tuple[bytes, type[Exception] | None]:
    connection = Connection(CannedStream(pieces))
    clock = Clock(Timeouts())
    await connection.send(HttpRequest("GET", URL, []), b"", "/", "x", clock)
    head = await connection.receive_head(clock)
    assert head.status == 200
    content = b""
    try:
        while (data := await connection.receive_body(clock)) is not None:
            assert data, "a part of a body must not be empty"
            content += data
    except (ConnectionLost, RemoteProtocolError) as exc:
        failure: Exception | None = exc
    else:
        failure = None
    assert connection.ready_for_next() == (failure is None)
    if failure is None:
        return content, None
    for _ in range(2):
        with pytest.raises(type(failure)) as caught:
            await connection.receive_body(clock)
        assert caught.value is failure
    return content, type(failure)


@pytest.mark.parametrize("body", GOOD + BAD)
async def test_a_body_is_parsed_as_by_h11(body: bytes) -> None:
    whole = STREAM_HEAD + body
    expected = as_h11_has_it(whole)
    assert (expected[1] is None) == any(body == good.values[0] for good in GOOD)
    for pieces in [[whole], [STREAM_HEAD, body], bytewise(whole), *two_way_splits(whole)]:
        assert await as_we_have_it(pieces) == expected


@pytest.mark.parametrize("seed", range(100))
async def test_a_body_that_was_tampered_with_is_parsed_as_by_h11(seed: int) -> None:
    chance = random.Random(seed)
    body = bytearray(b"".join(chunk(b"y" * chance.randint(1, 20)) for _ in range(5)) + LAST_CHUNK)
    for _ in range(chance.randint(0, 2)):
        place = chance.randrange(len(body))
        body[place : place + chance.randint(0, 2)] = chance.choice([b"", b"\r", b"\n", b"\r\n", b"0", b"5", b";", b"y"])
    whole = STREAM_HEAD + bytes(body)
    expected = as_h11_has_it(whole)
    for _ in range(5):
        assert await as_we_have_it(cut_at(whole, [chance.randrange(len(whole)) for _ in range(9)])) == expected


HEADS = [
    STREAM_HEAD,
    STREAM_HEAD.replace(b"\r\n", b"\n"),
    STREAM_HEAD.replace(b"chunked", b"Chunked"),
    b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n" + STREAM_HEAD,
]


@pytest.mark.parametrize("head", HEADS, ids=["usual", "LF", "upper case", "after others"])
async def test_a_body_begins_where_its_head_ends(head: bytes) -> None:
    whole = head + BODY + LAST_CHUNK
    for pieces in [[whole], bytewise(whole), *itertools.islice(two_way_splits(whole), len(head) + 5)]:
        assert await as_we_have_it(pieces) == (WHOLE, None)


async def test_a_part_of_a_chunk_does_not_wait_for_the_rest() -> None:
    pieces = [STREAM_HEAD, b"5\r\nhe", b"llo", b"\r", b"\n3\r\nyou\r\n", LAST_CHUNK]
    connection = Connection(CannedStream(pieces))
    clock = Clock(Timeouts())
    await connection.send(HttpRequest("GET", URL, []), b"", "/", "x", clock)
    await connection.receive_head(clock)
    assert [await connection.receive_body(clock) for _ in range(4)] == [b"he", b"llo", b"you", None]


@pytest.mark.parametrize("size", [1, 9, 10, 15, 16, 255, 256, 4095, 4096, 65_536])
def test_a_read_of_one_chunk_takes_the_fast_path(size: int) -> None:
    content = b"\r\n" * (size // 2) + b"x" * (size % 2)
    assert ChunkReader().read_one(chunk(content)) == content
    upper, padded = (b"%X\r\n%b\r\n" % (size, content), b"0%x\r\n%b\r\n" % (size, content))
    for other_spelling in (upper, padded):
        assert ChunkReader().read_one(other_spelling) in (None, content)
        assert ChunkReader().read(other_spelling) == ([content], b"")


@pytest.mark.parametrize(
    "data",
    [
        b"", b"\r\n", b"\r\n\r\n", b"0\r\n\r\n", b"-1\r\n", b"-2\r\n\r\n", b"+1\r\na\r\n", b"0x1\r\na\r\n",
        b"1\r\nab\r\n", b"2\r\na\r\n", b"1\r\n\r\n", b"1\r\na\r\n1\r\nb\r\n", b"1;x\r\na\r\n", b"1 \r\na\r\n",
        b"1\ra\r\n", b"1\na\r\n",
    ],
)  # fmt: skip
def test_a_read_of_anything_else_does_not_take_the_fast_path(data: bytes) -> None:
    assert ChunkReader().read_one(data) is None


async def test_chunks_of_one_read_are_returned_at_once() -> None:
    connection = Connection(CannedStream([STREAM_HEAD + BODY, BODY + LAST_CHUNK]))
    clock = Clock(Timeouts())
    await connection.send(HttpRequest("GET", URL, []), b"", "/", "x", clock)
    await connection.receive_head(clock)
    assert [await connection.receive_body(clock) for _ in range(3)] == [WHOLE, WHOLE, None]


@pytest.mark.parametrize("extra", [b"x", reply(Text("not asked for"))])
@pytest.mark.parametrize("chunked", [True, False])
async def test_bytes_after_a_response_prevent_reuse_of_the_connection(chunked: bool, extra: bytes) -> None:
    body = encode_event(Text("a")) + encode_event(Done())
    answer = reply(Text("a")) if chunked else response(200, body, "Content-Type: text/event-stream")
    connector = CannedConnector([answer + extra])
    async with Client(connector=connector) as client:
        for count in (1, 2):
            async with client.query(URL, "hello") as got:
                await anext(got)
            assert client.connections_opened == count


@pytest.mark.parametrize("extra", [b"", b"x", reply(Text("not asked for"))])
async def test_bytes_after_a_response_without_a_body_are_noticed(extra: bytes) -> None:
    connection = Connection(CannedStream([response(200) + extra]))
    clock = Clock(Timeouts())
    await connection.send(HttpRequest("GET", URL, []), b"", "/", "x", clock)
    await connection.receive_head(clock)
    assert await connection.receive_body(clock) is None
    assert connection.ready_for_next()
    assert connection.is_idle() == (not extra)


async def test_a_deadline_within_a_chunk_passes() -> None:
    class Silent(CannedStream):
        async def receive(self, timeout: float) -> bytes:
            if not self.pieces:
                raise TimeoutError
            return await super().receive(timeout)

    connection = Connection(Silent([STREAM_HEAD + b"5\r\nhe"]))
    clock = Clock(Timeouts())
    await connection.send(HttpRequest("GET", URL, []), b"", "/", "x", clock)
    await connection.receive_head(clock)
    assert await connection.receive_body(clock) == b"he"
    with pytest.raises(DeadlineExceeded, match="idle"):
        await connection.receive_body(clock)
