"""The ways out that a server offers its bots, over h11."""

from __future__ import annotations

import socket
import ssl

import anyio

from poeproto import Endpoints, Limits, RetryPolicy
from poeproto_h11.client.backend import Backend, anyio_backend
from poeproto_h11.client.pool import Pool
from poeproto_h11.client.streams import AnyioConnector
from poeproto_h11.client.timeouts import Timeouts
from poeproto_h11.client.transport import H11Call, H11Transport
from poeproto_h11.client.urls import Origin
from poeproto_runtime.fetch_policy import FetchPolicy, check_address
from poeproto_runtime.outbound import Outbound


class SharedH11Transport:
    """A `poeproto_runtime.SharedTransport`: its pool is made at the first call, and closed after the last user.

    Args:
        backend: how to connect, to wait, and to read files.
        limits: of which `drain` matters here.
        timeouts: the deadlines of each call.

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
        """Count one user more."""
        self._users += 1

    async def release(self) -> None:
        """Count one user less, and close the connections after the last."""
        self._users -= 1
        if not self._users and self._pool is not None:
            pool, self._pool = self._pool, None
            self._opened += pool.opened
            with anyio.CancelScope(shield=True):
                await pool.aclose()

    def begin(self) -> H11Call:
        """A call, whose time runs from here."""
        if self._pool is None:
            self._pool = Pool(self._backend.connect)
        return H11Transport(self._pool, self._backend, self._limits, self._timeouts).begin()


def make_outbound(
    limits: Limits,
    endpoints: Endpoints | None = None,
    *,
    fetch_policy: FetchPolicy | None = None,
    timeouts: Timeouts | None = None,
    retry: RetryPolicy | None = None,
    ssl_context: ssl.SSLContext | None = None,
) -> Outbound:
    """The ways out. Nothing is opened before a bot uses them.

    Args:
        limits: the bounds of every exchange.
        endpoints: where Poe is.
        fetch_policy: which URLs may be fetched; None for none.
        timeouts: the deadlines of each call.
        retry: when a call is made again.
        ssl_context: for https; by default certificates are checked against the system's trust store.
    """
    timeouts = timeouts or Timeouts()
    backend = anyio_backend(ssl_context)
    checked = anyio_backend(connector=AnyioConnector(ssl_context, _CheckedAddresses(fetch_policy or FetchPolicy())))
    return Outbound(
        transport=SharedH11Transport(backend, limits, timeouts),
        fetching=SharedH11Transport(checked, limits, timeouts),
        in_thread=backend.in_thread,
        endpoints=endpoints or Endpoints(),
        fetch_policy=fetch_policy,
        retry=retry,
    )


class _CheckedAddresses:
    """Resolves a name to addresses that the policy allows; all of them must be."""

    def __init__(self, policy: FetchPolicy) -> None:
        self._policy = policy

    async def __call__(self, origin: Origin) -> list[str]:
        listed = self._policy.check_origin(origin.scheme, str(origin))
        found = await anyio.getaddrinfo(origin.host, origin.port, type=socket.SOCK_STREAM)
        addresses = list(dict.fromkeys(entry[4][0] for entry in found))
        if not listed:
            for address in addresses:
                check_address(address)
        return addresses
