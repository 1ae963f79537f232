"""The instrumentor that `opentelemetry-instrument` finds, and a program that has none."""

from __future__ import annotations

import json
import subprocess
import sys
import sysconfig
from importlib.metadata import entry_points
from pathlib import Path

import pytest

from poeproto_asgi import BotApp
from poeproto_h11 import BlockingClient, Client
from poeproto_otel.instrumentor import PoeprotoInstrumentor

from ...support.bots import KEY
from ...support.embedded_servers import EchoBot, serving
from ...support.telemetry import Telemetry, parent_id, trace_of

PROGRAM = """
from collections.abc import AsyncIterator
import anyio
from poeproto import Bot
from poeproto_asgi import BotApp
from poeproto_h11 import Client, serve
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import ConsoleSpanExporter, SimpleSpanProcessor

class Echo(Bot):
    async def get_response(self, request, context):
        yield request.query[-1].content

async def main():
    async with anyio.create_task_group() as tasks:
        async def run(*, task_status):
            await serve(Echo(), bind="127.0.0.1:0", allow_without_key=True, task_status=task_status)
        url = await tasks.start(run)
        async with Client() as client:
            assert await client.query(url, "hello").text() == "hello"
        tasks.cancel_scope.cancel()

# The command sets the provider itself, if opentelemetry-distro is installed.
provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(ConsoleSpanExporter()))
trace.set_tracer_provider(provider)
anyio.run(main)
"""


@pytest.mark.anyio
async def test_everything_that_is_made_later_is_instrumented_until_that_is_undone(telemetry: Telemetry) -> None:
    instrumentor = PoeprotoInstrumentor()
    instrumentor.instrument(**telemetry.providers)
    try:
        app = BotApp(EchoBot(), access_key=KEY)
        async with serving(app) as url, Client(access_key=KEY) as client:
            await client.query(url, "hello").text()
            await telemetry.until_ended(2)
            server, call = sorted(telemetry.spans, key=lambda span: str(span.kind), reverse=True)
            assert trace_of(server) == trace_of(call)
            assert parent_id(server) is not None
            instrumentor.uninstrument()
            await client.query(url, "hello").text()
    finally:
        if instrumentor.is_instrumented_by_opentelemetry:
            instrumentor.uninstrument()
    with BlockingClient() as later:
        assert not later._calls._hooks
    assert len(telemetry.spans) == 2


def test_the_entry_point() -> None:
    [found] = [each for each in entry_points(group="opentelemetry_instrumentor") if each.name == "poeproto"]
    assert found.load() is PoeprotoInstrumentor


def test_the_command_instruments_a_program(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    command = Path(sysconfig.get_path("scripts")) / "opentelemetry-instrument"
    done = subprocess.run(
        [str(command), sys.executable, str(program)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    decoder, text, spans = json.JSONDecoder(), done.stdout, []
    while text := text.lstrip():
        span, end = decoder.raw_decode(text)
        spans.append(span)
        text = text[end:]
    assert sorted((span["kind"], span["name"]) for span in spans) == [
        ("SpanKind.CLIENT", "chat"),
        ("SpanKind.SERVER", "POST /"),
    ]
    assert len({span["context"]["trace_id"] for span in spans}) == 1


def test_without_instrumentation_nothing_of_it_is_imported() -> None:
    program = "import poeproto_asgi, poeproto_h11, sys; print([name for name in sys.modules if 'telemetry' in name])"
    output = subprocess.check_output([sys.executable, "-c", program], text=True, timeout=60)
    assert output == "[]\n"


def test_instrument_needs_the_api_only() -> None:
    program = """
import sys
for name in ("opentelemetry.sdk", "opentelemetry.instrumentation", "opentelemetry.semconv"):
    sys.modules[name] = None
from poeproto import Bot
from poeproto_asgi import BotApp
from poeproto_h11 import BlockingClient
from poeproto_otel import instrument
instrument(BotApp(Bot(), allow_without_key=True))
with BlockingClient() as client:
    instrument(client)
print("ok")
"""
    assert subprocess.check_output([sys.executable, "-c", program], text=True, timeout=60) == "ok\n"
