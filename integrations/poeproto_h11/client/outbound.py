"""Outbound calls of a server's bots, over h11: the shared transports, and addresses checked before connecting."""

from __future__ import annotations

import socket
import ssl

import anyio
import attrs

from poeproto import Endpoints, Limits, RetryPolicy
from poeproto_h11.client.anyio_backend import AnyioConnector, anyio_backend
from poeproto_h11.client.backend import Backend
from poeproto_h11.client.pool import Pool
from poeproto_h11.client.proxy import ProxyOption, proxy_rules
from poeproto_h11.client.timeouts import Timeouts
from poeproto_h11.client.transport import H11Call, H11Transport
from poeproto_h11.client.tunnel import ProxyConnector
from poeproto_runtime.client.call_hooks import CallHooks, checked_hooks
from poeproto_runtime.client.extra_headers import ExtraHeaders, HeadersOfCall, RequestHeaders
from poeproto_runtime.client.urls import Origin
from poeproto_runtime.fetch_policy import FetchPolicy, check_address
from poeproto_runtime.outbound import Outbound

__all__ = ["make_outbound"]


class SharedH11Transport:
    """A transport with several users: its pool is made at the first call, and closed when the last user releases it.

    It is a `poeproto_runtime.client.transport.SharedTransport`.

    Args:
        backend: connects, waits, and reads files.
        limits: `Limits.drain` bounds the bytes read after a reply.
        timeouts: the timeouts of each call.

    Attributes:
        opened: how many connections were opened so far.
    """

    def __init__(self, backend: Backend, limits: Limits, timeouts: Timeouts) -> None:
        self._backend = backend
        self._limits = limits
        self._timeouts = timeouts
        self._users = 0
        self._opened = 0
        self._pool: Pool | None = None

    @property
    def opened(self) -> int:
        """How many connections were opened so far."""
        return self._opened + (self._pool.opened if self._pool is not None else 0)

    def hold(self) -> None:
        """Add a user."""
        self._users += 1

    async def release(self) -> None:
        """Remove a user; after the last one, close the connections."""
        self._users -= 1
        if not self._users and self._pool is not None:
            pool, self._pool = self._pool, None
            self._opened += pool.opened
            with anyio.CancelScope(shield=True):
                await pool.aclose()

    def begin(self) -> H11Call:
        """Start a call; its total timeout starts now."""
        if self._pool is None:
            self._pool = Pool(self._backend.connect, self._backend.proxies, self._backend.current_loop)
        return H11Transport(self._pool, self._backend, self._limits, self._timeouts).begin()


def make_outbound(
    limits: Limits,
    endpoints: Endpoints | None = None,
    *,
    fetch_policy: FetchPolicy | None = None,
    timeouts: Timeouts | None = None,
    retry: RetryPolicy | None = None,
    ssl_context: ssl.SSLContext | None = None,
    proxy: ProxyOption = None,
    hooks: CallHooks | None = None,
    headers: ExtraHeaders | HeadersOfCall | None = None,
) -> Outbound:
    """The configuration of a server's outbound calls. No connection is opened before a bot makes one.

    Args:
        limits: the bounds of every exchange.
        endpoints: where Poe is.
        fetch_policy: which URLs may be fetched for bots; None for none.
        timeouts: the timeouts of each call.
        retry: when a call is retried.
        ssl_context: for https; by default certificates are verified against the system's trust store.
        proxy: as of `Client`. It also fetches the files, but from addresses that were resolved and checked here.
        hooks: are called for each call.
        headers: extra headers of each request to Poe, as of `Client`.
    """
    timeouts = timeouts or Timeouts()
    rules = proxy_rules(proxy)
    backend = anyio_backend(ssl_context, proxies=rules)
    addresses = _CheckedAddresses(fetch_policy or FetchPolicy())
    fetching = ProxyConnector(
        AnyioConnector(ssl_context, addresses),
        rules,
        ssl_context,
        connect_proxy=AnyioConnector(ssl_context),
        resolve=addresses.for_proxy,
    )
    checked = attrs.evolve(backend, connect=fetching)
    return Outbound(
        transport=SharedH11Transport(backend, limits, timeouts),
        fetching=SharedH11Transport(checked, limits, timeouts),
        in_thread=backend.in_thread,
        endpoints=endpoints or Endpoints(),
        fetch_policy=fetch_policy,
        retry=retry,
        hooks=checked_hooks(hooks),
        headers=RequestHeaders().with_source(headers),
    )


class _CheckedAddresses:
    """Resolves a name, and raises `FetchForbidden` unless the policy allows each of its addresses."""

    def __init__(self, policy: FetchPolicy) -> None:
        self._policy = policy

    async def for_proxy(self, origin: Origin, timeout: float) -> list[str]:
        """The hosts that a proxy is asked to connect to: the addresses, or the name of a listed origin.

        A proxy would resolve a name again, perhaps to another address. A listed origin may have any.
        """
        if self._policy.check_origin(origin.scheme, str(origin)):
            return [origin.host]
        with anyio.fail_after(timeout):
            return await self(origin)

    async def __call__(self, origin: Origin) -> list[str]:
        listed = self._policy.check_origin(origin.scheme, str(origin))
        found = await anyio.getaddrinfo(origin.host, origin.port, type=socket.SOCK_STREAM)
        addresses = list(dict.fromkeys(entry[4][0] for entry in found))
        if not listed:
            for address in addresses:
                check_address(address)
        return addresses
