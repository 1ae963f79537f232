"""No key is in a log, in a response or in an exception of an SDK's: not the caller's, nor those of the gateway."""

from __future__ import annotations

import logging

import openai
import pytest
from anyio.from_thread import start_blocking_portal

from poeproto import Error, Text
from poeproto_openai import UpstreamBot
from poeproto_openai.gateway.models import GatewayBot

from ...support.canary import CANARY, assert_hidden
from .outcomes import Outcome
from .peers import ScriptedBot, serving_gateway, serving_upstream
from .python_sdk import MODES, Api, call
from .vectors import USER, Cut, Fail, Refuse, Vector

pytestmark = pytest.mark.slow

# A header has room for no quotation mark.
KEY = CANARY.replace('"', "'")
VECTORS = [
    Vector(name="answers", steps=(Text("a"),), whole=Outcome()),
    Vector(name="fails", steps=(Text("a"), Fail()), whole=Outcome()),
    Vector(name="errs", steps=(Error(text="No."),), whole=Outcome()),
]
UPSTREAM = [
    Vector(name="cuts", steps=(Text("a"), Cut()), whole=Outcome()),
    Vector(name="refuses", steps=(Refuse(401),), whole=Outcome()),
    Vector(name="overloaded", steps=(Refuse(503),), whole=Outcome()),
]


def bots_at(upstream: str) -> dict[str, GatewayBot]:
    """Bots in this process, and bots behind servers that fail in one way each."""
    own: dict[str, GatewayBot] = {vector.name: ScriptedBot(vector) for vector in VECTORS}
    called = {each.name: UpstreamBot(f"{upstream}/{each.name}", KEY) for each in UPSTREAM}
    return {**own, **called, "nowhere": UpstreamBot("http://127.0.0.1:1/", KEY)}


@pytest.mark.parametrize("api", ["chat", "responses"])
def test_no_key_is_logged(api: Api, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "poeproto")
    with (
        serving_upstream(UPSTREAM) as upstream,
        start_blocking_portal("asyncio") as portal,
        serving_gateway(portal, bots_at(upstream.address), api_keys=KEY) as gateway,
        openai.OpenAI(base_url=gateway.address, api_key=KEY, max_retries=0) as client,
    ):
        for name in gateway.bots:
            for mode in MODES:
                outcome = call(client, api, mode, {"model": name, ("messages" if api == "chat" else "input"): USER})
                assert (outcome.error is None) == (name == "answers")
        with pytest.raises(openai.NotFoundError) as unknown:
            client.models.retrieve("other")
        with pytest.raises(openai.AuthenticationError) as wrong:
            client.with_options(api_key=f"{KEY}x").models.list()
    assert any(record.levelno >= logging.WARNING for record in caplog.records)
    # The SDK's own logs are not checked.
    caplog.handler.records[:] = [record for record in caplog.records if record.name.startswith("poeproto")]
    assert_hidden(*[logging.Formatter().format(record) for record in caplog.records])
    assert_hidden(*[shown for record in caplog.records for shown in (record.args, vars(record))])
    assert_hidden(wrong.value.message, wrong.value.body, unknown.value.message, unknown.value.body)
