"""Our clients through real proxies: tinyproxy and Squid, with and without a password."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Protocol

import pytest

from poeproto import Done, Endpoints, RetryPolicy, Text
from poeproto_h11 import Client, ProxyFailed

from ..support.asgi_processes import wait_until_listening
from ..support.both_clients import Query, query, query_blocking
from ..support.calling_bots import CallingBot, Served, forwards, service_of
from ..support.reserved_port import reserved_port
from ..support.scripted_peer import HELLO, answering, scripted
from ..support.tls_peer import Certificate, certificate, serving_tls

__all__ = ["certificate"]  # a fixture

pytestmark = pytest.mark.anyio

ONCE = RetryPolicy(attempts=1)
both_clients = pytest.mark.parametrize("ask", [query, query_blocking])


class Command(Protocol):
    """Makes the command that runs a proxy on a port, with its files in a folder."""

    def __call__(self, folder: Path, port: int, *, password: bool) -> list[str]: ...


def program(name: str) -> str:
    """The path of a proxy's program; skips the test where it is missing, except in CI."""
    found = shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/local/sbin")
    if found is None:
        if os.environ.get("CI"):
            pytest.fail(f"{name} is not installed, and CI requires it: apt-get install {name}")
        pytest.skip(f"{name} is not installed (apt-get install {name})")
    return found


def tinyproxy(folder: Path, port: int, *, password: bool) -> list[str]:
    """The command that runs tinyproxy on this port."""
    lines = [f"Port {port}", "Listen 127.0.0.1", "MaxClients 20", "Timeout 20", f'PidFile "{folder}/pid"']
    lines += ["BasicAuth user p4ss"] if password else []
    (folder / "tinyproxy.conf").write_text("\n".join([*lines, ""]))
    return [program("tinyproxy"), "-d", "-c", str(folder / "tinyproxy.conf")]


def squid(folder: Path, port: int, *, password: bool) -> list[str]:
    """The command that runs Squid on this port. Its passwords come from a program of the test.

    Squid does not run as root. It changes to a user of its own, who has to reach the folder.
    """
    helper = folder / "helper"
    helper.write_text('#!/bin/sh\nwhile read line; do [ "$line" = "user p4ss" ] && echo OK || echo ERR; done\n')
    helper.chmod(0o755)
    lines = [f"http_port 127.0.0.1:{port}", "pid_filename none", "access_log none", "cache deny all"]
    lines += ["cache_log /dev/null", "shutdown_lifetime 0 seconds", "pinger_enable off", "visible_hostname localhost"]
    if password:
        lines += [f"auth_param basic program {helper}", "auth_param basic children 1", "acl known proxy_auth REQUIRED"]
    lines += ["http_access allow known" if password else "http_access allow all", "http_access deny all"]
    (folder / "squid.conf").write_text("\n".join([*lines, ""]))
    # With a name of its own, since Squid's shared memory is named after it.
    return [program("squid"), "-N", "-n", f"poeproto{port}", "-f", str(folder / "squid.conf")]


@contextmanager
def running(command: list[str], port: int) -> Generator[None]:
    """Run a proxy until the block ends; it accepts connections from the start."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_until_listening(process, port, Path(os.devnull))
        yield
    finally:
        # Squid removes its shared memory when it is terminated, and ends at once at the second signal.
        while process.poll() is None:
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(0.05)


@contextmanager
def proxying(command: Command, *, password: bool) -> Generator[str]:
    """The address of a proxy, which runs until the block ends."""
    with TemporaryDirectory() as folder, reserved_port() as port:
        Path(folder).chmod(0o755)
        with running(command(Path(folder), port, password=password), port):
            yield f"127.0.0.1:{port}"


@pytest.fixture(scope="module", params=[tinyproxy, squid])
def proxy(request: pytest.FixtureRequest) -> Generator[str]:
    """The address of a proxy."""
    with proxying(request.param, password=False) as address:
        yield address


@pytest.fixture(scope="module", params=[tinyproxy, squid])
def proxy_with_password(request: pytest.FixtureRequest) -> Generator[str]:
    """The address of a proxy with the user "user" and the password "p4ss"."""
    with proxying(request.param, password=True) as address:
        yield address


@both_clients
async def test_http_and_https(ask: Query, proxy: str, certificate: Certificate) -> None:
    trusting = certificate.trusting_client()
    async with scripted(answering(HELLO)) as server, serving_tls(certificate.server(), answering(HELLO)) as url:
        for target in (server.address, url):
            outcome = await ask(target, proxy=proxy, ssl_context=trusting)
            assert outcome.events == [Text("hello"), Done()], outcome.error
        assert [request.line for request in server.requests] == ["POST / HTTP/1.1"]
        assert server.requests[0].all("proxy-authorization") == []


@both_clients
async def test_a_password(ask: Query, proxy_with_password: str, certificate: Certificate) -> None:
    trusting = certificate.trusting_client()
    async with scripted(answering(HELLO)) as server, serving_tls(certificate.server(), answering(HELLO)) as url:
        for target in (server.address, url):
            address = f"http://user:p4ss@{proxy_with_password}"
            outcome = await ask(target, proxy=address, ssl_context=trusting)
            assert outcome.events == [Text("hello"), Done()], outcome.error
            for wrong, reason in (("", "requires a user"), ("user:wrong@", "does not accept the user")):
                outcome = await ask(target, proxy=f"http://{wrong}{proxy_with_password}", retry=ONCE)
                assert type(outcome.error) is ProxyFailed
                assert reason in str(outcome.error)
        assert server.requests[0].all("proxy-authorization") == []


@both_clients
async def test_a_server_that_is_not_there(ask: Query, proxy: str) -> None:
    with reserved_port() as refusing:
        outcome = await ask(f"https://127.0.0.1:{refusing}/", proxy=proxy, retry=ONCE)
    assert type(outcome.error) is ProxyFailed
    assert "cannot reach the server (status 50" in str(outcome.error)


async def test_the_environment_is_used_for_a_bots_calls(proxy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", proxy)
    async with scripted(answering(HELLO)) as poe:
        service = service_of(CallingBot(forwards, Cat=1), poe.address)
        async with service.running():
            assert await Served(service, poe).answer() == [Text("hello"), Done()]
    [request] = poe.requests
    assert request.all("via") or "squid" in str(request.headers).lower()


async def test_connections_are_used_again(proxy: str) -> None:
    async with scripted(answering(HELLO)) as server:
        async with Client("k" * 32, endpoints=Endpoints.at(server.address), proxy=proxy) as client:
            for _ in range(3):
                async with client.query("Cat", "hello") as reply:
                    assert await reply.text() == "hello"
            opened = client.connections_opened
        assert opened <= 3  # tinyproxy closes each
