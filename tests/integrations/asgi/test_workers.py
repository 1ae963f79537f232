"""Serving as a program: what a process and its workers do, from the outside."""

from __future__ import annotations

import http.client
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from poeproto import Bot, Done, Error, Event
from poeproto_asgi import AppOptions, BotApp, TargetError, run

from ...support.bots import BEARER, KEY, events_in, query_body

SECONDS = 30  # for a process that hangs

BOTS = """
import multiprocessing, os
import anyio
from poeproto import Bot
from poeproto_asgi import BotApp

class Hello(Bot):
    async def get_response(self, request, context):
        yield f"hello from {os.getpid()}"

class Waits(Bot):
    async def get_response(self, request, context):
        yield f"hello from {os.getpid()}"
        await anyio.sleep_forever()

class Cleans(Waits):
    async def get_response(self, request, context):
        context.on_close(self.clean)
        async for text in super().get_response(request, context):
            yield text

    async def clean(self):
        open("cleaning", "w").close()
        outcome = "cut short"
        try:
            while not os.path.exists("go on"):
                await anyio.sleep(0.01)
            outcome = "clean"
        finally:
            open(outcome, "w").close()

hello, waits, cleans = Hello(), Waits(), Cleans()
if multiprocessing.current_process().name == "MainProcess":
    only_in_the_parent = hello
"""

PROGRAM = f"""
import sys
import poeproto_asgi
import bots

if __name__ == "__main__":
    target, worker_class, workers = sys.argv[1:]
    poeproto_asgi.run(
        target if ":" in target else poeproto_asgi.BotApp(getattr(bots, target), access_key={KEY!r}),
        bind="127.0.0.1:0",
        worker_class=worker_class,
        workers=int(workers),
        access_key={KEY!r},
        on_ready=lambda address: print(address, flush=True),
    )
    print("over", flush=True)
"""


class Server:
    """A server in a process of its own."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self.address = self.read_line()

    def read_line(self) -> str:
        assert self._process.stdout is not None
        assert select.select([self._process.stdout], [], [], SECONDS)[0], "the server says nothing"
        return self._process.stdout.readline().rstrip("\n")

    def signal(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def signal_all(self, number: signal.Signals) -> None:
        """As a terminal does: to the process and its workers."""
        os.killpg(self._process.pid, number)

    def wait(self) -> tuple[int, str]:
        """Wait for the end of it and of every process it started; returns its status and standard error."""
        # Both ends are reported only when nobody holds the pipes any more, and workers inherit them.
        _, errors = self._process.communicate(timeout=SECONDS)
        return self._process.returncode, errors


@contextmanager
def program(
    folder: Path,
    target: str,
    worker_class: str = "asyncio",
    workers: int = 1,
    ignored: signal.Signals | None = None,
) -> Generator[Server]:
    """Run a server with this target, with a signal ignored, and end it if the test did not."""
    if worker_class == "uvloop":
        pytest.importorskip("uvloop")
    (folder / "bots.py").write_text(BOTS)
    (folder / "program.py").write_text(PROGRAM)
    ignore = "" if ignored is None else f"trap '' {ignored.name.removeprefix('SIG')}; "
    command = [sys.executable, "-W", "error", "program.py", target, worker_class, str(workers)]
    process = subprocess.Popen(
        ["sh", "-c", f'{ignore}exec "$@"', "sh", *command],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    with process:
        try:
            yield Server(process)
        finally:
            with suppress(ProcessLookupError):  # all of it has ended
                os.killpg(process.pid, signal.SIGKILL)


@contextmanager
def query(address: str) -> Generator[http.client.HTTPResponse]:
    """Send a query; gives the response, whose body may still be to come."""
    connection = http.client.HTTPConnection(urlsplit(address).netloc, timeout=SECONDS)
    try:
        connection.request("POST", "/", query_body(), {"Authorization": BEARER, "Content-Type": "application/json"})
        with connection.getresponse() as response:
            assert response.status == 200
            yield response
    finally:
        connection.close()


def first_pid(response: http.client.HTTPResponse) -> int:
    """The process that answers, from the first event of its answer."""
    record = b"".join(response.readline() for _ in range(3))
    (event,) = events_in(record)
    return int(getattr(event, "text", "").split()[-1])


def assert_stopped(rest: list[Event]) -> None:
    error, done = rest
    assert isinstance(error, Error)
    assert error.allow_retry
    assert done == Done()


@pytest.mark.parametrize("worker_class", ["asyncio", "uvloop", "trio"])
@pytest.mark.parametrize("workers", [1, 2])
def test_a_server_prints_its_address_answers_and_ends_on_a_signal(
    tmp_path: Path, worker_class: str, workers: int
) -> None:
    with program(tmp_path, "bots:hello", worker_class, workers) as server:
        assert server.address.startswith("http://127.0.0.1:")
        with query(server.address) as response:
            assert first_pid(response) > 0
            assert events_in(response.read()) == [Done()]
        server.signal(signal.SIGTERM)
        assert server.read_line() == "over"
        assert server.wait()[0] == 0


@pytest.mark.parametrize("worker_class", ["asyncio", "trio"])
def test_open_streams_are_ended_on_shutdown(tmp_path: Path, worker_class: str) -> None:
    with program(tmp_path, "bots.py:waits", worker_class) as server, query(server.address) as response:
        first_pid(response)
        server.signal(signal.SIGINT)
        assert_stopped(events_in(response.read()))
        assert server.wait()[0] == 0


@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "to_all"),
    [
        pytest.param(signal.SIGTERM, False, id="as kill does"),
        pytest.param(signal.SIGINT, True, id="as a terminal does"),
        pytest.param(signal.SIGTERM, True, id="as systemd does"),
    ],
)
@pytest.mark.parametrize("worker_class", ["asyncio", "trio"])
def test_open_streams_of_every_worker_are_ended(
    tmp_path: Path, worker_class: str, number: signal.Signals, to_all: bool
) -> None:
    with program(tmp_path, "bots.py:waits", worker_class, workers=2) as server, ExitStack() as open_streams:
        pids: set[int] = set()
        responses: list[http.client.HTTPResponse] = []
        # The operating system decides which worker accepts.
        while len(pids) < 2 and len(responses) < 200:
            responses.append(open_streams.enter_context(query(server.address)))
            pids.add(first_pid(responses[-1]))
        if to_all:
            server.signal_all(number)
        else:
            server.signal(number)
        for response in responses:
            assert_stopped(events_in(response.read()))
        status, errors = server.wait()
        assert status == 0
        assert "Traceback" not in errors


@pytest.mark.parametrize("worker_class", ["asyncio", "uvloop", "trio"])
def test_workers_end_with_their_parent(tmp_path: Path, worker_class: str) -> None:
    """The parent is killed: its workers end their replies in order, and release the address."""
    with program(tmp_path, "bots.py:waits", worker_class, workers=2) as server, query(server.address) as response:
        first_pid(response)
        server.signal(signal.SIGKILL)
        assert_stopped(events_in(response.read()))
        status, errors = server.wait()
        assert status == -signal.SIGKILL
        assert "has ended without stopping this worker, which stops now" in errors
        assert "Traceback" not in errors
        with socket.create_server(("127.0.0.1", urlsplit(server.address).port or 0)):
            pass


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("to_all", [False, True], ids=["as kill does", "as a terminal does"])
def test_a_hangup_stops_as_other_signals_do(tmp_path: Path, workers: int, to_all: bool) -> None:
    with program(tmp_path, "bots.py:waits", workers=workers) as server, query(server.address) as response:
        first_pid(response)
        (server.signal_all if to_all else server.signal)(signal.SIGHUP)
        assert_stopped(events_in(response.read()))
        assert server.read_line() == "over"
        assert server.wait()[0] == 0


@pytest.mark.parametrize("workers", [1, 2])
def test_a_hangup_is_ignored_under_nohup(tmp_path: Path, workers: int) -> None:
    with program(tmp_path, "bots.py:hello", workers=workers, ignored=signal.SIGHUP) as server:
        server.signal_all(signal.SIGHUP)
        with query(server.address) as response:
            first_pid(response)
        server.signal(signal.SIGTERM)
        assert server.read_line() == "over"
        assert server.wait()[0] == 0


def until_it_cleans(folder: Path) -> None:
    end = time.monotonic() + SECONDS
    while not (folder / "cleaning").exists():
        assert time.monotonic() < end, "on_close was not called"
        time.sleep(0.01)


@pytest.mark.parametrize("worker_class", ["asyncio", "trio"])
def test_a_worker_that_receives_several_signals_ends_gracefully(tmp_path: Path, worker_class: str) -> None:
    with program(tmp_path, "bots.py:cleans", worker_class, workers=2) as server, query(server.address) as response:
        worker = first_pid(response)
        server.signal(signal.SIGTERM)
        until_it_cleans(tmp_path)
        os.kill(worker, signal.SIGTERM)
        (tmp_path / "go on").touch()
        assert_stopped(events_in(response.read()))
        assert server.wait()[0] == 0
        assert (tmp_path / "clean").exists()


def test_a_second_signal_ends_workers_at_once(tmp_path: Path) -> None:
    with program(tmp_path, "bots.py:cleans", workers=2) as server, query(server.address) as response:
        first_pid(response)
        server.signal(signal.SIGTERM)
        until_it_cleans(tmp_path)
        server.signal(signal.SIGTERM)
        assert server.wait()[0] == 0
        assert not (tmp_path / "cut short").exists()


def test_an_application_that_is_there_already(tmp_path: Path) -> None:
    with program(tmp_path, "hello") as server:
        with query(server.address) as response:
            first_pid(response)
        server.signal(signal.SIGTERM)
        assert server.wait()[0] == 0


def test_a_worker_that_dies_ends_the_others_and_is_reported(tmp_path: Path) -> None:
    with program(tmp_path, "bots:waits", workers=2) as server, query(server.address) as response:
        os.kill(first_pid(response), signal.SIGKILL)
        status, errors = server.wait()
        assert status == 1
        assert "RuntimeError: a worker process ended before a signal" in errors
        assert "-9" in errors


def test_workers_that_cannot_start_are_reported(tmp_path: Path) -> None:
    with program(tmp_path, "bots:only_in_the_parent", workers=2) as server:
        assert server.address == "", "it never was ready"
        status, errors = server.wait()
        assert status == 1
        assert "RuntimeError: a worker process ended before a signal" in errors
        assert "no attribute 'only_in_the_parent'" in errors


def test_several_workers_need_a_name() -> None:
    with pytest.raises(TypeError, match="module:attribute"):
        run(BotApp(Bot(), allow_without_key=True), workers=2)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"access_key": "another"}, "access_key has no effect"),
        ({"allow_without_key": True}, "allow_without_key has no effect"),
        ({"options": AppOptions(bot_name="Hello")}, "has its own"),
    ],
)
def test_options_that_an_application_has_itself(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(TargetError, match=message):
        run(BotApp(Bot(), access_key=KEY), **arguments)


@pytest.mark.parametrize("workers", [0, -1])
def test_no_workers_at_all(workers: int) -> None:
    with pytest.raises(ValueError, match="worker"):
        run("bots:hello", workers=workers)


@pytest.mark.parametrize(
    ("target", "arguments", "error"),
    [
        ("nowhere", {}, TargetError),
        ("there_is_no_such_module:bot", {}, TargetError),
        ("poeproto:Bot", {}, ValueError),  # there is no key
        ("poeproto:Bot", {"allow_without_key": True, "bind": "nowhere"}, ValueError),
        ("poeproto:Bot", {"allow_without_key": True, "bind": "192.0.2.1:0"}, OSError),
    ],
)
@pytest.mark.parametrize("workers", [1, 2])
def test_mistakes_are_reported_before_anything_is_served(
    target: str, arguments: dict[str, Any], error: type[Exception], workers: int
) -> None:
    with pytest.raises(error):
        run(target, workers=workers, on_ready=lambda address: pytest.fail("it serves"), **arguments)
