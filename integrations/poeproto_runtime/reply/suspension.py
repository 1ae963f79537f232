"""A hook before each suspension of a bot, a deadline from the first one on, and the closing of the generator."""

from __future__ import annotations

import types
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Generator
from typing import Any, TypeVar, cast

import anyio

from poeproto import Event

T = TypeVar("T")


@types.coroutine
def await_with_hook(awaitable: Awaitable[T], on_suspend: Callable[[], None]) -> Generator[Any, Any, T]:
    """Await the awaitable, and call `on_suspend` before each suspension, just before the event loop takes over.

    This is what ``await`` does (PEP 380, "Formal Semantics"), with a hook. The hook must not await: `yielded` belongs
    to the suspension under way (on asyncio a future is marked as awaited by now, on trio the code that will reschedule
    the task knows of it).
    """
    iterator = awaitable.__await__()
    send = iterator.send
    try:
        yielded = send(None)
        while True:
            on_suspend()
            try:
                sent = yield yielded
            except BaseException as exc:  # noqa: BLE001 - thrown in, whatever it is
                yielded = iterator.throw(exc)
            else:
                yielded = send(sent)
    except StopIteration as stop:
        return stop.value


async def await_until(deadline: float, awaitable: Awaitable[T]) -> T | None:
    """Await the awaitable; None at the deadline.

    A cancel scope with a deadline takes longer than all the work for an event that has already arrived. So it is
    entered in the hook, at the first suspension. The awaitable must not be suspended within a scope or task group of
    its own: scopes must be left in the reverse order.
    """
    scope: anyio.CancelScope | None = None

    def enter_scope() -> None:
        nonlocal scope
        if scope is None:
            scope = anyio.CancelScope(deadline=deadline)
            scope.__enter__()

    try:
        result = await await_with_hook(awaitable, enter_scope)
    except BaseException as exc:
        if scope is not None and scope.__exit__(type(exc), exc, exc.__traceback__):
            return None
        raise
    if scope is not None:
        scope.__exit__(None, None, None)
    return result


def as_events(answer: object) -> AsyncIterator[Event | str]:
    """Convert the result of a bot's `get_response` into an iterator of events.

    Raises:
        TypeError: when it is neither an async iterable nor an awaitable.
    """
    if isinstance(answer, AsyncIterable):
        return aiter(cast("AsyncIterable[Event | str]", answer))
    if isinstance(answer, Awaitable):
        return _events_of_result(cast("Awaitable[object]", answer))
    raise TypeError(f"get_response must be an async generator or a coroutine function; it returned {answer!r}")


async def _events_of_result(answer: Awaitable[object]) -> AsyncIterator[Event | str]:
    result = await answer
    if isinstance(result, AsyncIterable):
        events = aiter(cast("AsyncIterable[Event | str]", result))
        try:
            async for event in events:
                yield event
        finally:
            # `async for` does not close an iterator that it leaves early.
            await close_events(events)
    elif result is not None:
        yield cast("str", result)


def has_ended(events: object) -> bool:
    """Whether this is an async generator that has run to its end, so that there is nothing to close."""
    return type(events) is types.AsyncGeneratorType and events.ag_frame is None


async def close_events(events: AsyncIterator[Event | str]) -> None:
    """Close the bot's generator, so that its `finally` blocks run now, and not when it is garbage-collected."""
    close = getattr(events, "aclose", None)
    if close is None:
        return
    try:
        await close()
    except BaseExceptionGroup as group:
        # A task group that was open around the `yield` wraps the GeneratorExit of the closing in a group.
        _, failures = group.split(GeneratorExit)
        if failures is not None:
            raise failures from None
