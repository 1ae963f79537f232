"""The three things a client needs besides the protocols: connections, pauses, and calls that may block."""

from __future__ import annotations

import ssl
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, TypeVar

import anyio
import anyio.to_thread
import attrs

from poeproto_h11.streams import AnyioConnector, Connector
from poeproto_runtime.sources import InThread

T = TypeVar("T")


@attrs.frozen
class Backend:
    """How a client does what is not HTTP.

    Attributes:
        connect: opens connections.
        sleep: waits so many seconds.
        in_thread: calls a function that may block.
    """

    connect: Connector
    sleep: Callable[[float], Awaitable[None]]
    in_thread: InThread


async def _in_worker_thread(function: Callable[..., T], *args: Any) -> T:
    return await anyio.to_thread.run_sync(partial(function, *args))


def anyio_backend(ssl_context: ssl.SSLContext | None = None, connector: Connector | None = None) -> Backend:
    """The backend for asyncio and trio."""
    return Backend(connector or AnyioConnector(ssl_context), anyio.sleep, _in_worker_thread)
