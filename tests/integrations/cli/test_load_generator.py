"""The load generator of `poeproto bench`: outcomes, connections, and its own limit, with scripted servers."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

import anyio
import anyio.to_thread
import pytest

from poeproto import ConnectFailed, Done, Error, Message, QueryRequest, Text, encode_event
from poeproto_cli.bench.ceiling import canned_replies, measure_ceiling
from poeproto_cli.bench.generator import LoadGenerator
from poeproto_cli.bench.measurement import Ceiling, Measurement
from poeproto_cli.bench.plan import Plan
from poeproto_cli.load import LoadResponse
from poeproto_cli.load_query import Query, write_query
from poeproto_load import SLO, Arrivals, LoadResult, ReplyOutcome

from ...support.bots import KEY
from ...support.scripted_peer import HELLO, LAST_CHUNK, STREAM_HEAD, Peer, answering, chunk, response, scripted

pytestmark = pytest.mark.anyio

T = TypeVar("T")
TYPE = "Content-Type: text/event-stream"
STREAM = b"".join(map(encode_event, (Text("hello"), Done())))


def query(url: str, text: str = "hi") -> Query:
    return write_query(url, QueryRequest([Message("user", text)]), KEY)


def generate(url: str, **options: Any) -> Measurement:
    defaults: dict[str, Any] = {
        "queries": [query(url)],
        "connections": 2,
        "timeout": 20.0,
        "replies": 4,
        "access_key": KEY,
    }
    return LoadGenerator(Plan(**{**defaults, **options}), keep_samples=True).run()


async def measured(data: bytes, *, once: bool = False, **options: Any) -> Measurement:
    """The measurement of a server that answers every request with these bytes, and then closes if `once`."""

    async def answer_once(peer: Peer) -> None:
        await peer.answer(data)

    async with scripted(answer_once if once else answering(data)) as server:
        return await in_thread(partial(generate, server.address, **options))


async def in_thread(function: Callable[[], T]) -> T:
    return await anyio.to_thread.run_sync(function)


@pytest.mark.parametrize(
    ("data", "once", "outcome", "events", "problem"),
    [
        (HELLO, False, ReplyOutcome.COMPLETE, 1, ""),
        (HELLO, True, ReplyOutcome.COMPLETE, 1, ""),
        (response(200, STREAM, TYPE), False, ReplyOutcome.COMPLETE, 1, ""),
        (f"HTTP/1.1 200 OK\r\n{TYPE}\r\n\r\n".encode() + STREAM, True, ReplyOutcome.COMPLETE, 1, ""),
        (response(401, b"no", "Content-Type: text/plain"), False, ReplyOutcome.REFUSED, 0, "status 401"),
        (response(500, f'{{"error": "{KEY}"}}'.encode()), False, ReplyOutcome.REFUSED, 0, "status 500"),
        (response(200, encode_event(Text("a")), TYPE), False, ReplyOutcome.INCOMPLETE, 1, "without"),
        (STREAM_HEAD + chunk(encode_event(Text("a"))), True, ReplyOutcome.INCOMPLETE, 1, "closed the connection"),
        (response(200, encode_event(Error(text="no")), TYPE), False, ReplyOutcome.ERROR_EVENT, 0, "error: no"),
        (STREAM_HEAD + b"x\r\n" + LAST_CHUNK, False, ReplyOutcome.INVALID, 0, "a chunk has no size"),
        (b"HTTP/1.1 many OK\r\nContent-Length: 0\r\n\r\n", False, ReplyOutcome.INVALID, 0, "no status"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n", True, ReplyOutcome.INVALID, 0, "not a number"),
        (response(200, b"event: text\ndata: 3\n\n", TYPE), False, ReplyOutcome.INVALID, 0, ""),
        (b"", True, ReplyOutcome.INCOMPLETE, 0, "closed the connection"),
    ],
)
async def test_outcomes(data: bytes, once: bool, outcome: ReplyOutcome, events: int, problem: str) -> None:
    measurement = await measured(data, once=once)
    result = measurement.result
    assert result.outcomes == {each: 4 if each is outcome else 0 for each in ReplyOutcome}, measurement.problems
    assert result.events == 4 * events
    assert len(measurement.samples) == 4
    assert problem in measurement.problems.get(outcome, "")
    assert KEY not in str(measurement.problems)
    assert (result.total.count, result.seconds > 0) == (4 if outcome is ReplyOutcome.COMPLETE else 0, True)


async def test_a_server_that_sends_nothing() -> None:
    async def stop_within(peer: Peer) -> None:
        await peer.read_request()
        await peer.send(STREAM_HEAD + chunk(encode_event(Text("a"))))
        await anyio.sleep_forever()

    async with scripted(stop_within) as server:
        measurement = await in_thread(partial(generate, server.address, timeout=0.1))
    assert measurement.result.outcomes[ReplyOutcome.TIMED_OUT] == 4
    assert measurement.problems == {ReplyOutcome.TIMED_OUT: "the server sent nothing for 0.1 s"}
    assert all(sample.total >= 0.1 for sample in measurement.samples)


async def test_no_server() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
    with pytest.raises(ConnectFailed, match="Connection refused"):
        await in_thread(partial(generate, url))


async def test_a_server_that_ends_within_the_measurement() -> None:
    # The last are all due at once, so that most of them wait for the only connection.
    choices: tuple[dict[str, Any], ...] = ({}, {"rate": 200.0}, {"rate": 1_000_000.0})
    for options in choices:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            url = f"http://127.0.0.1:{listener.getsockname()[1]}/"

            def answer_once(listener: socket.socket = listener) -> None:
                peer, _ = listener.accept()
                listener.close()
                with peer:
                    while b"hi" not in peer.recv(65536):
                        pass
                    peer.sendall(HELLO)

            thread = threading.Thread(target=answer_once)
            thread.start()
            measurement = await in_thread(partial(generate, url, replies=5, connections=1, **options))
            thread.join()
        outcomes = measurement.result.outcomes
        assert outcomes[ReplyOutcome.COMPLETE] == 1
        assert outcomes[ReplyOutcome.NOT_CONNECTED] + outcomes[ReplyOutcome.INCOMPLETE] == 4
        assert "Connection refused" in measurement.problems[ReplyOutcome.NOT_CONNECTED]


async def test_queries_in_turn_and_a_large_one() -> None:
    async with scripted(answering(HELLO)) as server:
        queries = [query(server.address, "one"), query(server.address, "x" * 5_000_000)]
        await in_thread(partial(generate, server.address, queries=queries, connections=1))
        assert [len(request.body) > 4_000_000 for request in server.requests] == [False, True] * 2


async def test_connections_are_reused_and_opened_when_they_are_needed() -> None:
    async with scripted(answering(HELLO)) as server:
        await in_thread(partial(generate, server.address, connections=3, replies=20))
        assert (server.connections, len(server.requests)) == (3, 20)

    async def slow(peer: Peer) -> None:
        while True:
            await peer.read_request()
            await anyio.sleep(0.2)
            await peer.send(HELLO)

    async with scripted(slow) as server:
        options: dict[str, Any] = {"connections": 50, "rate": 100.0, "replies": 20, "slo": SLO(total=5)}
        measurement = await in_thread(partial(generate, server.address, **options))
        assert server.connections > 5
    assert measurement.waited == 0
    assert measurement.result.good == 20
    assert measurement.delays.count == 20


async def test_a_ramp_starts_the_connections_in_turn_before_the_measurement() -> None:
    starts = list(Plan([], 4, ramp=2.0, warm_up=1.0).starts())
    assert starts == [-3.0, -2.5, -2.0, -1.5]
    assert list(Plan([], 3).starts()) == [0, 0, 0]

    async with scripted(answering(HELLO)) as server:
        measurement = await in_thread(partial(generate, server.address, connections=3, replies=6, ramp=0.05))
        assert server.connections == 3
        assert len(server.requests) > 6, "those of the ramp do not count"
    assert measurement.result.complete == 6
    assert min(sample.started for sample in measurement.samples) >= 0


async def test_a_connection_that_is_closed_before_its_start_is_replaced() -> None:
    async def closing_the_first(peer: Peer) -> None:
        if server.connections > 3:  # the first is closed at once, before its start
            while True:
                await peer.read_request()
                await peer.send(HELLO)

    async with scripted(closing_the_first) as server:
        measurement = await in_thread(partial(generate, server.address, connections=3, replies=6, ramp=0.3))
    assert measurement.result.complete == measurement.result.replies == 6


async def test_gaps_are_between_arrivals() -> None:
    async def paced(peer: Peer) -> None:
        await peer.read_request()
        await peer.send(STREAM_HEAD)
        for event in (Text("a"), Text("b"), Done()):
            await peer.send(chunk(encode_event(event)))
            await anyio.sleep(0.05)
        await peer.send(LAST_CHUNK)

    async with scripted(paced) as server:
        measurement = await in_thread(partial(generate, server.address, connections=1, replies=1))
    result = measurement.result
    assert result.gap.count == 2, "three arrivals; the last chunk has no event"
    assert result.gap.min >= 0.03
    assert result.first_event.max + result.gap.sum <= result.total.max


async def test_ready_bytes_have_the_events_of_the_reply() -> None:
    body = b"".join(map(encode_event, [*[Text("hello")] * 10, Done()]))
    ceiling = Ceiling(0.0, 0.0)
    for arrivals, parts in ((1, 1), (4, 4), (100, 11), (0, 1)):
        with canned_replies(body, arrivals) as origin:
            sent = Query(origin, query("http://bot.example/").data)
            measurement = LoadGenerator(Plan([sent], 1, 20.0, replies=3), keep_samples=True).run()
            assert measurement.result.outcomes[ReplyOutcome.COMPLETE] == 3
            assert measurement.result.events == 30
            assert 0 <= measurement.result.gap.count <= 3 * (parts - 1)
            ceiling = measure_ceiling(origin, sent, 2)
    assert ceiling is not None
    assert ceiling.events_per_second == pytest.approx(10 * ceiling.replies_per_second)


def test_a_plan_of_starts() -> None:
    def starts(**options: Any) -> list[float]:
        return list(Plan([], 1, rate=10.0, **options).starts())

    assert starts(duration=0.3) == [0, 0.1, 0.2]
    assert starts(replies=2, warm_up=0.3) == [-0.3, -0.2, -0.1, 0, 0.1]
    assert starts(duration=0.15, warm_up=0.1) == [-0.1, 0, 0.1]
    seeded = [starts(replies=9, arrivals=Arrivals.POISSON, seed=seed) for seed in (1, 1, 2)]
    assert seeded[0] == seeded[1] != seeded[2]


def test_warnings_of_a_generator_at_its_limit() -> None:
    measurement = Measurement(1, LoadResult(), ceiling=Ceiling(100.0, 1000.0))
    assert measurement.warnings == []
    measurement.result.outcomes[ReplyOutcome.COMPLETE] = 80
    measurement.result.seconds = 1.0
    assert measurement.warnings == ["the load generator is at 80% of its own limit: use several processes"]
    measurement.ceiling = None
    measurement.busy = 0.9
    assert measurement.warnings == ["the load generator was busy 90% of the time: use several processes"]


@pytest.mark.parametrize("step", [1, 2, 3, 7, 1000])
def test_arrivals_at_any_cuts(step: int) -> None:
    parsed = LoadResponse()
    whole = STREAM_HEAD + b"".join(chunk(encode_event(event)) for event in (Text("data: no"), Text("b"), Done()))
    whole += LAST_CHUNK
    pieces = [whole[start : start + step] for start in range(0, len(whole), step)]
    assert [parsed.receive(piece) for piece in pieces] == [False] * (len(pieces) - 1) + [True]
    assert parsed.body() == b"".join(map(encode_event, (Text("data: no"), Text("b"), Done())))
    assert len(parsed.arrivals) == 1 if step == 1000 else len(parsed.arrivals) >= 3
