"""The hook before each suspension of a bot, a deadline from the first one on, and the closing of the generator."""

from __future__ import annotations

import types
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Generator
from typing import Any, cast

import anyio
import anyio.lowlevel
import pytest

from poeproto_runtime.cancellation import is_cancelled
from poeproto_runtime.reply.suspension import as_events, await_until, await_with_hook, close_events, has_ended

pytestmark = pytest.mark.anyio


@types.coroutine
def suspend(value: object) -> Generator[object, object, object]:
    """A suspension by hand, to drive a coroutine as the event loop does."""
    return (yield value)


class Suspensions:
    def __init__(self) -> None:
        self.times = 0

    def __call__(self) -> None:
        self.times += 1


def start(awaitable: Awaitable[object], hook: Suspensions) -> Generator[Any, Any, object]:
    return cast("Generator[Any, Any, object]", await_with_hook(awaitable, hook))


async def test_without_a_suspension_the_hook_is_not_called() -> None:
    async def at_once() -> int:
        return 5

    hook = Suspensions()
    assert await await_with_hook(at_once(), hook) == 5
    assert hook.times == 0


async def test_the_hook_is_called_at_each_suspension_before_another_task_runs() -> None:
    seen: list[str] = []

    async def waits() -> str:
        await anyio.lowlevel.checkpoint()
        seen.append("went on")
        await anyio.lowlevel.checkpoint()
        return "done"

    async def other() -> None:
        seen.append("other")

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(other)
        assert await await_with_hook(waits(), lambda: seen.append("noticed")) == "done"
    assert [sight for sight in seen if sight != "noticed"] in (["other", "went on"], ["went on", "other"])
    assert seen[0] == "noticed"
    assert seen[seen.index("went on") + 1] == "noticed"


async def test_an_exception_propagates() -> None:
    async def fails(after: int) -> None:
        for _ in range(after):
            await anyio.lowlevel.checkpoint()
        raise LookupError("no")

    for after in (0, 2):
        hook = Suspensions()
        with pytest.raises(LookupError):
            await await_with_hook(fails(after), hook)
        assert (hook.times > 0) is (after > 0)


async def test_the_end_of_a_generator_propagates() -> None:
    async def empty() -> AsyncIterator[str]:
        return
        yield ""

    with pytest.raises(StopAsyncIteration):
        await await_with_hook(anext(empty()), Suspensions())


def test_values_pass_both_ways() -> None:
    async def echo() -> object:
        return await suspend(await suspend("first"))

    hook = Suspensions()
    running = start(echo(), hook)
    assert running.send(None) == "first"
    assert hook.times == 1
    assert running.send("second") == "second"
    assert hook.times == 2
    with pytest.raises(StopIteration) as stop:
        running.send("result")
    assert stop.value.value == "result"
    assert hook.times == 2


def test_exceptions_are_thrown_in_where_it_waits() -> None:
    async def recovers() -> object:
        try:
            await suspend("waiting")
        except LookupError:
            return await suspend("recovered")

    running = start(recovers(), Suspensions())
    running.send(None)
    assert running.throw(LookupError()) == "recovered"
    with pytest.raises(StopIteration) as stop:
        running.send("fine")
    assert stop.value.value == "fine"


def test_closing_runs_finally() -> None:
    seen: list[str] = []

    async def waits() -> None:
        try:
            await suspend("waiting")
        finally:
            seen.append("finally")

    running = start(waits(), Suspensions())
    running.send(None)
    running.close()
    assert seen == ["finally"]


async def test_cancellation_passes() -> None:
    seen: list[str] = []

    async def waits() -> None:
        try:
            await anyio.sleep_forever()
        except anyio.get_cancelled_exc_class():
            seen.append("cancelled")
            raise

    with anyio.CancelScope() as scope:
        await await_with_hook(waits(), scope.cancel)
    assert scope.cancelled_caught
    assert seen == ["cancelled"]


async def test_scopes_within_keep_working() -> None:
    async def gives_up() -> str:
        with anyio.CancelScope() as scope:
            scope.cancel()
            await anyio.sleep_forever()
        await anyio.lowlevel.checkpoint()
        return "went on"

    assert await await_with_hook(gives_up(), Suspensions()) == "went on"


async def test_every_kind_of_answer_becomes_events() -> None:
    async def generator() -> AsyncIterator[str]:
        yield "a"
        yield "b"

    async def text() -> str:
        return "text"

    async def nothing() -> None: ...

    async def a_generator() -> AsyncIterator[str]:
        return generator()

    class Iterable:
        def __aiter__(self) -> AsyncIterator[str]:
            return generator()

    for given, expected in (
        (generator(), ["a", "b"]),
        (text(), ["text"]),
        (nothing(), []),
        (a_generator(), ["a", "b"]),
        (Iterable(), ["a", "b"]),
    ):
        assert [event async for event in as_events(given)] == expected


@pytest.mark.parametrize("answer", [None, "text", ["a"], 5])
async def test_anything_else_is_an_error(answer: object) -> None:
    with pytest.raises(TypeError, match="get_response"):
        as_events(answer)


async def test_closing_reaches_the_bots_own_generator() -> None:
    closed: list[str] = []

    async def generator() -> AsyncIterator[str]:
        try:
            yield "a"
            yield "b"
        finally:
            closed.append("finally")

    async def a_generator() -> AsyncIterator[str]:
        return generator()

    for events in (as_events(generator()), as_events(a_generator())):
        await anext(events)
        await close_events(events)
    assert closed == ["finally", "finally"]


async def test_an_iterator_without_a_close_is_left_alone() -> None:
    class Iterator:
        def __aiter__(self) -> AsyncIterator[str]:
            return self

        async def __anext__(self) -> str:
            return "again"

    await close_events(as_events(Iterator()))


async def test_only_a_generator_that_ran_to_its_end_has_ended() -> None:
    async def generator() -> AsyncIterator[str]:
        yield "a"

    events = as_events(generator())
    assert not has_ended(events)
    await anext(events)
    assert not has_ended(events)
    assert [event async for event in events] == []
    assert has_ended(events)
    assert not has_ended(object())


async def test_a_task_is_cancelled_as_long_as_a_scope_around_it_is() -> None:
    assert not is_cancelled()
    with anyio.CancelScope() as scope:
        scope.cancel()
        try:
            await anyio.lowlevel.checkpoint()
        finally:
            assert is_cancelled()
            with anyio.CancelScope(shield=True):
                await anyio.lowlevel.checkpoint()
            assert is_cancelled()
    assert not is_cancelled()


async def test_a_cancellation_whose_scope_has_exited() -> None:
    async def holds_a_scope() -> AsyncGenerator[anyio.CancelScope]:
        with anyio.CancelScope() as scope:
            yield scope

    events = holds_a_scope()
    scope = await anext(events)
    with pytest.raises(anyio.get_cancelled_exc_class()):
        try:
            scope.cancel()
            await anyio.lowlevel.checkpoint()
        finally:
            await events.aclose()
    assert not is_cancelled()


# --- a deadline


async def test_a_deadline_returns_data_that_arrives_before_it() -> None:
    async def arrives() -> str:
        await anyio.lowlevel.checkpoint()
        return "arrived"

    assert await await_until(anyio.current_time() + 60, arrives()) == "arrived"
    with anyio.CancelScope() as outside:  # the scope of the deadline has been left
        outside.cancel()
        await anyio.sleep_forever()
    assert outside.cancelled_caught


async def test_data_that_has_arrived_is_returned_after_the_deadline_too() -> None:
    async def has_arrived() -> str:
        return "arrived"

    assert await await_until(anyio.current_time() - 1, has_arrived()) == "arrived"


async def test_nothing_is_returned_at_the_deadline() -> None:
    ended: list[str] = []

    async def waits() -> str:
        try:
            await anyio.Event().wait()
        finally:
            ended.append("finally")
        return "never"

    assert await await_until(anyio.current_time() + 0.001, waits()) is None
    assert await await_until(anyio.current_time() - 1, waits()) is None
    assert ended == ["finally"] * 2


@pytest.mark.parametrize("suspensions", [0, 1])
async def test_an_exception_propagates_through_a_deadline(suspensions: int) -> None:
    async def fails() -> str:
        for _ in range(suspensions):
            await anyio.lowlevel.checkpoint()
        raise LookupError("of the awaitable")

    with pytest.raises(LookupError, match="of the awaitable"):
        await await_until(anyio.current_time() + 60, fails())


async def test_a_cancellation_from_outside_propagates_through_a_deadline() -> None:
    with anyio.CancelScope() as outside:
        outside.cancel()
        await await_until(anyio.current_time() + 60, anyio.Event().wait())
    assert outside.cancelled_caught
