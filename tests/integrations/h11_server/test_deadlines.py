"""The embedded server and clients that take their time: to send, to read, to leave."""

from __future__ import annotations

import logging
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from poeproto import Done, Limits, Text
from poeproto_h11 import ServerLimits

from ...support.bots import BEARER, KEY, query_body
from ...support.embedded_servers import TalkingBot, serving, small_listener, take_little
from ...support.raw_http import Connection, chunk, connect, http_request

pytestmark = pytest.mark.anyio

SHORT = 0.05
LONG = 3600.0
ENDLESS = Limits(events=10**9, text_length=10**12, send_seconds=SHORT, heartbeat_seconds=SHORT)
REQUEST = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


def limits(**others: Any) -> ServerLimits:
    """The limits of which only those that are named can be the cause of anything."""
    long: dict[str, Any] = {"head_seconds": LONG, "body_seconds": LONG, "idle_seconds": LONG, "linger_seconds": LONG}
    return ServerLimits(**{**long, **others})


@pytest.mark.parametrize("name", ["connections", "head_size", "head_seconds", "body_rate", "grace_seconds"])
@pytest.mark.parametrize("value", [0, -1, float("nan")])
def test_limits_are_positive(name: str, value: Any) -> None:
    with pytest.raises(ValueError, match=f"ServerLimits.{name} must be positive"):
        ServerLimits(**{name: value})


# --- slow senders


async def test_a_connection_without_a_request_is_closed() -> None:
    async with serving(server_limits=limits(head_seconds=SHORT)) as address, connect(address) as connection:
        assert await connection.read_to_end() == b""


async def test_a_connection_without_another_request_is_closed() -> None:
    async with serving(server_limits=limits(idle_seconds=SHORT)) as address, connect(address) as connection:
        await connection.send(http_request(query_body("a")))
        assert (await connection.read_response()).events == [Text("a"), Done()]
        assert await connection.read_to_end() == b""


async def test_a_head_has_its_own_time_after_a_pause() -> None:
    short_idle = limits(idle_seconds=SHORT)
    async with serving(server_limits=short_idle) as address, connect(address) as connection, connect(address) as other:
        await connection.send(REQUEST)
        await connection.read_response()
        await connection.send(REQUEST[:5])
        # It is longer than the pause may be.
        assert await _after_a_pause(other) == b""
        await connection.send(REQUEST[5:])
        assert (await connection.read_response()).status == 200


async def _after_a_pause(connection: Connection) -> bytes:
    await connection.send(REQUEST)
    await connection.read_response()
    return await connection.read_to_end()


@pytest.mark.parametrize("before", [b"", REQUEST], ids=["at first", "after another"])
@pytest.mark.parametrize("sent", [b"P", b"POST / HTTP/1.1\r\nHost: x\r\nX: "], ids=["one byte", "a part"])
async def test_a_slow_head(sent: bytes, before: bytes) -> None:
    # The part must have been read by then: a client that has sent nothing gets no response.
    server_limits = limits(head_seconds=5 * SHORT)
    async with serving(server_limits=server_limits) as address, connect(address) as connection:
        if before:
            await connection.send(before)
            await connection.read_response()
        await connection.send(sent)
        response = await _while_trickling(connection)
        assert (response.status, response.headers["connection"]) == (408, "close")
        assert await connection.read_to_end() == b""


@pytest.mark.parametrize("framing", ["Content-Length: 100000", "Transfer-Encoding: chunked"])
async def test_a_slow_body(framing: str, caplog: pytest.LogCaptureFixture) -> None:
    server_limits = limits(body_seconds=SHORT)
    async with serving(server_limits=server_limits) as address, connect(address) as connection:
        await connection.send(f"POST / HTTP/1.1\r\nHost: x\r\nAuthorization: {BEARER}\r\n{framing}\r\n\r\n".encode())
        # Within the data of a chunk, where the framing is chunked.
        await connection.send(chunk(bytes(1000))[:10])
        response = await _while_trickling(connection)
        assert (response.status, response.headers["connection"]) == (408, "close")
        assert response.body == b'{"error": "the request took too long to arrive"}'
        assert await connection.read_to_end() == b""
    [record] = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert record.getMessage() == "POST / refused: 408 the request took too long to arrive"


async def _while_trickling(connection: Connection) -> Any:
    """The response that comes while bytes are still sent, one at a time."""

    async def trickle() -> None:
        while True:
            await connection.send(b"x")
            await anyio.sleep(SHORT / 5)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(trickle)
        response = await connection.read_response()
        tasks.cancel_scope.cancel()
        return response


async def test_each_part_of_a_body_extends_its_deadline() -> None:
    server_limits = limits(body_seconds=SHORT, body_rate=0.01)
    body = query_body("a")
    async with (
        serving(server_limits=server_limits) as address,
        connect(address) as connection,
        connect(address) as other,
    ):
        await connection.send(http_request(body)[:-5])
        # This one has sent nothing, and is refused when the first one would have been.
        await other.send(http_request(body)[: -len(body)])
        assert (await other.read_response()).status == 408
        await connection.send(body[-5:])
        assert (await connection.read_response()).events == [Text("a"), Done()]


async def test_a_client_that_never_sends_its_body_does_not_wait_for_100_continue_alone() -> None:
    server_limits = limits(body_seconds=SHORT)
    body = query_body("a")
    async with serving(server_limits=server_limits) as address, connect(address) as connection:
        await connection.send(http_request(body, headers=["Expect: 100-continue"])[: -len(body)])
        assert (await connection.read_head())[0] == 100
        assert (await connection.read_response()).status == 408


@pytest.mark.parametrize("sends", [False, True])
async def test_a_client_that_does_not_leave(sends: bool) -> None:
    server_limits = limits(linger_seconds=SHORT) if not sends else limits(linger_size=10_000)
    async with serving(server_limits=server_limits) as address, connect(address) as connection:
        await connection.send(http_request(key=None))
        assert (await connection.read_response()).status == 401
        # Its end has come, and the connection is still there; in the end it is not.
        with pytest.raises(anyio.EndOfStream):
            await connection.stream.receive()
        with pytest.raises(anyio.BrokenResourceError):
            while True:
                await connection.send(bytes(1000 if sends else 1))
                await anyio.lowlevel.checkpoint()


# --- slow readers


@pytest.mark.parametrize("version", ["1.0", "1.1"])
async def test_a_client_that_does_not_read_is_left(version: str) -> None:
    bot = TalkingBot()
    async with (
        serving(bot, bind=small_listener(), access_key=KEY, limits=ENDLESS) as address,
        connect(address) as connection,
    ):
        await connection.send(http_request().replace(b"HTTP/1.1", f"HTTP/{version}".encode()))
        await bot.ended.wait()
        # By a reset, since in HTTP/1.0 the end of the connection would be the end of the reply.
        with pytest.raises(anyio.BrokenResourceError):
            while True:
                assert not (await connection.stream.receive()).endswith(b"0\r\n\r\n")


async def test_little_is_held_for_a_client_that_does_not_read() -> None:
    bot = TalkingBot()
    endless = Limits(events=10**9, text_length=10**12)
    async with (
        serving(bot, bind=small_listener(), access_key=KEY, limits=endless) as address,
        connect(address) as connection,
    ):
        take_little(connection)
        await connection.send(http_request())
        await connection.read_head()
        await bot.until_held_back()
        # The bytes in the kernel's buffers are included.
        assert bot.said < 256 * 1024
        assert not bot.ended.is_set()
        before = bot.said
        while bot.said == before:
            await connection.read_chunk()


@pytest.mark.parametrize("request_", [http_request(), REQUEST], ids=["queries", "pages"])
async def test_a_client_that_reads_no_answers_is_left(request_: bytes) -> None:
    """The buffer of its further requests is bounded too, or this test would not end."""
    short = Limits(send_seconds=SHORT)
    async with serving(bind=small_listener(), limits=short) as address, connect(address) as connection:
        with pytest.raises(anyio.BrokenResourceError):
            while True:
                await connection.send(request_ * 100)
