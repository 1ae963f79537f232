"""The programs that embed a bot in a server: each answers, and breaks no rule of the protocol."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

from poeproto_check import CheckOptions, CheckTimes, ServerAddress, check, select_rules
from poeproto_h11 import Client
from poeproto_simulator import Simulator

from ..support.bots import KEY

pytestmark = [pytest.mark.anyio, pytest.mark.slow]
FOLDER = Path(__file__).parents[2] / "docs" / "examples" / "embedding"
PROGRAMS = sorted(path.stem for path in FOLDER.glob("*.py"))
_OPTIONS = CheckOptions(rules=select_rules(skip=["http.body-limit"]), access_key=KEY, times=CheckTimes(piece=0.001))


@pytest.fixture
def anyio_backend() -> str:
    """The programs run in processes of their own."""
    return "asyncio"


@contextmanager
def running(name: str, **environment: str) -> Generator[str]:
    """The address of the program, which is ended at the end."""
    process = subprocess.Popen(
        [sys.executable, "-W", "error", FOLDER / f"{name}.py", "0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={**os.environ, "POE_ACCESS_KEY": KEY, **environment},
    )
    with process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.kill()


@pytest.mark.parametrize("name", PROGRAMS)
async def test_a_server(name: str) -> None:
    with running(name) as address:
        async with Client(access_key=KEY) as client, client.query(address, "hello there") as reply:
            text = await reply.text()
        report = await check(ServerAddress.of(address), _OPTIONS)
    assert text == ("Send me: ask" if name == "bot_in_aiohttp" else "HELLO THERE !")
    left = {each.rule.id: (each.verdict.value, each.problems) for each in report.results if each.problems}
    assert (report.exit_code, left) == (0, {})


async def test_the_calls_of_a_bot_on_a_server_of_ones_own() -> None:
    async with Simulator().serving() as poe:
        with running("bot_in_aiohttp", POE_ENDPOINT=poe) as address:
            async with Client(access_key=KEY) as client, client.query(address, "ask") as reply:
                assert await reply.text() == "hello"
