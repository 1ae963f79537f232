"""The tasks of a reply beside the bot's: the rules of a task group, on trio and on asyncio."""

from __future__ import annotations

import asyncio
import contextvars
from contextvars import ContextVar

import anyio
import anyio.lowlevel
import pytest

from poeproto_runtime.reply.tasks import AnyioTasks, AsyncioTasks, ReplyTasks, Run, make_reply_tasks

pytestmark = pytest.mark.anyio
VARIABLE: ContextVar[str] = ContextVar("variable", default="unset")


class Log:
    """Tasks that record how they end."""

    def __init__(self) -> None:
        self.entries: list[str] = []
        self.started = anyio.Event()

    async def waits(self, name: str = "task") -> None:
        self.started.set()
        try:
            await anyio.sleep_forever()
        finally:
            self.entries.append(f"{name} ended")

    async def ends_slowly(self) -> None:
        try:
            await self.waits()
        finally:
            with anyio.CancelScope(shield=True):
                for _ in range(5):
                    await anyio.lowlevel.checkpoint()
            self.entries.append("cleanup ended")

    async def fails(self) -> None:
        raise LookupError("of the task")


def start(tasks: ReplyTasks, run: Run) -> None:
    tasks.start_soon(contextvars.copy_context(), run)


async def test_on_asyncio_there_is_no_task_group(anyio_backend_name: str) -> None:
    assert type(make_reply_tasks()) is (AsyncioTasks if anyio_backend_name == "asyncio" else AnyioTasks)


async def test_tasks_have_the_context_variables_they_are_started_with() -> None:
    tasks = make_reply_tasks()
    seen: list[str] = []
    ended = anyio.Event()

    async def notes() -> None:
        seen.append(VARIABLE.get())
        ended.set()

    context = contextvars.copy_context()
    context.run(VARIABLE.set, "set")
    async with tasks:
        tasks.start_soon(context, notes)
        await ended.wait()
    assert seen == ["set"]


async def test_no_task_outlives_the_block() -> None:
    tasks, log = make_reply_tasks(), Log()
    async with tasks:
        start(tasks, log.ends_slowly)
        await log.started.wait()
    assert log.entries == ["task ended", "cleanup ended"]
    assert not tasks.is_cancelled or isinstance(tasks, AnyioTasks)


async def test_tasks_are_cancelled_before_the_end_of_the_block() -> None:
    tasks, log = make_reply_tasks(), Log()
    async with tasks:
        start(tasks, log.waits)
        await log.started.wait()
        tasks.cancel_beside()
        with anyio.CancelScope(shield=True):
            while not log.entries:
                await anyio.lowlevel.checkpoint()


async def test_a_cancellation_reaches_the_block_and_the_tasks() -> None:
    tasks, log = make_reply_tasks(), Log()
    async with tasks:
        start(tasks, log.waits)
        await log.started.wait()
        tasks.cancel()
        assert tasks.is_cancelled
        await log.waits("block")
    assert sorted(log.entries) == ["block ended", "task ended"]


async def test_a_task_may_cancel_the_block() -> None:
    tasks, log = make_reply_tasks(), Log()

    async def cancels() -> None:
        await log.started.wait()
        tasks.cancel()

    async with tasks:
        start(tasks, cancels)
        await log.waits("block")
    assert log.entries == ["block ended"]


async def test_a_task_that_was_cancelled_before_its_first_step_leaves_nothing() -> None:
    tasks, log = make_reply_tasks(), Log()
    async with tasks:
        start(tasks, log.waits)
        tasks.cancel()


async def test_a_failure_of_a_task_cancels_the_rest() -> None:
    tasks, log = make_reply_tasks(), Log()
    with pytest.raises(ExceptionGroup) as raised:
        async with tasks:
            start(tasks, log.waits)
            await log.started.wait()
            start(tasks, log.fails)
            await log.waits("block")
    assert [str(failure) for failure in raised.value.exceptions] == ["of the task"]
    assert sorted(log.entries) == ["block ended", "task ended"]


async def test_a_failure_of_the_block_is_in_a_group() -> None:
    tasks, log = make_reply_tasks(), Log()
    with pytest.raises(ExceptionGroup) as raised:
        async with tasks:
            start(tasks, log.waits)
            await log.started.wait()
            raise ValueError("of the block")
    assert [str(failure) for failure in raised.value.exceptions] == ["of the block"]
    assert log.entries == ["task ended"]


async def test_failures_of_the_block_and_of_a_task_are_in_one_group() -> None:
    tasks = make_reply_tasks()

    async def fails_when_cancelled() -> None:
        try:
            await anyio.sleep_forever()
        finally:
            raise LookupError("of the task")

    with pytest.raises(ExceptionGroup) as raised:
        async with tasks:
            start(tasks, fails_when_cancelled)
            await anyio.wait_all_tasks_blocked()
            raise ValueError("of the block")
    assert [str(failure) for failure in raised.value.exceptions] == ["of the block", "of the task"]


async def test_a_cancellation_from_outside_propagates_and_leaves_no_task() -> None:
    tasks, log = make_reply_tasks(), Log()
    with anyio.CancelScope() as outside:
        async with tasks:
            start(tasks, log.ends_slowly)
            await log.started.wait()
            outside.cancel()
            await log.waits("block")
    assert outside.cancelled_caught
    assert log.entries[-1] == "cleanup ended"
    assert not tasks.is_cancelled or isinstance(tasks, AnyioTasks)


async def test_a_cancellation_from_outside_propagates_while_the_tasks_end() -> None:
    tasks, log = make_reply_tasks(), Log()
    with anyio.CancelScope() as outside:
        async with tasks:
            start(tasks, log.ends_slowly)
            await log.started.wait()
            outside.cancel()
        raise AssertionError("not reached")
    assert outside.cancelled_caught
    assert log.entries[-1] == "cleanup ended"


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_cancellation_of_the_blocks_own_task_propagates_while_the_tasks_end() -> None:
    tasks, log, ending = make_reply_tasks(), Log(), asyncio.Event()

    async def reply() -> None:
        async with tasks:
            start(tasks, log.ends_slowly)
            await log.started.wait()
            ending.set()

    running = asyncio.get_running_loop().create_task(reply())
    await ending.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert log.entries[-1] == "cleanup ended"


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_task_that_another_cancels_cancels_the_rest() -> None:
    tasks, log = make_reply_tasks(), Log()
    async with tasks:
        start(tasks, log.waits)
        await log.started.wait()
        [task] = [each for each in asyncio.all_tasks() if each.get_name() == "Log.waits"]
        task.cancel()
        await log.waits("block")
    assert sorted(log.entries) == ["block ended", "task ended"]
    assert tasks.is_cancelled
