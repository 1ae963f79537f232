"""How often the SDKs ask again by themselves: never after the bot has begun, and where nothing was done, as they do."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import openai
import pytest
from anyio.from_thread import start_blocking_portal

from poeproto import Error, Text

from ...support.bots import KEY
from . import node_sdk
from .outcomes import Outcome
from .peers import Gateway, Upstream, bots_of, serving_gateway, serving_upstream
from .python_sdk import MODES, Api, Mode, call
from .vectors import USER, Cut, Fail, Refuse, Step, Vector

pytestmark = pytest.mark.slow

SDK_ATTEMPTS = 3

# Less than the default delay of the SDKs.
SOON = "0.01"


def bot(name: str, *steps: Step) -> Vector:
    return Vector(name=name, steps=steps, whole=Outcome())


ONCE = [
    bot("error_late", Text("so far"), Error(text="No.")),
    bot("error_early", Error(text="No.")),
    bot("exception_late", Text("so far"), Fail()),
    bot("exception_early", Fail()),
    bot("cut_late", Text("so far"), Cut()),
    bot("cut_early", Text(""), Cut()),
    bot("refused_with_500", Refuse(500)),
    bot("refused_with_401", Refuse(401)),
]
AGAIN = [bot("refused_with_429", Refuse(429, SOON)), bot("refused_with_503", Refuse(503, SOON))]
APIS: list[Api] = ["chat", "responses"]


class Counted:
    """A gateway whose bots count their queries."""

    def __init__(self, gateway: Gateway, upstream: Upstream) -> None:
        self.address = gateway.address
        self._gateway = gateway
        self._upstream = upstream

    def calls(self, name: str) -> int:
        """How often this bot was asked."""
        if isinstance(self._gateway.bots[name], str):
            return self._upstream.calls.count(name)
        return len(self._gateway.requests(name))


@pytest.fixture(scope="module")
def counted() -> Generator[Counted]:
    vectors = [*ONCE, *AGAIN]
    with (
        serving_upstream(vectors) as upstream,
        start_blocking_portal("asyncio") as portal,
        serving_gateway(portal, bots_of(vectors, upstream.address)) as gateway,
    ):
        yield Counted(gateway, upstream)


@pytest.fixture(scope="module")
def client(counted: Counted) -> Generator[openai.OpenAI]:
    """A client with the SDK's defaults."""
    with openai.OpenAI(base_url=counted.address, api_key=KEY) as client:
        yield client


def body_of(vector: Vector, api: Api) -> dict[str, Any]:
    return {"model": vector.name, ("messages" if api == "chat" else "input"): USER}


every_api = pytest.mark.parametrize("api", APIS)
every_mode = pytest.mark.parametrize("mode", MODES)


@every_api
@every_mode
@pytest.mark.parametrize("vector", ONCE, ids=lambda vector: vector.name)
def test_python_does_not_retry_a_query_that_may_have_run(
    vector: Vector, api: Api, mode: Mode, counted: Counted, client: openai.OpenAI
) -> None:
    before = counted.calls(vector.name)
    outcome = call(client, api, mode, body_of(vector, api))
    assert outcome.error is not None
    assert counted.calls(vector.name) - before == 1


@every_api
@pytest.mark.parametrize("vector", AGAIN, ids=lambda vector: vector.name)
def test_python_retries_a_query_that_did_not_run(
    vector: Vector, api: Api, counted: Counted, client: openai.OpenAI
) -> None:
    before = counted.calls(vector.name)
    outcome = call(client, api, "stream", body_of(vector, api))
    assert outcome.error in ("RateLimitError", "InternalServerError")
    assert counted.calls(vector.name) - before == SDK_ATTEMPTS


def test_node_retries_as_often(counted: Counted) -> None:
    node_sdk.require_node_sdk()
    before = {vector.name: counted.calls(vector.name) for vector in [*ONCE, *AGAIN]}
    tasks = [
        {"address": counted.address, "name": vector.name, "api": api, "mode": mode, "body": body_of(vector, api)}
        for vector in [*ONCE, *AGAIN]
        for api in APIS
        for mode in MODES
    ]
    outcomes = node_sdk.call_all(KEY, tasks)
    assert all(outcome.error is not None for outcome in outcomes)
    made = {name: counted.calls(name) - count for name, count in before.items()}
    ways = len(APIS) * len(MODES)
    expected = {vector.name: ways for vector in ONCE} | {vector.name: ways * SDK_ATTEMPTS for vector in AGAIN}
    assert made == expected
