"""Hooks of calls that garbage collection ends: none runs during it, since it may strike while a lock is held."""

from __future__ import annotations

import gc
import subprocess
import sys
import threading
from collections.abc import Callable, Coroutine, Generator
from types import ModuleType
from typing import Any, Self

import anyio
import anyio.lowlevel
import pytest
from anyio.from_thread import BlockingPortal

from poeproto import Event, HttpRequest, Message, QueryRequest, ReplyFold, ResponseHead
from poeproto_h11 import BlockingClient, CallHooks, CallObservation, Client, Outcome, get_bot_response_sync
from poeproto_runtime.client.api import ApiCalls
from poeproto_runtime.client.deferred_hooks import CallSoon, call_deferred, defer, running_loop
from poeproto_runtime.client.reply import Reply
from poeproto_runtime.client.uploads import in_worker_thread

from ...support.peers_in_thread import scripted_in_thread
from ...support.scripted_peer import HELLO, answering, scripted, starting


class LockingHook:
    """A hook that needs a lock, as the SDK of a tracer does. Instead of a deadlock it notes that it cannot get it."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.ends: list[CallObservation] = []
        self.deadlocks = 0

    def __call__(self, seen: CallObservation) -> None:
        if not self.lock.acquire(blocking=False):
            self.deadlocks += 1
            return
        self.ends.append(seen)
        self.lock.release()

    @property
    def outcomes(self) -> list[Outcome | None]:
        return [seen.outcome for seen in self.ends]


def reader(client: BlockingClient, url: str) -> Generator[Event]:
    """A generator around a reply, as programs write them."""
    with client.query(url, "hello") as answer:
        yield from answer


def read(client: BlockingClient, url: str, hook: LockingHook) -> object:
    answer = client.query(url, "hello", on_end=hook)
    next(answer)
    return answer


def read_in_a_generator(client: BlockingClient, url: str, hook: LockingHook) -> object:
    with_hook = BlockingClient(on_end=hook)
    events = reader(with_hook, url)
    next(events)
    return events


def read_with_its_own_client(client: BlockingClient, url: str, hook: LockingHook) -> object:
    events = get_bot_response_sync("hello", url, on_end=hook)
    next(events)
    return events


WAYS = [read, read_in_a_generator, read_with_its_own_client]


def collect(hook: LockingHook, held: list[object]) -> None:
    """Collect what is in this list, and nowhere else, as garbage, in a place where the hook could not run."""
    cycle = [*held]
    held.clear()
    cycle.append(cycle)
    gc.collect()  # other garbage
    with hook.lock:
        del cycle
        gc.collect()
    assert (hook.deadlocks, hook.ends) == (0, [])


@pytest.mark.parametrize("start", WAYS)
def test_a_blocking_reply_that_is_collected(
    portal: BlockingPortal, start: Callable[[BlockingClient, str, LockingHook], object]
) -> None:
    hook = LockingHook()
    with scripted_in_thread(portal, starting) as server, BlockingClient() as client:
        collect(hook, [start(client, server.address, hook)])
        server.until_closed(1)
        client.close()  # a safe point
        assert hook.outcomes == [Outcome.CANCELLED]


def test_the_next_call_calls_the_hooks_of_the_one_that_was_collected(portal: BlockingPortal) -> None:
    hook = LockingHook()
    with scripted_in_thread(portal, starting, answering(HELLO)) as server, BlockingClient() as client:
        collect(hook, [read(client, server.address, hook)])
        assert client.query(server.address, "hello", on_end=hook).text() == "hello"
        assert hook.outcomes == [Outcome.CANCELLED, Outcome.COMPLETE]
        assert hook.ends[0].id != hook.ends[1].id


@pytest.mark.anyio
async def test_a_reply_that_is_collected_in_an_event_loop() -> None:
    hook = LockingHook()
    async with scripted(starting) as server, Client(on_end=hook) as client:
        answer = client.query(server.address, "hello")
        await answer.__aenter__()
        response = answer._runner._response
        assert response is not None
        held: list[object] = [answer]
        del answer
        collect(hook, held)
        with anyio.fail_after(5):
            while not hook.ends:  # the event loop calls it, without another call
                await anyio.lowlevel.checkpoint()
        await response.aclose()
    assert hook.outcomes == [Outcome.CANCELLED]


class Forever:
    """What never happens, for a coroutine without an event loop."""

    def __await__(self) -> Generator[None]:
        yield


class Unanswered:
    """A transport whose response has a head, and then nothing."""

    head = ResponseHead(200, [(b"content-type", b"text/event-stream")])

    def begin(self) -> Self:
        return self

    async def send(self, request: HttpRequest) -> Self:
        return self

    async def sleep(self, seconds: float) -> None: ...

    async def receive(self) -> bytes | None:
        await Forever()
        raise AssertionError("it is never resumed")

    async def finish(self) -> None: ...

    async def aclose(self) -> None: ...


async def read_a_reply(calls: ApiCalls) -> None:
    fold = ReplyFold()
    await Reply(calls.query("http://bot.invalid/", QueryRequest([Message("user", "hello")]), None, fold), fold).text()


async def fetch_settings(calls: ApiCalls) -> None:
    await calls.settings("http://bot.invalid/", None)


@pytest.mark.parametrize("call", [read_a_reply, fetch_settings])
def test_a_coroutine_that_is_collected_while_it_waits(call: Callable[[ApiCalls], Coroutine[Any, Any, None]]) -> None:
    """An event loop that is abandoned drops its tasks so."""
    hook = LockingHook()
    coroutine = call(ApiCalls(Unanswered(), in_worker_thread, hooks=[CallHooks(on_end=hook)]))
    coroutine.send(None)
    held: list[object] = [coroutine]
    del coroutine
    collect(hook, held)
    call_deferred()
    assert hook.outcomes == [Outcome.CANCELLED]


EXITING = """
from poeproto_h11 import BlockingClient
from poeproto_runtime.client.deferred_hooks import defer

def drop():
    atexit.register(print, "exit function of a tracer")  # registered before the drop, so called after it
    defer(lambda: print("end"), None)

import atexit
drop()
"""


def test_the_exit_of_the_program_calls_the_hooks_of_calls_that_were_dropped() -> None:
    done = subprocess.run([sys.executable, "-c", EXITING], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (0, "end\nexit function of a tracer\n"), done.stderr


def test_an_event_loop_that_has_ended_leaves_the_end_to_the_next_safe_point() -> None:
    ended: list[str] = []

    async def current() -> CallSoon | None:
        return running_loop()

    for backend in ("asyncio", "trio"):
        defer(lambda: ended.append("end"), anyio.run(current, backend=backend))
        assert ended == []
        call_deferred()
        assert ended.pop() == "end"
    assert running_loop() is None


def test_trio_may_be_imported_by_another_thread_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "trio", ModuleType("trio"))  # as a module is before its code has run
    assert running_loop() is None
