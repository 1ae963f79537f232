"""Poe is told the settings of bots when their server starts."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import tempfile
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import anyio.abc
import pytest

from poeproto import Bot, Context, Endpoints, SettingsRequest, SettingsResponse
from poeproto_asgi import BotApp, Route
from poeproto_h11 import serve as serve_h11
from poeproto_runtime import sync_claims
from poeproto_runtime.sync_claims import SyncClaim

from ...support.bots import KEY, SECRET
from ...support.hypercorn_servers import serving
from ...support.scripted_asgi import request as ask
from ...support.scripted_peer import Peer, ScriptedServer, answering, response, scripted

pytestmark = pytest.mark.anyio

OK = answering(response(200, b"{}"))


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A temporary folder of the test's own, where processes agree."""
    monkeypatch.setattr(tempfile, "gettempdir", lambda: str(tmp_path))
    return tmp_path


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


async def test_it_can_be_switched_off() -> None:
    async with poe() as (server, endpoints):
        async with serving(app_of(Settled(), endpoints, sync_settings=False)):
            pass
        assert server.connections == 0


async def test_the_serving_does_not_wait_for_it() -> None:
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
            await logged.until("could not be synced")
            assert (await ask(app, b'{"type": "settings"}')).status == 200
    assert "the settings of Settled could not be synced" in logged.text
    assert KEY not in logged.text
    assert "Traceback" not in logged.text


async def test_a_poe_that_cannot_be_reached(logged: Logged) -> None:
    async with app_of(Settled(), Endpoints.at("http://127.0.0.1:1")).lifespan():
        await logged.until("could not be synced")
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


async def test_what_a_host_raises_comes_out_as_it_is() -> None:
    async with poe() as (_, endpoints):
        with pytest.raises(LookupError, match="of the host"):
            async with app_of(Settled(), endpoints).lifespan():
                raise LookupError("of the host")


# --- several processes


async def test_workers_that_start_together_tell_poe_once(monkeypatch: pytest.MonkeyPatch, logged: Logged) -> None:
    monkeypatch.setattr(sync_claims, "_may_have_siblings", lambda: True)
    async with poe() as (server, endpoints):
        for number in range(3):
            async with app_of(Settled(), endpoints).lifespan():
                await logged.until("were synced", number + 1)
        assert len(server.requests) == 1
        async with app_of(Settled("other"), endpoints).lifespan():  # changed meanwhile
            await server.until_asked(2)


async def test_a_worker_that_fails_leaves_it_to_the_next(monkeypatch: pytest.MonkeyPatch, logged: Logged) -> None:
    monkeypatch.setattr(sync_claims, "_may_have_siblings", lambda: True)
    async with poe(answering(response(403)), OK) as (server, endpoints):
        async with app_of(Settled(), endpoints).lifespan():
            await logged.until("could not be synced")
        async with app_of(Settled(), endpoints).lifespan():
            await server.until_asked(2)


@pytest.fixture
def siblings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sync_claims, "_may_have_siblings", lambda: True)


@pytest.mark.usefixtures("siblings")
def test_a_claim_is_taken_once_while_it_is_fresh(folder: Path) -> None:
    assert SyncClaim("bot", b"a").take()
    assert not SyncClaim("bot", b"a").take()
    assert SyncClaim("other", b"a").take()
    (path,) = folder.glob(f"*/{SyncClaim('bot', b'a')._name}")
    assert path.stat().st_mode & 0o077 == 0
    assert "bot" not in path.name  # nor the key, which is part of what tells bots apart
    os.utime(path, (0, 0))  # of an earlier start
    assert SyncClaim("bot", b"a").take()
    assert not SyncClaim("bot", b"a").take()


CLAIMING = """
import os, sys, tempfile
from poeproto_runtime import sync_claims
os.getppid = lambda: 7
tempfile.gettempdir = lambda: sys.argv[1]
sync_claims._may_have_siblings = lambda: True
claim = sync_claims.SyncClaim("bot", b"a")
assert claim.take()
if sys.argv[2] == "done":
    claim.keep()
print("taken", flush=True)
sys.stdin.read()
os._exit(9)  # as if killed
"""


@pytest.mark.usefixtures("siblings")
@pytest.mark.parametrize("state", ["under way", "done"])
def test_what_becomes_of_the_claim_of_a_process_that_was_killed(
    folder: Path, monkeypatch: pytest.MonkeyPatch, state: str
) -> None:
    monkeypatch.setattr(os, "getppid", lambda: 7)
    arguments = [sys.executable, "-c", CLAIMING, str(folder), state]
    with subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout is not None
        assert owner.stdout.readline() == "taken\n"
        assert not SyncClaim("bot", b"a").take()
        owner.communicate()
    assert owner.returncode == 9
    assert SyncClaim("bot", b"a").take() == (state == "under way")
    assert not SyncClaim("bot", b"a").take()


@pytest.mark.usefixtures("siblings")
def test_a_claim_of_an_earlier_process_of_the_same_number(monkeypatch: pytest.MonkeyPatch) -> None:
    assert SyncClaim("bot", b"a").take()
    monkeypatch.setattr(sync_claims, "_TOKEN", "another")  # containers count from one at every start
    assert SyncClaim("bot", b"a").take()
    assert not SyncClaim("bot", b"a").take()


@pytest.mark.usefixtures("siblings")
@pytest.mark.parametrize("written", [b"nonsense", b"\xff"])
def test_a_claim_that_cannot_be_read(folder: Path, written: bytes) -> None:
    assert SyncClaim("bot", b"a").take()
    (path,) = folder.glob("*/*")
    path.write_bytes(written)
    assert SyncClaim("bot", b"a").take()


@pytest.mark.usefixtures("siblings")
async def test_settings_that_were_told_need_no_living_process(monkeypatch: pytest.MonkeyPatch, logged: Logged) -> None:
    def dead(owner: str) -> bool:
        return False

    monkeypatch.setattr(sync_claims, "_is_alive", dead)
    async with poe() as (server, endpoints):
        for number in range(2):
            async with app_of(Settled(), endpoints).lifespan():
                await logged.until("were synced", number + 1)
        assert len(server.requests) == 1


@pytest.mark.usefixtures("siblings")
def test_settings_that_come_back_are_claimed_again() -> None:
    assert SyncClaim("bot", b"a").take()
    assert SyncClaim("bot", b"b").take()
    assert SyncClaim("bot", b"a").take()


@pytest.mark.usefixtures("siblings")
def test_what_is_left_of_earlier_starts_is_removed(folder: Path) -> None:
    assert SyncClaim("first", b"{}").take()
    assert SyncClaim("second", b"{}").take()
    old, young = sorted(folder.glob("*/*"), key=lambda path: path.stat().st_mtime_ns)
    os.utime(old, (0, 0))
    assert SyncClaim("third", b"{}").take()
    assert not old.exists()
    assert young.exists()
    assert len(list(folder.glob("*/*"))) == 2


@pytest.mark.usefixtures("siblings")
def test_a_claim_is_given_back() -> None:
    claim = SyncClaim("bot", b"a")
    claim.give_back()  # it was never taken
    assert claim.take()
    claim.give_back()
    claim.give_back()
    assert SyncClaim("bot", b"a").take()


@pytest.mark.usefixtures("siblings")
def test_a_folder_that_others_can_write_to_is_not_used(folder: Path) -> None:
    user = os.getuid()
    (folder / f"poeproto-settings-{user}").mkdir(0o700)
    (folder / f"poeproto-settings-{user}").chmod(0o777)
    assert all(SyncClaim("bot", b"a").take() for _ in range(2))
    (folder / f"poeproto-settings-{user}").rmdir()
    (folder / "elsewhere").mkdir(0o700)
    (folder / f"poeproto-settings-{user}").symlink_to(folder / "elsewhere")
    assert all(SyncClaim("bot", b"a").take() for _ in range(2))
    assert not list((folder / "elsewhere").iterdir())


def test_a_server_started_by_itself_has_no_siblings() -> None:
    code = "from poeproto_runtime import sync_claims; print(sync_claims._may_have_siblings())"
    for alone in (True, False):
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True, start_new_session=alone
        )
        assert done.stdout.strip() == str(not alone)
