"""The programs that call a bot with other HTTP libraries: what they print, and how they fail."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import anyio
import anyio.abc
import pytest
from anyio.abc import SocketAttribute

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


HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
TEXT = b'event: text\ndata: {"text": "so far"}\n\n'
HALF = b'event: text\ndata: {"text": "half \\ud83d"}\n\n'
DONE = b"event: done\ndata: {}\n\n"
ERROR = b'event: error\ndata: {"text": "no"}\n\n'


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


# What the server sends, whether it closes the connection then, and what the program prints and raises.
ENDINGS = {
    "done, and the connection stays open": (HEAD + chunk(TEXT + DONE), False, "so far\n", ""),
    "an error event": (HEAD + chunk(TEXT + ERROR), False, "so far", "BotError"),
    "an end without done": (HEAD + chunk(TEXT) + chunk(b""), True, "so far", "IncompleteReply"),
    "an end within a character": (HEAD + chunk(HALF) + chunk(b""), True, "half \ufffd", "IncompleteReply"),
    "a body that is cut short": (HEAD + chunk(TEXT), True, "so far", "ConnectionLost"),
    "no response": (b"", True, "", "Disconnected|disconnected"),
}


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("name", PROGRAMS)
async def test_the_end_of_a_reply(name: str, ending: str) -> None:
    response, closes, text, error = ENDINGS[ending]
    queries, result = 0, (0, "", "")

    async def serve(stream: anyio.abc.SocketStream) -> None:
        nonlocal queries
        async with stream:
            received = b""
            while not received.endswith(b"}"):  # the query is short
                received += await stream.receive()
            queries += 1
            await stream.send(response)
            if not closes:
                with suppress(anyio.EndOfStream):
                    await stream.receive()

    listener = await anyio.create_tcp_listener(local_host="127.0.0.1", local_port=0)
    async with listener, anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, serve)
        with anyio.fail_after(30):  # half as long as the programs wait for a byte
            result = await run(name, f"http://127.0.0.1:{listener.extra(SocketAttribute.local_port)}/")
        tasks.cancel_scope.cancel()
    assert result[:2] == (1 if error else 0, text)
    assert re.search(error, result[2])
    assert queries == 1  # the bot may have been charged for it
