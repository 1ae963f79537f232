"""Driving a bot's events one by one, and noticing when the bot waits."""

from __future__ import annotations

import types
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Generator
from typing import Any, TypeVar, cast

from poeproto import Event

T = TypeVar("T")


@types.coroutine
def await_with_hook(awaitable: Awaitable[T], on_suspend: Callable[[], None]) -> Generator[Any, Any, T]:
    """Await the awaitable; whenever that takes waiting, call `on_suspend`, just before the loop takes over.

    This is what ``await`` does (PEP 380, "Formal Semantics"), with a hook at each suspension. The hook must not await:
    the loop's own bookkeeping for the suspension under way has begun, and trio counts on it.
    """
    iterator = awaitable.__await__()
    try:
        yielded = iterator.send(None)
        while True:
            on_suspend()
            try:
                sent = yield yielded
            except BaseException as exc:  # noqa: BLE001 - handed on, whatever it is
                yielded = iterator.throw(exc)
            else:
                yielded = iterator.send(sent)
    except StopIteration as stop:
        return stop.value


def as_events(answer: object) -> AsyncIterator[Event | str]:
    """What a bot's `get_response` returned, as a stream of events.

    Raises:
        TypeError: when it is neither an asynchronous iterable nor an awaitable.
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
            # The loop above does not close what it leaves.
            await close_events(events)
    elif result is not None:
        yield cast("str", result)


def has_ended(events: object) -> bool:
    """Whether that is a generator with nothing left in it to close."""
    return type(events) is types.AsyncGeneratorType and events.ag_frame is None


async def close_events(events: AsyncIterator[Event | str]) -> None:
    """Close the bot's generator, so that its `finally` blocks run now and not when it is collected."""
    close = getattr(events, "aclose", None)
    if close is None:
        return
    try:
        await close()
    except BaseExceptionGroup as group:
        # A task group that was open around the `yield` hands on the GeneratorExit that closing is, in a group.
        _, failures = group.split(GeneratorExit)
        if failures is not None:
            raise failures from None
