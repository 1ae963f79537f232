"""Connecting through a proxy: a connector that opens tunnels over any other one, which may suspend or block."""

from __future__ import annotations

import ssl
import time
from collections.abc import Awaitable, Callable

import h11

from poeproto import ConnectFailed, ResponseHead
from poeproto_h11.client.backend import (
    CONNECT_FAILURES,
    ByteStream,
    Connector,
    failure_reason,
    is_deadline,
    time_left,
)
from poeproto_h11.client.proxy import Proxy, ProxyFailed, ProxyRules
from poeproto_h11.client.tls import secure, system_trust
from poeproto_runtime.client.urls import Origin

_MAX_HEAD = 32 * 1024


class ProxyConnector:
    """Opens streams through proxies: to the proxy itself for http, and in a tunnel for https.

    Args:
        connect: opens the connections to origins that are reached directly.
        rules: which origin is reached through which proxy.
        ssl_context: for TLS within tunnels; by default certificates are verified against the system's trust store.
        connect_proxy: opens the connections to proxies; by default as `connect`.
        resolve: returns the hosts to open a tunnel to, in their order, within a timeout: addresses, where they must be
            checked before the proxy connects. By default the origin's own host, whose name the proxy resolves.
    """

    def __init__(
        self,
        connect: Connector,
        rules: ProxyRules,
        ssl_context: ssl.SSLContext | None = None,
        *,
        connect_proxy: Connector | None = None,
        resolve: Callable[[Origin, float], Awaitable[list[str]]] | None = None,
    ) -> None:
        self._connect = connect
        self._connect_proxy = connect_proxy or connect
        self._rules = rules
        self._ssl_context = ssl_context
        self._resolve = resolve

    async def __call__(self, origin: Origin, timeout: float) -> ByteStream:
        """A stream to that server, or for http to its proxy.

        Raises:
            ProxyFailed: when no connection can be made because of the proxy.
            ConnectFailed: when TLS with the server fails, and as `connect` raises it.
            InvalidValue: when the proxy of the environment cannot be used.
            TimeoutError: when it takes longer than `timeout` seconds.
        """
        proxy = self._rules.find(origin)
        if proxy is None:
            return await self._connect(origin, timeout)
        end = time.monotonic() + timeout
        try:
            hosts = [origin.host] if self._resolve is None else await self._resolve(origin, time_left(end))
            return await self._open(proxy, origin, hosts, end)
        except (*CONNECT_FAILURES, ConnectFailed) as exc:
            if is_deadline(exc):
                raise
            reason = failure_reason(exc.__cause__ or exc)
            if isinstance(exc, ssl.SSLError) and not isinstance(exc, ssl.SSLEOFError):
                # Within the tunnel, so it is the server's. TLS with the proxy itself fails with a ConnectFailed.
                raise ConnectFailed(f"no connection to {origin}: {reason}") from exc
            raise ProxyFailed(f"no connection to {origin} through the proxy {proxy}: {reason}") from exc

    async def _open(self, proxy: Proxy, origin: Origin, hosts: list[str], end: float) -> ByteStream:
        if origin.scheme == "http":
            return await self._connect_proxy(proxy.origin, time_left(end))
        failure: Exception | None = None
        for number, host in enumerate(hosts):
            # An address that does not answer must not use up the time of those after it.
            share = time_left(end) / (len(hosts) - number)
            try:
                return await self._open_tunnel(proxy, origin, host, time.monotonic() + share)
            except (*CONNECT_FAILURES, ConnectFailed) as exc:
                failure = exc
        raise failure or OSError("the name has no address")

    async def _open_tunnel(self, proxy: Proxy, origin: Origin, host: str, end: float) -> ByteStream:
        stream = await self._connect_proxy(proxy.origin, time_left(end))
        try:
            await _request_tunnel(stream, proxy, Origin(origin.scheme, host, origin.port), end)
        except BaseException:
            await stream.aclose()
            raise
        if self._ssl_context is None:
            self._ssl_context = system_trust()
        # The certificate must be for the name, not for the address.
        return await secure(stream, self._ssl_context, origin.host, time_left(end))


async def _request_tunnel(stream: ByteStream, proxy: Proxy, target: Origin, end: float) -> None:
    """Have the proxy connect the stream to another server.

    Raises:
        ConnectFailed: when the proxy refuses.
        ConnectionLost, TimeoutError: when it does not answer.
    """
    host = f"[{target.host}]" if ":" in target.host else target.host
    authority = f"{host}:{target.port}"  # the port is required here (RFC 9112, 3.2.3)
    headers = [(b"host", authority.encode())]
    if proxy.authorization is not None:
        headers.append((b"proxy-authorization", proxy.authorization))
    http = h11.Connection(h11.CLIENT, max_incomplete_event_size=_MAX_HEAD)
    request = http.send(h11.Request(method="CONNECT", target=authority, headers=headers)) or b""
    await stream.send(request + (http.send(h11.EndOfMessage()) or b""), time_left(end))
    head = await _response_head(stream, http, end)
    if not 200 <= head.status < 300:
        raise ConnectFailed(proxy.refusal_reason(head))
    if http.trailing_data[0]:
        raise ConnectFailed(
            "it sent data into the tunnel before the TLS handshake"
        )  # a TLS server does not speak first


async def _response_head(stream: ByteStream, http: h11.Connection, end: float) -> ResponseHead:
    while True:
        data = await stream.receive(time_left(end))
        try:
            http.receive_data(data)
            while (event := http.next_event()) is not h11.NEED_DATA:
                if isinstance(event, h11.Response):
                    return ResponseHead(event.status_code, event.headers.raw_items())
        except h11.RemoteProtocolError:
            pass  # its message may quote the proxy, which may repeat the credentials
        else:
            continue
        raise ConnectFailed("it does not speak HTTP" if data else "it closed the connection without an answer")
