"""Suite: clients that read events which arrive one at a time, as a model's do; the client's CPU time of such an event.

The source writes as sse-starlette does: CR LF at line ends, an event a chunk. All streams are read by one event loop.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import aiohttp
import anyio
import fastapi_poe as fp
import h11
import httpx
import httpx_sse

from benchmarks.apps import PACE_SECONDS
from benchmarks.measure import cost, goal, goal_of_layer, in_turn, named, report
from benchmarks.processes import ACCESS_KEY, allow_files, serving
from benchmarks.readers import HEADERS, written
from benchmarks.sizes import Sizes
from poeproto import Message, QueryRequest, Text, encode_request
from poeproto_compat import types as pc
from poeproto_compat.client import stream_request
from poeproto_h11 import Client
from poeproto_runtime.client.urls import split_url

THEIRS = "fastapi_poe.stream_request"
OURS = "poeproto_h11.Client, asyncio"
OURS_ON_TRIO = "poeproto_h11.Client, trio"
COMPAT = "poeproto_compat.stream_request, asyncio"
STREAM = "anyio stream, bytes only, asyncio"
ROUNDS = 3

OnEvent = Callable[[], None]
# Reads one reply, and calls the function for each event.
ReadOne = Callable[[OnEvent], Awaitable[None]]
# Opens the client that all streams share, and runs the given number of readers of one reply.
ReadAll = Callable[[str, str, Callable[[ReadOne], Awaitable[None]]], Awaitable[None]]


class Progress:
    """Measures from the first event of the last stream to the first end of a stream: without requests and ends."""

    def __init__(self, streams: int) -> None:
        self._starting = streams
        self._events = 0
        self._before = (0, 0.0)
        self.seconds: float | None = None

    async def read(self, read_one: ReadOne) -> None:
        started = False

        def on_event() -> None:
            nonlocal started
            self._events += 1
            if not started:
                started = True
                self._starting -= 1
                if not self._starting:
                    self._before = self._events, time.process_time()

        await read_one(on_event)
        if self.seconds is None:
            events, seconds = self._before
            self.seconds = (time.process_time() - seconds) / max(1, self._events - events)


async def ours(url: str, wish: str, run: Callable[[ReadOne], Awaitable[None]]) -> None:
    async with Client(access_key=ACCESS_KEY) as client:

        async def read(on_event: OnEvent) -> None:
            async with client.query(url, wish) as reply:
                async for event in reply:
                    if isinstance(event, Text):
                        on_event()

        await run(read)


async def theirs(url: str, wish: str, run: Callable[[ReadOne], Awaitable[None]]) -> None:
    query = [fp.ProtocolMessage.model_validate({"role": "user", "content": wish})]
    request = fp.QueryRequest(version="1.2", type="query", query=query, user_id="", conversation_id="", message_id="")
    async with _httpx() as session:

        async def read(on_event: OnEvent) -> None:
            async for _ in fp.stream_request(  # pyright: ignore[reportUnknownMemberType]
                request, "", ACCESS_KEY, base_url=url, session=session
            ):
                on_event()

        await run(read)


async def compat(url: str, wish: str, run: Callable[[ReadOne], Awaitable[None]]) -> None:
    query = [pc.ProtocolMessage.model_validate({"role": "user", "content": wish})]
    request = pc.QueryRequest(version="1.2", type="query", query=query, user_id="", conversation_id="", message_id="")

    async def read(on_event: OnEvent) -> None:
        async for _ in stream_request(request, "", ACCESS_KEY, base_url=url):
            on_event()

    await run(read)


async def with_httpx_sse(url: str, wish: str, run: Callable[[ReadOne], Awaitable[None]]) -> None:
    async with _httpx() as session:

        async def read(on_event: OnEvent) -> None:
            async with httpx_sse.aconnect_sse(session, "POST", url, headers=HEADERS, content=_body(wish)) as source:
                async for event in source.aiter_sse():
                    if event.event == "text" and json.loads(event.data)["text"]:
                        on_event()

        await run(read)


async def with_aiohttp(url: str, wish: str, run: Callable[[ReadOne], Awaitable[None]]) -> None:
    async with aiohttp.ClientSession(headers=HEADERS, connector=aiohttp.TCPConnector(limit=0)) as session:

        async def read(on_event: OnEvent) -> None:
            name = ""
            async with session.post(url, data=_body(wish)) as response:
                async for line in response.content:
                    if line.startswith(b"event:"):
                        name = line[6:].strip().decode()
                    elif line.startswith(b"data:") and name == "text" and json.loads(line[5:])["text"]:
                        on_event()

        await run(read)


async def bare_protocol(url: str, wish: str, run: Callable[[ReadOne], Awaitable[None]]) -> None:
    """The limit of asyncio: bytes in a callback, without a task to wake."""
    origin, request = split_url(url)[0], _request(url, wish)

    async def read(on_event: OnEvent) -> None:
        loop = asyncio.get_running_loop()
        end = loop.create_future()

        class Protocol(asyncio.Protocol):
            def data_received(self, data: bytes) -> None:
                if b"event: done" in data:
                    end.set_result(None)
                elif b"event: text" in data:
                    on_event()

        transport, _ = await loop.create_connection(Protocol, origin.host, origin.port)
        transport.write(request)
        await end
        transport.close()

    await run(read)


async def anyio_stream(url: str, wish: str, run: Callable[[ReadOne], Awaitable[None]], *, parse: bool = False) -> None:
    """The limit of anyio's streams, and of h11 on them."""
    origin, request = split_url(url)[0], _request(url, wish)

    async def read(on_event: OnEvent) -> None:
        connection = h11.Connection(h11.CLIENT)
        written(connection, *split_url(url), _body(wish))
        async with await anyio.connect_tcp(origin.host, origin.port) as stream:
            await stream.send(request)
            while True:
                data = await stream.receive()
                if parse:
                    connection.receive_data(data)
                    while connection.next_event() not in (h11.NEED_DATA, h11.PAUSED):
                        pass
                if b"event: done" in data:
                    return
                if b"event: text" in data:
                    on_event()

    await run(read)


CLIENTS: dict[str, tuple[ReadAll, str, bool]] = {
    THEIRS: (theirs, "asyncio", False),
    "httpx-sse and json": (with_httpx_sse, "asyncio", False),
    "aiohttp and json, by hand": (with_aiohttp, "asyncio", False),
    OURS: (ours, "asyncio", False),
    "poeproto_h11.Client, uvloop": (ours, "asyncio", True),
    OURS_ON_TRIO: (ours, "trio", False),
    COMPAT: (compat, "asyncio", False),
    "h11 on an anyio stream, asyncio": (partial(anyio_stream, parse=True), "asyncio", False),
    "h11 on an anyio stream, trio": (partial(anyio_stream, parse=True), "trio", False),
    STREAM: (anyio_stream, "asyncio", False),
    "anyio stream, bytes only, trio": (anyio_stream, "trio", False),
    "bare asyncio.Protocol, bytes only": (bare_protocol, "asyncio", False),
}


def main(sizes: Sizes) -> None:
    allow_files(sizes.lone_streams + 100)
    with serving("sockets sockets") as server:
        cases = {
            name: partial(_sample, read_all, server.url, sizes, backend, uvloop)
            for name, (read_all, backend, uvloop) in CLIENTS.items()
        }
        figures = in_turn(cases, ROUNDS, warm_up=False)
    title = f"client: {sizes.lone_streams} streams, an event every {PACE_SECONDS * 1e3:g} ms, CPU an event"
    report(title, figures, "µs", 1e6)
    mine, theirs_ = named(figures, OURS), named(figures, THEIRS)
    goal("client, lone event, CPU", mine, theirs_, at_most=0.45)
    goal("client, lone event, CPU", mine, named(figures, STREAM), at_most=1.3)
    goal("client, lone event, CPU", named(figures, OURS_ON_TRIO), theirs_, at_most=0.4)
    goal_of_layer("client, lone event, CPU", named(figures, COMPAT), mine)
    cost("an event that arrives alone, read by the client on asyncio (CPU time)", mine, "µs", 1e6)


def _sample(read_all: ReadAll, url: str, sizes: Sizes, backend: str, uvloop: bool) -> float:
    progress = Progress(sizes.lone_streams)

    async def run(read_one: ReadOne) -> None:
        async with anyio.create_task_group() as tasks:
            for _ in range(sizes.lone_streams):
                tasks.start_soon(progress.read, read_one)

    async def main() -> None:
        await read_all(url, f"paced {sizes.paced}", run)

    options: dict[str, Any] = {"use_uvloop": True} if uvloop else {}
    anyio.run(main, backend=backend, backend_options=options)
    assert progress.seconds is not None
    return progress.seconds


def _httpx() -> httpx.AsyncClient:
    return httpx.AsyncClient(timeout=60, limits=httpx.Limits(max_connections=None))


def _body(wish: str) -> bytes:
    return encode_request(QueryRequest([Message("user", wish)]))


def _request(url: str, wish: str) -> bytes:
    return written(h11.Connection(h11.CLIENT), *split_url(url), _body(wish))
