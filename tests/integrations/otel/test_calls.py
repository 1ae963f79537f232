"""The span and the metrics of a call."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import suppress
from itertools import accumulate
from typing import Any

import anyio
import anyio.to_thread
import pytest
from opentelemetry import propagate, trace
from opentelemetry.trace import SpanKind, StatusCode

import poeproto_compat
from poeproto import Context, Endpoints, Error, PoeprotoError, QueryRequest, RetryPolicy, Text
from poeproto_asgi import BotApp
from poeproto_compat.call_hooks import program_calls
from poeproto_compat.client import get_bot_response, stream_request
from poeproto_h11 import BlockingClient, Client, Timeouts
from poeproto_otel import record_token_usage, uninstrument
from poeproto_otel.client_spans import ClientSpans
from poeproto_otel.instruments import Instruments
from poeproto_runtime import CallHooks

from ...support.bots import KEY, FunctionBot
from ...support.embedded_servers import serving
from ...support.scripted_peer import (
    HELLO,
    STREAM_HEAD,
    Peer,
    Script,
    answering,
    reply,
    response,
    scripted,
    sent,
    starting,
)
from ...support.telemetry import Telemetry, id_of, named_events, parent_id, traceparent_of

pytestmark = pytest.mark.anyio


def attributes_of(telemetry: Telemetry) -> dict[str, Any]:
    return dict(telemetry.span.attributes or {})


# --- one span


@pytest.mark.parametrize("count", [1, 1000, 10_000])
async def test_a_call_is_one_span_however_many_events_its_reply_has(telemetry: Telemetry, count: int) -> None:
    async with scripted(answering(reply(*[Text("a")] * count))) as server, Client(access_key=KEY) as client:
        telemetry.instrument(client)
        assert await client.query(f"{server.address}cat?key={KEY}", "hello").text() == "a" * count
    span = telemetry.span
    assert (span.name, span.kind, span.parent) == ("chat", SpanKind.CLIENT, None)
    assert named_events(span) == ["poe.first_event", "poe.end"]
    assert span.status.status_code is StatusCode.UNSET
    port = int(server.address.rpartition(":")[2].strip("/"))
    assert attributes_of(telemetry) == {
        "http.request.method": "POST",
        "url.full": f"{server.address}cat",
        "url.scheme": "http",
        "server.address": "127.0.0.1",
        "server.port": port,
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "poe",
        "poe.operation": "query",
        "http.response.status_code": 200,
        "poe.outcome": "complete",
        "poe.reply.events": count,
    }


async def test_the_blocking_client(telemetry: Telemetry) -> None:
    def call(url: str) -> str:
        with BlockingClient(access_key=KEY) as client:
            telemetry.instrument(client)
            return client.query(url, "hello").text()

    async with scripted(answering(HELLO)) as server:
        assert await anyio.to_thread.run_sync(call, server.address) == "hello"
    assert telemetry.span.kind is SpanKind.CLIENT
    assert server.requests[0].all("traceparent") == [traceparent_of(telemetry.span)]


async def test_the_parent_is_the_current_span_and_the_header_continues_the_trace(telemetry: Telemetry) -> None:
    async with scripted(answering(HELLO)) as server, Client(access_key=KEY) as client:
        telemetry.instrument(client)
        with telemetry.tracer_provider.get_tracer("caller").start_as_current_span("caller") as caller:
            await client.query(server.address, "hello").text()
            assert trace.get_current_span() is caller
    call, _ = telemetry.spans
    assert parent_id(call) == caller.get_span_context().span_id
    assert server.requests[0].all("traceparent") == [traceparent_of(call)]


async def test_calls_of_other_kinds(telemetry: Telemetry) -> None:
    async with (
        scripted(
            answering(response(200, b'{"introduction_message":"hi"}', "Content-Type: application/json"))
        ) as server,
        Client(access_key=KEY) as client,
    ):
        telemetry.instrument(client)
        await client.settings(server.address)
    assert telemetry.span.name == "POST"
    attributes = attributes_of(telemetry)
    assert attributes["poe.operation"] == "settings"
    assert "gen_ai.operation.name" not in attributes
    assert "poe.reply.events" not in attributes
    assert telemetry.counts("gen_ai.client.operation.duration") == []
    [(measured, count)] = telemetry.counts("http.client.request.duration")
    assert (measured["poe.operation"], measured["http.response.status_code"], count) == ("settings", 200, 1)


async def test_retries_are_within_the_span(telemetry: Telemetry) -> None:
    async def refusing(peer: Peer) -> None:
        await peer.answer(response(503))
        await peer.answer(HELLO)

    policy = RetryPolicy(delay=0.001)
    async with scripted(refusing) as server, Client(access_key=KEY, retry=policy) as client:
        telemetry.instrument(client)
        assert await client.query(server.address, "hello").text() == "hello"
    assert attributes_of(telemetry)["http.request.resend_count"] == 1
    assert [request.all("traceparent") for request in server.requests] == [[traceparent_of(telemetry.span)]] * 2


async def test_a_bot_by_its_name(telemetry: Telemetry) -> None:
    async with (
        scripted(answering(HELLO)) as server,
        Client(KEY, endpoints=Endpoints.at(server.address)) as client,
    ):
        telemetry.instrument(client)
        await client.query("Cat", "hello").text()
    assert telemetry.span.name == "chat Cat"
    assert attributes_of(telemetry)["gen_ai.request.model"] == "Cat"
    [(measured, _)] = telemetry.counts("gen_ai.client.operation.time_to_first_chunk")
    assert measured["gen_ai.request.model"] == "Cat"


# --- how it ends


async def never_answer(peer: Peer) -> None:
    await peer.read_request()
    await peer.until_left()


@pytest.mark.parametrize(
    ("script", "outcome", "error_type"),
    [
        (answering(reply(Error(text="no"))), "error_event", "error_event"),
        (answering(reply(Error(error_type="user_caused_error"))), "error_event", "user_caused_error"),
        (answering(STREAM_HEAD + sent(Text("a")) + b"0\r\n\r\n"), "incomplete", "incomplete"),
        (answering(response(403, b"no")), "refused", "403"),
        (answering(response(200, b"no", "Content-Type: text/html")), "refused", "refused"),
        (answering(STREAM_HEAD + b"zz\r\n"), "invalid", "invalid"),
        (never_answer, "timeout", "timeout"),
    ],
)
async def test_how_a_call_fails(telemetry: Telemetry, script: Script, outcome: str, error_type: str) -> None:
    options: dict[str, Any] = {"retry": RetryPolicy(attempts=1)}
    if outcome == "timeout":
        options["timeouts"] = Timeouts(header=0.01)
    async with scripted(script) as server, Client(access_key=KEY, **options) as client:
        telemetry.instrument(client)
        with suppress(PoeprotoError):
            await client.query(server.address, "hello").text()
    attributes = attributes_of(telemetry)
    assert (attributes["poe.outcome"], attributes["error.type"]) == (outcome, error_type)
    assert telemetry.span.status.status_code is StatusCode.ERROR
    assert telemetry.span.status.description is None
    assert named_events(telemetry.span)[-1] == "poe.end"
    for name in ("http.client.request.duration", "gen_ai.client.operation.duration"):
        [(measured, count)] = telemetry.counts(name)
        assert (measured["error.type"], count) == (error_type, 1)


async def test_no_connection(telemetry: Telemetry) -> None:
    async with scripted(answering(HELLO)) as server:
        address = server.address
    async with Client(access_key=KEY, retry=RetryPolicy(attempts=1)) as client:
        telemetry.instrument(client)
        with pytest.raises(PoeprotoError):
            await client.query(address, "hello").text()
    assert attributes_of(telemetry)["error.type"] == "connect_failed"


async def test_a_reply_that_is_left(telemetry: Telemetry) -> None:
    async with scripted(starting) as server, Client(access_key=KEY) as client:
        telemetry.instrument(client)
        async with client.query(server.address, "hello") as answer:
            async for _ in answer:
                break
    assert attributes_of(telemetry)["error.type"] == "cancelled"
    assert attributes_of(telemetry)["poe.reply.events"] == 1


# --- chunks


async def test_the_time_of_each_chunk(telemetry: Telemetry) -> None:
    async def respond(request: QueryRequest, context: Context) -> AsyncIterator[str]:
        for word in "abcd":
            yield word
            assert read is not None
            await read.wait()

    read: anyio.Event | None = None
    async with serving(FunctionBot(respond), access_key=KEY) as url, Client(access_key=KEY) as client:
        telemetry.instrument(client, chunk_interval=1)
        for _ in range(2):
            read = anyio.Event()
            async for event in client.query(url, "hello"):
                if isinstance(event, Text):
                    before, read = read, anyio.Event()
                    before.set()
    [(attributes, count)] = telemetry.counts("gen_ai.client.operation.time_per_output_chunk")
    assert (attributes["gen_ai.operation.name"], attributes["gen_ai.provider.name"]) == ("chat", "poe")
    # Four texts and `done`, each by itself.
    assert count == 8
    [(_, count)] = telemetry.counts("gen_ai.client.operation.time_to_first_chunk")
    assert count == 2


def test_a_sample_of_the_chunks(telemetry: Telemetry) -> None:
    measured: list[float] = []

    class Recorder:
        def record(self, value: float, attributes: object) -> None:
            measured.append(value)

    instruments = Instruments(telemetry.meter_provider.get_meter("test"))
    instruments.time_per_output_chunk = Recorder()  # type: ignore[assignment]
    spans = ClientSpans(telemetry.tracer_provider.get_tracer("test"), instruments, 4)
    # 1, 2, 3 ... are the intervals, counted from one reply to the next.
    intervals = iter(range(1, 100))
    for number in (0, 1, 3, 2, 1, 8, 5):
        lengths = [next(intervals) for _ in range(number - 1)]
        spans._measure_chunks(list(accumulate(lengths, initial=0))[:number], {})
    assert measured == [1, 5, 9, 13]


# --- hooks, uninstrument


async def test_uninstrument(telemetry: Telemetry) -> None:
    ended: list[str] = []
    hooks = CallHooks(on_end=lambda seen: ended.append(str(seen.outcome)))
    async with scripted(answering(HELLO)) as server, Client(access_key=KEY) as client:
        telemetry.instrument(client)
        telemetry.instrument(client)
        client.add_hooks(hooks)
        await client.query(server.address, "hello").text()
        uninstrument(client)
        await client.query(server.address, "hello").text()
        client.remove_hooks(hooks)
        await client.query(server.address, "hello").text()
    assert len(telemetry.spans) == 1
    assert len(ended) == 2
    assert [len(request.all("traceparent")) for request in server.requests] == [1, 0, 0]


async def test_a_propagator_that_fails(
    telemetry: Telemetry, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def inject(*arguments: object) -> None:
        raise RuntimeError("no")

    monkeypatch.setattr(propagate, "inject", inject)
    async with scripted(answering(HELLO)) as server, Client(access_key=KEY) as client:
        telemetry.instrument(client)
        assert await client.query(server.address, "hello").text() == "hello"
    assert "the propagator failed, and the trace ends here" in caplog.text
    assert len(telemetry.spans) == 1


# --- token usage


async def test_token_usage_is_recorded_as_reported(telemetry: Telemetry) -> None:
    async def respond(request: QueryRequest, context: Context) -> AsyncIterator[str]:
        yield "hello"
        record_token_usage(
            input_tokens=12,
            output_tokens=3,
            model="gpt-9",
            provider="openai",
            meter_provider=telemetry.meter_provider,
        )
        record_token_usage(output_tokens=4, meter_provider=telemetry.meter_provider)

    app = BotApp(FunctionBot(respond), access_key=KEY)
    telemetry.instrument(app)
    async with serving(app) as url, Client(access_key=KEY) as client:
        await client.query(url, "hello").text()
        await telemetry.until_ended(1)
    attributes = attributes_of(telemetry)
    assert (attributes["gen_ai.usage.input_tokens"], attributes["gen_ai.usage.output_tokens"]) == (12, 4)
    points = telemetry.points("gen_ai.client.token.usage")
    found = {
        (point.attributes["gen_ai.provider.name"], point.attributes["gen_ai.token.type"]): point for point in points
    }
    assert {key: point.sum for key, point in found.items()} == {
        ("openai", "input"): 12,
        ("openai", "output"): 3,
        ("poe", "output"): 4,
    }
    assert found["openai", "input"].attributes["gen_ai.request.model"] == "gpt-9"


# --- fastapi_poe's names


async def test_a_call_under_the_names_of_fastapi_poe_continues_the_trace_of_its_request(telemetry: Telemetry) -> None:
    async with scripted(answering(HELLO)) as poe:

        class Relay(poeproto_compat.PoeBot):
            async def get_response(
                self, request: poeproto_compat.QueryRequest
            ) -> AsyncIterator[poeproto_compat.PartialResponse]:
                async for message in stream_request(request, "Cat", base_url=poe.address):
                    yield message

        app = poeproto_compat.make_app(Relay(), KEY)
        telemetry.instrument(app)
        telemetry.instrument(program_calls)
        try:
            async with serving(app) as url, Client(access_key=KEY) as client:
                assert await client.query(url, "hello").text() == "hello"
                await telemetry.until_ended(2)
            messages = [poeproto_compat.ProtocolMessage(role="user", content="hello")]
            async for _ in get_bot_response(messages, "Dog", KEY, base_url=poe.address):
                pass
        finally:
            uninstrument(program_calls)
    call, request, alone = telemetry.spans
    assert [span.name for span in telemetry.spans] == ["chat Cat", "POST /", "chat Dog"]
    assert (parent_id(call), parent_id(alone)) == (id_of(request), None)
    sent_headers = [request.all("traceparent") for request in poe.requests]
    assert sent_headers == [[traceparent_of(call)], [traceparent_of(alone)]]
