"""Chunks written to the socket past Hypercorn, and responses that still pass through it.

Each behaviour is tested in both manners: a client must not notice which one it is.
"""

from __future__ import annotations

import logging
import socket
from collections.abc import AsyncIterator
from typing import Any

import anyio
import anyio.lowlevel
import h2.connection
import h2.events
import pytest
from anyio.streams.tls import TLSStream
from hypercorn.protocol.events import Body
from hypercorn.protocol.h2 import H2Protocol
from hypercorn.protocol.h11 import H11Protocol
from hypercorn.protocol.http_stream import HTTPStream

from poeproto import Context, Done, Error, Limits, QueryRequest, Text
from poeproto_asgi import BotApp
from poeproto_asgi.asgi import AsgiMessage, Receive, Scope, Send

from ...support.bots import BEARER, KEY, FunctionBot, events_in, query_body
from ...support.embedded_servers import TalkingBot
from ...support.hypercorn_servers import app_of, on_each_event_loop, quick_config, serving
from ...support.raw_http import Connection, connect, http_request
from ...support.tls_peer import Certificate, certificate

__all__ = ["certificate"]

pytestmark = [pytest.mark.anyio, on_each_event_loop]

WORDS = [f"word {number} " for number in range(5)]
ENDLESS = Limits(events=10**9, text_length=10**12)


async def lone(request: QueryRequest, context: Context) -> AsyncIterator[str]:
    for word in WORDS:
        await anyio.lowlevel.checkpoint()
        yield word


def texts(words: list[str]) -> list[Any]:
    return [Text(word) for word in words]


@pytest.fixture
def bodies(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """The parts of bodies that went through Hypercorn, for either version of HTTP."""
    seen: list[bytes] = []

    def record(protocol: Any) -> None:
        original = protocol.stream_send

        async def stream_send(self: Any, event: Any) -> None:
            if isinstance(event, Body):
                seen.append(event.data)
            await original(self, event)

        monkeypatch.setattr(protocol, "stream_send", stream_send)

    record(H11Protocol)
    record(H2Protocol)
    return seen


@pytest.fixture(params=["past Hypercorn", "through Hypercorn"])
def goes_past(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Whether chunks go past Hypercorn in this test."""
    if request.param == "past Hypercorn":
        return True

    class OtherStream(HTTPStream):
        """A stream with the attributes that a later Hypercorn may have."""

    monkeypatch.setattr("hypercorn.protocol.h11.HTTPStream", OtherStream)
    return False


# --- which way


async def test_only_the_end_goes_through_hypercorn(goes_past: bool, bodies: list[bytes]) -> None:
    async with serving(app_of(lone)) as address, connect(address) as connection:
        await connection.send(http_request())
        assert (await connection.read_response()).events == [*texts(WORDS), Done()]
    assert events_in(b"".join(bodies)) == ([Done()] if goes_past else [*texts(WORDS), Done()])


async def test_http_1_0_has_no_chunks(bodies: list[bytes]) -> None:
    async with serving(app_of(lone)) as address, connect(address) as connection:
        await connection.send(http_request().replace(b"HTTP/1.1", b"HTTP/1.0"))
        head, _, body = (await connection.read_to_end()).partition(b"\r\n\r\n")
    assert b"chunked" not in head
    assert events_in(body) == [*texts(WORDS), Done()]
    assert b"".join(bodies) == body


async def test_http_2_has_no_chunks(bodies: list[bytes]) -> None:
    client = h2.connection.H2Connection()
    client.initiate_connection()
    head = [(":method", "POST"), (":path", "/"), (":scheme", "http"), (":authority", "h"), ("authorization", BEARER)]
    client.send_headers(1, head)
    client.send_data(1, query_body(), end_stream=True)
    body, ended = b"", False
    async with serving(app_of(lone)) as address, connect(address) as connection:
        while not ended:
            await connection.send(client.data_to_send())
            for event in client.receive_data(await connection.stream.receive()):
                if isinstance(event, h2.events.DataReceived):
                    body += event.data
                ended = ended or isinstance(event, h2.events.StreamEnded)
    assert events_in(body) == [*texts(WORDS), Done()]
    assert b"".join(bodies) == body


async def test_tls_goes_through_hypercorn(bodies: list[bytes], certificate: Certificate) -> None:
    config = quick_config()
    config.certfile, config.keyfile = str(certificate.file), str(certificate.key)
    async with serving(app_of(lone), config) as address:
        port = int(address.rstrip("/").rpartition(":")[2])
        async with await anyio.connect_tcp("127.0.0.1", port) as stream:
            tls = await TLSStream.wrap(
                stream, hostname="127.0.0.1", ssl_context=certificate.trusting_client(), standard_compatible=False
            )
            connection = Connection(tls)
            await connection.send(http_request())
            assert (await connection.read_response()).events == [*texts(WORDS), Done()]
    assert events_in(b"".join(bodies)) == [*texts(WORDS), Done()]


async def test_an_application_that_changes_the_messages() -> None:
    class Loud(BotApp):
        async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
            async def send_loud(message: AsgiMessage) -> None:
                if message["type"] == "http.response.body":
                    message["body"] = message["body"].replace(b"word", b"WORD")
                await send(message)

            await super().__call__(scope, receive, send_loud if scope["type"] == "http" else send)

    async with serving(Loud(FunctionBot(lone), access_key=KEY)) as address, connect(address) as connection:
        await connection.send(http_request())
        response = await connection.read_response()
    assert response.events == [*(Text(word.upper()) for word in WORDS), Done()]


# --- the response in either manner


@pytest.mark.usefixtures("goes_past")
class TestEitherManner:
    async def test_lone_events_and_bursts_keep_their_order(self) -> None:
        async def bot(request: QueryRequest, context: Context) -> AsyncIterator[str]:
            for number in range(200):
                if number % 7 < 3:
                    await anyio.lowlevel.checkpoint()
                yield f"{number} " * (2000 if number % 50 == 0 else 1)

        async with serving(app_of(bot)) as address, connect(address) as connection:
            await connection.send(http_request())
            events = (await connection.read_response()).events
        whole = "".join(event.text for event in events if isinstance(event, Text))
        assert whole == "".join(f"{number} " * (2000 if number % 50 == 0 else 1) for number in range(200))

    async def test_requests_follow_on_the_connection(self) -> None:
        async with serving(app_of(lone)) as address, connect(address) as connection:
            for _ in range(3):
                await connection.send(http_request())
                assert (await connection.read_response()).events == [*texts(WORDS), Done()]
            await connection.send(http_request(b"", method="GET", key=None))
            assert (await connection.read_response()).status == 200

    async def test_requests_that_are_sent_at_once_are_answered_in_turn(self) -> None:
        async def bot(request: QueryRequest, context: Context) -> AsyncIterator[str]:
            for number in range(3):
                await anyio.lowlevel.checkpoint()
                yield f"{request.query[-1].content}{number}"

        async with serving(app_of(bot)) as address, connect(address) as connection:
            await connection.send(b"".join(http_request(query_body(name)) for name in "abc"))
            for name in "abc":
                response = await connection.read_response()
                assert response.events == [*(Text(f"{name}{number}") for number in range(3)), Done()]

    async def test_heartbeats_between_lone_events(self) -> None:
        read = anyio.Event()

        async def bot(request: QueryRequest, context: Context) -> AsyncIterator[str]:
            await anyio.lowlevel.checkpoint()
            yield "one"
            await read.wait()
            yield "two"

        async with serving(app_of(bot, Limits(heartbeat_seconds=0.01))) as address, connect(address) as connection:
            await connection.send(http_request())
            await connection.read_head()
            assert await connection.read_events() == [Text("one")]
            assert await connection.read_chunk() == b": \n\n"
            assert await connection.read_chunk() == b": \n\n"
            read.set()
            assert await connection.read_rest() == [Text("two"), Done()]

    async def test_a_bot_that_fails_after_lone_events(self) -> None:
        async def bot(request: QueryRequest, context: Context) -> AsyncIterator[str]:
            async for word in lone(request, context):
                yield word
            raise LookupError("the thread is lost")

        async with serving(app_of(bot)) as address, connect(address) as connection:
            await connection.send(http_request())
            *said, error, done = (await connection.read_response()).events
        assert said == texts(WORDS)
        assert isinstance(error, Error)
        assert done == Done()

    @pytest.mark.parametrize("reset", [False, True], ids=["close", "reset"])
    async def test_a_disconnect_ends_a_bot_that_talks(self, reset: bool) -> None:
        bot = LoneTalkingBot()
        async with serving(BotApp(bot, access_key=KEY, limits=ENDLESS)) as address:
            async with connect(address) as connection:
                await connection.send(http_request())
                await connection.read_head()
                await connection.read_events()
                if reset:
                    raw = connection.stream.extra(anyio.abc.SocketAttribute.raw_socket)
                    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            await bot.ended.wait()

    async def test_a_client_that_reads_late_holds_the_bot_back_and_gets_everything(self) -> None:
        bot = LoneTalkingBot()
        async with (
            serving(BotApp(bot, access_key=KEY, limits=ENDLESS)) as address,
            connect(address) as connection,
        ):
            await connection.send(http_request())
            await connection.read_head()
            await bot.until_held_back()
            said = bot.said
            assert said < 20_000_000, "the buffers hold less than this"
            bot.stopping = True
            *events, done = await connection.read_rest()
            assert done == Done()
            whole = "".join(event.text for event in events if isinstance(event, Text))
            assert len(whole) == bot.said
            assert set(whole) == {"a"}
            await connection.send(http_request(b"", method="GET", key=None))
            assert (await connection.read_response()).status == 200

    async def test_a_bot_that_fails_while_it_is_held_back(self) -> None:
        """The write is cancelled, and no chunk may be cut short."""
        bot = LoneTalkingBot()
        async with (
            serving(BotApp(bot, access_key=KEY, limits=ENDLESS)) as address,
            connect(address) as connection,
        ):
            await connection.send(http_request())
            await connection.read_head()
            await bot.until_held_back()
            bot.fail.set()
            *said, error, done = await connection.read_rest()
            assert {event.text for event in said if isinstance(event, Text)} == {bot.WORDS}
            assert isinstance(error, Error)
            assert done == Done()
            await connection.send(http_request(b"", method="GET", key=None))
            assert (await connection.read_response()).status == 200

    async def test_a_bot_that_talks_in_a_scope_that_is_cancelled(self) -> None:
        """A write that has to wait is cancelled at once, unless a part of the chunk was sent."""
        bot = LoneTalkingBot()
        bot.is_cancelled = True
        async with serving(BotApp(bot, access_key=KEY, limits=ENDLESS)) as address, connect(address) as connection:
            await connection.send(http_request())
            await bot.until_held_back()
            bot.stopping = True
            *events, done = (await connection.read_response()).events
        assert {event.text for event in events if isinstance(event, Text)} <= {bot.WORDS}
        assert done == Done()

    async def test_a_client_that_does_not_read_in_time_is_disconnected(self) -> None:
        bot = LoneTalkingBot()
        limits = Limits(events=10**9, text_length=10**12, send_seconds=0.1)
        async with (
            serving(BotApp(bot, access_key=KEY, limits=limits)) as address,
            connect(address) as connection,
        ):
            await connection.send(http_request())
            await connection.read_head()
            await bot.ended.wait()

    async def test_the_access_log_has_a_line_for_each_request(self, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.INFO, "requests")
        config = quick_config()
        config.accesslog = logging.getLogger("requests")
        config.access_log_format = "%(s)s %(r)s"
        async with serving(app_of(lone), config) as address, connect(address) as connection:
            for _ in range(2):
                await connection.send(http_request())
                await connection.read_response()
        assert [record.getMessage() for record in caplog.records if record.name == "requests"] == ["200 POST / 1.1"] * 2


class LoneTalkingBot(TalkingBot):
    """Sends lone events, until it is cancelled, `stopping` is true, or `fail` is set.

    With `is_cancelled`, it sends them within a scope of its own that is cancelled.
    """

    WORDS = "a" * 10_000

    def __init__(self) -> None:
        super().__init__()
        self.stopping = False
        self.is_cancelled = False
        self.fail = anyio.Event()

    async def get_response(self, request: QueryRequest, context: Context) -> AsyncIterator[str]:
        async def fail() -> None:
            await self.fail.wait()
            raise LookupError("the thread is lost")

        try:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(fail)
                if self.is_cancelled:
                    tasks.cancel_scope.cancel()
                while not self.stopping:
                    with anyio.CancelScope(shield=self.is_cancelled):
                        await anyio.lowlevel.checkpoint()
                    yield self.WORDS
                    self.said += len(self.WORDS)
                tasks.cancel_scope.cancel()
        finally:
            self.ended.set()

    async def until_held_back(self) -> None:
        """Poll until nothing was said for many polls in a row."""
        before, polls = -1, 0
        while polls < 20:
            polls = polls + 1 if before == self.said else 0
            before = self.said
            await anyio.sleep(0.002)
