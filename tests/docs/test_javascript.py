"""The SDK in JavaScript: it passes the vectors, and talks to our bots and our check."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import anyio
import pytest

from poeproto import Bot, Context, QueryRequest
from poeproto_check import CheckOptions, CheckTimes, ServerAddress, check, select_rules

from ..support.bots import KEY
from ..support.embedded_servers import serving

NODE = shutil.which("node") or ""
FOLDER = Path(__file__).parents[2] / "docs" / "examples" / "javascript"
ENVIRONMENT = {**os.environ, "POE_ACCESS_KEY": KEY}
pytestmark = [
    pytest.mark.anyio,
    pytest.mark.slow,
    pytest.mark.skipif(not NODE and "CI" not in os.environ, reason="Node.js is not installed"),
]
_OPTIONS = CheckOptions(rules=select_rules(skip=["http.body-limit"]), access_key=KEY, times=CheckTimes(piece=0.001))


class SmilingBot(Bot):
    async def get_response(self, request: QueryRequest, context: Context) -> AsyncIterator[str]:
        yield f"{request.query[-1].content} \ud83d"
        yield "\ude00"


@pytest.fixture
def anyio_backend() -> str:
    """Node runs in a process of its own."""
    return "asyncio"


def test_the_vectors(checkout: Path) -> None:
    command = [NODE, FOLDER / "run_vectors.mjs", checkout / "tests" / "vectors"]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout.endswith(" vectors passed\n")


async def test_the_javascript_client_reads_a_bot() -> None:
    async with serving(SmilingBot(), access_key=KEY) as address:
        done = await anyio.run_process([NODE, str(FOLDER / "ask.mjs"), address, "hello"], env=ENVIRONMENT)
    assert done.stdout.decode() == "hello \U0001f600\n"


async def test_the_javascript_server_breaks_no_rule() -> None:
    command = [NODE, str(FOLDER / "shout.mjs"), "0"]
    async with await anyio.open_process(command, stderr=subprocess.DEVNULL, env=ENVIRONMENT) as node:
        try:
            assert node.stdout is not None
            address = (await node.stdout.receive()).decode().strip()
            report = await check(ServerAddress.of(address), _OPTIONS)
        finally:
            node.kill()
    left = {each.rule.id: (each.verdict.value, each.problems) for each in report.results if each.problems}
    assert (report.exit_code, left) == (0, {})
