"""Running the tools that a model calls, without an event loop: each in a thread, and all of a round at once."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Coroutine, Mapping
from functools import partial
from typing import Any

from poeproto import ToolCall, ToolResult
from poeproto_h11.client.daemon_thread import in_daemon_thread
from poeproto_h11.client.run_sync import run_sync
from poeproto_runtime.client.tools import ToolRunner, is_asynchronous


class BlockingToolRunner:
    """Runs tools and waits for all of a round.

    A thread cannot be stopped: when the waiting is interrupted, it runs on, and nobody waits for it, not even the
    interpreter when it ends.

    Args:
        functions: by the names that the model knows.
        raise_errors: raise `UnknownTool` and `ToolFailed` instead of telling the model.

    Raises:
        TypeError: for an asynchronous function.
    """

    def __init__(self, functions: Mapping[str, Callable[..., Any]], *, raise_errors: bool = False) -> None:
        for name, function in functions.items():
            if is_asynchronous(function):
                raise TypeError(f"the tool {name!r} is asynchronous, and a client that blocks has no event loop for it")
        self._runner = ToolRunner(functions, raise_errors=raise_errors, call=_call)

    async def __call__(self, calls: list[ToolCall]) -> list[ToolResult]:
        """The result of each call, in their order. Errors as with `ToolRunner`."""
        running = [in_daemon_thread("tool", partial(run_sync, self._runner.run(call))) for call in calls]
        return [result.result() for result in running]


async def _call(function: Callable[..., Any], arguments: Mapping[str, Any]) -> object:
    value = function(**arguments)
    if not inspect.isawaitable(value):
        return value
    if isinstance(value, Coroutine):
        value.close()
    raise TypeError("the tool returned something to be awaited, and a client that blocks has no event loop for it")
