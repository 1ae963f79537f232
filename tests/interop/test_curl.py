"""curl as a reader of our streams."""

from __future__ import annotations

import json
import shutil
from collections.abc import AsyncIterator

import anyio
import pytest

from poeproto import Context, Done, Limits, QueryRequest, Text

from ..support.bots import events_in
from ..support.curl_process import curl, read_rest, read_until
from ..support.hypercorn_servers import app_of, serving

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed"),
]


async def test_events_are_shown_as_they_are_yielded() -> None:
    seen = [anyio.Event(), anyio.Event()]

    async def bot(request: QueryRequest, context: Context) -> AsyncIterator[str]:
        yield "one"
        await seen[0].wait()
        yield "two"
        await seen[1].wait()
        yield "three"

    async with serving(app_of(bot)) as address, curl(address) as process:
        assert await read_until(process, b"\n\n") == b'event: text\ndata: {"text":"one"}\n\n'
        seen[0].set()
        assert events_in(await read_until(process, b"\n\n")) == [Text("two")]
        seen[1].set()
        assert events_in(await read_rest(process)) == [Text("three"), Done()]


async def test_a_silent_bot_shows_heartbeats() -> None:
    seen = anyio.Event()

    async def bot(request: QueryRequest, context: Context) -> str:
        await seen.wait()
        return "at last"

    async with serving(app_of(bot, Limits(heartbeat_seconds=0.01))) as address, curl(address) as process:
        assert set(await read_until(process, b": \n\n")) == set(b": \n")
        seen.set()
        assert events_in(await read_rest(process)) == [Text("at last"), Done()]


async def test_a_curl_that_is_ended_ends_the_bot() -> None:
    ended = anyio.Event()

    async def bot(request: QueryRequest, context: Context) -> AsyncIterator[str]:
        try:
            yield "one"
            await anyio.sleep_forever()
        finally:
            ended.set()

    async with serving(app_of(bot)) as address:
        async with curl(address) as process:
            await read_until(process, b"\n\n")
            process.terminate()
        await ended.wait()


async def test_a_large_body_that_is_refused_before_it_was_sent() -> None:
    async def bot(request: QueryRequest, context: Context) -> str:
        return "hello"

    # Over a megabyte, curl waits to be told to go on, and is told our answer instead. By default it goes on by itself
    # after a second, which may be less than a busy server needs.
    waiting = ["--header", "Expect: 100-continue", "--expect100-timeout", "60"]
    options = ["--data-binary", "@-", *waiting, "--write-out", "%{http_code}"]
    async with serving(app_of(bot, Limits(request_body=1000))) as address, curl(address, *options) as process:
        assert process.stdin is not None
        try:
            await process.stdin.send(b" " * 2_000_000)
            await process.stdin.aclose()
        except anyio.BrokenResourceError:
            pass
        printed = await read_rest(process)
    assert printed.endswith(b"413")
    assert b"1000 bytes" in printed


async def test_settings() -> None:
    async def bot(request: QueryRequest, context: Context) -> str:
        return "hello"

    async with serving(app_of(bot)) as address, curl(address, body=b'{"type": "settings"}') as process:
        assert json.loads(await read_rest(process))["response_version"] == 2
