"""Scenario: a thousand calls of each client, each cancelled or interrupted at a random point, and what leaks."""

from __future__ import annotations

import gc
import json
import os
import random
import signal
import threading
import time
from collections.abc import Callable
from types import FrameType

import anyio
import anyio.to_thread

from benchmarks.soak.client_peers import DONE, LAST_CHUNK, STREAM_HEAD, Peer, chunk, serving, text
from benchmarks.soak.findings import Finding, Findings
from poeproto import CostItem, Endpoints, PoeprotoError, RetryPolicy
from poeproto_h11 import BlockingClient, Client

_KEY = "k" * 32
_PIECES = 4
_PAUSE = 0.0005
# The highest number of calls for each cancelled one: some calls end before they are cancelled.
_CALLS_EACH = 20
# How long to poll for the acts of the server's threads, which send no notification.
_SECONDS = 5.0


class _Server:
    """Answers each query with the query's own text, and each other call with a success, slowly.

    Attributes:
        half_read: how many connections were reused before their last response was complete.
        open: how many connections are open.
    """

    def __init__(self) -> None:
        self.half_read = 0
        self.open = 0
        self._lock = threading.Lock()

    def script(self, peer: Peer) -> None:
        self._count(1)
        try:
            while (request := peer.read_request()) is not None:
                answer = _answer_to(*request)
                step = len(answer) // _PIECES + 1
                for start in range(0, len(answer), step):
                    if start and peer.has_said_more():
                        self.half_read += 1
                        return
                    peer.send(answer[start : start + step])
                    time.sleep(_PAUSE)
        finally:
            self._count(-1)

    def _count(self, change: int) -> None:
        with self._lock:
            self.open += change


def _answer_to(head: bytes, body: bytes) -> bytes:
    line = head.partition(b"\r\n")[0]
    if b"file_upload" in line:
        return _whole(b'{"attachment_url": "https://files.invalid/a", "mime_type": "text/plain"}')
    if b"/cost/" in line:
        return _whole(b'event: result\ndata: {"status": "success"}\n\n', b"Content-Type: text/event-stream\r\n")
    asked = json.loads(body)
    if asked["type"] != "query":
        return _whole(b"{}")
    words = asked["query"][-1]["content"].split(" ")
    return STREAM_HEAD + b"".join(chunk(text(word)) for word in words) + chunk(DONE) + LAST_CHUNK


def _whole(body: bytes, headers: bytes = b"") -> bytes:
    return b"HTTP/1.1 200 OK\r\n%bContent-Length: %d\r\n\r\n%b" % (headers, len(body), body)


def main(findings: Findings, smallest: bool) -> None:
    count = 30 if smallest else 1000
    for backend in ("asyncio", "trio"):
        with serving((server := _Server()).script) as address:
            before = _descriptors()
            run = _Cancelled(f"http://{address}", count, server)
            anyio.run(run.run, backend=backend)
            _report(findings, f"client cancellations, {backend}", run, server, before)
    with serving((server := _Server()).script) as address:
        before = _descriptors()
        interrupted = _Interrupted(f"http://{address}", count, server)
        interrupted.run()
        _report(findings, "client interruptions, blocking", interrupted, server, before)


def _descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


def _until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + _SECONDS
    while time.monotonic() < end and not condition():
        time.sleep(0.01)


def _report(findings: Findings, scenario: str, run: _Run, server: _Server, before: int) -> None:
    gc.collect()
    _until(lambda: not server.open and _descriptors() <= before)
    findings.exactly(scenario, "cancelled", run.cancelled, "calls", run.wanted)
    findings.exactly(scenario, "wrong or missing answers to the call after each", run.wrong, "answers", 0)
    findings.exactly(scenario, "connections reused while half read", server.half_read, "connections", 0)
    findings.add(Finding(scenario, "connections kept", run.kept, "connections", at_most=run.at_once))
    findings.exactly(scenario, "connections still open on the server", server.open, "connections", 0)
    findings.exactly(scenario, "descriptors more than before", max(0, _descriptors() - before), "descriptors", 0)


class _Run:
    """One run over one client.

    Attributes:
        at_once: how many calls run concurrently.
        wanted: how many calls to cancel.
        cancelled: how many calls were cancelled.
        wrong: how often the call after a cancelled one did not get its own answer.
        kept: how many connections were open before the client was closed; at most `at_once`.
    """

    at_once = 1

    def __init__(self, url: str, wanted: int, server: _Server) -> None:
        self.url = url
        self.wanted = wanted
        self.cancelled = 0
        self.wrong = 0
        self.kept = 0
        self._server = server
        self._random = random.Random(6)
        self._number = 0
        self._calls = 0
        self._armed = False

    def _goes_on(self) -> bool:
        self._calls += 1
        return self.cancelled < self.wanted and self._calls <= _CALLS_EACH * self.wanted

    def _count_kept(self) -> None:
        _until(lambda: self._server.open <= self.at_once)
        self.kept = self._server.open

    def _words(self) -> str:
        self._number += 1
        return f"this is question {self._number}"


class _Cancelled(_Run):
    at_once = 8

    async def run(self) -> None:
        """Make and cancel calls, several at a time, until enough were cancelled or the calls are used up."""
        endpoints = Endpoints.at(self.url)
        async with Client(access_key=_KEY, endpoints=endpoints, retry=RetryPolicy(attempts=1)) as client:
            async with anyio.create_task_group() as tasks:
                for _ in range(self.at_once):
                    tasks.start_soon(self._cancel_some, client)
            await anyio.to_thread.run_sync(self._count_kept)

    async def _cancel_some(self, client: Client) -> None:
        calls = [self._ask, self._leave, self._settings, self._upload, self._cost]
        while self._goes_on():
            call = self._random.choice(calls)
            with anyio.move_on_after(self._random.uniform(0, 0.006)) as scope:
                await call(client)
            if scope.cancelled_caught and self.cancelled < self.wanted:
                self.cancelled += 1
                await self._ask(client)

    async def _ask(self, client: Client) -> None:
        words = self._words()
        try:
            async with client.query(self.url, words) as reply:
                self.wrong += await reply.text() != words.replace(" ", "")
        except PoeprotoError:
            self.wrong += 1

    async def _leave(self, client: Client) -> None:
        async with client.query(self.url, self._words()) as reply:
            await anext(reply)

    async def _settings(self, client: Client) -> None:
        await client.settings(self.url)

    async def _upload(self, client: Client) -> None:
        await client.upload(b"content" * 30_000, name="a.txt")

    async def _cost(self, client: Client) -> None:
        await client.authorize_cost(CostItem(1), "query")


class _Interrupted(_Run):
    def run(self) -> None:
        """Make calls and interrupt them by a signal, until enough were interrupted or the calls are used up."""
        calls: list[Callable[[BlockingClient], object]] = [
            self._ask,
            lambda client: client.settings(self.url),
            lambda client: client.upload(b"content" * 30_000, name="a.txt"),
            lambda client: client.authorize_cost(CostItem(1), "query"),
        ]
        handler = signal.signal(signal.SIGALRM, self._interrupt)
        endpoints = Endpoints.at(self.url)
        try:
            with BlockingClient(access_key=_KEY, endpoints=endpoints, retry=RetryPolicy(attempts=1)) as client:
                while self._goes_on():
                    if self._is_interrupted(self._random.choice(calls), client):
                        self.cancelled += 1
                        self._ask(client)
                gc.collect()  # closes the objects that lost their references by the interrupt
                self._count_kept()
        finally:
            signal.signal(signal.SIGALRM, handler)

    def _is_interrupted(self, call: Callable[[BlockingClient], object], client: BlockingClient) -> bool:
        self._armed = True
        try:
            try:
                signal.setitimer(signal.ITIMER_REAL, self._random.uniform(0.0001, 0.006))
                call(client)
            finally:
                self._armed = False
                signal.setitimer(signal.ITIMER_REAL, 0)
        except KeyboardInterrupt:
            self._armed = False
            return True
        return False

    def _interrupt(self, number: int, frame: FrameType | None) -> None:
        if self._armed:
            self._armed = False  # only once: a second interrupt would hit the cleanup
            raise KeyboardInterrupt

    def _ask(self, client: BlockingClient) -> None:
        words = self._words()
        try:
            with client.query(self.url, words) as reply:
                self.wrong += reply.text() != words.replace(" ", "")
        except PoeprotoError:
            self.wrong += 1
