"""Examples of how Poe learns a bot's settings, end to end over HTTP."""

from __future__ import annotations

import os
import sys
from subprocess import CompletedProcess

import anyio
import pytest

from poeproto import SettingsResponse
from poeproto_simulator import Canned, Fault, LogEntry, Simulator

from ..support.bots import KEY
from ..support.example_stage import EXAMPLES, NAME, Stage, playing

pytestmark = pytest.mark.anyio

MODEL = "GPT-4o-Mini"
SETTINGS = SettingsResponse(server_bot_dependencies={MODEL: 1}, introduction_message="Ask me anything.")


async def synced(poe: Simulator) -> None:
    """Wait until the bot's settings are there."""
    there = anyio.Event()

    def observe(_: LogEntry | None = None) -> None:
        if NAME in poe.engine.bots and poe.settings_of(NAME) is not None:
            there.set()

    poe.engine.on_log.append(observe)
    observe()
    await there.wait()
    poe.engine.on_log.remove(observe)


async def test_syncing_settings_when_the_server_starts() -> None:
    async with playing("syncing_settings", {MODEL: Canned("Anything is fine.")}) as stage:
        await synced(stage.poe)
        assert stage.poe.settings_of(NAME) == SETTINGS
        assert (await stage.say("hello")).final_text() == "Anything is fine."


async def run_script(stage: Stage, *arguments: str, key: str | None = KEY) -> CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if name != "POE_ACCESS_KEY"}
    if key is not None:
        environment["POE_ACCESS_KEY"] = key
    command = [sys.executable, "-W", "error", str(EXAMPLES / "syncing_by_script.py"), *arguments]
    done = await anyio.run_process(command, env=environment, check=False)
    return CompletedProcess(command, done.returncode, done.stdout.decode(), done.stderr.decode())


async def test_syncing_settings_by_script() -> None:
    async with playing("syncing_settings", sync_settings=False) as stage:
        assert stage.poe.settings_of(NAME) is None
        done = await run_script(stage, NAME, stage.poe.address)
        assert stage.poe.settings_of(NAME) == SETTINGS
    assert (done.stderr, done.returncode) == ("", 0)
    assert done.stdout == f"{NAME} is synced. Its introduction: Ask me anything.\n"


async def test_syncing_settings_by_script_where_poe_refuses() -> None:
    async with playing("syncing_settings", sync_settings=False) as stage:
        stage.poe.faults.add("*", Fault.status(401))
        done = await run_script(stage, NAME, stage.poe.address)
        assert stage.poe.settings_of(NAME) is None
    assert (done.stdout, done.returncode) == ("", 1)
    assert done.stderr.startswith(f"{NAME} is not synced: ")
    assert "401" in done.stderr
    assert KEY not in done.stderr


async def test_syncing_settings_by_script_without_a_key() -> None:
    async with playing("syncing_settings", sync_settings=False) as stage:
        for done in (await run_script(stage, NAME, key=None), await run_script(stage)):
            assert (done.stdout, done.returncode) == ("", 1)
            assert "Run it with: POE_ACCESS_KEY=..." in done.stderr
