"""Bots that swallow their cancellation: the log names the bot and the line, once."""

from __future__ import annotations

import inspect
import logging
import re
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from functools import partial

import anyio
import anyio.to_thread
import pytest

from poeproto import Context, Limits, QueryRequest, RequestHead
from poeproto_runtime import BotService

from ...support.memory_channel import MemoryChannel, service_of

pytestmark = pytest.mark.anyio

LIMITS = Limits(cleanup_seconds=0.02, heartbeat_seconds=0.05)


class Stuck:
    """A bot that ends when it is released, and not when it is cancelled."""

    def __init__(self) -> None:
        self.is_released = threading.Event()

    async def forward_any_exception(self) -> None:
        while not self.is_released.is_set():
            with suppress(BaseException):
                await anyio.sleep(0.01)

    async def wait_under_shield(self) -> None:
        with anyio.CancelScope(shield=True):
            while not self.is_released.is_set():  # noqa: ASYNC110 - a bot's own
                await anyio.sleep(0.001)

    async def wait_for_thread(self) -> None:
        await anyio.to_thread.run_sync(self.is_released.wait)


STUCK: list[Callable[[Stuck], Awaitable[None]]] = [
    Stuck.forward_any_exception,
    Stuck.wait_under_shield,
    Stuck.wait_for_thread,
]


def service_stuck_in(wait: Callable[[], Awaitable[None]]) -> BotService:
    async def respond(request: QueryRequest, context: Context) -> AsyncIterator[str]:
        yield "hello"
        await wait()

    return service_of(respond, limits=LIMITS)


async def until_logged(caplog: pytest.LogCaptureFixture) -> str:
    def lines() -> list[str]:
        return [record.getMessage() for record in caplog.records if "still runs" in record.getMessage()]

    while not lines():  # noqa: ASYNC110 - a log has no event
        await anyio.sleep(0.001)
    for _ in range(20):  # ticks: it is logged once
        await anyio.sleep(0.003)
    [line] = lines()
    return line


@pytest.mark.parametrize("wait", STUCK, ids=lambda wait: wait.__name__)
@pytest.mark.parametrize("stops", [False, True], ids=["disconnect", "shutdown"])
async def test_a_bot_that_does_not_end_is_logged_with_its_line(
    caplog: pytest.LogCaptureFixture, wait: Callable[[Stuck], Awaitable[None]], stops: bool
) -> None:
    stuck = Stuck()
    service = service_stuck_in(partial(wait, stuck))
    channel = MemoryChannel()
    line, location = "", ""
    async with service.running(), anyio.create_task_group() as tasks:
        tasks.start_soon(service.handle, RequestHead("POST", "/"), "/", channel)
        await channel.until(lambda: bool(channel.events))
        await anyio.wait_all_tasks_blocked()
        if stops:
            service.stop_streams()
        else:
            channel.gone.set()
        line = await until_logged(caplog)
        [location] = service.active_locations()
        stuck.is_released.set()
    source, first = inspect.getsourcelines(wait)
    found = re.search(
        rf"FunctionBot: .* \(error id \w+\), at {re.escape(__file__)}:(\d+) in Stuck\.{wait.__name__}; ", line
    )
    assert found, line
    assert first <= int(found[1]) < first + len(source)
    assert location.startswith(f"FunctionBot at {__file__}:")
    assert service.active_locations() == []


async def test_a_bot_that_ends_in_time_is_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    service = service_stuck_in(anyio.sleep_forever)
    channel = MemoryChannel()
    async with service.running(), anyio.create_task_group() as tasks:
        tasks.start_soon(service.handle, RequestHead("POST", "/"), "/", channel)
        await channel.until(lambda: bool(channel.events))
        channel.gone.set()
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []
