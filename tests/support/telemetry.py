"""OpenTelemetry's SDK in memory: what was recorded, in a form that tests compare."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import anyio.lowlevel
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from poeproto_otel import instrument


class Telemetry:
    """Providers of a tracer and a meter, and their records."""

    def __init__(self) -> None:
        self._exporter = InMemorySpanExporter()
        self._reader = InMemoryMetricReader()
        self.tracer_provider = TracerProvider(shutdown_on_exit=False)
        self.tracer_provider.add_span_processor(SimpleSpanProcessor(self._exporter))
        self.meter_provider = MeterProvider([self._reader], shutdown_on_exit=False)

    @property
    def providers(self) -> dict[str, Any]:
        """The keyword arguments for `instrument`."""
        return {"tracer_provider": self.tracer_provider, "meter_provider": self.meter_provider}

    def instrument(self, target: Any, **options: Any) -> None:
        """Instrument an application or a client with these providers."""
        instrument(target, **self.providers, **options)

    @property
    def spans(self) -> tuple[ReadableSpan, ...]:
        """The spans that have ended, in this order."""
        return self._exporter.get_finished_spans()

    @property
    def span(self) -> ReadableSpan:
        """The only span."""
        [span] = self.spans
        return span

    async def until_ended(self, count: int) -> None:
        """Return once `count` spans have ended: a server's span ends a moment after its client has the response."""
        while len(self.spans) < count:
            await anyio.lowlevel.checkpoint()

    def metrics(self) -> dict[str, Any]:
        """The metrics by name, as the SDK exports them."""
        data = self._reader.get_metrics_data()
        if data is None:
            return {}
        scopes = [scope for resource in data.resource_metrics for scope in resource.scope_metrics]
        return {metric.name: metric for scope in scopes for metric in scope.metrics}

    def points(self, name: str) -> list[Any]:
        """The points of a metric; none if it was not measured."""
        metric = self.metrics().get(name)
        return [] if metric is None else list(metric.data.data_points)

    def values(self, name: str) -> list[tuple[Mapping[str, Any], float]]:
        """The attributes and the value of each point of a counter."""
        return [(dict(point.attributes), point.value) for point in self.points(name)]

    def counts(self, name: str) -> list[tuple[Mapping[str, Any], int]]:
        """The attributes and the number of measurements of each point of a histogram."""
        return [(dict(point.attributes), point.count) for point in self.points(name)]

    def shutdown(self) -> None:
        """Release the providers."""
        self.tracer_provider.shutdown()
        self.meter_provider.shutdown()


def named_events(span: ReadableSpan) -> list[str]:
    """The names of a span's events."""
    return [event.name for event in span.events]


def parent_id(span: ReadableSpan) -> int | None:
    """The id of a span's parent."""
    return None if span.parent is None else span.parent.span_id


def id_of(span: ReadableSpan) -> int:
    """The id of a span."""
    context = span.get_span_context()
    assert context is not None
    return context.span_id


def trace_of(span: ReadableSpan) -> str:
    """The id of a span's trace, as a `traceparent` has it."""
    context = span.get_span_context()
    assert context is not None
    return f"{context.trace_id:032x}"


def traceparent_of(span: ReadableSpan) -> str:
    """The header with which the span is the parent of another."""
    context = span.get_span_context()
    assert context is not None
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"
