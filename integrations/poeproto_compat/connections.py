"""The connections of calls without a session: one pool an event loop, which is closed with the loop."""

from __future__ import annotations

import threading
from collections.abc import AsyncGenerator, Mapping

import attrs

from poeproto import Limits
from poeproto.http import normalise_headers
from poeproto_compat.call_hooks import observed_calls
from poeproto_h11 import Timeouts, make_outbound
from poeproto_h11.client.anyio_backend import anyio_backend
from poeproto_h11.client.backend import EventLoop
from poeproto_httpx import HttpxTransport, Session
from poeproto_runtime.client.api import ApiCalls
from poeproto_runtime.client.extra_headers import HeaderTransport, RequestHeaders
from poeproto_runtime.client.transport import SharedTransport, Transport
from poeproto_runtime.client.uploads import in_worker_thread

# fastapi_poe waits ten minutes for a response to begin, and for each part of it.
_SECONDS = 600.0
_TIMEOUTS = Timeouts(header=_SECONDS, idle=_SECONDS)


@attrs.define(eq=False)
class _LoopConnections:
    """The connections of one event loop.

    Attributes:
        loop: the event loop.
        transport: sends requests over them.
        guard: a suspended generator; event loops close those when they end.
    """

    loop: EventLoop
    transport: SharedTransport
    guard: AsyncGenerator[None] | None = None

    async def close_with_loop(self) -> AsyncGenerator[None]:
        """Close the connections when the event loop closes this generator."""
        try:
            yield
        finally:
            await self.close()

    async def close(self) -> None:
        with _lock:
            if self not in _all:
                return
            _all.remove(self)
        await self.transport.release()


_lock = threading.Lock()
_all: list[_LoopConnections] = []
_backend = anyio_backend()


async def calls_for(session: Session | None, headers: Mapping[str, str] | None = None) -> ApiCalls:
    """The calls of this task over `transport_for`, with their hooks; arguments and errors as there."""
    observed = observed_calls()
    transport = await transport_for(session, headers)
    return ApiCalls(transport, in_worker_thread, hooks=observed.hooks, headers=observed.headers)


async def transport_for(session: Session | None, headers: Mapping[str, str] | None) -> Transport:
    """The transport of a call: through the session, or else over the event loop's shared connections.

    Args:
        session: an `httpx.AsyncClient`, or None.
        headers: extra headers, which replace those of the same name.

    Raises:
        TypeError: for a session that is not a client of httpx's form.
        LocalProtocolError: for headers that HTTP cannot carry.
    """
    transport: Transport = await _shared_transport() if session is None else HttpxTransport(session)
    return HeaderTransport(transport, RequestHeaders((normalise_headers(headers),))) if headers else transport


async def _shared_transport() -> Transport:
    loop = _backend.current_loop()
    assert loop is not None, "anyio's backend knows its event loop"
    with _lock:
        for connections in _all:
            if connections.loop == loop:
                return connections.transport
        ended = [connections for connections in _all if connections.loop.is_over()]
        transport = make_outbound(Limits(), timeouts=_TIMEOUTS).transport
        transport.hold()
        connections = _LoopConnections(loop, transport)
        _all.append(connections)
    # On asyncio and trio, the first step of an async generator registers it with the event loop.
    connections.guard = connections.close_with_loop()
    await anext(connections.guard)
    for each in ended:  # closed without asyncio's shutdown_asyncgens
        await each.close()
    return transport
