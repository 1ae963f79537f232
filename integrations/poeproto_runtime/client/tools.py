"""Runs the tools that a model calls, all of a round at once; a tool that fails gives the model an error result."""

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

from poeproto import BotError, InsufficientFunds, ToolCall, ToolFailed, ToolResult, UnknownTool
from poeproto.flows import prepare_call, tool_content, tool_error
from poeproto_runtime.bot_failures import lack_of_funds_in
from poeproto_runtime.cancellation import cancellation_is_ours

logger = logging.getLogger("poeproto")

# Tools have threads of their own, as many as anyio has for the rest: name resolution and files must not wait for tools.
_MAX_THREADS = 40
_threads: RunVar[anyio.CapacityLimiter] = RunVar("threads of tools")
Call = Callable[[Callable[..., Any], Mapping[str, Any]], Awaitable[object]]


class ToolRunner:
    """Runs tools, synchronous ones in threads, of which an event loop has at most 40 for tools.

    A thread cannot be stopped: when the request ends first, the thread runs on, and nothing waits for it.

    Args:
        functions: keyed by the names that the model knows.
        raise_errors: raise `UnknownTool` and `ToolFailed` instead of returning them to the model as results.
        call: calls a function with its arguments; by default in the event loop or in a thread.
    """

    def __init__(
        self, functions: Mapping[str, Callable[..., Any]], *, raise_errors: bool = False, call: Call | None = None
    ) -> None:
        self._functions = functions
        self._raise_errors = raise_errors
        self._call = call or _run_tool

    async def __call__(self, calls: list[ToolCall]) -> list[ToolResult]:
        """The result of each call, in their order.

        Raises:
            UnknownTool, ToolFailed: with `raise_errors`.
            InsufficientFunds, BotError: when a tool raises it for a lack of funds. Nobody would pay for going on.
        """
        results: dict[int, ToolResult] = {}
        failures: list[Exception] = []

        async def run(number: int, call: ToolCall) -> None:
            try:
                results[number] = await self.run(call)
            except (UnknownTool, ToolFailed, InsufficientFunds, BotError) as exc:
                # Raised after the task group, which would wrap it in a group; the other tools are cancelled.
                failures.append(exc)
                tasks.cancel_scope.cancel()

        async with anyio.create_task_group() as tasks:
            for number, call in enumerate(calls):
                tasks.start_soon(run, number, call)
        if failures:
            raise failures[0]
        return [results[number] for number in range(len(calls))]

    async def run(self, call: ToolCall) -> ToolResult:
        """The result of one call. Raises the exceptions of the runner for a round."""
        prepared = prepare_call(self._functions, call)
        if isinstance(prepared, ToolResult):
            return self._invalid(call, prepared)
        function, arguments = prepared
        try:
            _check_arguments(function, arguments)
        except TypeError as exc:
            return self._invalid(call, tool_error(call, f"the arguments do not fit the function: {exc}"))
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
            logger.warning("the tool %r failed; the model gets an error result", _name(call), exc_info=exc)
            # The details are only logged: a model may repeat its input to the user.
            return tool_error(call, f"the tool failed ({type(exc).__name__})")

    def _invalid(self, call: ToolCall, error: ToolResult) -> ToolResult:
        if self._raise_errors:
            raise UnknownTool(f"the model's call of the tool {_name(call)!r} is invalid: {error.content}", call=call)
        logger.info("the model's call of the tool %r is invalid: %s", _name(call), error.content)
        return error


def _check_arguments(function: Callable[..., Any], arguments: Mapping[str, Any]) -> None:
    try:
        signature = inspect.signature(function)
    except ValueError:
        return  # some functions written in C have no signature
    signature.bind(**arguments)


def is_asynchronous(function: Callable[..., Any]) -> bool:
    """Whether calling it returns a coroutine: it is a coroutine function, or an object whose `__call__` is one."""
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(type(function).__call__)


async def _run_tool(function: Callable[..., Any], arguments: Mapping[str, Any]) -> object:
    call = partial(function, **arguments)
    if is_asynchronous(function):
        return await call()
    # In a list, because trio raises an error when a thread returns an awaitable.
    [value] = await anyio.to_thread.run_sync(lambda: [call()], abandon_on_cancel=True, limiter=_limiter())
    return await cast("Awaitable[object]", value) if inspect.isawaitable(value) else value


def _limiter() -> anyio.CapacityLimiter:
    try:
        return _threads.get()
    except LookupError:
        _threads.set(limiter := anyio.CapacityLimiter(_MAX_THREADS))
        return limiter


def _name(call: ToolCall) -> str:
    return call.function.name if call.function is not None else call.type
