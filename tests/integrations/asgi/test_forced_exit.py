"""Bots that do not end keep no process: it ends by force, on each event loop, and says which bot it was."""

from __future__ import annotations

import http.client
import signal
from collections.abc import Generator
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from ...support.bots import query_body
from ...support.command import SECONDS, serving

BOTS = """
import asyncio, threading, time
import anyio, anyio.to_thread
from hypercorn.config import Config
from poeproto import Bot, Limits
from poeproto_asgi import BotApp

Config.graceful_timeout = 0.1

class Stuck(Bot):
    async def get_response(self, request, context):
        yield "hello"
        await self.wait()

class ForwardsAny(Stuck):
    async def wait(self):
        while True:
            try:
                await anyio.sleep(1)
            except BaseException:
                pass

class Shields(Stuck):
    async def wait(self):
        with anyio.CancelScope(shield=True):
            await anyio.sleep_forever()

class WaitsForThread(Stuck):
    async def wait(self):
        await anyio.to_thread.run_sync(time.sleep, 3600)

class LeavesThread(Stuck):
    async def wait(self):
        threading.Thread(target=time.sleep, args=[3600], name="left behind").start()

class Blocks(Stuck):
    async def wait(self):
        time.sleep(3600)

def app_of(bot):
    return BotApp(bot, allow_without_key=True, limits=Limits(cleanup_seconds=0.1))

forwards_any, shields, waits_for_thread = app_of(ForwardsAny()), app_of(Shields()), app_of(WaitsForThread())
leaves_thread, blocks = app_of(LeavesThread()), app_of(Blocks())
"""

# A task that asyncio cancels is not shielded: Hypercorn ends such a bot at its timeout, and a thread is left.
STUCK = [
    ("forwards_any", "connections are still under way (ForwardsAny at {file}:19 in ForwardsAny.wait)"),
    ("waits_for_thread", "threads are still running (AnyIO worker thread)"),
    ("leaves_thread", "threads are still running (left behind)"),
    ("blocks", "the event loop is blocked at {file}:38 in Blocks.wait)"),
]
STUCK_ON_TRIO = {
    **dict(STUCK),
    "shields": "connections are still under way (Shields at {file}:26 in Shields.wait)",
    "waits_for_thread": "connections are still under way (WaitsForThread at {file}:30 in WaitsForThread.wait)",
}
CASES = [
    *((loop, *case) for loop in ("asyncio", "uvloop") for case in STUCK),
    *(("trio", *case) for case in STUCK_ON_TRIO.items()),
]


@contextmanager
def open_reply(address: str) -> Generator[None]:
    """A reply that has begun, and is not read to its end."""
    with closing(http.client.HTTPConnection(urlsplit(address).netloc, timeout=SECONDS)) as connection:
        connection.request("POST", "/", query_body(), {"Content-Type": "application/json"})
        assert connection.getresponse().readline() == b"event: text\n"
        yield


@pytest.mark.slow
@pytest.mark.parametrize(("worker_class", "bot", "reason"), CASES, ids=[f"{loop}-{bot}" for loop, bot, _ in CASES])
def test_a_stuck_bot_does_not_keep_the_process(tmp_path: Path, worker_class: str, bot: str, reason: str) -> None:
    if worker_class == "uvloop":
        pytest.importorskip("uvloop")
    file = tmp_path / "stuck.py"
    file.write_text(BOTS)
    with serving(f"{file}:{bot}", "--worker-class", worker_class) as server, open_reply(server.address):
        server.signal(signal.SIGTERM)
        status, _, errors = server.wait()
    assert status == 1
    assert "the process ends by force, 1.2 s after it was asked to stop" in errors
    assert reason.format(file=file) in errors.replace("/private", "")


def test_a_stuck_bot_does_not_keep_workers(tmp_path: Path) -> None:
    file = tmp_path / "stuck.py"
    file.write_text(BOTS)
    with serving(f"{file}:forwards_any", "--workers", "2") as server, open_reply(server.address):
        server.signal(signal.SIGTERM)
        status, _, errors = server.wait()
    assert status == 0
    assert errors.count("the process ends by force") == 1
