"""OpenAI's SDKs against the gateway: each vector, by each SDK, API and way to call."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Generator, Iterator, Mapping
from typing import Any

import anyio
import attrs
import openai
import pytest
from anyio.from_thread import BlockingPortal, start_blocking_portal

from poeproto import Limits, QueryRequest, encode_request

from ...support.bots import KEY
from . import node_sdk
from .outcomes import Outcome
from .peers import KEEPALIVE_SECONDS, Gateway, bots_of, serving_gateway, serving_upstream
from .python_sdk import MODES, Api, Mode, call, call_async
from .vectors import USER, VECTORS, Silence, Vector

pytestmark = pytest.mark.slow

LIMITS = Limits(events=100_000)
# For the bots that are silent. The head goes out with the first keepalive, so an error in time needs a long interval.
SHORT_INTERVAL = Limits(heartbeat_seconds=KEEPALIVE_SECONDS)

NOWHERE = "http://unused.test/v1"
CALLS_AT_ONCE = 8

# The outcome that an SDK reports for each vector, by its name and the API.
Outcomes = dict[tuple[str, str], dict[Mode, dict[str, Any]]]

CASES: list[tuple[Vector, Api]] = [(vector, api) for vector in VECTORS for api in vector.apis]
every_case = pytest.mark.parametrize(("vector", "api"), CASES, ids=[f"{vector.name}-{api}" for vector, api in CASES])


def options_of(vector: Vector) -> dict[str, Any]:
    """The options of the vector's gateway."""
    is_silent = any(isinstance(step, Silence) for step in vector.steps)
    return {"limits": SHORT_INTERVAL if is_silent else LIMITS, **vector.options}


@pytest.fixture(scope="module")
def gateway_of() -> Generator[Callable[[Vector], Gateway]]:
    """The gateway that has the vector's bot: one for each set of options."""
    served: dict[str, Gateway] = {}
    with contextlib.ExitStack() as stack:
        portal: BlockingPortal = stack.enter_context(start_blocking_portal("asyncio"))
        upstream = stack.enter_context(serving_upstream(VECTORS))

        def find(vector: Vector) -> Gateway:
            options = options_of(vector)
            key = repr(options)
            if key not in served:
                bots = bots_of([each for each in VECTORS if options_of(each) == options], upstream.address)
                served[key] = stack.enter_context(serving_gateway(portal, bots, **options))
            return served[key]

        yield find


@pytest.fixture(scope="module")
def async_outcomes(gateway_of: Callable[[Vector], Gateway]) -> Outcomes:
    """The outcomes of all cases with the asynchronous client of openai-python. Several calls share one client."""
    addresses = {vector.name: gateway_of(vector).address for vector in VECTORS}
    found: Outcomes = {}

    async def call_each(client: openai.AsyncOpenAI, cases: Iterator[tuple[Vector, Api]]) -> None:
        for vector, api in cases:
            there = client.with_options(base_url=addresses[vector.name])
            body = body_of(vector, api)
            found[vector.name, api] = {mode: (await call_async(there, api, mode, body)).shown() for mode in MODES}

    async def call_all() -> None:
        cases = iter(CASES)
        client = openai.AsyncOpenAI(base_url=NOWHERE, api_key=KEY, max_retries=0)
        async with client, anyio.create_task_group() as tasks:
            for _ in range(CALLS_AT_ONCE):
                tasks.start_soon(call_each, client, cases)

    anyio.run(call_all)
    return found


@pytest.fixture(scope="module")
def node_outcomes(gateway_of: Callable[[Vector], Gateway]) -> Outcomes:
    """The outcomes of the Node SDK, by vector and API."""
    node_sdk.require_node_sdk()
    calls: list[tuple[Vector, Api, Mode]] = [(vector, api, mode) for vector, api in CASES for mode in MODES]
    tasks = [
        {
            "address": gateway_of(vector).address,
            "name": vector.name,
            "api": api,
            "mode": mode,
            "body": body_of(vector, api),
        }
        for vector, api, mode in calls
    ]
    found: Outcomes = {}
    for (vector, api, mode), outcome in zip(calls, node_sdk.call_all(KEY, tasks, maxRetries=0), strict=True):
        found.setdefault((vector.name, api), {})[mode] = outcome.shown()
    return found


@pytest.fixture(scope="module")
def client() -> Generator[openai.OpenAI]:
    with openai.OpenAI(base_url=NOWHERE, api_key=KEY, max_retries=0) as client:
        yield client


def body_of(vector: Vector, api: Api) -> dict[str, Any]:
    """The body of the vector's request."""
    body = {"model": vector.name, "messages": USER, **vector.body}
    return body if api == "chat" else as_response_body(body)


def as_response_body(body: dict[str, Any]) -> dict[str, Any]:
    """The body of a chat completion in the words of a response."""
    items: list[dict[str, Any]] = []
    for message in body.pop("messages"):
        items += as_items(message)
    if "tools" in body:
        body["tools"] = [{"type": "function", **tool["function"]} for tool in body["tools"]]
    return {**body, "input": items}


def as_items(message: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The items of one message."""
    content = message["content"]
    if message["role"] == "tool":
        return [{"type": "function_call_output", "call_id": message["tool_call_id"], "output": content}]
    if isinstance(content, list):
        content = [as_part(part) for part in content]
    items = [] if content is None else [{"type": "message", "role": message["role"], "content": content}]
    for each in message.get("tool_calls", ()):
        items.append({"type": "function_call", "call_id": each["id"], **each["function"]})
    return items


def as_part(part: Mapping[str, Any]) -> dict[str, Any]:
    """One part of a content."""
    if part["type"] == "image_url":
        return {"type": "input_image", "detail": "auto", "image_url": part["image_url"]["url"]}
    if part["type"] == "file":
        return {"type": "input_file", **part["file"]}
    return {"type": "input_text", "text": part["text"]}


def expected(vector: Vector, api: Api, mode: Mode) -> Outcome:
    """The outcome that the SDK must report."""
    outcome = vector.whole if mode == "create" or vector.streamed is None else vector.streamed
    if api == "responses":
        finish = {"stop": "completed", "tool_calls": "completed", "length": "max_output_tokens"}
        outcome = attrs.evolve(outcome, finish=finish.get(outcome.finish or "", outcome.finish))
        if mode != "create" and outcome.error is not None and outcome.status is None:
            outcome = attrs.evolve(outcome, finish="failed")  # the event before the error
    return outcome


def assert_received(vector: Vector, queries: list[QueryRequest]) -> None:
    """The bot received the expected request."""
    assert queries
    for query in queries:
        assert_includes(json.loads(encode_request(query)), vector.received, vector.name)


def assert_includes(value: Any, part: Any, path: str) -> None:
    """Each key of the part has the value that it has in the part."""
    if isinstance(part, Mapping):
        for key in part:
            assert_includes(value[key], part[key], f"{path}.{key}")
    elif isinstance(part, list):
        assert len(value) == len(part), path
        for number, each in enumerate(part):
            assert_includes(value[number], each, f"{path}[{number}]")
    else:
        assert value == part, path


# The exceptions that the helpers of openai-python raise for answers that are cut short.
SHORT = {"length": "LengthFinishReasonError", "content_filter": "ContentFilterFinishReasonError"}


def expected_of_python(vector: Vector, api: Api, mode: Mode) -> Outcome:
    """The outcome that openai-python must report."""
    outcome = expected(vector, api, mode)
    if api == "chat" and mode == "helper" and outcome.finish in SHORT:
        return attrs.evolve(outcome, error=SHORT[outcome.finish])
    return outcome


@every_case
def test_python(vector: Vector, api: Api, gateway_of: Callable[[Vector], Gateway], client: openai.OpenAI) -> None:
    gateway = gateway_of(vector)
    there = client.with_options(base_url=gateway.address)
    outcomes = {mode: call(there, api, mode, body_of(vector, api)).shown() for mode in MODES}
    assert outcomes == {mode: expected_of_python(vector, api, mode).shown() for mode in MODES}
    if vector.received:
        assert_received(vector, gateway.requests(vector.name))


@every_case
def test_python_async(vector: Vector, api: Api, async_outcomes: Outcomes) -> None:
    assert async_outcomes[vector.name, api] == {mode: expected_of_python(vector, api, mode).shown() for mode in MODES}


@every_case
def test_node(vector: Vector, api: Api, node_outcomes: Outcomes) -> None:
    assert node_outcomes[vector.name, api] == {mode: expected(vector, api, mode).shown() for mode in MODES}


def test_models(gateway_of: Callable[[Vector], Gateway], client: openai.OpenAI) -> None:
    gateway = gateway_of(VECTORS[0])
    there = client.with_options(base_url=gateway.address)
    assert [model.id for model in there.models.list()] == list(gateway.bots)
    assert there.models.retrieve("text").id == "text"


@pytest.mark.parametrize("api", ["chat", "responses"])
@pytest.mark.parametrize("mode", MODES)
def test_unknown_models_and_wrong_keys(
    api: Api, mode: Mode, gateway_of: Callable[[Vector], Gateway], client: openai.OpenAI
) -> None:
    there = client.with_options(base_url=gateway_of(VECTORS[0]).address)
    body = {**body_of(VECTORS[0], api), "model": "other"}
    unknown = Outcome(error="NotFoundError", status=404, code="model_not_found", param="model")
    assert call(there, api, mode, body).shown() == unknown.shown()
    wrong = call(there.with_options(api_key="x" * 32), api, mode, body_of(VECTORS[0], api))
    assert wrong.shown() == Outcome(error="AuthenticationError", status=401, code="invalid_api_key").shown()
