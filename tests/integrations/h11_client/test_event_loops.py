"""One client in several event loops, one after the other and at once."""

from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import Awaitable, Callable, Generator
from functools import partial
from typing import Any

import anyio
import anyio.to_thread
import pytest
from anyio.from_thread import BlockingPortal, start_blocking_portal

from poeproto import Done, Event, LocalProtocolError, Text
from poeproto_h11 import Client, get_bot_response, get_final_response

from ...support.peers_in_thread import ScriptedServerInThread, scripted_in_thread
from ...support.scripted_peer import HELLO, answering, starting
from ...support.tls_peer import Certificate, certificate, serving_tls

__all__ = ["certificate"]  # a fixture

# uvloop closes the connections itself when it is closed, and warns that nobody did. (As an error, that warning makes it
# hang.) The warning of asyncio, "unclosed transport", would be an error here.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed resource:ResourceWarning")

LOOPS: dict[str, tuple[str, dict[str, Any]]] = {
    "asyncio": ("asyncio", {}),
    "uvloop": ("asyncio", {"use_uvloop": True}),
    "trio": ("trio", {}),
}
EVENTS = [Text("hello"), Done()]


def run_on(loop: str, function: Callable[[], Awaitable[Any]]) -> Any:
    backend, options = LOOPS[loop]
    return anyio.run(function, backend=backend, backend_options=options)


@pytest.fixture(scope="module")
def portal() -> Generator[BlockingPortal]:
    with start_blocking_portal() as portal:
        yield portal


@pytest.fixture
def server(portal: BlockingPortal) -> Generator[ScriptedServerInThread]:
    with scripted_in_thread(portal, answering(HELLO)) as server:
        yield server


async def ask(client: Client, url: str) -> list[Event]:
    return [event async for event in client.query(url, "hello")]


@pytest.mark.parametrize("second", LOOPS)
@pytest.mark.parametrize("first", LOOPS)
def test_one_loop_after_the_other(server: ScriptedServerInThread, first: str, second: str) -> None:
    client = Client()
    for number, loop in enumerate((first, first, second), 1):

        async def ask_twice() -> None:
            for _ in range(2):
                assert await ask(client, server.address) == EVENTS

        run_on(loop, ask_twice)
        assert client.connections_opened == number
        server.until_closed(number - 1)  # the connection of the loop before
    run_on(second, client.aclose)
    server.until_closed(3)
    gc.collect()  # a socket that was not closed would fail the test


@pytest.mark.parametrize("last", LOOPS)
@pytest.mark.parametrize("first", LOOPS)
def test_closing_in_another_loop(server: ScriptedServerInThread, first: str, last: str) -> None:
    client = Client()
    assert run_on(first, partial(ask, client, server.address)) == EVENTS
    run_on(last, client.aclose)
    server.until_closed(1)
    gc.collect()


def test_tls(portal: BlockingPortal, certificate: Certificate) -> None:
    client = Client(ssl_context=certificate.trusting_client())
    with portal.wrap_async_context_manager(serving_tls(certificate.server(), answering(HELLO))) as url:
        for loop in ("asyncio", "trio", "uvloop"):
            assert run_on(loop, partial(ask, client, url)) == EVENTS
        run_on("asyncio", client.aclose)
    assert client.connections_opened == 3
    gc.collect()


@pytest.mark.parametrize("other", LOOPS)
@pytest.mark.parametrize("loop", LOOPS)
def test_loops_that_run_at_once_keep_their_connections(server: ScriptedServerInThread, loop: str, other: str) -> None:
    client = Client()
    asked, closed = threading.Event(), threading.Event()

    async def ask_in_the_other() -> None:
        assert await ask(client, server.address) == EVENTS
        asked.set()
        await anyio.to_thread.run_sync(closed.wait)
        await anyio.to_thread.run_sync(server.until_closed, 2)

    async def ask_and_close() -> None:
        for _ in range(2):
            assert await ask(client, server.address) == EVENTS
        assert client.connections_opened == 2
        await client.aclose()

    thread = threading.Thread(target=run_on, args=(other, ask_in_the_other))
    thread.start()
    assert asked.wait(10)
    run_on(loop, ask_and_close)
    closed.set()
    thread.join()
    server.until_closed(2)


@pytest.mark.parametrize("second", LOOPS)
@pytest.mark.parametrize("first", LOOPS)
@pytest.mark.parametrize(
    ("entered", "message"), [(True, "belongs to another event loop"), (False, "closed before its end")]
)
def test_a_reply_belongs_to_one_loop(
    portal: BlockingPortal, first: str, second: str, entered: bool, message: str
) -> None:
    with scripted_in_thread(portal, starting) as server:
        client = Client()
        reply = client.query(server.address, "hello")

        async def read_one() -> None:
            if entered:  # otherwise it is closed with the loop
                await reply.__aenter__()
            assert await anext(reply) == Text("a")

        async def read_another() -> None:
            with pytest.raises(LocalProtocolError, match=message):
                await anext(reply)
            await reply.aclose()
            await client.aclose()

        run_on(first, read_one)
        run_on(second, read_another)
        server.until_closed(1)
        gc.collect()


def test_the_shortcuts(server: ScriptedServerInThread) -> None:
    async def ask_by_shortcut() -> list[Event]:
        return [event async for event in get_bot_response("hello", server.address)]

    for loop in (*LOOPS, "asyncio"):
        assert run_on(loop, partial(get_final_response, "hello", server.address)) == "hello"
        assert run_on(loop, ask_by_shortcut) == EVENTS
    assert asyncio.run(get_final_response("hello", server.address)) == "hello"
