"""The span and the metrics of a request that a server answers."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import anyio
import pytest
from opentelemetry import trace
from opentelemetry.trace import SpanKind, StatusCode

from poeproto import (
    BotError,
    Context,
    Endpoints,
    Error,
    QueryRequest,
    RequestHead,
    SettingsRequest,
    SettingsResponse,
    Text,
)
from poeproto_asgi import BotApp
from poeproto_h11 import Client
from poeproto_otel import instrument, uninstrument
from poeproto_runtime import BotService, Hooks, Observation, Outcome, Route

from ...support import embedded_servers, hypercorn_servers
from ...support.bots import BEARER, KEY, FunctionBot, Respond
from ...support.memory_channel import MemoryChannel
from ...support.telemetry import Telemetry, id_of, named_events, parent_id, trace_of

pytestmark = pytest.mark.anyio

TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = "b7ad6b7169203331"
TRACEPARENT = f"00-{TRACE}-{PARENT}-01"

Serving = Callable[[BotApp], AbstractAsyncContextManager[str]]


@pytest.fixture(params=["hypercorn", "h11"])
def serving(request: pytest.FixtureRequest) -> Serving:
    """A server of either kind."""
    return hypercorn_servers.serving if request.param == "hypercorn" else embedded_servers.serving


async def two_words(request: QueryRequest, context: Context) -> AsyncIterator[str]:
    yield "hello"
    await anyio.lowlevel.checkpoint()
    yield " world"


def app_of(respond: Respond = two_words, **options: Any) -> BotApp:
    return BotApp(FunctionBot(respond), access_key=KEY, **options)


async def answer(
    service: BotService, channel: MemoryChannel | None = None, head: RequestHead | None = None, path: str = "/"
) -> MemoryChannel:
    channel = channel or MemoryChannel()
    head = head or RequestHead("POST", path, [("authorization", BEARER)])
    await service.handle(head, head.path, channel)
    return channel


# --- one span


@pytest.mark.parametrize("count", [1, 1000, 10_000])
async def test_a_request_is_one_span_however_many_events_it_has(
    serving: Serving, telemetry: Telemetry, count: int
) -> None:
    async def respond(request: QueryRequest, context: Context) -> AsyncIterator[str]:
        for number in range(count):
            yield "a"
            if number % 100 == 0:
                await anyio.lowlevel.checkpoint()

    app = app_of(respond)
    telemetry.instrument(app)
    async with serving(app) as url, Client(access_key=KEY) as client:
        assert await client.query(url, "hello").text() == "a" * count
        await telemetry.until_ended(1)
    span = telemetry.span
    assert (span.name, span.kind, span.parent) == ("POST /", SpanKind.SERVER, None)
    assert named_events(span) == ["poe.first_event", "poe.end"]
    assert span.status.status_code is StatusCode.UNSET
    assert dict(span.attributes or {}) == {
        "http.request.method": "POST",
        "url.scheme": "http",
        "http.route": "/",
        "url.path": "/",
        "poe.bot": "FunctionBot",
        "http.response.status_code": 200,
        "poe.request.type": "query",
        "poe.outcome": "complete",
        "poe.reply.events": count,
    }
    assert telemetry.values("poe.server.events") == [({"http.route": "/"}, count)]
    assert telemetry.values("poe.server.active_replies") == [({}, 0)]


async def test_the_parent_is_that_of_the_request_and_never_an_ambient_span(
    serving: Serving, telemetry: Telemetry
) -> None:
    app = app_of()
    telemetry.instrument(app)
    decoy = telemetry.tracer_provider.get_tracer("decoy").start_span("decoy")
    with trace.use_span(decoy):
        async with serving(app) as url, Client(access_key=KEY) as client:
            await client.query(url, "hello").text()
            await client.query(url, "hello", headers={"traceparent": TRACEPARENT}).text()
            await telemetry.until_ended(2)
    alone, continued = telemetry.spans
    assert alone.parent is None
    assert trace_of(alone) != f"{decoy.get_span_context().trace_id:032x}"
    assert (trace_of(continued), parent_id(continued)) == (TRACE, int(PARENT, 16))


async def test_the_span_is_current_in_the_bot_only(serving: Serving, telemetry: Telemetry) -> None:
    seen: list[int] = []

    def note() -> None:
        seen.append(trace.get_current_span().get_span_context().span_id)

    async def task() -> None:
        await anyio.lowlevel.checkpoint()
        note()

    async def respond(request: QueryRequest, context: Context) -> AsyncIterator[str]:
        context.on_close(task)
        note()
        yield "a"
        await anyio.sleep(0.001)
        note()
        yield "b"
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(task)
        yield "c"

    app = app_of(respond)
    telemetry.instrument(app)
    async with serving(app) as url, Client(access_key=KEY) as client:
        await client.query(url, "hello").text()
        await telemetry.until_ended(1)
        await client.query(url, "hello").text()  # on the same connection, and so perhaps in the same task
        await telemetry.until_ended(2)
        assert trace.get_current_span() is trace.INVALID_SPAN
    first, second = telemetry.spans
    assert seen == [id_of(first)] * 4 + [id_of(second)] * 4


async def test_many_requests_at_once_do_not_share_a_span(serving: Serving, telemetry: Telemetry) -> None:
    async def respond(request: QueryRequest, context: Context) -> AsyncIterator[str]:
        for _ in range(5):
            await anyio.lowlevel.checkpoint()
            yield f"{trace.get_current_span().get_span_context().span_id:016x}\n"

    app = app_of(respond)
    telemetry.instrument(app)
    texts: list[str] = []
    async with serving(app) as url, Client(access_key=KEY) as client:

        async def query() -> None:
            texts.append(await client.query(url, "hello").text())

        async with anyio.create_task_group() as tasks:
            for _ in range(20):
                tasks.start_soon(query)
        await telemetry.until_ended(20)
    assert sorted({line for text in texts for line in text.split()}) == sorted(
        f"{id_of(span):016x}" for span in telemetry.spans
    )
    assert all(len(set(text.split())) == 1 for text in texts)
    assert len(telemetry.spans) == 20


# --- how it ends


async def error_event(request: QueryRequest, context: Context) -> AsyncIterator[Error]:
    yield Error(text="too long", error_type="user_message_too_long")


async def unknown_error_event(request: QueryRequest, context: Context) -> AsyncIterator[Error]:
    yield Error(text="no", error_type="a type that nobody knows")


async def failing(request: QueryRequest, context: Context) -> AsyncIterator[str]:
    yield "hello"
    raise RuntimeError("the database is away")


async def silent(request: QueryRequest, context: Context) -> AsyncIterator[str]:
    return
    yield


@pytest.mark.parametrize(
    ("respond", "outcome", "error_type", "events"),
    [
        (two_words, "complete", None, ["poe.first_event", "poe.end"]),
        (error_event, "error_event", "user_message_too_long", ["poe.end"]),
        (unknown_error_event, "error_event", "error_event", ["poe.end"]),
        (failing, "error_event", "error_event", ["poe.first_event", "poe.end"]),
        (silent, "error_event", "error_event", ["poe.end"]),
    ],
)
async def test_how_a_reply_ends(
    telemetry: Telemetry, respond: Respond, outcome: str, error_type: str | None, events: list[str]
) -> None:
    app = app_of(respond)
    telemetry.instrument(app)
    await answer(app.service)
    span = telemetry.span
    attributes = dict(span.attributes or {})
    assert (attributes["poe.outcome"], attributes.get("error.type")) == (outcome, error_type)
    assert span.status.status_code is (StatusCode.UNSET if error_type is None else StatusCode.ERROR)
    assert span.status.description is None
    assert named_events(span) == events
    assert ("poe.error_id" in attributes) == (respond in (failing, silent))
    [(measured, count)] = telemetry.counts("http.server.request.duration")
    assert (measured.get("error.type"), count) == (error_type, 1)
    assert measured["poe.request.type"] == "query"


async def test_a_disconnect(telemetry: Telemetry) -> None:
    channel = MemoryChannel()

    async def respond(request: QueryRequest, context: Context) -> AsyncIterator[str]:
        yield "hello"
        assert telemetry.values("poe.server.active_replies") == [({}, 1)]
        channel.gone.set()
        await anyio.sleep_forever()

    app = app_of(respond)
    telemetry.instrument(app)
    await answer(app.service, channel)
    span = telemetry.span
    attributes = dict(span.attributes or {})
    assert (attributes["poe.outcome"], attributes["error.type"]) == ("disconnected", "disconnected")
    assert span.status.status_code is StatusCode.ERROR
    assert named_events(span) == ["poe.first_event", "poe.end"]
    assert telemetry.values("poe.server.disconnects") == [({"http.route": "/"}, 1)]
    assert telemetry.values("poe.server.active_replies") == [({}, 0)]


async def test_a_cancellation(telemetry: Telemetry) -> None:
    async def respond(request: QueryRequest, context: Context) -> AsyncIterator[str]:
        yield "hello"
        scope.cancel()
        await anyio.sleep_forever()

    app = app_of(respond)
    telemetry.instrument(app)
    with anyio.CancelScope() as scope:
        await answer(app.service)
    span = telemetry.span
    assert (span.attributes or {})["error.type"] == "cancelled"
    assert span.status.status_code is StatusCode.ERROR
    assert trace.get_current_span() is trace.INVALID_SPAN


@pytest.mark.parametrize(
    ("head", "status", "name", "route"),
    [
        (RequestHead("POST", "/"), 401, "POST /", "/"),
        (RequestHead("GET", "/"), 200, "GET /", "/"),
        (RequestHead("POST", "/nothing/here"), 404, "POST", None),
        (RequestHead("BREW", "/"), 405, "HTTP /", "/"),
    ],
)
async def test_a_refusal(telemetry: Telemetry, head: RequestHead, status: int, name: str, route: str | None) -> None:
    app = app_of()
    telemetry.instrument(app)
    await answer(app.service, head=head)
    span = telemetry.span
    attributes = dict(span.attributes or {})
    assert span.name == name
    assert attributes["http.response.status_code"] == status
    assert attributes.get("http.route") == attributes.get("url.path") == route
    # By the conventions, a status of 4xx is not an error of the server.
    assert "error.type" not in attributes
    assert span.status.status_code is StatusCode.UNSET


async def test_a_failure_at_settings(telemetry: Telemetry) -> None:
    class Failing(FunctionBot):
        async def get_settings(self, request: SettingsRequest, context: Context) -> Any:
            raise RuntimeError("no settings")

    app = BotApp(Failing(two_words), access_key=KEY)
    telemetry.instrument(app)
    await answer(app.service, MemoryChannel(b'{"version":"1.2","type":"settings"}'))
    span = telemetry.span
    attributes = dict(span.attributes or {})
    assert (attributes["poe.request.type"], attributes["error.type"]) == ("settings", "500")
    assert span.status.status_code is StatusCode.ERROR
    assert "poe.reply.events" not in attributes


# --- hooks, scheme, uninstrument


async def test_hooks_of_the_application_stay_and_run_within_the_span_or_around_it(telemetry: Telemetry) -> None:
    ended: list[Observation] = []

    def failing_hook(seen: Observation) -> None:
        raise RuntimeError("a hook of the application")

    app = app_of(on_start=failing_hook, on_end=ended.append)
    telemetry.instrument(app)
    await answer(app.service)
    assert [seen.outcome for seen in ended] == [Outcome.COMPLETE]
    assert telemetry.span.name == "POST /"


async def test_the_scheme_of_the_request_before_a_proxy(telemetry: Telemetry) -> None:
    app = app_of()
    telemetry.instrument(app)
    await answer(
        app.service, head=RequestHead("POST", "/", [("authorization", BEARER), ("x-forwarded-proto", "https")])
    )
    assert (telemetry.span.attributes or {})["url.scheme"] == "https"


async def test_instrumenting_twice_makes_one_span(telemetry: Telemetry) -> None:
    app = app_of()
    telemetry.instrument(app)
    telemetry.instrument(app.service)
    await answer(app.service)
    assert len(telemetry.spans) == 1


async def test_uninstrument(telemetry: Telemetry) -> None:
    async def respond(request: QueryRequest, context: Context) -> AsyncIterator[str]:
        yield "hello"
        uninstrument(app)

    app = app_of(respond)
    before = app.service.outbound
    telemetry.instrument(app)
    await answer(app.service)
    assert len(telemetry.spans) == 1  # it had started, and so it ends
    await answer(app.service)
    assert len(telemetry.spans) == 1
    assert app.service.hooks == ()
    assert app.service.outbound == before
    uninstrument(app)
    telemetry.instrument(app)
    await answer(app.service)
    assert len(telemetry.spans) == 2


async def test_a_request_that_started_before_is_left_alone(
    telemetry: Telemetry, caplog: pytest.LogCaptureFixture
) -> None:
    async def respond(request: QueryRequest, context: Context) -> AsyncIterator[str]:
        telemetry.instrument(app)
        yield "hello"

    app = app_of(respond)
    await answer(app.service)
    assert telemetry.spans == ()
    assert "hook" not in caplog.text


async def test_an_application_without_calls_and_several_bots(telemetry: Telemetry) -> None:
    service = BotService(
        {"/a": Route(FunctionBot(two_words), access_key=KEY), "/b": Route(FunctionBot(two_words), access_key=KEY)}
    )
    assert service.outbound is None
    telemetry.instrument(service)
    await answer(service, path="/a")
    await answer(service, path="/b")
    assert [span.name for span in telemetry.spans] == ["POST /a", "POST /b"]
    assert sorted(attributes["http.route"] for attributes, _ in telemetry.values("poe.server.events")) == ["/a", "/b"]
    assert [count for _, count in telemetry.counts("poe.server.time_to_first_event")] == [1, 1]


@pytest.mark.parametrize("target", [FunctionBot(two_words), BotApp, "poeproto", None])
async def test_objects_that_cannot_be_instrumented(target: Any) -> None:
    with pytest.raises(TypeError, match="instrument takes an application such as BotApp, a BotService or a client"):
        instrument(target)
    with pytest.raises(TypeError, match="instrument takes"):
        uninstrument(target)


async def test_a_chunk_interval_that_measures_nothing() -> None:
    with pytest.raises(ValueError, match="chunk_interval is 0; it must be at least 1"):
        instrument(app_of(), chunk_interval=0)


# --- a bot that calls a bot


async def test_a_bot_that_calls_a_bot_gives_one_trace_of_four_spans(serving: Serving, telemetry: Telemetry) -> None:
    class Asking(FunctionBot):
        async def get_settings(self, request: SettingsRequest, context: Context) -> Any:

            return SettingsResponse(server_bot_dependencies={"Cat": 1})

    async def forwards(request: QueryRequest, context: Context) -> AsyncIterator[Any]:
        async for event in context.query_bot("Cat", request):
            yield event

    called = BotApp({"/bot/Cat": Route(FunctionBot(two_words), access_key=KEY)})
    telemetry.instrument(called)
    async with serving(called) as poe:
        app = BotApp(Asking(forwards), access_key=KEY, endpoints=Endpoints.at(poe))
        telemetry.instrument(app)
        async with serving(app) as url, Client(access_key=KEY) as client:
            telemetry.instrument(client)
            assert await client.query(url, "hello").text() == "hello world"
            await telemetry.until_ended(4)
    spans = {(span.kind, span.name): span for span in telemetry.spans}
    assert len(telemetry.spans) == 4
    chain = [
        spans[SpanKind.CLIENT, "chat"],
        spans[SpanKind.SERVER, "POST /"],
        spans[SpanKind.CLIENT, "chat Cat"],
        spans[SpanKind.SERVER, "POST /bot/Cat"],
    ]
    assert len({trace_of(span) for span in chain}) == 1
    assert [parent_id(span) for span in chain] == [None, *map(id_of, chain[:3])]


async def test_a_failed_call_of_a_bot_may_fail_the_bot(telemetry: Telemetry) -> None:
    async def respond(request: QueryRequest, context: Context) -> AsyncIterator[Text]:
        yield Text("a")
        raise BotError(Error(text="no money", error_type="insufficient_fund"))

    app = app_of(respond)
    telemetry.instrument(app)
    await answer(app.service)
    assert (telemetry.span.attributes or {})["error.type"] == "insufficient_fund"


async def test_hooks_may_be_added_to_a_service(telemetry: Telemetry) -> None:
    app, seen = app_of(), list[str]()
    hooks = Hooks(on_end=lambda observation: seen.append(str(observation.outcome)))
    app.service.add_hooks(hooks)
    await answer(app.service)
    app.service.remove_hooks(hooks)
    await answer(app.service)
    assert seen == ["complete"]
