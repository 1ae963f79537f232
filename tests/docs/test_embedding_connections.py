"""The programs that embed a bot in a server stop the bot at a disconnect, and close an idle connection."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import asynccontextmanager, contextmanager
from http.server import ThreadingHTTPServer
from types import ModuleType
from typing import Any

import anyio
import pytest
import trio
import trio.testing

from ..support.bots import KEY
from ..support.example_stage import load_example
from ..support.raw_http import connect, http_request

pytestmark = pytest.mark.anyio

IDLE_SECONDS = 20  # after which each program closes a connection
FASTER = 1000
# Those whose bot runs in a thread, and so is stopped when its next text cannot be written.
THREADED = ["in_http_server", "on_sockets"]


@pytest.fixture
def name(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def anyio_backend(name: str) -> str:
    return "trio" if name == "on_trio" else "asyncio"


@pytest.fixture
def program(name: str, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The program as a module, whose lines are kept in `printed`; the first sets `listening`."""
    monkeypatch.setenv("POE_ACCESS_KEY", KEY)
    monkeypatch.setattr("sys.argv", [name, "0"])
    module = load_example(f"embedding/{name}")
    printed: list[str] = []
    listening = anyio.Event()

    def keep(line: str, **_: object) -> None:
        printed.append(line)
        listening.set()

    for attribute, value in {"printed": printed, "listening": listening, "print": keep}.items():
        monkeypatch.setattr(module, attribute, value, raising=False)
    return module


@asynccontextmanager
async def serving(program: ModuleType, monkeypatch: pytest.MonkeyPatch) -> AsyncGenerator[str]:
    """The address of a program, which serves until the end."""
    if hasattr(program, "main"):
        # The programs leave it to the end of the process to close these.
        runners = recorded(program.web, "AppRunner", monkeypatch) if hasattr(program, "web") else []
        servers = recorded(program, "HTTPServer", monkeypatch) if hasattr(program, "HTTPServer") else []
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(program.main)
            await program.listening.wait()
            yield program.printed[0]
            tasks.cancel_scope.cancel()
        for runner in runners:
            await runner.cleanup()
        for server in servers:
            server.stop()
            await server.close_all_connections()
    else:
        with serving_in_threads(program) as address:
            yield address


def recorded(owner: ModuleType, name: str, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The instances of `owner.NAME` that are made from now on."""
    instances: list[Any] = []
    kind = getattr(owner, name)

    def make(*args: Any, **kwargs: Any) -> Any:
        instances.append(kind(*args, **kwargs))
        return instances[-1]

    monkeypatch.setattr(owner, name, make)
    return instances


@contextmanager
def serving_in_threads(program: ModuleType) -> Generator[str]:
    if hasattr(program, "PoeHandler"):
        with ThreadingHTTPServer(("127.0.0.1", 0), program.PoeHandler) as server:
            thread = threading.Thread(target=server.serve_forever, args=[0.01])
            thread.start()
            yield f"http://127.0.0.1:{server.server_port}/"
            server.shutdown()
            thread.join()
    else:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            thread = threading.Thread(target=lambda: program.serve_connection(HurriedSocket.of(listener.accept()[0])))
            thread.start()
            yield f"http://127.0.0.1:{listener.getsockname()[1]}/"
            thread.join()


class HurriedSocket(socket.socket):
    """A socket on which an idle timeout is over soon."""

    @classmethod
    def of(cls, accepted: socket.socket) -> HurriedSocket:
        return cls(fileno=accepted.detach())

    def settimeout(self, value: float | None, /) -> None:
        super().settimeout(value / FASTER if value == IDLE_SECONDS else value)


def bot_that_waits(stopped: threading.Event) -> Callable[..., AsyncGenerator[str]]:
    async def answer(*_: object) -> AsyncGenerator[str]:
        try:
            yield "hello "
            await anyio.sleep_forever()
        finally:
            stopped.set()

    return answer


def bot_that_goes_on(stopped: threading.Event) -> Callable[..., Generator[str]]:
    def answer(*_: object) -> Generator[str]:
        try:
            while True:
                yield "hello "
        finally:
            stopped.set()

    return answer


@pytest.mark.parametrize(
    "name",
    ["bot_in_aiohttp", "in_aiohttp", "in_http_server", "in_tornado", "on_asyncio", "on_sockets", "on_trio"],
    indirect=True,
)
async def test_a_disconnect_stops_the_bot(name: str, program: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    stopped = threading.Event()
    answer = bot_that_goes_on(stopped) if name in THREADED else bot_that_waits(stopped)
    if name == "bot_in_aiohttp":
        monkeypatch.setattr(program.RelayBot, "get_response", answer)
    else:
        monkeypatch.setattr(program, "answer", answer)
    async with serving(program, monkeypatch) as address:
        async with connect(address) as connection:
            await connection.send(http_request())
            assert (await connection.read_head())[0] == 200
            assert await connection.read_events()
            assert not stopped.is_set()
        assert await anyio.to_thread.run_sync(stopped.wait, 20)


@pytest.mark.parametrize("name", ["in_http_server", "on_asyncio", "on_sockets"], indirect=True)
async def test_an_idle_connection_is_closed(name: str, program: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    timeout: Callable[[float], Any] = asyncio.timeout
    if name == "in_http_server":
        assert program.PoeHandler.timeout == IDLE_SECONDS
        monkeypatch.setattr(program.PoeHandler, "timeout", IDLE_SECONDS / FASTER)

    def hurried(seconds: float) -> Any:
        return timeout(seconds / FASTER)

    async with serving(program, monkeypatch) as address:
        monkeypatch.setattr(asyncio, "timeout", hurried)
        async with connect(address) as connection:
            assert await connection.read_to_end() == b""


@pytest.mark.parametrize("name", ["on_trio"], indirect=True)
def test_an_idle_connection_does_not_end_the_server_on_trio(program: ModuleType) -> None:
    async def serve() -> float:
        stream, _client = trio.testing.memory_stream_pair()
        await program.serve_connection(stream)  # an exception would end `trio.serve_listeners`
        return trio.current_time()

    clock = trio.testing.MockClock(autojump_threshold=0)
    started = clock.current_time()
    assert trio.run(serve, clock=clock) - started == pytest.approx(IDLE_SECONDS)
    assert program.printed == ["a connection ended: TooSlowError()"]
