"""The clients' common part, and the client for event loops: calls bots and Poe, and streams replies."""

from __future__ import annotations

import os
import ssl
from typing import TYPE_CHECKING, NoReturn, Self, Unpack

from poeproto import Endpoints, Limits, RetryPolicy
from poeproto_h11.client.anyio_backend import anyio_backend
from poeproto_h11.client.backend import Backend, Connector
from poeproto_h11.client.pool import Pool
from poeproto_h11.client.proxy import ProxyOption, client_rules
from poeproto_h11.client.timeouts import Timeouts
from poeproto_h11.client.transport import H11Transport
from poeproto_runtime.client.call_hooks import CallHook, CallHooks, EventHook
from poeproto_runtime.client.client_base import AnyReply, AsyncClientBase, ClientBase, ClientBaseOptions
from poeproto_runtime.client.extra_headers import ExtraHeaders, HeadersOfCall
from poeproto_runtime.client.reply import Reply
from poeproto_runtime.client.transport import Transport

__all__ = ["Client"]


class PooledClientBase(ClientBase[AnyReply]):
    """Base class of the clients over h11: a pool of connections.

    Args:
        backend: does the I/O.
        timeouts: the timeouts of every call.
        limits: as in `ClientBase`.
        options: the other arguments of `ClientBase`.
    """

    def __init__(
        self,
        backend: Backend,
        timeouts: Timeouts | None = None,
        limits: Limits | None = None,
        **options: Unpack[ClientBaseOptions],
    ) -> None:
        limits = limits or Limits()
        self._pool = Pool(backend.connect, backend.proxies, backend.current_loop)
        transport = self._make_transport(H11Transport(self._pool, backend, limits, timeouts or Timeouts()))
        super().__init__(transport, backend.in_thread, backend.tool_runner, limits=limits, **options)

    def _make_transport(self, transport: Transport) -> Transport:
        """The transport of all calls; a subclass may wrap it, as a recorder does."""
        return transport

    @property
    def connections_opened(self) -> int:
        """How many connections were opened so far. Requests beyond that number reused one."""
        return self._pool.opened

    def __repr__(self) -> str:
        return f"<{type(self).__name__}, {self.connections_opened} connections opened>"


class Client(PooledClientBase[Reply], AsyncClientBase):
    """Calls bots and Poe over HTTP/1.1, on asyncio and trio. Use it as an async context manager.

    A client may be used in several event loops, in ``asyncio.run`` twice for instance; a reply belongs to the loop that
    it was begun in. No loop reuses a connection of another.

    Args:
        api_key: the key for bots called by name. It is sent to Poe's own origin only.
        access_key: the key for bots called by URL, unless a call has its own; also the bot's own key for uploads, costs
            and changes of settings.
        endpoints: the URLs of Poe.
        limits: the bounds of every exchange.
        timeouts: the timeouts of every call.
        retry: when a call is retried; by default once, and only if nothing can have been done.
        ssl_context: for https; by default certificates are verified against the system's trust store.
        headers: extra headers of every request, to Poe as well as to bots by URL; a call's own replace those of the
            same name. Those that the client sets itself are refused, such as `Authorization`. A function is called for
            each request, with the `CallObservation` of its call, and returns the headers; an exception of it is raised
            by the call.
        proxy: the URL of an HTTP proxy for all connections, as in ``http://user:password@proxy.example:3128``. By
            default the variables ``HTTP_PROXY``, ``HTTPS_PROXY``, ``ALL_PROXY`` and ``NO_PROXY`` decide; False uses
            none.
        unix_socket: the path of a Unix socket to connect to, whatever the host of a URL.
        connector: opens the connections; for tests and tunnels.
        backend: does the I/O; by default anyio, with that connector. Of `proxy`, `unix_socket`, `connector` and
            `backend`, pass one at most. With one of the last three, no proxy of the environment is used.
        on_start: called when a call starts; this and the next three are the fields of `CallHooks`.
        on_first_event: called when the first event of a reply has been received.
        on_event: called with each event of a reply.
        on_end: called when a call that has started has ended, however it ended.

    No redirect is followed, and no cookie is kept. Every method raises `LocalProtocolError` for a name, URL, key or
    request that cannot be sent, and after the client was closed; `TransportError` when a connection fails, and
    `RequestRefused` for an answer with another status than 200.
    """

    def __init__(
        self,
        api_key: str | None = None,
        *,
        access_key: str | None = None,
        endpoints: Endpoints | None = None,
        limits: Limits | None = None,
        timeouts: Timeouts | None = None,
        retry: RetryPolicy | None = None,
        ssl_context: ssl.SSLContext | None = None,
        headers: ExtraHeaders | HeadersOfCall | None = None,
        proxy: ProxyOption = None,
        unix_socket: str | os.PathLike[str] | None = None,
        connector: Connector | None = None,
        backend: Backend | None = None,
        on_start: CallHook | None = None,
        on_first_event: CallHook | None = None,
        on_event: EventHook | None = None,
        on_end: CallHook | None = None,
    ) -> None:
        rules = client_rules(proxy, {"unix_socket": unix_socket, "connector": connector, "backend": backend})
        backend = backend or anyio_backend(ssl_context, connector, rules, unix_socket=unix_socket)
        super().__init__(
            backend,
            timeouts,
            api_key=api_key,
            access_key=access_key,
            endpoints=endpoints,
            limits=limits,
            retry=retry,
            headers=headers,
            hooks=CallHooks(on_start=on_start, on_first_event=on_first_event, on_event=on_event, on_end=on_end),
        )

    async def aclose(self) -> None:
        """Close the idle connections; those in use close with their replies."""
        await self._pool.aclose()

    if not TYPE_CHECKING:  # for who forgets an `async`; a type checker says so by itself

        def __enter__(self) -> NoReturn:
            raise TypeError("this client is asynchronous: write `async with Client(...)`, or use BlockingClient")

        def __exit__(self, *exc_info: object) -> None:
            """Never called; without it, Python would not call `__enter__` either."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.aclose()
