"""A bot that blocks the event loop is logged with its line, once a minute; one that waits or is only busy is not."""

from __future__ import annotations

import logging
import sys
import threading
import time
import types
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import anyio
import anyio.lowlevel
import pytest

import poeproto
import poeproto_runtime
from poeproto import Context, QueryRequest, RequestHead
from poeproto_runtime import BotService, Route, loop_watch
from poeproto_runtime.bot_location import blocking_code
from poeproto_runtime.thread_times import ThreadTimes

from ...support.bots import FunctionBot
from ...support.memory_channel import MemoryChannel

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
def logs_of_loop_watch() -> None:
    """Here they are what is tested."""


def blocks_until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 30
    while not condition() and time.monotonic() < end:
        time.sleep(0.001)


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]


async def ask(bot: FunctionBot) -> None:
    service = BotService({"/": Route(bot, allow_without_key=True)})
    async with service.running():
        await service.handle(RequestHead("POST", "/"), "/", MemoryChannel())


async def test_a_bot_that_blocks_is_logged_once_with_its_line(caplog: pytest.LogCaptureFixture) -> None:
    async def respond(request: QueryRequest, context: Context) -> AsyncIterator[str]:
        yield "hello"
        blocks_until(lambda: len(warnings(caplog)) > 0)
        yield "more"
        time.sleep(0.3)  # noqa: ASYNC251 - what is tested

    await ask(FunctionBot(respond))
    [line] = warnings(caplog)
    assert line.startswith(f"FunctionBot blocks the event loop for more than 100 ms, at {__file__}:")
    assert "; await an asynchronous function instead, or run this one with anyio.to_thread.run_sync" in line
    assert line.partition(f" at {__file__}:")[2].partition(" in ")[2].startswith("blocks_until: ")


async def test_a_task_of_a_bot_that_blocks_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    async def block() -> None:
        blocks_until(lambda: len(warnings(caplog)) > 0)

    async def respond(request: QueryRequest, context: Context) -> AsyncIterator[str]:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(block)
        yield "hello"

    await ask(FunctionBot(respond))
    [line] = warnings(caplog)
    assert line.startswith(f"a task of a bot's blocks the event loop for more than 100 ms, at {__file__}:")


async def test_a_bot_that_works_in_short_steps_is_not_logged(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop_watch, "_SAMPLE_SECONDS", 0.001)

    async def respond(request: QueryRequest, context: Context) -> AsyncIterator[str]:
        for _ in range(100):
            yield "hello"
            time.sleep(0.002)  # noqa: ASYNC251 - a step
            await anyio.lowlevel.checkpoint()

    await ask(FunctionBot(respond))
    assert warnings(caplog) == []


@pytest.mark.parametrize("kind", ["waits for a processor", "has waited and sleeps"])
async def test_a_bot_whose_thread_waits_for_a_processor_is_not_logged(
    kind: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured = 0
    is_idle = False  # the machine

    def times_of(native_id: int) -> ThreadTimes:
        nonlocal measured
        measured += 1
        if is_idle or kind == "waits for a processor":
            return ThreadTimes(time.monotonic() if is_idle else 0.0, 0.0, is_runnable=True)
        return ThreadTimes(0.0, time.monotonic(), is_runnable=False)

    monkeypatch.setattr(ThreadTimes, "of", times_of)
    logged: list[list[str]] = []

    async def respond(request: QueryRequest, context: Context) -> AsyncIterator[str]:
        nonlocal is_idle
        yield "hello"
        blocks_until(lambda: measured >= 3)
        logged.append(warnings(caplog))
        is_idle = True
        blocks_until(lambda: len(warnings(caplog)) > 0)

    await ask(FunctionBot(respond))
    assert logged == [[]]
    assert len(warnings(caplog)) == 1


@pytest.mark.skipif(sys.platform != "linux", reason="the counts are Linux's")
def test_the_times_of_a_thread() -> None:
    before = ThreadTimes.of(threading.get_native_id())
    assert before is not None
    assert before.is_runnable
    while (now := ThreadTimes.of(threading.get_native_id())) is not None and now.running < before.running + 0.02:
        pass
    assert now is not None
    assert now.waited_since(before, now.running - before.running + 1) == pytest.approx(1)
    asleep, end = threading.Event(), threading.Event()
    thread = threading.Thread(target=lambda: (asleep.set(), end.wait()))
    thread.start()
    assert thread.native_id is not None
    asleep.wait()
    while (times := ThreadTimes.of(thread.native_id)) is not None and times.is_runnable:
        pass
    assert times is not None
    assert times.waited_since(times, 1) == 0
    end.set()
    thread.join()
    assert ThreadTimes.of(2**31 - 1) is None


async def test_services_in_one_loop_share_a_watch() -> None:
    services = [BotService({"/": Route(FunctionBot(lambda request, context: None), allow_without_key=True)})] * 2
    async with services[0].running():
        [watch] = loop_watch._watches.values()
        async with services[1].running():
            assert list(loop_watch._watches.values()) == [watch]
        assert list(loop_watch._watches.values()) == [watch]
    assert loop_watch._watches == {}


def test_code_of_poeproto_is_not_reported_as_code_of_a_bot() -> None:
    """A first request makes the decoders, and a flood keeps the server busy: both take long on a busy machine."""

    found: list[types.FrameType] = []

    def code_of(package: types.ModuleType, source: str) -> types.CodeType:
        assert package.__file__ is not None
        return compile(source, str(Path(package.__file__).parent / "some.py"), "exec")

    names: dict[str, object] = {"found": found, "sys": sys}
    names["decoding"] = code_of(poeproto, "found.append(sys._getframe())")
    exec(code_of(poeproto_runtime, "exec(decoding)"), names)
    names["generating"] = code_of(poeproto, "exec('found.append(sys._getframe())')")
    exec(code_of(poeproto_runtime, "exec(generating)"), names)
    names["serving"] = code_of(anyio, "found.append(sys._getframe())")  # a server is a library, as anyio is
    exec(code_of(poeproto_runtime, "exec(serving)"), names)
    assert [blocking_code(frame) for frame in found] == [None, None, None]
    names["respond"] = lambda: found.append(sys._getframe())
    exec(code_of(poeproto_runtime, "respond()"), names)
    of_bot = blocking_code(found[-1])
    assert of_bot is not None
    assert of_bot.where.startswith(f"{__file__}:")
