"""Examples of bots beside others, in other applications and on other hosts, end to end over HTTP."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from importlib.machinery import ModuleSpec
from types import ModuleType, SimpleNamespace
from typing import Any

import anyio
import httpx
import pytest
from starlette.routing import Mount

from poeproto import Done, Endpoints, RequestRefused, SettingsResponse, Text
from poeproto_asgi import BotApp
from poeproto_h11 import get_final_response_sync
from poeproto_h11.client.outbound import SharedH11Transport
from poeproto_simulator import LogEntry, Scripted, Simulator

from ..support.bots import BEARER, KEY, events_in, query_body
from ..support.example_stage import EXAMPLES, load_example
from ..support.hypercorn_servers import hosting, serving

pytestmark = pytest.mark.anyio

OTHER_KEY = "another-key-" + "0" * 20


class TestSeveralBots:
    async def test_each_at_its_path_with_its_key(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("SHOUT_KEY", KEY)
        monkeypatch.setenv("WHISPER_KEY", OTHER_KEY)
        app = load_example("several_bots").app
        async with Simulator() as poe, serving(app) as url:
            poe.register("Shout", f"{url}shout", access_key=KEY)
            poe.register("Whisper", f"{url}whisper", access_key=OTHER_KEY)
            poe.register("Impostor", f"{url}shout", access_key=OTHER_KEY)
            assert (await poe.say("Shout", "The Sea")).final_text() == "THE SEA"
            assert (await poe.say("Whisper", "The Sea")).final_text() == "*the sea*"
            for name, status in (("Impostor", 401), ("Nowhere", 404)):
                if name == "Nowhere":
                    poe.register(name, url, access_key=KEY)
                failure = (await poe.say(name, "The Sea")).failure
                assert isinstance(failure, RequestRefused)
                assert failure.status == status


class TestInStarlette:
    async def test_bot_and_page(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("POE_ACCESS_KEY", KEY)
        app = load_example("in_starlette").make_app()
        async with Simulator() as poe, hosting(app) as url, httpx.AsyncClient() as browser:
            poe.register("Greeting", f"{url}bots/greeting", access_key=KEY)
            assert (await poe.say("Greeting", "the sea")).final_text() == "Hello to the sea!"
            assert await poe.fetch_settings("Greeting") == SettingsResponse()
            assert (await browser.get(url)).text == "Nothing but a bot lives here."
            assert "A Poe bot answers here" in (await browser.get(f"{url}bots/greeting")).text

    def test_the_command_in_its_docstring(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("POE_ACCESS_KEY", KEY)
        example = load_example("in_starlette")
        [shown] = re.findall(r"POE_ACCESS_KEY=\.\.\. (uvicorn .*)", example.__doc__ or "")
        command = [sys.executable, "-m", *shlex.split(shown), "--port", "0"]
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
            assert process.stderr is not None
            try:
                lines = iter(process.stderr.readline, "")
                url = next(found[0] for line in lines if (found := re.findall(r"http://127\.0\.0\.1:\d+", line)))
                answer = get_final_response_sync("the sea", f"{url}/bots/greeting", access_key=KEY)
                assert answer == "Hello to the sea!"
            finally:
                process.kill()
                process.stderr.read()


class TestInFastapi:
    async def test_bot_pages_and_lifespan(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("POE_ACCESS_KEY", KEY)
        told = anyio.Event()

        def observe(entry: LogEntry) -> None:
            if entry.kind == "settings":
                told.set()

        poe = Simulator()
        poe.engine.on_log.append(observe)
        model = Scripted(lambda request: f"Ahoy! ({request.query[-1].content})")
        async with poe.serving() as address:
            poe.register("GPT-4o-Mini", model)
            app = load_example("in_fastapi").make_app(Endpoints.at(address))
            async with hosting(app) as url, httpx.AsyncClient() as browser:
                await told.wait()  # by the application's lifespan, before anybody asked
                assert poe.settings_of("Guestbook") == SettingsResponse(server_bot_dependencies={"GPT-4o-Mini": 1})
                poe.register("Guestbook", f"{url}bots/guestbook", access_key=KEY)
                for name in ("Ann", "Ben"):
                    reply = await poe.say("Guestbook", name)
                    assert reply.final_text() == f"Ahoy! (Welcome {name} in a few words.)"
                assert (await browser.get(f"{url}guests")).json() == ["Ann", "Ben"]
                assert (await browser.get(f"{url}docs")).status_code == 200
            [bots] = [route.app for route in app.routes if isinstance(route, Mount) and route.path == "/bots"]
            assert isinstance(bots, BotApp)
            assert bots.service.outbound is not None
            assert isinstance(bots.service.outbound.transport, SharedH11Transport)
            # For the settings and both questions: connections are kept as long as the lifespan lasts.
            assert bots.service.outbound.transport.opened == 1


class TestInAFunction:
    async def test_bot_that_calls_another(self) -> None:
        example = load_example("in_a_function")
        poe = Simulator()
        async with poe.serving() as address:
            poe.register("Claude-Haiku-4.5", Scripted(lambda request: "meow"))
            poe.register("Forwarding", example.ForwardingBot(), access_key=KEY)  # Poe knows its key and settings
            service = example.make_service(KEY, Endpoints.at(address))
            async with service.running():
                for key, status in ((BEARER, 200), ("Bearer wrong", 401)):
                    headers = {"authorization": key, "content-type": "application/json"}
                    response = await example.handle(service, headers, query_body())
                    assert response.status == status
                    if status == 200:
                        assert events_in(response.body) == [Text("meow"), Done()]
                        assert response.headers["content-type"] == "text/event-stream; charset=utf-8"

    def test_the_command_in_its_docstring(self) -> None:
        example = EXAMPLES / "in_a_function.py"
        body = b'{"version": "1.2", "type": "settings"}'
        environment = {**os.environ, "POE_ACCESS_KEY": KEY}
        done = subprocess.run([sys.executable, example], input=body, env=environment, capture_output=True, check=True)
        assert json.loads(done.stdout) == {"response_version": 2, "server_bot_dependencies": {"Claude-Haiku-4.5": 1}}


def unchanged(function: Any) -> Any:
    return function


class FakeModal(ModuleType):
    """The part of Modal's package that the example uses."""

    def __init__(self) -> None:
        super().__init__("modal")
        self.__spec__ = ModuleSpec("modal", None)
        self.steps: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = []
        self.Image = SimpleNamespace(debian_slim=self.step("debian_slim"))
        self.Secret = SimpleNamespace(from_name="the secret {}".format)
        self.concurrent = self.decorator("concurrent")
        self.asgi_app = self.decorator("asgi_app")

    def App(self, name: str, **options: Any) -> SimpleNamespace:
        self.steps.append(("App", (name,), options))
        return SimpleNamespace(function=self.decorator("function"))

    def step(self, name: str) -> Any:
        def take(*arguments: Any, **options: Any) -> SimpleNamespace:
            self.steps.append((name, arguments, options))
            return SimpleNamespace(add_local_dir=self.step("add_local_dir"), run_commands=self.step("run_commands"))

        return take

    def decorator(self, name: str) -> Any:
        def take(**options: Any) -> Any:
            self.steps.append((name, (), options))
            return unchanged

        return take


class TestOnModal:
    async def test_without_modal_the_example_is_a_plain_bot(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "modal", None)
        monkeypatch.setenv("POE_ACCESS_KEY", KEY)
        example = load_example("on_modal")
        assert not hasattr(example, "app")
        async with Simulator() as poe, serving(example.make_app()) as url:
            poe.register("Parrot", url, access_key=KEY)
            assert (await poe.say("Parrot", "Ahoy!")).final_text() == "Ahoy! Ahoy!"

    async def test_the_arguments_for_modal(self, monkeypatch: pytest.MonkeyPatch) -> None:
        modal = FakeModal()
        monkeypatch.setitem(sys.modules, "modal", modal)
        monkeypatch.setenv("POE_ACCESS_KEY", KEY)
        example = load_example("on_modal")
        steps = {name: (arguments, options) for name, arguments, options in modal.steps}
        assert steps["App"][0] == ("parrot",)
        assert steps["App"][1]["secrets"] == ["the secret poe"]
        assert list(steps) == [
            "debian_slim",
            "add_local_dir",
            "run_commands",
            "App",
            "function",
            "concurrent",
            "asgi_app",
        ]
        app = example.serve()
        assert isinstance(app, BotApp)
        # A host need not run the application's lifespan.
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost") as client:
            answer = await client.post("/", content=query_body("Ahoy!"), headers={"authorization": BEARER})
        assert events_in(answer.content) == [Text("Ahoy! Ahoy!"), Done()]
