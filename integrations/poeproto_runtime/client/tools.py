"""Running the tools that a model calls: all of a round at once, and a failure is news for the model."""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any, cast

import anyio
import anyio.to_thread
from anyio.lowlevel import RunVar

from poeproto import (
    BotError,
    InsufficientFunds,
    ToolCall,
    ToolFailed,
    ToolResult,
    UnknownTool,
    prepare_call,
    tool_content,
    tool_error,
)
from poeproto_runtime.bot_failures import lack_of_funds_in
from poeproto_runtime.cancellation import cancellation_is_ours

logger = logging.getLogger("poeproto")

# As many as anyio has for everything else, which must not wait for tools: names are looked up there, and files read.
_MOST_THREADS = 40
_threads: RunVar[anyio.CapacityLimiter] = RunVar("threads of tools")
Call = Callable[[Callable[..., Any], Mapping[str, Any]], Awaitable[object]]


class ToolRunner:
    """Runs tools, synchronous ones in threads: at most 40 at once in an event loop.

    A thread cannot be stopped: when the request is over before it, it runs on, and nobody waits for it.

    Args:
        functions: by the names that the model knows.
        raise_errors: raise `UnknownTool` and `ToolFailed` instead of telling the model.
        call: calls a function with these arguments.
    """

    def __init__(
        self, functions: Mapping[str, Callable[..., Any]], *, raise_errors: bool = False, call: Call | None = None
    ) -> None:
        self._functions = functions
        self._raise_errors = raise_errors
        self._call = call or _result_of

    async def __call__(self, calls: list[ToolCall]) -> list[ToolResult]:
        """The result of each call, in their order.

        Raises:
            UnknownTool, ToolFailed: where they are wanted.
            InsufficientFunds, BotError: for a lack of funds, as a tool raises it.
        """
        results: dict[int, ToolResult] = {}
        failures: list[Exception] = []

        async def run(number: int, call: ToolCall) -> None:
            try:
                results[number] = await self.run(call)
            except (UnknownTool, ToolFailed, InsufficientFunds, BotError) as exc:
                # Carried past the task group, which would wrap it; the others need not go on.
                failures.append(exc)
                tasks.cancel_scope.cancel()

        async with anyio.create_task_group() as tasks:
            for number, call in enumerate(calls):
                tasks.start_soon(run, number, call)
        if failures:
            raise failures[0]
        return [results[number] for number in range(len(calls))]

    async def run(self, call: ToolCall) -> ToolResult:
        """The result of one call. Errors as with several."""
        prepared = prepare_call(self._functions, call)
        if isinstance(prepared, ToolResult):
            return self._unknown(call, prepared)
        function, arguments = prepared
        try:
            _check_arguments(function, arguments)
        except TypeError as exc:
            return self._unknown(call, tool_error(call, f"the arguments do not fit: {exc}"))
        try:
            value = await self._call(function, arguments)
            return ToolResult(call.id, _name(call), tool_content(value))
        except (Exception, asyncio.CancelledError) as exc:
            if isinstance(exc, asyncio.CancelledError) and cancellation_is_ours():
                raise
            missing = lack_of_funds_in(exc)
            if missing is not None:
                raise missing from None
            if self._raise_errors:
                raise ToolFailed(f"the tool {_name(call)!r} failed: {type(exc).__name__}", call=call) from exc
            logger.warning("the tool %r failed, which the model is told", _name(call), exc_info=exc)
            # The details are for our log alone: a model repeats what it reads.
            return tool_error(call, f"the tool failed ({type(exc).__name__})")

    def _unknown(self, call: ToolCall, error: ToolResult) -> ToolResult:
        if self._raise_errors:
            raise UnknownTool(f"the call of the tool {_name(call)!r} cannot be understood: {error.content}", call=call)
        logger.info("a model's call of the tool %r cannot be understood: %s", _name(call), error.content)
        return error


def _check_arguments(function: Callable[..., Any], arguments: Mapping[str, Any]) -> None:
    try:
        signature = inspect.signature(function)
    except ValueError:
        return  # some that are written in C have none
    signature.bind(**arguments)


def is_asynchronous(function: Callable[..., Any]) -> bool:
    """Whether calling it gives a coroutine. Of an object with a method __call__, that method decides."""
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(type(function).__call__)


async def _result_of(function: Callable[..., Any], arguments: Mapping[str, Any]) -> object:
    call = partial(function, **arguments)
    if is_asynchronous(function):
        return await call()
    # In a list, because trio takes a thread that returns an awaitable for a mistake.
    [value] = await anyio.to_thread.run_sync(lambda: [call()], abandon_on_cancel=True, limiter=_limiter())
    return await cast("Awaitable[object]", value) if inspect.isawaitable(value) else value


def _limiter() -> anyio.CapacityLimiter:
    try:
        return _threads.get()
    except LookupError:
        _threads.set(limiter := anyio.CapacityLimiter(_MOST_THREADS))
        return limiter


def _name(call: ToolCall) -> str:
    return call.function.name if call.function is not None else call.type
