"""How the embedded server responds to invalid requests, and to attempts at request smuggling."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator

import anyio
import pytest

from poeproto import Context, Done, Limits, QueryRequest, Text
from poeproto_h11.server import server_connection

from ...support.bots import BEARER, KEY, FunctionBot, query_body
from ...support.embedded_servers import WaitingBot, serving
from ...support.raw_http import chunk, connect, fetch, http_request

pytestmark = pytest.mark.anyio

HEAD = b"POST / HTTP/1.1\r\nHost: x\r\nAuthorization: " + BEARER.encode() + b"\r\n"
BODY = query_body("a")
LENGTH = b"Content-Length: %d\r\n" % len(BODY)
CHUNKED = b"Transfer-Encoding: chunked\r\n"
# A request line that must never be parsed as a request within a body.
REQUEST = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


def head_of(size: int) -> bytes:
    """A head of the given number of bytes that would be answered."""
    start = b"GET / HTTP/1.1\r\nHost: x\r\nX: "
    return start + b"x" * (size - len(start) - 4) + b"\r\n\r\n"


@pytest.mark.parametrize("piece", [100_000, 32 * 1024, 20_000, 1000])
@pytest.mark.parametrize("before", [b"", HEAD + LENGTH + b"\r\n" + BODY], ids=["at first", "behind another"])
@pytest.mark.parametrize(
    ("size", "status"), [(32 * 1024, 200), (32 * 1024 + 1, 431), (60_000, 431)], ids=["fits", "over", "far over"]
)
async def test_the_size_of_a_head(size: int, status: int, before: bytes, piece: int) -> None:
    async with serving() as address, connect(address) as connection:
        data = before + head_of(size)
        for start in range(0, len(data), piece):
            await connection.send(data[start : start + piece])
        if before:
            assert (await connection.read_response()).events == [Text("a"), Done()]
        response = await connection.read_response()
        assert response.status == status
        assert response.headers.get("connection") == (None if status == 200 else "close")
        if status != 200:
            assert await connection.read_to_end() == b""


REFUSED = [
    pytest.param(HEAD + LENGTH + CHUNKED + b"\r\n0\r\n\r\n" + REQUEST, 400, id="both framings"),
    pytest.param(HEAD + CHUNKED + LENGTH + b"\r\n0\r\n\r\n" + REQUEST, 400, id="both framings, turned round"),
    pytest.param(HEAD + LENGTH + b"Content-Length: 7\r\n\r\n" + BODY, 400, id="two lengths"),
    pytest.param(HEAD + b"Content-Length: 5, 7\r\n\r\n" + BODY, 400, id="two lengths in one"),
    pytest.param(HEAD + b"Content-Length: +5\r\n\r\n" + BODY, 400, id="a length with a sign"),
    pytest.param(HEAD + b"Content-Length: 0x5\r\n\r\n" + BODY, 400, id="a length in hexadecimal"),
    pytest.param(HEAD + b"Content-Length: 5 5\r\n\r\n" + BODY, 400, id="a length with a space"),
    pytest.param(HEAD + b"Content-Length : 5\r\n\r\n" + BODY, 400, id="a space before the colon"),
    pytest.param(HEAD + b"Transfer-Encoding: gzip\r\n\r\n", 501, id="gzip"),
    pytest.param(HEAD + b"Transfer-Encoding: identity\r\n\r\n", 501, id="identity"),
    pytest.param(HEAD + b"Transfer-Encoding: gzip, chunked\r\n\r\n", 501, id="gzip and chunked"),
    pytest.param(HEAD + b"Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n", 400, id="chunked behind a control"),
    pytest.param(
        HEAD + LENGTH + b"Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n", 400, id="both framings, one folded"
    ),
    pytest.param(HEAD + b"Transfer-Encoding: xchunked\r\n\r\n", 501, id="nearly chunked"),
    pytest.param(HEAD + CHUNKED + CHUNKED + b"\r\n", 501, id="chunked twice"),
    pytest.param(HEAD.replace(b"/1.1", b"/1.0") + CHUNKED + b"\r\n0\r\n\r\n", 400, id="chunked in HTTP/1.0"),
    pytest.param(b"POST / HTTP/1.1\r\n\r\n", 400, id="no host"),
    pytest.param(b"POST / HTTP/1.1\r\nHost: x\r\nHost: x\r\n\r\n", 400, id="two hosts"),
    pytest.param(b"GET / HTTP/1.1\r\nHost: x y\r\n\r\n", 400, id="a space in the host"),
    pytest.param(b"GET / HTTP/1.1\r\nHost: x@y/\r\n\r\n", 400, id="more than a host"),
    pytest.param(b"GET / HTTP/2.0\r\nHost: x\r\n\r\n", 505, id="a version there is not"),
    pytest.param(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505, id="HTTP/2"),
    pytest.param(b"GET / HTTP/0.9\r\n\r\n", 505, id="HTTP/0.9"),
    pytest.param(b"GET /\r\n\r\n", 400, id="no version"),
    pytest.param(b"GET / HTTP/1.1\r\nHost: x\r\nX: a\0b\r\n\r\n", 400, id="NUL in a value"),
    pytest.param(b"GET / HTTP/1.1\r\nHost: x\r\nX\0: a\r\n\r\n", 400, id="NUL in a name"),
    pytest.param(b"GET / HTTP/1.1\r\nHost: x\r\nX: a\rY: b\r\n\r\n", 400, id="CR in a value"),
    pytest.param(b"GET / HTTP/1.1\r\n X: a\r\nHost: x\r\n\r\n", 400, id="a fold before all headers"),
    pytest.param(b"GET / HTTP/1.1\r\nHost: x\r\nno colon\r\n\r\n", 400, id="no colon"),
    pytest.param(b"GET /\xff HTTP/1.1\r\nHost: x\r\n\r\n", 400, id="a target that is not ASCII"),
    pytest.param(b"G(T / HTTP/1.1\r\nHost: x\r\n\r\n", 400, id="a method that is not a token"),
]


@pytest.mark.parametrize("before", [b"", REQUEST], ids=["at first", "behind another"])
@pytest.mark.parametrize(("data", "status"), REFUSED)
async def test_heads_that_are_refused(
    data: bytes, status: int, before: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    async with serving() as address, connect(address) as connection:
        await connection.send(before + data)
        if before:
            assert (await connection.read_response()).status == 200
        response = await connection.read_response()
        assert (response.status, response.headers["connection"]) == (status, "close")
        assert response.body == b'{"error": "the request is not acceptable HTTP"}'
        assert await connection.read_to_end() == b""
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


TAKEN = [
    pytest.param(HEAD + LENGTH + LENGTH + b"\r\n" + BODY, id="the same length twice"),
    pytest.param(HEAD + b"Transfer-Encoding: Chunked\r\n\r\n" + chunk(BODY) + chunk(b""), id="chunked in capitals"),
    pytest.param(HEAD + CHUNKED + b"\r\n" + chunk(BODY) + b"0\r\nX: a\r\nContent-Length: 5\r\n\r\n", id="trailers"),
    pytest.param(HEAD + CHUNKED + b"\r\n%x;a=b\r\n%b\r\n0\r\n\r\n" % (len(BODY), BODY), id="a chunk's extension"),
    pytest.param(HEAD + CHUNKED + b"\r\n" + b"".join(chunk(b"%c" % byte) for byte in BODY) + chunk(b""), id="bytewise"),
    pytest.param(HEAD + LENGTH + b"X: a\r\n  b\r\n\r\n" + BODY, id="a folded header"),
    pytest.param(HEAD.replace(b"\r\n", b"\n") + LENGTH + b"\n" + BODY, id="lines that end in LF"),
    pytest.param(
        HEAD + LENGTH + b"Upgrade: h2c\r\nConnection: Upgrade\r\n\r\n" + BODY, id="an upgrade that is offered"
    ),
    pytest.param(HEAD + LENGTH + b"Expect: a miracle\r\n\r\n" + BODY, id="another expectation"),
    pytest.param((HEAD + LENGTH).replace(b" / ", b" http://else.invalid/ ") + b"\r\n" + BODY, id="a URL as target"),
]


@pytest.mark.parametrize("data", TAKEN)
async def test_unusual_requests_that_are_accepted(data: bytes) -> None:
    async with serving() as address, connect(address) as connection:
        await connection.send(data + REQUEST)
        assert (await connection.read_response()).events == [Text("a"), Done()]
        page = await connection.read_response()
        assert (page.status, page.headers["content-type"]) == (200, "text/html; charset=utf-8")


OTHER_METHODS = [
    pytest.param(b"CONNECT x:443 HTTP/1.1\r\nHost: x:443\r\n\r\n", 404, id="CONNECT"),
    pytest.param(b"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n", 404, id="OPTIONS"),
    pytest.param(b"TRACE / HTTP/1.1\r\nHost: x\r\n\r\n", 405, id="TRACE"),
    pytest.param(b"get / HTTP/1.1\r\nHost: [::1]:80\r\n\r\n", 405, id="get"),
    pytest.param(b"GET / HTTP/1.1\r\nHost:\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n", 200, id="upgrade"),
]


@pytest.mark.parametrize(("data", "status"), OTHER_METHODS)
async def test_an_unfinished_call_leaves_the_connection_unchanged(data: bytes, status: int) -> None:
    async with serving() as address, connect(address) as connection:
        await connection.send(data + REQUEST)
        for expected in (status, 200):
            response = await connection.read_response()
            assert (response.status, response.headers.get("connection")) == (expected, None)


BAD_CHUNKS = [
    pytest.param(b"zz\r\n", id="no number"),
    pytest.param(b"-5\r\n", id="a sign"),
    pytest.param(b"0x5\r\n", id="a prefix"),
    pytest.param(b" 5\r\n", id="a space"),
    pytest.param(b"\r\n", id="nothing"),
    pytest.param(b"f" * 21 + b"\r\n", id="more than there is"),
    pytest.param(b"5\r\nabcdefg\r\n", id="another length"),
    pytest.param(b"5\nabcde\n0\n\n" + b"x" * 40_000, id="lines that end in LF"),
    pytest.param(b"5;" + b"x" * 40_000, id="an endless extension"),
    pytest.param(b"0\r\nX: " + b"x" * 40_000, id="endless trailers"),
    pytest.param(b"0\r\nno colon\r\n\r\n", id="trailers without a colon"),
]


@pytest.mark.parametrize("data", BAD_CHUNKS)
async def test_bodies_with_bad_framing(data: bytes, caplog: pytest.LogCaptureFixture) -> None:
    async with serving() as address:
        async with connect(address) as connection:
            await connection.send(HEAD + CHUNKED + b"\r\n" + data)
            response = await connection.read_response()
            assert (response.status, response.headers["connection"]) == (400, "close")
            assert await connection.read_to_end() == b""
        assert (await fetch(address, http_request())).status == 200
    [record] = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert record.getMessage() == "POST / refused: 400 the request is not acceptable HTTP"


async def test_an_incomplete_body_is_not_logged_as_a_fault(caplog: pytest.LogCaptureFixture) -> None:
    async with serving() as address:
        for request in (http_request()[:-5], HEAD + CHUNKED + b"\r\n" + chunk(BODY)):
            async with connect(address) as connection:
                await connection.send(request)
                await connection.stream.send_eof()
                assert await connection.read_to_end() == b""
        assert (await fetch(address, http_request())).status == 200
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


UNREAD = [
    pytest.param(http_request(REQUEST, key=None), 401, id="no key"),
    pytest.param(http_request(key="Bearer wrong", chunked=True) + chunk(REQUEST) + chunk(b""), 401, id="wrong key"),
    pytest.param(http_request(REQUEST, path="/nobody"), 404, id="path"),
    pytest.param(http_request(REQUEST, method="PUT"), 405, id="method"),
    pytest.param(http_request(REQUEST * 100), 413, id="size"),
    pytest.param(http_request(chunked=True) + chunk(REQUEST * 100) + chunk(b""), 413, id="size of chunks"),
    pytest.param(http_request(REQUEST, method="GET"), 200, id="GET with a body"),
    pytest.param(http_request(b"", method="GET", headers=["Connection: close"]) + REQUEST, 200, id="after the last"),
    pytest.param(HEAD + CHUNKED + b"\r\nzz\r\n" + REQUEST, 400, id="bad framing"),
]


@pytest.mark.parametrize(("data", "status"), UNREAD)
async def test_no_answer_is_made_out_of_an_unread_body(data: bytes, status: int) -> None:
    async with serving(limits=Limits(request_body=1000)) as address, connect(address) as connection:
        await connection.send(data)
        response = await connection.read_response()
        assert (response.status, response.headers["connection"]) == (status, "close")
        assert await connection.read_to_end() == b""


async def test_large_requests_that_arrive_early_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_connection, "_POLL_SECONDS", 0.01)
    gates = [anyio.Event() for _ in range(5)]

    async def respond(request: QueryRequest, context: Context) -> AsyncIterator[str]:
        content = request.query[-1].content
        yield f"{content[0]}{len(content)}"
        await gates[int(content[0])].wait()

    async def send_all() -> None:
        await connection.send(b"".join(http_request(query_body(f"{number}" * 100_000)) for number in range(5)))

    async with (
        serving(FunctionBot(respond), access_key=KEY) as address,
        connect(address) as connection,
        anyio.create_task_group() as tasks,
    ):
        tasks.start_soon(send_all)
        for number, gate in enumerate(gates):
            assert (await connection.read_head())[0] == 200
            assert await connection.read_events() == [Text(f"{number}100000")]
            gate.set()
            assert await connection.read_rest() == [Done()]


@pytest.mark.parametrize("early", [10_000, 150_000], ids=["read", "left in the kernel"])
async def test_a_disconnect_is_noticed_behind_a_large_request(early: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_connection, "_POLL_SECONDS", 0.01)
    bot = WaitingBot()
    async with serving(bot, access_key=KEY) as address:
        async with connect(address) as connection:
            await connection.send(http_request() + http_request(bytes(early)))
            await connection.read_head()
            assert await connection.read_events() == [Text("hello")]
        await bot.ended.wait()
        await bot.closed.wait()


@pytest.mark.parametrize("version", [b"1.2", b"1.9"])
async def test_a_higher_minor_version_is_read_as_the_last_one(version: bytes) -> None:
    """RFC 9110, 2.5: also that the connection is kept, and that a chunked body is read."""
    head = HEAD.replace(b"HTTP/1.1", b"HTTP/" + version)
    async with serving() as address, connect(address) as connection:
        for framed in (LENGTH + b"\r\n" + BODY, CHUNKED + b"\r\n" + chunk(BODY) + b"0\r\n\r\n"):
            await connection.send(head + framed)
            response = await connection.read_response()
            assert response.events == [Text("a"), Done()]
            assert "connection" not in response.headers


@pytest.mark.parametrize("blank", [b"\r\n", b"\n", b"\r\n\r\n", b"\r\n" * 1000])
@pytest.mark.parametrize("piece", [1, 3, 100_000])
async def test_empty_lines_before_a_request_are_ignored(blank: bytes, piece: int) -> None:
    """RFC 9112, 2.2: at first, and behind a body, where old clients send one too much."""
    data = (blank + HEAD + LENGTH + b"\r\n" + BODY) * 3 + blank
    piece = max(piece, len(data) // 2000)
    async with serving() as address, connect(address) as connection:
        for start in range(0, len(data), piece):
            await connection.send(data[start : start + piece])
        for _ in range(3):
            assert (await connection.read_response()).events == [Text("a"), Done()]
        await connection.send(REQUEST)
        assert (await connection.read_response()).status == 200


async def test_endless_empty_lines_are_refused() -> None:
    async with serving() as address, connect(address) as connection:
        await connection.send(b"\r\n" * 32 * 1024)
        assert (await connection.read_response()).status == 400
