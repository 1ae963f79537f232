"""The programs that call a bot with other HTTP libraries: what they print, and how they fail."""

from __future__ import annotations

import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import anyio
import pytest

from poeproto import Bot, Context, QueryRequest

from ..support.bots import KEY
from ..support.embedded_servers import serving

pytestmark = [pytest.mark.anyio, pytest.mark.slow]
FOLDER = Path(__file__).parents[2] / "docs" / "examples" / "clients"
PROGRAMS = sorted(path.stem for path in FOLDER.glob("*.py"))


class TalkingBot(Bot):
    async def get_response(self, request: QueryRequest, context: Context) -> AsyncIterator[str]:
        yield "Half a \ud83d"
        yield "\ude00 smile, and a line separator:\u2028"
        yield request.query[-1].content


@pytest.fixture
def anyio_backend() -> str:
    """The programs run in processes of their own."""
    return "asyncio"


async def run(name: str, url: str, key: str = KEY) -> tuple[int, str, str]:
    """Exit code, standard output and the last line of standard error."""
    done = await anyio.run_process(
        [sys.executable, "-W", "error", str(FOLDER / f"{name}.py"), url, "hello"],
        check=False,
        env={**os.environ, "POE_ACCESS_KEY": key, "PYTHONIOENCODING": "utf-8"},
    )
    errors = done.stderr.decode().strip().splitlines()
    return done.returncode, done.stdout.decode(), errors[-1] if errors else ""


@pytest.mark.parametrize("name", PROGRAMS)
async def test_a_client(name: str) -> None:
    async with serving(TalkingBot(), access_key=KEY) as address:
        whole = await run(name, address)
        code, _, refused = await run(name, address, key="another-key-0000000000000000000")
    assert whole == (0, "Half a \U0001f600 smile, and a line separator:\u2028hello\n", "")
    assert code == 1
    assert "RequestRefused: the bot answered with status 401" in refused
