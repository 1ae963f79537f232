"""The control API under /simulator/, for tests in other processes."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from typing import Any

import pytest

from poeproto import Done, SettingsResponse, SuggestedReply, Text
from poeproto_simulator import Canned, Simulator

from ...support.bots import KEY, query_body
from ...support.raw_http import fetch, http_request
from ...support.scripted_asgi import body_messages, converse, http_scope

pytestmark = pytest.mark.anyio

JSON = "Content-Type: application/json"


@pytest.fixture
async def simulator() -> AsyncGenerator[Simulator]:
    simulator = Simulator()
    simulator.register("Cat", Canned("Meow", SettingsResponse(allow_attachments=True)), access_key=KEY)
    async with simulator.serving():
        yield simulator


async def call(
    simulator: Simulator, method: str, path: str, wire: object = None, header: str = JSON
) -> tuple[int, Any]:
    body = b"" if wire is None else json.dumps(wire).encode()
    request = http_request(body, method=method, path=f"/simulator/{path}", key=None, headers=[header])
    response = await fetch(simulator.address, request)
    return response.status, json.loads(response.body)


async def test_messages_and_reports(simulator: Simulator) -> None:
    stored = await simulator.store_file(b"warm", "weather.txt")
    attachment = {"url": stored.url, "content_type": "text/plain", "name": "weather.txt"}
    said = {
        "bot": "Cat",
        "text": "hello",
        "attachments": [attachment],
        "parameters": {"a": 1},
        "options": {"temperature": 1},
    }
    status, reply = await call(simulator, "POST", "messages", said)
    assert status == 200
    assert (reply["text"], reply["failure"], reply["files"], reply["suggested_replies"]) == ("Meow", None, [], [])
    report = {"message_id": reply["message_id"]}
    assert await call(simulator, "POST", "feedback", {**report, "feedback_type": "like"}) == (200, {})
    assert await call(simulator, "POST", "reactions", {**report, "reaction": "heart"}) == (200, {})
    assert await call(simulator, "POST", "errors", {"bot": "Cat", "message": "no"}) == (200, {})
    status, state = await call(simulator, "GET", "state")
    assert [report["type"] for report in state["reports"]] == ["report_feedback", "report_reaction", "report_error"]
    (conversation,) = state["conversations"]
    assert conversation["messages"][0]["attachments"][0]["parsed_content"] == "warm"
    status, log = await call(simulator, "GET", "log")
    assert [entry["kind"] for entry in log] == ["settings", "query", "reply", "report", "report", "report"]
    assert KEY not in json.dumps([state, log])


async def test_bots_and_users(simulator: Simulator) -> None:
    bot = {"name": "Remote", "url": f"{simulator.address}/bot/Cat"}
    assert await call(simulator, "POST", "bots", bot) == (200, {"name": "Remote"})
    events = [{"event": "text", "data": {"text": "Woof"}}, {"event": "suggested_reply", "data": {"text": "Sit"}}]
    assert await call(simulator, "POST", "bots", {"name": "Dog", "events": events}) == (200, {"name": "Dog"})
    assert (await simulator.say("Dog", "hello")).events == [Text("Woof"), SuggestedReply("Sit"), Done()]
    status, user = await call(simulator, "POST", "users", {"name": "Ann", "balance": 5, "api_key": "ann's"})
    assert status == 200
    assert simulator.engine.users[user["id"]].balance == 5
    assert (await simulator.say("Remote", "hello")).final_text() == "Meow"


async def test_faults_and_expiries(simulator: Simulator) -> None:
    fault = {"where": "Cat", "kind": "status", "status": 503, "times": 2}
    assert await call(simulator, "POST", "faults", fault) == (200, {})
    query = http_request(query_body(), path="/bot/Cat")
    assert (await fetch(simulator.address, query)).status == 503
    _, state = await call(simulator, "GET", "state")
    assert state["faults"] == [{"where": "Cat", "kind": "status", "times": 1}]
    assert await call(simulator, "DELETE", "faults") == (200, {})
    assert (await fetch(simulator.address, query)).status == 200
    stored = await simulator.store_file(b"warm", "weather.txt")
    assert await call(simulator, "POST", "expiries", {"url": stored.url, "status": 410}) == (200, {})
    get = http_request(b"", method="GET", path=stored.url.removeprefix(simulator.address))
    assert (await fetch(simulator.address, get)).status == 410


@pytest.mark.parametrize(
    ("method", "path", "wire", "status", "said"),
    [
        ("GET", "nothing", None, 404, "no such path"),
        ("POST", "nothing", {}, 404, "no such path"),
        ("POST", "bots/more", {}, 404, "no such path"),
        ("PUT", "bots", {}, 405, "this path takes POST"),
        ("GET", "bots", None, 405, "this path takes POST"),
        ("GET", "faults", None, 405, "this path takes DELETE and POST"),
        ("DELETE", "log", None, 405, "this path takes GET"),
        ("POST", "state", {}, 405, "this path takes GET"),
        ("POST", "bots", [], 400, "expected a JSON object, got an array"),
        ("POST", "bots", {"name": "Cat"}, 400, "url: missing"),
        ("POST", "bots", {"url": "http://x/"}, 400, "name: missing"),
        ("POST", "bots", {"name": "x", "events": [{"data": {}}]}, 400, "event: missing"),
        ("POST", "bots", {"name": "", "url": "http://x/"}, 400, "a bot needs a name"),
        ("POST", "bots", {"name": "x", "url": "GPT-5"}, 400, "expected an http or https URL"),
        ("POST", "bots", {"name": 5, "url": "http://x/"}, 400, "name: expected str, got int"),
        (
            "POST",
            "bots",
            {"name": "x", "bot": "y"},
            400,
            "no field 'bot'; it has name, url, events, access_key",
        ),
        ("POST", "bots", {"name": "x", "events": [{"event": "text", "data": {"text": 5}}]}, 400, "text"),
        ("POST", "bots", {"name": "x", "events": [5]}, 400, "events: expected objects with event and data, got 5"),
        ("POST", "users", {"balance": True}, 400, "balance: expected int, got bool"),
        ("POST", "messages", {"bot": "Cat"}, 400, "text: missing"),
        ("POST", "feedback", {"message_id": "m-1"}, 400, "feedback_type: missing"),
        ("POST", "reactions", {"message_id": "m-1"}, 400, "reaction: missing"),
        ("POST", "errors", {"bot": "Cat"}, 400, "message: missing"),
        ("POST", "faults", {"where": "*"}, 400, "kind: missing"),
        ("POST", "expiries", {"status": 410}, 400, "url: missing"),
        ("POST", "messages", {"bot": "Cat", "text": "x", "options": {"colour": 1}}, 400, "colour"),
        ("POST", "messages", {"bot": "Cat", "text": "x", "attachments": [5]}, 400, "the body has an invalid value"),
        ("POST", "messages", {"bot": "Cat", "text": "x", "reply_to": "m-1"}, 404, "there is no message 'm-1'"),
        ("POST", "feedback", {"message_id": "m-1", "feedback_type": "like"}, 404, "no bot has written"),
        ("POST", "faults", {"where": "*", "kind": "dance"}, 400, "there is no fault called 'dance'"),
        ("POST", "faults", {"where": "*", "kind": "reset", "seconds": 1}, 400, "does not take these arguments"),
        ("POST", "faults", {"where": "*", "kind": "reset", "times": 0}, 400, "times=0"),
        ("POST", "expiries", {"url": "x"}, 404, "there is no such file"),
    ],
)
async def test_invalid_calls(
    simulator: Simulator, method: str, path: str, wire: object, status: int, said: str
) -> None:
    got, answer = await call(simulator, method, path, wire)
    assert got == status
    assert said in answer["error"]


async def test_an_internal_error_is_not_a_client_error(monkeypatch: pytest.MonkeyPatch) -> None:
    simulator = Simulator()

    async def say(*args: object, **keywords: object) -> Any:
        raise KeyError("text")

    monkeypatch.setattr(simulator, "say", say)
    body = json.dumps({"bot": "Cat", "text": "hello"}).encode()
    scope = http_scope(path="/simulator/messages", headers=[("content-type", "application/json")])
    with pytest.raises(KeyError, match="text"):
        await converse(simulator, scope, body_messages(body))


async def test_a_body_that_is_nested_too_deeply(simulator: Simulator) -> None:
    body = b'{"name": ' + b"[" * 200_000 + b"]" * 200_000 + b"}"
    response = await fetch(simulator.address, http_request(body, path="/simulator/users", key=None, headers=[JSON]))
    assert response.status == 400
    assert b"nested too deeply" in response.body


async def test_a_cross_origin_page_cannot_make_calls(simulator: Simulator) -> None:
    status, answer = await call(simulator, "POST", "users", {}, "Content-Type: text/plain")
    assert (status, answer["error"]) == (415, "the body must be application/json")
    assert not simulator.engine.users
