"""The tables, compared with the package of the conventions and with the exported metrics."""

from __future__ import annotations

import importlib
from collections.abc import AsyncIterator
from typing import Any

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.semconv.schemas import Schemas

from poeproto import Context, QueryRequest, RequestRefused
from poeproto_asgi import BotApp
from poeproto_h11 import Client
from poeproto_otel import ATTRIBUTES, METRICS, SPAN_EVENTS, Instrument, Metric, conventions, record_token_usage

from ...support.bots import KEY, FunctionBot
from ...support.embedded_servers import serving
from ...support.telemetry import Telemetry

# The modules of the package that have the names of stable conventions, and of those in development.
STABLE = (
    "opentelemetry.semconv.metrics.http_metrics",
    *(f"opentelemetry.semconv.attributes.{name}_attributes" for name in ("error", "http", "server", "url")),
)
IN_DEVELOPMENT = (
    "opentelemetry.semconv._incubating.metrics.gen_ai_metrics",
    "opentelemetry.semconv._incubating.attributes.gen_ai_attributes",
)


def names_in(modules: tuple[str, ...]) -> set[str]:
    return {
        value
        for module in map(importlib.import_module, modules)
        for name, value in vars(module).items()
        if name.isupper() and isinstance(value, str)
    }


def test_each_name_is_of_the_conventions_or_begins_with_poe() -> None:
    stable, known = names_in(STABLE), names_in((*STABLE, *IN_DEVELOPMENT))
    for name in [*(metric.name for metric in METRICS), *ATTRIBUTES, *SPAN_EVENTS]:
        if name.startswith("poe."):
            assert name not in known
        else:
            assert name in (known if name.startswith("gen_ai.") else stable), name


def test_the_package_has_the_version() -> None:
    assert conventions.SCHEMA_URL in {schema.value for schema in Schemas}


@pytest.mark.parametrize("metric", [each for each in METRICS if not each.name.startswith("poe.")], ids=lambda m: m.name)
def test_unit_and_kind_are_those_of_the_conventions(metric: Metric) -> None:
    # The package's functions make an instrument each; those of HTTP stand in the module of those in development, too.
    area = "gen_ai" if metric.name.startswith("gen_ai.") else "http"
    module = importlib.import_module(f"opentelemetry.semconv._incubating.metrics.{area}_metrics")
    reader = InMemoryMetricReader()
    provider = MeterProvider([reader], shutdown_on_exit=False)
    instrument = getattr(module, f"create_{metric.name.replace('.', '_')}")(provider.get_meter("conventions"))
    assert (instrument.name, instrument.unit) == (metric.name, metric.unit)
    assert type(instrument).__name__.lower().endswith(metric.instrument)
    provider.shutdown()


def test_buckets_ascend_and_only_histograms_have_them() -> None:
    for metric in METRICS:
        assert bool(metric.buckets) == (metric.instrument is Instrument.HISTOGRAM)
        assert list(metric.buckets) == sorted(set(metric.buckets))
        assert set(metric.attributes) <= set(ATTRIBUTES)


def test_names_in_prometheus() -> None:
    assert {metric.name: metric.prometheus_name for metric in METRICS} | {
        "http.server.request.duration": "http_server_request_duration_seconds",
        "gen_ai.client.token.usage": "gen_ai_client_token_usage",
        "poe.server.events": "poe_server_events_total",
        "poe.server.active_replies": "poe_server_active_replies",
    } == {metric.name: metric.prometheus_name for metric in METRICS}


@pytest.mark.anyio
async def test_exported_metrics_are_those_of_the_table(telemetry: Telemetry) -> None:
    async def respond(request: QueryRequest, context: Context) -> AsyncIterator[str]:
        for _ in range(3):
            yield "a"
        record_token_usage(input_tokens=1, output_tokens=2, model="m", meter_provider=telemetry.meter_provider)

    app = BotApp(FunctionBot(respond), access_key=KEY)
    telemetry.instrument(app)
    async with serving(app) as url, Client(access_key=KEY) as client:
        telemetry.instrument(client, chunk_interval=1)
        await client.query(url, "hello").text()
        with pytest.raises(RequestRefused):
            await client.query(url, "hello", access_key="wrong" * 8).text()
        await telemetry.until_ended(4)
    exported = telemetry.metrics()
    for metric in METRICS:
        if metric.name not in ("poe.server.disconnects", "gen_ai.client.operation.time_per_output_chunk"):
            assert metric.name in exported
    for name, found in exported.items():
        metric = next(each for each in METRICS if each.name == name)
        assert (found.unit, found.description) == (metric.unit, metric.description)
        for point in found.data.data_points:
            assert set(point.attributes) <= set(metric.attributes), name
            if metric.buckets:
                assert tuple(point.explicit_bounds) == metric.buckets
            else:
                assert found.data.is_monotonic == (metric.instrument is Instrument.COUNTER)
    attributes: set[Any] = {name for span in telemetry.spans for name in span.attributes or {}}
    assert attributes <= set(ATTRIBUTES)
    assert {event.name for span in telemetry.spans for event in span.events} == set(SPAN_EVENTS)
