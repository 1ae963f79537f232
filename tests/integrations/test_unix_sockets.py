"""Servers on Unix sockets and on inherited ones, and clients that connect to them."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import pytest
from click.testing import CliRunner

from poeproto import ConnectFailed, Context, Done, Endpoints, Limits, QueryRequest, RetryPolicy, Text
from poeproto_cli.commands import main
from poeproto_h11 import Client
from poeproto_simulator import Simulator

from ..support.both_clients import Query, query, query_blocking
from ..support.bots import KEY, FunctionBot
from ..support.command import serving as serving_command
from ..support.command import simulating, started
from ..support.embedded_servers import EchoBot
from ..support.embedded_servers import serving as serving_embedded
from ..support.hypercorn_servers import app_of, on_each_event_loop, quick_config
from ..support.hypercorn_servers import serving as serving_hypercorn
from ..support.scripted_peer import HELLO
from ..support.tls_peer import Certificate, certificate

__all__ = ["certificate"]  # a fixture

pytestmark = pytest.mark.anyio

ONCE = RetryPolicy(attempts=1)
both_clients = pytest.mark.parametrize("ask", [query, query_blocking])

Serve = Callable[..., AbstractAsyncContextManager[str]]


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A path for a socket. It is relative: the folders of pytest may be too long for one."""
    monkeypatch.chdir(tmp_path)
    return "bot.sock"


def exists(path: str) -> bool:
    return Path(path).exists()


async def echo(request: QueryRequest, context: Context) -> AsyncIterator[str]:
    assert context.http_request.client is None
    yield request.query[-1].content


def on_hypercorn(bind: Any) -> AbstractAsyncContextManager[str]:
    return serving_hypercorn(app_of(echo), bind=bind)


def embedded(bind: Any) -> AbstractAsyncContextManager[str]:
    return serving_embedded(FunctionBot(echo), access_key=KEY, bind=bind)


@asynccontextmanager
async def stopping(serve: Serve, bind: str) -> AsyncGenerator[str]:
    """Serve within the block, and have stopped after it."""
    async with anyio.create_task_group() as tasks, serve(bind) as address:
        yield address
        tasks.cancel_scope.cancel()


@on_each_event_loop
@both_clients
@pytest.mark.parametrize("serve", [on_hypercorn, embedded])
async def test_a_query_over_a_unix_socket(ask: Query, serve: Serve, path: str) -> None:
    async with stopping(serve, f"unix:{path},mode=600") as address:
        assert address == f"unix:{path}"
        for text in ("hello", "a" * 500_000):
            outcome = await ask("http://localhost/", text, access_key=KEY, unix_socket=path)
            assert outcome.error is None
            assert "".join(event.text for event in outcome.events if isinstance(event, Text)) == text
    assert not exists(path)


@on_each_event_loop
@pytest.mark.parametrize("serve", [on_hypercorn, embedded])
async def test_a_server_takes_over_a_unix_socket(serve: Serve, path: str) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        async with stopping(serve, listener) as address:  # type: ignore[arg-type]
            assert address == f"unix:{path}"
            assert (await query("http://localhost/", access_key=KEY, unix_socket=path)).error is None
    assert exists(path)  # the caller made it


async def test_a_connection_to_a_unix_socket_is_used_again(path: str) -> None:
    client = Client(access_key=KEY, unix_socket=Path(path))
    async with serving_embedded(EchoBot(), access_key=KEY, bind=f"unix:{path}"), client:
        for _ in range(3):
            async with client.query("http://localhost/", "hello") as reply:
                assert await reply.text() == "hello"
        assert client.connections_opened == 1


@both_clients
async def test_a_socket_that_is_not_there(ask: Query, path: str) -> None:
    outcome = await ask("http://localhost/", unix_socket=path, retry=ONCE)
    assert type(outcome.error) is ConnectFailed
    assert str(outcome.error) == f"no connection to http://localhost at unix:{path}: No such file or directory"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
    outcome = await ask("http://localhost/", unix_socket=path, retry=ONCE)
    assert str(outcome.error) == f"no connection to http://localhost at unix:{path}: Connection refused"


@both_clients
async def test_tls_over_a_unix_socket(ask: Query, path: str, certificate: Certificate) -> None:
    def serve_twice() -> None:
        for _ in range(2):
            connection, _ = listener.accept()
            with connection, contextlib.suppress(ssl.SSLError):
                secured = certificate.server().wrap_socket(connection, server_side=True)
                with secured:
                    secured.recv(65536)
                    secured.sendall(HELLO)

    trusting = certificate.trusting_client()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(anyio.to_thread.run_sync, serve_twice)
            outcome = await ask("https://files.example/", unix_socket=path, ssl_context=trusting)
            assert outcome.events == [Text("hello"), Done()], outcome.error
            outcome = await ask("https://other.example/", unix_socket=path, ssl_context=trusting, retry=ONCE)
            assert "certificate is not accepted" in str(outcome.error)


@both_clients
async def test_the_environments_proxy_is_not_used(ask: Query, path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
    async with serving_embedded(EchoBot(), access_key=KEY, bind=f"unix:{path}"):
        outcome = await ask("http://localhost/", access_key=KEY, unix_socket=path)
        assert outcome.events == [Text("hello"), Done()]


@on_each_event_loop
@pytest.mark.parametrize("serve", [on_hypercorn, embedded])
async def test_a_client_that_disconnects_ends_the_bot(serve: Serve, path: str) -> None:
    ended = anyio.Event()

    async def waiting(request: QueryRequest, context: Context) -> AsyncIterator[str]:
        try:
            yield "hello"
            await anyio.sleep_forever()
        finally:
            ended.set()

    bind = f"unix:{path}"
    server = (
        serving_hypercorn(app_of(waiting), bind=bind)
        if serve is on_hypercorn
        else serving_embedded(FunctionBot(waiting), access_key=KEY, bind=bind)
    )
    async with server, Client(access_key=KEY, unix_socket=path) as client:
        async with client.query("http://localhost/", "hello") as reply:
            assert await anext(reply) == Text("hello")
        await ended.wait()


@on_each_event_loop
@pytest.mark.parametrize("serve", [on_hypercorn, embedded])
async def test_a_client_that_does_not_read_does_not_keep_the_server(serve: Serve, path: str) -> None:
    async def talking(request: QueryRequest, context: Context) -> AsyncIterator[str]:
        while True:
            yield "a" * 10_000

    limits, bind = Limits(send_seconds=0.2, cleanup_seconds=0.1), f"unix:{path}"
    server = (
        serving_hypercorn(app_of(talking, limits), quick_config(), bind=bind)
        if serve is on_hypercorn
        else serving_embedded(FunctionBot(talking), access_key=KEY, bind=bind, limits=limits)
    )
    async with server as _:
        client = Client(access_key=KEY, unix_socket=path)
        reply = client.query("http://localhost/", "hello")
        await anext(reply)
    await reply.aclose()
    await client.aclose()


async def test_the_simulator(path: str) -> None:
    async with Simulator().serving(f"unix:{path}") as address:
        assert address == f"unix:{path}"
        endpoints = Endpoints.at("http://localhost")
        client = Client("k" * 32, endpoints=endpoints, unix_socket=path)
        async with client, client.query("Echo", "hello") as reply:
            assert await reply.text() == "hello"


# --- the command


@pytest.fixture
def bot_file(tmp_path: Path) -> str:
    file = tmp_path / "echoing.py"
    file.write_text(
        "from poeproto import Bot\n\nclass Echo(Bot):\n"
        "    async def get_response(self, request, context):\n        yield request.query[-1].content\n"
    )
    return f"{file}:Echo"


OPEN = "--allow-without-key"


@pytest.mark.parametrize("options", [[], ["--workers", "2"]])
def test_the_command_serves_on_a_unix_socket(options: list[str], bot_file: str, path: str) -> None:
    with serving_command(bot_file, OPEN, *options, bind=f"unix:{path},mode=666") as server:
        assert server.address == f"unix:{path}"
        for command, expected in ((["query", "http://localhost/", "hello"], "hello"), (["settings", "http://a/"], "{")):
            result = CliRunner(env={"POE_ACCESS_KEY": None}).invoke(main, [*command, "--unix-socket", path])
            assert result.exit_code == 0, result.output
            assert result.stdout.startswith(expected)
        server.signal(signal.SIGTERM)
        assert server.wait()[0] == 0
    assert not Path(path).exists()


def test_the_command_serves_on_an_inherited_socket(bot_file: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port, number = listener.getsockname()[1], listener.fileno()
        options = ["--bind", f"fd://{number}", "--workers", "2"]
        with started("serve", bot_file, OPEN, *options, pass_fds=[number]) as process:
            assert process.stdout is not None
            assert process.stdout.readline().endswith(f"at http://127.0.0.1:{port}/\n")
            result = CliRunner(env={"POE_ACCESS_KEY": None}).invoke(
                main, ["query", f"http://127.0.0.1:{port}/", "hello"]
            )
            assert result.stdout == "hello\n"
            process.terminate()
            assert process.wait(30) == 0


def test_the_command_simulates_on_a_unix_socket(path: str) -> None:
    with simulating(bind=f"unix:{path}") as server:
        assert server.address == f"unix:{path}"
        arguments = ["query", "http://localhost/bot/Echo", "hello", "--unix-socket", path, "--access-key", "k" * 32]
        assert CliRunner().invoke(main, arguments).stdout == "hello\n"
        server.signal(signal.SIGTERM)
        assert re.search(r"poeproto query --unix-socket bot\.sock http://localhost/bot/NAME TEXT", server.wait()[2])


@pytest.mark.parametrize("bind", ["unix:folder", "fd://9999"])
def test_an_address_that_cannot_be_bound_ends_the_command(bind: str, bot_file: str, path: str) -> None:
    os.mkdir("folder")
    result = CliRunner(env={"POE_ACCESS_KEY": None}).invoke(main, ["serve", bot_file, OPEN, "--bind", bind])
    assert result.exit_code == 1
    assert result.stderr.startswith(f"Error: cannot listen on {bind}: ")
    assert "\n" not in result.stderr.rstrip("\n")
