"""The client's errors: for error responses, peers that break the protocol, and peers that take too long."""

from __future__ import annotations

import contextlib
import random
import socket
from collections.abc import Callable, Iterator

import anyio
import anyio.to_thread
import pytest

from poeproto import (
    ConnectFailed,
    DeadlineExceeded,
    Done,
    Event,
    IncompleteReply,
    LimitExceeded,
    Limits,
    PoeprotoError,
    RemoteProtocolError,
    RequestRefused,
    RetryPolicy,
    Text,
    encode_event,
)
from poeproto.testing import bytewise
from poeproto_h11 import Client, Timeouts

from ...support.bots import KEY
from ...support.scripted_peer import (
    HELLO,
    STREAM_HEAD,
    CannedConnector,
    Peer,
    Script,
    answering,
    chunk,
    deaf,
    reply,
    response,
    scripted,
    sent,
    starting,
)

pytestmark = pytest.mark.anyio

EVENT_STREAM = "Content-Type: text/event-stream"


async def read(client: Client, url: str, events: list[Event] | None = None, text: str = "hello") -> list[Event]:
    """The events of a reply; those before an error are in the given list."""
    events = [] if events is None else events
    async with client.query(url, text) as answer:
        async for event in answer:
            events.append(event)
    return events


def chain(exc: BaseException | None) -> Iterator[BaseException]:
    while exc is not None:
        yield exc
        exc = exc.__cause__ or exc.__context__


# --- refusals


@pytest.mark.parametrize("status", [201, 204, 301, 302, 400, 401, 404, 413, 429, 500, 501, 503])
async def test_another_status_is_a_refusal(status: int) -> None:
    # It is an event stream, but also a redirect to another URL.
    body = b"" if status == 204 else encode_event(Text("not an answer"))
    other = response(status, body, EVENT_STREAM, "Retry-After: 7", "Location: /elsewhere")
    once = RetryPolicy(attempts=1)
    async with scripted(answering(other)) as server, Client(access_key=KEY, retry=once) as client:
        with pytest.raises(RequestRefused, match=f"status {status}") as caught:
            await read(client, server.address)
        assert (caught.value.status, caught.value.retry_after) == (status, "7")
        assert caught.value.body_start == body
        assert (server.connections, len(server.requests)) == (1, 1), "no redirect is followed"
    assert KEY not in "".join(f"{exc} {exc!r} {vars(exc)}" for exc in chain(caught.value))


@pytest.mark.parametrize(
    ("status", "attempts"),
    [(201, 1), (204, 1), (302, 1), (400, 1), (401, 1), (404, 1), (413, 1), (429, 2), (500, 1), (501, 1), (503, 2)],
)
async def test_429_and_503_are_retried_on_the_same_connection_and_nothing_else_is(status: int, attempts: int) -> None:
    body = b"" if status == 204 else b"not an answer"
    async with scripted(answering(response(status, body, "Retry-After: 0"))) as server, Client() as client:
        with pytest.raises(RequestRefused, match=f"status {status}"):
            await read(client, server.address)
        assert (server.connections, len(server.requests)) == (1, attempts)


@pytest.mark.parametrize("size", [1023, 1024, 1025, 1_000_000])
async def test_a_kibibyte_of_a_refusal_is_kept(size: int) -> None:
    body = bytes(index % 251 for index in range(size))
    async with scripted(answering(response(500, body))) as server, Client() as client:
        with pytest.raises(RequestRefused) as caught:
            await read(client, server.address)
        assert caught.value.body_start == body[:1024]
        assert caught.value.retry_after is None


@pytest.mark.parametrize("ends", [True, False], ids=["cut short", "never ends"])
async def test_a_refusal_counts_even_when_its_body_fails(ends: bool) -> None:
    async def script(peer: Peer) -> None:
        await peer.answer(b"HTTP/1.1 503 Busy\r\nRetry-After: 0\r\nContent-Length: 100\r\n\r\nbusy")
        if not ends:
            await peer.until_left()

    async with scripted(script) as server, Client(timeouts=Timeouts(idle=0.3)) as client:
        with pytest.raises(RequestRefused) as caught:
            await read(client, server.address)
        assert (caught.value.status, caught.value.retry_after, caught.value.body_start) == (503, "0", b"busy")
        with pytest.raises(RequestRefused):
            await client.settings(server.address)
        assert (server.connections, len(server.requests)) == (4, 4), "each call is retried once, on a new connection"


async def test_a_refusal_may_arrive_before_the_request_is_written() -> None:
    async def script(peer: Peer) -> None:
        await peer.stream.receive(1)
        await peer.send(response(413, b"too much", "Connection: close"))
        await over.wait()

    over = anyio.Event()
    async with scripted(script) as server, Client() as client:
        with pytest.raises(RequestRefused, match="413") as caught:
            await read(client, server.address, text="a" * 15_000_000)
        assert caught.value.body_start == b"too much"
        over.set()
        await server.until_closed(1)


@pytest.mark.parametrize(
    ("headers", "what"),
    [
        ([], "content type ''"),
        (["Content-Type: text/html"], "text/html"),
        (["Content-Type: application/json"], "application/json"),
        ([EVENT_STREAM, "Content-Encoding: gzip"], "gzip"),
        ([EVENT_STREAM, "Content-Encoding: br"], "br"),
    ],
)
async def test_another_content_is_refused(headers: list[str], what: str) -> None:
    body = encode_event(Text("a")) + encode_event(Done())
    async with scripted(answering(response(200, body, *headers))) as server, Client() as client:
        with pytest.raises(RequestRefused, match=what) as caught:
            await read(client, server.address)
        assert (caught.value.status, caught.value.body_start) == (200, body)


# --- broken replies

GARBAGE = [
    b"SSH-2.0-OpenSSH_9.6\r\n",
    b"\x16\x03\x01\x02\x00",
    b"HTTP/1.1 abc OK\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nX: " + b"x" * 100_000,
    b"x" * 100_000,
]


@pytest.mark.parametrize("data", GARBAGE, ids=lambda data: repr(data[:40]))
async def test_data_that_is_not_http(data: bytes) -> None:
    async def script(peer: Peer) -> None:
        await peer.answer(data + b"\r\n\r\n")
        await peer.until_left()

    async with scripted(script) as server, Client() as client:
        with pytest.raises(RemoteProtocolError, match="HTTP is invalid") as caught:
            await read(client, server.address)
        assert not isinstance(caught.value, IncompleteReply)
        await server.until_closed(1)


BAD_TAILS = [
    pytest.param(b"zz\r\n", "HTTP is invalid", id="framing"),
    pytest.param(chunk(b"event: text\ndata: {\n\n"), "'text' event", id="no JSON"),
    pytest.param(chunk(b'event: text\ndata: {"text": 3}\n\n'), "text: ", id="wrong type"),
]


def whole(data: bytes) -> list[bytes]:
    return [data]


@pytest.mark.parametrize("cut", [whole, bytewise])
@pytest.mark.parametrize(("tail", "message"), BAD_TAILS)
async def test_events_before_a_fault_are_delivered(
    tail: bytes, message: str, cut: Callable[[bytes], list[bytes]]
) -> None:
    connector = CannedConnector(cut(STREAM_HEAD + sent(Text("a"), Text("b")) + tail))
    async with Client(connector=connector) as client:
        async with client.query("http://bot.example/", "hello") as answer:
            assert await anext(answer) == Text("a")
            assert await anext(answer) == Text("b")
            for _ in range(2):  # a second attempt fails, too
                with pytest.raises(RemoteProtocolError, match=message) as caught:
                    await anext(answer)
                assert not isinstance(caught.value, IncompleteReply)
                assert caught.value.partial is not None
                assert caught.value.partial.text == "ab"
        assert connector.streams[0].closed


async def test_a_reply_that_is_too_large() -> None:
    events: list[Event] = []
    large = reply(*[Text("a" * 100)] * 20)
    async with scripted(answering(large)) as server, Client(limits=Limits(answer_size=1000)) as client:
        with pytest.raises(LimitExceeded, match="1000 characters"):
            await read(client, server.address, events)
        assert 0 < len(events) < 10


def mutated(data: bytes, seed: int) -> bytes:
    random_ = random.Random(seed)
    changed = bytearray(data)
    for _ in range(random_.randrange(1, 4)):
        at = random_.randrange(len(changed))
        changed[at : at + random_.randrange(4)] = random_.randbytes(random_.randrange(4))
    return bytes(changed)


async def test_mutated_answers_raise_poeproto_errors_only() -> None:
    for seed in range(300):
        data = mutated(reply(Text("a"), Text("b")) if seed % 3 else response(503, b"busy"), seed)
        connector = CannedConnector([data] if seed % 2 else bytewise(data))
        async with Client(connector=connector) as client:
            with contextlib.suppress(PoeprotoError):
                await read(client, "http://bot.example/")
        assert connector.streams[0].closed, f"left open, with seed {seed}"


# --- no connection


async def test_a_connection_refused() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    async with Client() as client:
        for url in (f"http://127.0.0.1:{port}/", f"https://127.0.0.1:{port}/", f"http://localhost:{port}/"):
            with pytest.raises(ConnectFailed, match=rf"no connection to {url[:-1]}: .*(refused|failed)"):
                await read(client, url)
        assert client.connections_opened == 0


@pytest.mark.parametrize("host", ["a..example", "a" * 70 + ".example"])
async def test_a_name_that_cannot_be_resolved(host: str) -> None:
    # These fail before any name is resolved.
    async with Client() as client:
        with pytest.raises(ConnectFailed, match="no connection to http://"):
            await read(client, f"http://{host}/")


# --- deadlines


async def silent(peer: Peer) -> None:
    await peer.until_left()


async def endless(peer: Peer) -> None:
    await peer.answer(STREAM_HEAD)
    while True:
        await peer.send(chunk(b": still here\n\n"))
        await anyio.lowlevel.checkpoint()


async def dripping(peer: Peer) -> None:
    await peer.answer(b"HTTP/1.1 200 OK\r\n")
    while True:
        await peer.send(b"x: y\r\n")
        await anyio.sleep(0.01)


@pytest.mark.parametrize(
    ("name", "timeouts", "script"),
    [
        ("header", Timeouts(header=0.05), silent),
        ("header", Timeouts(header=0.05), dripping),
        ("idle", Timeouts(idle=0.05), starting),
        ("total", Timeouts(total=0.05), silent),
        ("total", Timeouts(total=0.05), starting),
        ("total", Timeouts(total=0.05), endless),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
async def test_a_deadline_passes(name: str, timeouts: Timeouts, script: Script) -> None:
    async with scripted(script, answering(HELLO)) as server, Client(timeouts=timeouts) as client:
        with pytest.raises(DeadlineExceeded, match=f"the {name} timeout of 0.05 s passed"):
            await read(client, server.address)
        await server.until_closed(1)
        client._calls._transport._timeouts = Timeouts()  # pyright: ignore[reportAttributeAccessIssue]
        assert await read(client, server.address) == [Text("hello"), Done()]


async def test_the_deadline_of_connecting_passes() -> None:
    # A TLS handshake without an answer.
    async with scripted(silent) as server, Client(timeouts=Timeouts(connect=0.05)) as client:
        with pytest.raises(DeadlineExceeded, match="the connect timeout"):
            await read(client, server.address.replace("http:", "https:"))
        await server.until_closed(1)
        assert client.connections_opened == 0


async def test_the_deadline_of_writing_passes() -> None:
    with deaf() as server:
        async with Client(timeouts=Timeouts(idle=0.05)) as client:
            with pytest.raises(DeadlineExceeded, match="the idle timeout"):
                await read(client, server.address, text="a" * 15_000_000)
        await anyio.to_thread.run_sync(server.read_to_end)


async def test_data_received_before_a_deadline_is_kept() -> None:
    async with scripted(starting) as server, Client(timeouts=Timeouts(idle=0.3)) as client:
        async with client.query(server.address, "hello") as answer:
            with pytest.raises(DeadlineExceeded) as caught:
                await answer.text()
        assert caught.value.partial is not None
        assert caught.value.partial.text == "a"


@pytest.mark.parametrize("name", ["connect", "header", "idle", "total"])
@pytest.mark.parametrize("seconds", [0, -1, float("nan")])
async def test_a_deadline_is_positive(name: str, seconds: float) -> None:
    with pytest.raises(ValueError, match=f"Timeouts.{name} must be positive"):
        Timeouts(**{name: seconds})
