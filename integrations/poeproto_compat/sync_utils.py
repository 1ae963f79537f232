"""Calling an async function from synchronous code, within an event loop or without."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextvars
import sys
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator
from typing import Any, TypeVar

__all__ = ["run_sync"]

T = TypeVar("T")
Executor = concurrent.futures.Executor


def run_sync(
    coro: Coroutine[Any, Any, T],
    *,
    session: object | None = None,
    _executor_factory: Callable[[], Executor] | None = None,
) -> T:
    """Run a coroutine to its end, and block until then: in an event loop of its own, and a thread if one is running.

    Args:
        coro: the coroutine.
        session: the client that it uses, if that belongs to the caller's event loop.
        _executor_factory: makes the executor for the thread, which is then not shut down.

    Raises:
        ValueError: for a session while an event loop is running, which could not be used in the thread.
    """
    if not is_in_event_loop():
        return asyncio.run(coro)
    try:
        _refuse_session(session)
    except ValueError:
        coro.close()
        raise
    context = _context_for_thread()

    def run() -> T:
        return context.run(asyncio.run, coro)

    if _executor_factory is not None:
        return _executor_factory().submit(run).result()
    with concurrent.futures.ThreadPoolExecutor(1, "poeproto-run-sync") as executor:
        return executor.submit(run).result()


def iterate_sync(make: Callable[[], AsyncGenerator[T]], session: object | None = None) -> Generator[T]:
    """The items of an async generator, each as it arrives; arguments and errors as of `run_sync`."""
    if not is_in_event_loop():
        yield from _iterate(make, _call)
        return
    _refuse_session(session)
    with concurrent.futures.ThreadPoolExecutor(1, "poeproto-iterate-sync") as executor:
        context = _context_for_thread()

        def call(function: Callable[..., Any], *args: Any) -> Any:
            return executor.submit(context.run, function, *args).result()

        yield from _iterate(make, call)


def _context_for_thread() -> contextvars.Context:
    """The caller's context variables, for asyncio in a thread: they say which request the call belongs to."""
    context = contextvars.copy_context()
    sniffio: Any = sys.modules.get("sniffio")
    if sniffio is not None:  # it keeps the caller's event loop in a variable of its own
        context.run(sniffio.current_async_library_cvar.set, None)
    return context


def _iterate(make: Callable[[], AsyncGenerator[T]], call: Callable[..., Any]) -> Generator[T]:
    # With a factory, the runner leaves the thread's current event loop as it is.
    runner = asyncio.Runner(loop_factory=asyncio.new_event_loop)
    try:
        loop = call(runner.get_loop)
        items = make()
        try:
            while True:
                # StopAsyncIteration passes through run_until_complete, but not through a generator.
                item = call(loop.run_until_complete, anext(items, _END))
                if item is _END:
                    return
                yield item
        finally:
            call(loop.run_until_complete, items.aclose())
    finally:
        call(runner.close)


_END: Any = object()


def _call(function: Callable[..., T], *args: Any) -> T:
    return function(*args)


def is_in_event_loop() -> bool:
    """Whether the caller runs in an event loop, asyncio's or another that anyio knows."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        trio: Any = sys.modules.get("trio")
        return trio is not None and trio.lowlevel.in_trio_run()
    return True


def _refuse_session(session: object | None) -> None:
    if session is not None:
        raise ValueError(
            "an event loop is running, so the call is made in a thread, where this session cannot be used:"
            " await the asynchronous function instead, or pass no session"
        )
