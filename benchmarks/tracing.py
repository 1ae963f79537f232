"""Suite: what spans and metrics cost a request, beside OpenTelemetry's own instrumentation of ASGI applications.

The applications are called in this process, without a server, so that nothing else is measured. The SDK records all
spans and measurements; its exporter drops the spans.

Most of the cost is that of the SDK. One application shows it: it makes the same span and the same measurements by hand,
with constants. What `poeproto_otel` costs beyond that is its own.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

from opentelemetry import context, trace
from opentelemetry.context import Context
from opentelemetry.instrumentation.asgi import OpenTelemetryMiddleware  # pyright: ignore[reportMissingTypeStubs]
from opentelemetry.metrics import NoOpMeterProvider
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.trace import SpanKind

from benchmarks.apps import LIMITS, Asgi, text_of
from benchmarks.measure import goal, in_turn, named, note, report
from benchmarks.sizes import Sizes
from poeproto import Bot, Message, QueryRequest, Text, encode_request
from poeproto import Context as BotContext
from poeproto_asgi import BotApp
from poeproto_otel import instrument

ROUNDS = 9
BARE = "poeproto, not instrumented"
SPANS = "poeproto_otel, spans"
BOTH = "poeproto_otel, spans and metrics"
BY_HAND = "the SDK alone, the same spans and metrics by hand"
ASGI_SPANS = "opentelemetry-instrumentation-asgi, spans"
ASGI_BOTH = "opentelemetry-instrumentation-asgi, spans and metrics"


class _DroppingExporter(SpanExporter):
    def export(self, spans: Any) -> SpanExportResult:
        return SpanExportResult.SUCCESS

    def shutdown(self) -> None:
        pass


class _CountingBot(Bot):
    """Sends as many events as its query says: all at once, or each after it has waited for the event loop."""

    async def get_response(self, request: QueryRequest, context: BotContext) -> AsyncIterator[Text]:
        manner, count = request.query[-1].content.split()
        for number in range(int(count)):
            if manner == "lone":
                await asyncio.sleep(0)
            yield Text(text_of(number))


def _app() -> BotApp:
    return BotApp(_CountingBot(), allow_without_key=True, limits=LIMITS, sync_settings=False)


def _instrumented_by_hand(app: Asgi, tracer_provider: TracerProvider, meter_provider: MeterProvider) -> Asgi:
    """An application with the same span and measurements for each request, of constants."""
    tracer, meter = tracer_provider.get_tracer("by hand"), meter_provider.get_meter("by hand")
    durations, first_events = (meter.create_histogram(name, "s") for name in ("duration", "time_to_first_event"))
    shared = {"http.request.method": "POST", "url.scheme": "http", "http.route": "/"}
    of_start = {**shared, "url.path": "/", "poe.bot": "CountingBot"}
    of_end = {"http.response.status_code": 200, "poe.request.type": "query", "poe.outcome": "complete"}
    of_end |= {"poe.reply.events": 1}
    of_metric = {**shared, "http.response.status_code": 200, "poe.request.type": "query"}
    of_route = {"http.route": "/"}

    async def traced(scope: Any, receive: Any, send: Any) -> None:
        span = tracer.start_span("POST /", Context(), SpanKind.SERVER, of_start)
        token = context.attach(trace.set_span_in_context(span, Context()))
        await app(scope, receive, send)
        first_events.record(0.01, of_route)
        durations.record(0.01, of_metric)
        span.add_event("poe.first_event")
        span.set_attributes(of_end)
        span.add_event("poe.end")
        span.end()
        context.detach(token)

    return traced


def main(sizes: Sizes) -> None:
    tracer_provider = TracerProvider(shutdown_on_exit=False)
    tracer_provider.add_span_processor(BatchSpanProcessor(_DroppingExporter(), max_queue_size=1 << 20))
    meter_provider = MeterProvider([InMemoryMetricReader()], shutdown_on_exit=False)
    no_metrics = NoOpMeterProvider()
    apps: dict[str, Asgi] = {BARE: _app()}
    for name, asgi_name, meters in ((SPANS, ASGI_SPANS, no_metrics), (BOTH, ASGI_BOTH, meter_provider)):
        providers: dict[str, Any] = {"tracer_provider": tracer_provider, "meter_provider": meters}
        app = _app()
        instrument(app, **providers)
        apps[name] = app
        apps[asgi_name] = OpenTelemetryMiddleware(_app(), **providers)
    apps[BY_HAND] = _instrumented_by_hand(_app(), tracer_provider, meter_provider)
    requests = sizes.visits
    figures = in_turn({name: _case(app, "burst 1", requests, requests) for name, app in apps.items()}, ROUNDS)
    report("a request with one event, CPU", figures, "µs", 1e6)
    for name in (SPANS, BOTH, BY_HAND, ASGI_SPANS, ASGI_BOTH):
        added = (named(figures, name).seconds - named(figures, BARE).seconds) * 1e6
        note(f"{name} adds {added:.1f} µs to a request.")
    own = (named(figures, BOTH).seconds - named(figures, BY_HAND).seconds) * 1e6
    note(f"Of what poeproto_otel adds, {own:.1f} µs are its own and not the SDK's; at most 40 are wanted.")
    # The first reply of a round is slower, since asyncio.run has just begun: a short one has others after it.
    for manner, title, replies in (("burst", "an event of a burst", 4), ("lone", "an event that is sent alone", 1)):
        events = sizes.client
        cases = {name: _case(app, f"{manner} {events}", replies, replies * events) for name, app in apps.items()}
        figures = in_turn(cases, ROUNDS)
        report(f"{title}, of {events:,}, CPU", figures, "µs", 1e6, rate="events a second")
        goal(f"tracing, {title}", named(figures, BOTH), named(figures, BARE), at_most=1.05)
    tracer_provider.shutdown()
    meter_provider.shutdown()


def _case(app: Asgi, wish: str, requests: int, operations: int) -> Callable[[], float]:
    """A case: CPU seconds an operation, of so many in these requests."""
    body = encode_request(QueryRequest([Message("user", wish)]))
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": "/",
        "raw_path": b"/",
        "query_string": b"",
        "root_path": "",
        "headers": [(b"host", b"localhost:8080"), (b"content-type", b"application/json")],
        "client": ("127.0.0.1", 50_000),
        "server": ("127.0.0.1", 8080),
    }

    async def ask() -> None:
        messages = [{"type": "http.request", "body": body, "more_body": False}]
        disconnected = asyncio.get_running_loop().create_future()

        async def receive() -> Any:
            return messages.pop() if messages else await disconnected

        async def send(message: Any) -> None:
            pass

        await app(dict(scope), receive, send)
        disconnected.cancel()

    async def ask_all() -> float:
        start = time.process_time()
        for _ in range(requests):
            await ask()
        return (time.process_time() - start) / operations

    return lambda: asyncio.run(ask_all())
