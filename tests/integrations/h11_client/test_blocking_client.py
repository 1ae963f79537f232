"""The blocking client: calls, errors and connections as those of the asynchronous one, also in a running event loop."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import anyio
import anyio.lowlevel
import pytest
from anyio.from_thread import BlockingPortal

from poeproto import (
    BotError,
    ConnectFailed,
    ConnectionLost,
    Context,
    CostItem,
    Done,
    Endpoints,
    Error,
    Event,
    IncompleteChunkedBody,
    IncompleteReply,
    InsufficientFunds,
    LocalProtocolError,
    QueryRequest,
    RemoteProtocolError,
    ReportErrorRequest,
    ReportFeedbackRequest,
    ReportReactionRequest,
    RequestRefused,
    RetryPolicy,
    SettingsResponse,
    Text,
    decode_request,
    encode_settings,
)
from poeproto.testing import bytewise, sample_reply
from poeproto_h11 import BlockingClient, BlockingReply

from ...support.bots import KEY, FunctionBot
from ...support.hypercorn_servers import app_of
from ...support.peers_in_thread import scripted_in_thread, serving_embedded_in_thread, serving_in_thread
from ...support.scripted_peer import HELLO, LAST_CHUNK, STREAM_HEAD, Peer, answering, reply, response, sent, starting

SETTINGS = SettingsResponse(introduction_message="hello")


def read(client: BlockingClient, url: str, text: str = "hello") -> list[Event]:
    with client.query(url, text) as answer:
        return list(answer)


# --- replies


def whole(data: bytes) -> list[bytes]:
    return [data]


@pytest.mark.parametrize("cut", [whole, bytewise], ids=["whole", "bytewise"])
def test_events_are_complete_however_the_bytes_are_cut(
    portal: BlockingPortal, cut: Callable[[bytes], list[bytes]]
) -> None:
    async def script(peer: Peer) -> None:
        await peer.read_request()
        for piece in cut(reply(*sample_reply()[:-1])):
            await peer.send(piece)
        await peer.until_left()

    with scripted_in_thread(portal, script) as server, BlockingClient() as client:
        with client.query(server.address, "hello") as answer:
            assert list(answer) == sample_reply()
            assert answer.fold.text == "Good day, naïve 🐈"
        assert "17 characters" in repr(answer)


def test_events_arrive_as_they_are_sent(portal: BlockingPortal) -> None:
    received = [portal.call(anyio.Event) for _ in range(3)]

    async def respond(request: QueryRequest, context: Context) -> Any:
        for number, event in enumerate(received):
            yield str(number)
            await event.wait()

    with (
        serving_in_thread(portal, app_of(respond)) as address,
        BlockingClient(access_key=KEY) as client,
        client.query(address, "hello") as answer,
    ):
        for number, event in enumerate(received):
            assert next(answer) == Text(str(number))
            assert answer.fold.text == "012"[: number + 1]
            portal.call(event.set)
        assert next(answer) == Done()
        with pytest.raises(StopIteration):
            next(answer)


def test_the_embedded_server(portal: BlockingPortal) -> None:
    async def respond(request: QueryRequest, context: Context) -> str:
        return request.query[-1].content.upper()

    with (
        serving_embedded_in_thread(portal, FunctionBot(respond)) as address,
        BlockingClient(access_key=KEY) as client,
    ):
        for text in ("hello", "there"):
            with client.query(address, text) as answer:
                assert answer.text() == text.upper()
        assert client.settings(address) == SettingsResponse()
        assert client.connections_opened == 1
    assert "1 connections" in repr(client)


def test_an_error_is_an_event_and_is_raised_by_text(portal: BlockingPortal) -> None:
    error = Error(text="no dogs", allow_retry=False)
    with scripted_in_thread(portal, answering(reply(Text("a"), error))) as server, BlockingClient() as client:
        assert read(client, server.address) == [Text("a"), error]
        with client.query(server.address, "hello") as answer, pytest.raises(BotError, match="no dogs"):
            answer.text()
        assert client.connections_opened == 1


# --- errors, typed as in the asynchronous client


async def _leave(peer: Peer) -> None:
    await peer.read_request()


async def _leave_within(peer: Peer) -> None:
    await peer.answer(STREAM_HEAD + sent(Text("a")))


@pytest.mark.parametrize(
    ("script", "error"),
    [
        (_leave_within, IncompleteChunkedBody),
        (answering(STREAM_HEAD + sent(Text("a")) + LAST_CHUNK), IncompleteReply),
        (answering(response(401, b'{"error": "no"}')), RequestRefused),
        (answering(b"SSH-2.0-OpenSSH_9.6\r\n\r\n"), RemoteProtocolError),
        (_leave, ConnectionLost),
    ],
    ids=["breaks off", "incomplete", "refused", "no HTTP", "no answer"],
)
def test_errors_are_typed(portal: BlockingPortal, script: Any, error: type[Exception]) -> None:
    with scripted_in_thread(portal, script) as server, BlockingClient() as client:
        with pytest.raises(error) as caught:
            read(client, server.address)
        assert type(caught.value) is error
        with pytest.raises(error):
            read(client, server.address)


def test_nobody_listens(portal: BlockingPortal) -> None:
    with scripted_in_thread(portal, answering(HELLO)) as server:
        address = server.address
    with BlockingClient(retry=RetryPolicy(attempts=1)) as client:
        with pytest.raises(ConnectFailed, match="refused"):
            read(client, address)
        with pytest.raises(LocalProtocolError, match="not a URL"):
            client.query("http://bot.example:port/", "hello")


def test_a_query_to_a_busy_bot_is_retried(portal: BlockingPortal) -> None:
    busy = response(503, b"", "Retry-After: 0")

    async def once_busy(peer: Peer) -> None:
        await peer.answer(busy)
        await answering(HELLO)(peer)

    with scripted_in_thread(portal, once_busy) as server, BlockingClient() as client:
        assert read(client, server.address) == [Text("hello"), Done()]
        assert len(server.requests) == 2


# --- the other calls


def test_settings_and_reports(portal: BlockingPortal) -> None:
    answer = response(200, encode_settings(SETTINGS))
    reports: list[Any] = [
        ReportFeedbackRequest(message_id="m", feedback_type="like"),
        ReportReactionRequest(message_id="m", reaction="heart"),
        ReportErrorRequest("this is wrong"),
    ]
    with scripted_in_thread(portal, answering(answer)) as server, BlockingClient(access_key=KEY) as client:
        assert client.settings(server.address) == SETTINGS
        client.report_feedback(server.address, reports[0])
        client.report_reaction(server.address, reports[1])
        client.report_error(server.address, reports[2])
        assert [decode_request(request.body) for request in server.requests[1:]] == reports
        assert client.connections_opened == 1


def test_calls_of_poe(portal: BlockingPortal) -> None:
    async def script(peer: Peer) -> None:
        await peer.answer(response(200, encode_settings(SETTINGS)))
        await peer.answer(response(200, b"{}"))
        await peer.answer(response(200, b'event: result\ndata: {"status": "success"}\n\n', EVENT_STREAM))
        await peer.answer(response(200, b'event: result\ndata: {"status": "no"}\n\n', EVENT_STREAM))

    with scripted_in_thread(portal, script) as server:
        endpoints = Endpoints.at(server.address)
        with BlockingClient(access_key=KEY, endpoints=endpoints) as client:
            client.sync_settings("Cat", SETTINGS)
            client.sync_settings("Cat")
            client.authorize_cost(CostItem(100), "query")
            with pytest.raises(InsufficientFunds):
                client.capture_cost([CostItem(100)], "query")
            assert client.connections_opened == 1
    assert [request.line.split("/")[2] for request in server.requests] == [
        "update_settings",
        "fetch_settings",
        "cost",
        "cost",
    ]


EVENT_STREAM = "Content-Type: text/event-stream"


# --- connections


def test_leaving_early_closes_the_connection(portal: BlockingPortal) -> None:
    with scripted_in_thread(portal, starting, starting, answering(HELLO)) as server, BlockingClient() as client:
        with client.query(server.address, "hello") as answer:
            for _ in answer:
                break
        server.until_closed(1)
        with pytest.raises(ZeroDivisionError), client.query(server.address, "hello") as answer:
            for _ in answer:
                raise ZeroDivisionError
        server.until_closed(2)
        for _ in range(2):
            assert read(client, server.address) == [Text("hello"), Done()]
        assert (client.connections_opened, server.connections) == (3, 3)


def test_a_stale_connection_is_not_used_again(portal: BlockingPortal) -> None:
    go = portal.call(anyio.Event)

    async def leaving(peer: Peer) -> None:
        await peer.answer(HELLO)
        await go.wait()

    with scripted_in_thread(portal, leaving, answering(HELLO)) as server, BlockingClient() as client:
        assert read(client, server.address)
        portal.call(go.set)
        server.until_closed(1)
        assert read(client, server.address)
        assert client.connections_opened == 2


def test_closing(portal: BlockingPortal) -> None:
    with scripted_in_thread(portal, answering(HELLO)) as server:
        client = BlockingClient()
        with client.query(server.address, "hello") as answer:
            assert answer.text() == "hello"
        client.close()
        server.until_closed(1)
        with pytest.raises(LocalProtocolError, match="the client is closed"):
            read(client, server.address)
        with pytest.raises(LocalProtocolError, match="entered once"), answer:
            pass


def test_a_reply_is_not_read_after_its_with(portal: BlockingPortal) -> None:
    async def script(peer: Peer) -> None:
        await peer.answer(STREAM_HEAD + sent(Text("hello")))
        await peer.until_left()

    with scripted_in_thread(portal, script) as server, BlockingClient() as client:
        answer = client.query(server.address, "hello")
        with answer:
            assert next(answer) == Text("hello")
        with pytest.raises(LocalProtocolError, match="closed before its end"):
            next(answer)


# --- loops and threads


def test_within_a_running_loop(portal: BlockingPortal, anyio_backend: str) -> None:
    async def respond(request: QueryRequest, context: Context) -> str:
        return request.query[-1].content.upper()

    async def main(client: BlockingClient, address: str) -> None:
        for number in range(3):
            with client.query(address, f"hello {number}") as answer:
                assert next(answer) == Text(f"HELLO {number}")
                await anyio.lowlevel.checkpoint()
                assert list(answer) == [Done()]
            await anyio.lowlevel.checkpoint()

    with serving_in_thread(portal, app_of(respond)) as address, BlockingClient(access_key=KEY) as client:
        anyio.run(main, client, address, backend=anyio_backend)
        assert client.settings(address) == SettingsResponse()
        assert client.connections_opened == 1


def test_threads_share_a_client(portal: BlockingPortal) -> None:
    count, rounds = 8, 5
    together = threading.Barrier(count)
    texts: list[str] = []

    async def respond(request: QueryRequest, context: Context) -> str:
        return request.query[-1].content

    def ask(name: int) -> None:
        for number in range(rounds):
            together.wait()
            with client.query(address, f"{name}.{number}") as answer:
                texts.append(answer.text())

    with serving_in_thread(portal, app_of(respond)) as address, BlockingClient(access_key=KEY) as client:
        threads = [threading.Thread(target=ask, args=(name,)) for name in range(count)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(texts) == sorted(f"{name}.{number}" for name in range(count) for number in range(rounds))
        assert client.connections_opened <= count


def test_two_threads_cannot_read_one_reply(portal: BlockingPortal) -> None:
    go, arrived = portal.call(anyio.Event), threading.Event()

    async def script(peer: Peer) -> None:
        await peer.answer(STREAM_HEAD + sent(Text("a")))
        await go.wait()
        await peer.send(sent(Text("b"), Done()) + LAST_CHUNK)
        await peer.until_left()

    events: list[Event] = []

    def read_on(answer: BlockingReply) -> None:
        for event in answer:
            events.append(event)
            arrived.set()

    with scripted_in_thread(portal, script) as server, BlockingClient() as client:
        with client.query(server.address, "hello") as answer:
            thread = threading.Thread(target=read_on, args=(answer,))
            thread.start()
            arrived.wait()
            while thread.is_alive():
                # While the other thread is not waiting in a read, this one may read, too; after that it must not.
                if answer._reading.locked():
                    with pytest.raises(LocalProtocolError, match="another thread"):
                        next(answer)
                    portal.call(go.set)
                    break
            thread.join()
        assert events == [Text("a"), Text("b"), Done()]


# --- what must never happen


class SuspendingConnector:
    """A connector that suspends, as one for an event loop does."""

    async def __call__(self, origin: object, timeout: float) -> Any:
        await anyio.lowlevel.checkpoint()


@pytest.mark.anyio
async def test_a_call_that_would_wait_for_a_loop_says_so() -> None:
    with (
        BlockingClient(connector=SuspendingConnector()) as client,
        pytest.raises(RuntimeError, match="does not block"),
    ):
        read(client, "http://bot.example/")
