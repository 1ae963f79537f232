"""What a client needs besides the protocols: connections, pauses, calls that may block, and tools that are run."""

from __future__ import annotations

import ssl
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any, Protocol, TypeVar

import anyio
import anyio.to_thread
import attrs

from poeproto_h11.client.streams import AnyioConnector, Connector
from poeproto_runtime.client.flow_runner import RunToolCalls
from poeproto_runtime.client.tools import ToolRunner
from poeproto_runtime.client.uploads import InThread

T = TypeVar("T")


class MakeToolRunner(Protocol):
    """Makes what runs tools."""

    def __call__(self, functions: Mapping[str, Callable[..., Any]], *, raise_errors: bool) -> RunToolCalls:
        """What runs these functions, by the names that the model knows."""
        ...


@attrs.frozen
class Backend:
    """How a client does what is not HTTP.

    Attributes:
        connect: opens connections.
        sleep: waits so many seconds.
        in_thread: calls a function that may block.
        tool_runner: makes what runs these functions for a model; `raise_errors` as in `ToolRunner`.
    """

    connect: Connector
    sleep: Callable[[float], Awaitable[None]]
    in_thread: InThread
    tool_runner: MakeToolRunner


async def _in_worker_thread(function: Callable[..., T], *args: Any) -> T:
    return await anyio.to_thread.run_sync(partial(function, *args))


def anyio_backend(ssl_context: ssl.SSLContext | None = None, connector: Connector | None = None) -> Backend:
    """The backend for asyncio and trio."""
    return Backend(connector or AnyioConnector(ssl_context), anyio.sleep, _in_worker_thread, ToolRunner)
