"""Suite: clients that read a long reply from a server of precomputed bytes; the time of an event in the client."""

from __future__ import annotations

import gc
import sys
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager

import anyio

from benchmarks import readers
from benchmarks.apps import text_of
from benchmarks.measure import cost, goal, goal_of_layer, in_turn, named, report
from benchmarks.processes import Server, serving
from benchmarks.sizes import Sizes
from poeproto import Message

THEIRS = "fastapi_poe.stream_request"
OURS = "poeproto_h11.Client, asyncio"
COMPAT = "poeproto_compat.stream_request, asyncio"
CLIENTS: dict[str, tuple[readers.Reader, str]] = {
    THEIRS: (readers.theirs, "asyncio"),
    "httpx-sse and json": (readers.with_httpx_sse, "asyncio"),
    "aiohttp and json, by hand": (readers.with_aiohttp, "asyncio"),
    OURS: (readers.ours, "asyncio"),
    "poeproto_h11.Client, trio": (readers.ours, "trio"),
    COMPAT: (readers.compat, "asyncio"),
    "poeproto_h11.BlockingClient": (readers.ours_blocking, "asyncio"),
    "raw h11, split, msgspec into a bare class": (readers.raw_typed, "asyncio"),
    "raw h11, bytes only": (readers.raw, "asyncio"),
}
ROUNDS = 5


def main(sizes: Sizes) -> None:
    with _collecting_little(), serving("sockets sockets") as server:
        _measure(server, [], f"burst {sizes.client}", sizes, "a conversation of 1 message", 20)
        earlier = [Message("user" if i % 2 == 0 else "bot", "lorem ipsum " * 68) for i in range(sizes.messages - 1)]
        conversation = f"a conversation of {sizes.messages} messages"
        _measure(server, earlier, f"burst {sizes.client}", sizes, conversation, 250)
        _measure(
            server, [], f"crlf {sizes.client}", sizes, "1 message, CR LF at line ends, as sse-starlette writes", 20
        )
        _measure(server, [], f"singly {sizes.client}", sizes, "1 message, each event a chunk of its own", None)


@contextmanager
def _collecting_little() -> Generator[None]:
    """Exclude loaded modules from garbage collection: here all clients are loaded, in a user's program only one."""
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


def _measure(
    server: Server, earlier: list[Message], wish: str, sizes: Sizes, title: str, at_least: float | None
) -> None:
    messages = [*earlier, Message("user", wish)]
    cases = {
        name: _reading(name, reader, backend, server.url, messages, sizes)
        for name, (reader, backend) in CLIENTS.items()
        if reader is not readers.raw_typed or not wish.startswith("crlf")  # it only splits at LF
    }
    figures = in_turn(cases, ROUNDS)
    report(f"client, an event of {sizes.client}: {title}", figures, "µs", 1e6, rate="events a second")
    ours = named(figures, OURS)
    cost(f"an event read by the client: {title}", ours, "µs", 1e6)
    if at_least is not None:
        goal(f"client, {title}", ours, named(figures, THEIRS), at_least=at_least)
        goal_of_layer(f"client, {title}", named(figures, COMPAT), ours)


def _reading(
    name: str, reader: readers.Reader, backend: str, url: str, messages: list[Message], sizes: Sizes
) -> Callable[[], float]:
    """A case: seconds an event, over as many replies as take `sizes.client_seconds`."""
    expected = [text_of(number) for number in range(sizes.client)]

    async def read() -> float:
        replies, seconds = 0, 0.0
        async with reader(url, messages) as read_reply:
            received = await read_reply()  # connects
            start = time.perf_counter()
            while not replies or seconds < sizes.client_seconds:
                received = await read_reply()
                replies += 1
                seconds = time.perf_counter() - start
        if readers.texts_in(received) != expected:
            sys.exit(f"{name} does not read the events it should")
        return seconds / (replies * sizes.client)

    return lambda: anyio.run(read, backend=backend)
