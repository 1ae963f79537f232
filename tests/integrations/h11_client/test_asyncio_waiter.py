"""The awaitable of a read on asyncio: when it resumes its task, and how it is cancelled."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Awaitable, Callable

import anyio
import pytest

from poeproto_h11.client.asyncio_waiter import Waiter

variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="")
Test = Callable[[], Awaitable[None]]


@pytest.fixture(params=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Callable[[Test], None]:
    def run(test: Test) -> None:
        if request.param == "uvloop":
            uvloop = pytest.importorskip("uvloop")
            anyio.run(test, backend_options={"loop_factory": uvloop.new_event_loop})
        else:
            anyio.run(test)

    return run


async def started(waiter: Waiter, log: list[str]) -> asyncio.Task[None]:
    """A task that waits, and then logs why it was resumed."""

    async def wait() -> None:
        variable.set("the task's")
        try:
            await waiter
        except asyncio.CancelledError as exc:
            log.append(f"cancelled {exc.args}")
            raise
        log.append(f"resumed in {variable.get()} context")

    task = asyncio.create_task(wait())
    await anyio.wait_all_tasks_blocked()
    return task


async def in_callback(function: Callable[[], object]) -> None:
    """Call the function from a callback of the event loop, and return when it has returned."""
    called = asyncio.Event()
    asyncio.get_running_loop().call_soon(lambda: (function(), called.set()))
    await called.wait()


def test_the_task_is_resumed_in_the_callback(run: Callable[[Test], None]) -> None:
    async def test() -> None:
        log: list[str] = []
        waiter = Waiter(asyncio.get_running_loop())

        def resume() -> None:
            waiter.resume()
            log.append("after resume")

        for _ in range(2):  # it serves one wait after the other
            log.clear()
            task = await started(waiter, log)
            assert not waiter.done()
            await in_callback(resume)
            assert log == ["resumed in the task's context", "after resume"]
            assert waiter.done()
            await task
        await in_callback(resume)  # nobody waits
        waiter.resume_soon()

    run(test)


def test_the_task_is_resumed_later(run: Callable[[Test], None]) -> None:
    async def test() -> None:
        log: list[str] = []
        waiter = Waiter(asyncio.get_running_loop())
        task = await started(waiter, log)
        waiter.resume_soon()
        waiter.resume()  # once is enough
        assert log == []
        await task
        assert log == ["resumed in the task's context"]

    run(test)


def test_the_task_is_cancelled(run: Callable[[Test], None]) -> None:
    async def test() -> None:
        for message in (None, "why"):
            log: list[str] = []
            waiter = Waiter(asyncio.get_running_loop())
            task = await started(waiter, log)
            task.cancel(message)
            assert log == []
            with pytest.raises(asyncio.CancelledError):
                await task
            assert log == [f"cancelled {() if message is None else (message,)}"]
            await (await started_and_resumed(waiter, log))  # the cancellation is over

    async def started_and_resumed(waiter: Waiter, log: list[str]) -> asyncio.Task[None]:
        task = await started(waiter, log)
        await in_callback(waiter.resume)
        return task

    run(test)


def test_the_task_is_cancelled_before_it_waits_or_after_it_was_resumed(run: Callable[[Test], None]) -> None:
    async def test() -> None:
        waiter = Waiter(asyncio.get_running_loop())

        async def cancel_itself() -> None:
            current = asyncio.current_task()
            assert current is not None
            current.cancel()
            await waiter

        with pytest.raises(asyncio.CancelledError):
            await asyncio.create_task(cancel_itself())
        log: list[str] = []
        task = await started(waiter, log)
        waiter.resume_soon()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert log == ["cancelled ()"]

    run(test)


async def other_loops_waiter() -> Waiter:
    return Waiter(asyncio.get_running_loop())


def test_the_task_of_another_loop_cannot_wait(run: Callable[[Test], None]) -> None:
    waiter = anyio.run(other_loops_waiter)

    async def test() -> None:
        with pytest.raises(RuntimeError, match="different loop"):
            await waiter

    run(test)
