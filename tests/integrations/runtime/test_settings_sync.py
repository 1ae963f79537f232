"""The settings of bots are pushed to Poe when their server starts."""

from __future__ import annotations

import json
import logging
import multiprocessing
import signal
import socket
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import anyio.abc
import pytest

from poeproto import Bot, Context, Endpoints, SettingsRequest, SettingsResponse
from poeproto_asgi import AppOptions, BotApp, Route, workers
from poeproto_h11 import serve as serve_h11

from ...support.bots import KEY, SECRET
from ...support.hypercorn_servers import serving
from ...support.scripted_asgi import request as ask
from ...support.scripted_peer import Peer, ScriptedServer, answering, response, scripted

pytestmark = pytest.mark.anyio

OK = answering(response(200, b"{}"))


class Settled(Bot):
    def __init__(self, introduction: str = "Hello!") -> None:
        self.introduction = introduction

    async def get_settings(self, request: SettingsRequest, context: Context) -> SettingsResponse:
        return SettingsResponse(introduction_message=self.introduction)


class Logged(logging.Handler):
    """The log of the library, for those who wait for a line in it."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.text = ""
        self._changed = anyio.Event()

    def emit(self, record: logging.LogRecord) -> None:
        self.text += self.format(record) + "\n"
        self._changed.set()
        self._changed = anyio.Event()

    async def until(self, words: str, count: int = 1) -> None:
        """Return when these words have been logged so often."""
        while self.text.count(words) < count:
            await self._changed.wait()


@pytest.fixture
async def logged() -> AsyncGenerator[Logged]:
    handler, logger = Logged(), logging.getLogger("poeproto")
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    yield handler
    logger.removeHandler(handler)
    logger.setLevel(level)


class Messages:
    """A server that runs a lifespan by hand."""

    def __init__(self) -> None:
        self.stop = anyio.Event()
        self.sent: list[str] = []
        self._started = False

    async def receive(self) -> dict[str, Any]:
        if not self._started:
            self._started = True
            return {"type": "lifespan.startup"}
        await self.stop.wait()
        return {"type": "lifespan.shutdown"}

    async def send(self, message: Any) -> None:
        self.sent.append(message["type"])


@asynccontextmanager
async def poe(*scripts: Any) -> AsyncGenerator[tuple[ScriptedServer, Endpoints]]:
    async with scripted(*(scripts or (OK,))) as server:
        yield server, Endpoints.at(server.address)


def app_of(bot: Bot, endpoints: Endpoints, **more: Any) -> BotApp:
    return BotApp(bot, access_key=KEY, bot_name="Settled", endpoints=endpoints, **more)


async def test_within_the_lifespan_of_a_server() -> None:
    async with poe() as (server, endpoints), serving(app_of(Settled(), endpoints)):
        await server.until_asked()
        (request,) = server.requests
    assert request.line == f"POST /bot/update_settings/Settled/{KEY}/1.2 HTTP/1.1"
    assert json.loads(request.body) == {"response_version": 2, "introduction_message": "Hello!"}


async def test_within_the_lifespan_of_a_host() -> None:
    async with poe() as (server, endpoints):
        async with app_of(Settled(), endpoints).lifespan(object()):
            await server.until_asked()
        await server.until_closed(1)


async def test_by_the_embedded_server() -> None:
    async with poe() as (server, endpoints), anyio.create_task_group() as tasks:

        async def run(*, task_status: anyio.abc.TaskStatus[str]) -> None:
            routes = {"/": Route(Settled(), access_key=KEY, bot_name="Settled")}
            await serve_h11(routes, bind="127.0.0.1:0", endpoints=endpoints, task_status=task_status)

        await tasks.start(run)
        await server.until_asked()
        tasks.cancel_scope.cancel()


async def test_without_a_lifespan_nothing_happens_by_itself() -> None:
    async with poe() as (server, endpoints):
        answer = await ask(app_of(Settled(), endpoints), b'{"type": "settings"}')
        assert answer.status == 200
        assert server.connections == 0


async def test_every_bot_whose_name_and_key_are_known() -> None:
    async with poe() as (server, endpoints), scripted(OK) as second:
        app = BotApp(
            {
                "/a": Route(Settled("a"), access_key=[KEY, "old"], bot_name="A"),
                "/b": Route(Settled("b"), access_key="b" * 32, bot_name="B"),
                "/c": Route(Settled("c"), access_key="c" * 32),
                "/d": Route(Settled("d"), allow_without_key=True, bot_name="D"),
                "/e": Route(Settled(), access_key=KEY, bot_name="E", endpoints=Endpoints.at(second.address)),
            },
            endpoints=endpoints,
        )
        async with app.lifespan():
            await server.until_asked(2)
            await second.until_asked()
    lines = sorted(request.line for request in server.requests)
    assert [line.split()[1] for line in lines] == [
        f"/bot/update_settings/A/{KEY}/1.2",
        f"/bot/update_settings/B/{'b' * 32}/1.2",
    ]
    assert "/E/" in second.requests[0].line


async def test_syncing_can_be_switched_off() -> None:
    async with poe() as (server, endpoints):
        async with serving(app_of(Settled(), endpoints, sync_settings=False)):
            pass
        assert server.connections == 0


async def test_syncing_is_off_where_the_calls_of_the_bots_are_redirected() -> None:
    async with poe() as (server, endpoints):
        app = app_of(Settled(), Endpoints.at("http://elsewhere.invalid"))
        app.service.redirect_calls(endpoints)
        async with serving(app):
            pass
        assert server.connections == 0
    assert [route.poe(Endpoints()) for route in app.service.routes.values()] == [endpoints]


async def test_serving_does_not_wait_for_the_sync() -> None:
    async def silent(peer: Peer) -> None:
        await peer.read_request()
        await peer.until_left()

    async with poe(silent) as (server, endpoints):
        messages = Messages()
        app = app_of(Settled(), endpoints)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(app, {"type": "lifespan"}, messages.receive, messages.send)
            await server.until_asked()
            assert messages.sent == ["lifespan.startup.complete"]
            assert (await ask(app, b'{"type": "settings"}')).status == 200
            messages.stop.set()
        assert messages.sent == ["lifespan.startup.complete", "lifespan.shutdown.complete"]
        await server.until_closed(1)


@pytest.mark.parametrize(
    "script", [answering(response(401, f"wrong key {KEY}".encode())), answering(b"nonsense\r\n\r\n")]
)
async def test_a_failure_is_logged_without_the_key_and_stops_nothing(script: Any, logged: Logged) -> None:
    async with poe(script) as (_, endpoints):
        app = app_of(Settled(), endpoints)
        async with serving(app):
            await logged.until("were not synced")
            assert (await ask(app, b'{"type": "settings"}')).status == 200
    assert "the settings of Settled were not synced" in logged.text
    assert KEY not in logged.text
    assert "Traceback" not in logged.text


async def test_a_poe_that_cannot_be_reached(logged: Logged) -> None:
    async with app_of(Settled(), Endpoints.at("http://127.0.0.1:1")).lifespan():
        await logged.until("were not synced")
    assert "no connection to http://127.0.0.1:1" in logged.text
    assert KEY not in logged.text


async def test_a_bot_that_fails_at_its_settings(logged: Logged) -> None:
    class Faulty(Bot):
        async def get_settings(self, request: SettingsRequest, context: Context) -> SettingsResponse:
            raise LookupError(SECRET)

    async with poe() as (server, endpoints), serving(app_of(Faulty(), endpoints)):
        await logged.until("get_settings failed")
        assert server.requests == []
    assert SECRET in logged.text


async def test_an_exception_of_the_host_is_not_wrapped() -> None:
    async with poe() as (_, endpoints):
        with pytest.raises(LookupError, match="of the host"):
            async with app_of(Settled(), endpoints).lifespan():
                raise LookupError("of the host")


# --- several workers


@pytest.mark.parametrize(("number", "syncs"), [(0, True), (1, False), (2, False)])
def test_only_the_first_worker_syncs(number: int, syncs: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    served: list[BotApp] = []

    def ignore(number: int, action: object) -> None: ...

    def serve(app: BotApp, *_: object, is_worker: bool) -> None:
        assert is_worker
        served.append(app)

    monkeypatch.setattr(workers, "_run_one", serve)
    monkeypatch.setattr(workers, "_stop_with_parent", lambda: None)
    monkeypatch.setattr(signal, "signal", ignore)
    target = tmp_path / "settled.py"
    target.write_text("import poeproto\nbot = poeproto.Bot()")
    with socket.socket() as listener:
        ours, theirs = multiprocessing.Pipe()
        with ours, theirs:
            options = AppOptions(access_key=KEY, bot_name="Settled")
            workers._worker(f"{target}:bot", options, listener, "asyncio", theirs, lambda: None, number)
    assert [app.service.sync_settings for app in served] == [syncs]


async def test_another_process_syncs_again() -> None:
    async with poe() as (server, endpoints):
        for number in range(2):
            async with app_of(Settled(), endpoints).lifespan():
                await server.until_asked(number + 1)
