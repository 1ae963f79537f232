"""The example that observes calls, served over loopback."""

from __future__ import annotations

import json

import pytest

from poeproto import Text
from poeproto_h11 import Client
from poeproto_simulator import Canned, Simulator

from ..support.bots import KEY
from ..support.example_stage import load_example
from ..support.hypercorn_servers import serving

pytestmark = pytest.mark.anyio

TRACE = "0af7651916cd43dd8448eb211c80319c"


async def test_calls_are_logged_and_continue_the_trace(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "example.calls")
    monkeypatch.setenv("BOT_KEY", KEY)
    poe = Simulator()
    poe.register("GPT-4o-Mini", Canned([Text("A tide is"), Text(" water.")]))
    async with poe.serving() as address:
        monkeypatch.setenv("POE_ENDPOINT", address)
        async with serving(load_example("observing_calls").app) as url, Client(access_key=KEY) as client:
            headers = {"traceparent": f"00-{TRACE}-b7ad6b7169203331-01"}
            assert await client.query(url, "What is a tide?", headers=headers).text() == "A tide is water."
    [record] = [record for record in caplog.records if record.name == "example.calls"]
    line = json.loads(record.getMessage())
    assert len(line.pop("span")) == 16
    assert 0 <= line.pop("milliseconds_to_first_event") <= line.pop("milliseconds")
    assert line == {
        "trace": TRACE,
        "operation": "query",
        "bot": "GPT-4o-Mini",
        "outcome": "complete",
        "error_type": None,
        "exception": None,
        "attempts": 1,
        "events": 2,
    }
