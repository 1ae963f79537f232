"""``openai:URL#model`` as a target of the command: wherever a bot's target is given."""

from __future__ import annotations

import json
import sys
from collections.abc import Generator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

import pytest
from anyio.from_thread import start_blocking_portal
from click.testing import CliRunner

from poeproto_asgi import AppOptions, TargetError, load_app
from poeproto_asgi.targets import warn_of_unused_key
from poeproto_cli.commands import main
from poeproto_cli.urls import is_target, refuse_address
from poeproto_h11 import BlockingClient
from poeproto_openai import OpenAIBot, OpenAIGateway, openai_target

from ...support.bots import KEY
from ...support.command import serving
from ...support.embedded_servers import EchoBot
from ...support.scripted_peer import LAST_CHUNK, STREAM_HEAD, ScriptedServer, answering, chunk, scripted

_CHUNKS = [
    {"choices": [{"index": 0, "delta": {"content": word}, "finish_reason": reason}]}
    for word, reason in (("Hel", None), ("lo", None), ("", "stop"))
]
ANSWER = (
    STREAM_HEAD
    + b"".join(chunk(b"data: %b\n\n" % json.dumps(each).encode()) for each in _CHUNKS)
    + chunk(b"data: [DONE]\n\n")
    + LAST_CHUNK
)
CANARY = "sk-canary-0123456789abcdef"
WITH_CANARY = {"OPENAI_API_KEY": CANARY, "POE_ACCESS_KEY": KEY}


@contextmanager
def endpoint() -> Generator[ScriptedServer]:
    with start_blocking_portal() as portal, portal.wrap_async_context_manager(scripted(answering(ANSWER))) as server:
        yield server


def test_a_target_names_the_url_the_models_and_where_the_key_is() -> None:
    bot = openai_target("openai:https://api.openai.com/v1#gpt-5, gpt-5-mini", {"OPENAI_API_KEY": CANARY})
    assert isinstance(bot, OpenAIBot)
    assert bot.models == ("gpt-5", "gpt-5-mini")
    assert repr(bot) == "<OpenAIBot https://api.openai.com gpt-5, gpt-5-mini>"
    assert openai_target("openai:http://localhost:11434/v1#llama3:8b", {}).models == ("llama3:8b",)


@pytest.mark.parametrize(
    "target",
    ["openai:https://host/v1", "openai:#m", "openai:https://host/v1#", "openai:https://host/v1#a,,b", "https://host#m",
     "openai:host/v1#m", "openai:http://key:secret@host/v1#m"],
)  # fmt: skip
def test_a_target_of_another_form(target: str) -> None:
    with pytest.raises(ValueError, match=r"expected openai:URL#model, as in openai:https://") as caught:
        openai_target(target, {})
    assert "secret" not in str(caught.value)


def test_the_targets_of_the_server(monkeypatch: pytest.MonkeyPatch) -> None:
    app = load_app("openai:http://host/v1#m", options=AppOptions(allow_without_key=True))
    [route] = app.service.routes.values()
    assert isinstance(route.bot, OpenAIBot)
    with pytest.raises(TargetError, match="expected openai:URL#model"):
        load_app("openai:http://host/v1", allow_without_key=True)
    monkeypatch.setitem(sys.modules, "openai", ModuleType("openai"))  # OpenAI's own, which may be installed
    with pytest.raises(TargetError, match="openai has no attribute 'attribute'"):
        load_app("openai:attribute", allow_without_key=True)


@pytest.mark.parametrize(
    ("keys", "logged"),
    [
        ({"api_keys": CANARY}, ["sets the keys of its bots itself"]),
        ({"api_keys": [CANARY, KEY]}, []),
        ({"allow_without_key": True}, ["sets the keys of its bots itself, and anyone is answered at /v1"]),
    ],
)
def test_a_gateway_is_a_target_with_keys_of_its_own(
    keys: dict[str, Any], logged: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    gateway = OpenAIGateway({"bot": EchoBot()}, **keys)
    options = AppOptions(environment_key=KEY)
    assert load_app(gateway, options=options) is gateway
    warn_of_unused_key("bots:gateway", gateway, options)
    assert [record.getMessage().partition("bots:gateway ")[2] for record in caplog.records] == logged
    if "allow_without_key" in keys:
        load_app(gateway, allow_without_key=True)
        with pytest.raises(TargetError, match="access_key has no effect"):
            load_app(gateway, access_key=KEY)
    else:
        load_app(gateway, access_key=CANARY)
        with pytest.raises(TargetError, match="allow_without_key has no effect"):
            load_app(gateway, allow_without_key=True)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("openai:https://host/v1#m", True), ("bots:Echo", True), ("bots.py:Echo", True), ("https://host/", False)],
)
def test_targets_and_urls_of_running_bots(text: str, expected: bool) -> None:
    assert is_target(text) is expected
    if expected:
        refuse_address(text)


def test_a_bot_of_an_endpoint_is_served_with_the_key_from_the_environment() -> None:
    with endpoint() as upstream:
        target = f"openai:{upstream.address}v1#m"
        with serving(target, env=WITH_CANARY) as server, BlockingClient(access_key=KEY) as client:
            with client.query(server.address, "hi") as reply:
                assert reply.text() == "Hello"
            assert client.settings(server.address).parameter_controls is not None
        assert upstream.requests[0].all("authorization") == [f"Bearer {CANARY}"]
        assert CANARY not in server.line


@pytest.mark.slow
@pytest.mark.parametrize("worker_class", ["asyncio", "trio"])
def test_a_bot_of_an_endpoint_passes_the_check(worker_class: str) -> None:
    with endpoint() as upstream:
        arguments = [f"openai:{upstream.address}v1#m", "--format", "json", "--worker-class", worker_class]
        result = CliRunner(env=WITH_CANARY).invoke(main, ["check", *arguments, "--skip", "http.body-limit"])
    assert result.exit_code == 0, result.output
    verdicts = {each["verdict"] for each in json.loads(result.stdout)["results"]}
    assert verdicts <= {"pass", "not-applicable", "untestable", "info"}
    assert CANARY not in result.output


def test_the_bench_measures_a_bot_of_an_endpoint() -> None:
    with endpoint() as upstream:
        result = CliRunner(env=WITH_CANARY).invoke(
            main, ["bench", f"openai:{upstream.address}v1#m", "--replies", "2", "--connections", "1"]
        )
    assert result.exit_code == 0, result.output
