"""The server behind the recording proxy: how to connect to it, and how requests name it."""

from __future__ import annotations

import errno
import os
import re
import socket
import ssl
from typing import Any

import anyio
import h11

from poeproto import LocalProtocolError
from poeproto_h11.client.happy_eyeballs import alternating
from poeproto_h11.client.tls import system_trust
from poeproto_record.server.sockets import ByteSocket, PlainSocket, TlsSocket
from poeproto_runtime.client.urls import split_url

_CONNECT_SECONDS = 10.0
# How long an address may take while there are others.
_ADDRESS_SECONDS = 1.0
_IN_PROGRESS = frozenset({0, errno.EINPROGRESS, errno.EWOULDBLOCK})
_HOST_LINE = re.compile(rb"\r?\n(host[ \t]*:[ \t]*)[^\r\n]*(?:\r?\n[ \t][^\r\n]*)*", re.IGNORECASE)
_ORIGIN = re.compile(rb"[A-Za-z][A-Za-z0-9+.-]*://[^/?#]*")


class Upstream:
    """A server by its URL. Paths of requests are appended to the path of the URL; ``/`` stands for the URL itself.

    Args:
        url: the URL, http or https.
        unix_socket: the path of a socket to connect to, whatever the host of the URL.
        ssl_context: for https; by default certificates are verified against the system's trust store.
        keep_host: forward the ``Host`` header as the client sends it.

    Raises:
        LocalProtocolError: when the URL is invalid, or has a query or a fragment.
    """

    def __init__(
        self,
        url: str,
        *,
        unix_socket: str | os.PathLike[str] | None = None,
        ssl_context: ssl.SSLContext | None = None,
        keep_host: bool = False,
    ) -> None:
        self.origin, path = split_url(url)
        if "?" in url or "#" in url:
            raise LocalProtocolError("the URL of a server to record has neither a query nor a fragment")
        self._path = path.encode("ascii")
        self._unix_socket = None if unix_socket is None else os.fspath(unix_socket)
        self._keep_host = keep_host
        self._ssl_context = None
        if self.origin.scheme == "https":
            self._ssl_context = ssl_context or system_trust()

    def __str__(self) -> str:
        return str(self.origin) if self._unix_socket is None else f"{self.origin} at unix:{self._unix_socket}"

    def rewrite(self, head: bytes, request: h11.Request) -> bytes:
        """The bytes of the head of a request, with the target and the ``Host`` header that the server expects."""
        line_end = head.find(b"\n")
        first, rest = head[:line_end], head[line_end:]
        method, target, version = first.split(b" ", 2)
        if request.method != b"CONNECT" and target != b"*":
            target = self._target(target)
        if not self._keep_host:
            host = self.origin.authority.encode("ascii")
            rest = _HOST_LINE.sub(lambda line: b"\r\n" + line[1] + host, b"\r" + rest)[1:]
        return b" ".join([method, target, version]) + rest

    def _target(self, target: bytes) -> bytes:
        path, question_mark, query = _ORIGIN.sub(b"", target, count=1).partition(b"?")
        path = self._path if path in (b"", b"/") else self._path.rstrip(b"/") + path
        return path + question_mark + query

    async def connect(self) -> ByteSocket:
        """A connection to the server.

        Raises:
            TimeoutError: when it takes too long.
            OSError: when it fails.
        """
        with anyio.fail_after(_CONNECT_SECONDS):
            if self._unix_socket is not None:
                plain = await _connected(socket.AF_UNIX, socket.SOCK_STREAM, 0, self._unix_socket)
            else:
                plain = await self._connect_tcp()
            if self._ssl_context is None:
                return plain
            secure = TlsSocket(plain, self._ssl_context, self.origin.host)
            try:
                await secure.handshake()
            except BaseException:
                secure.close()
                raise
            return secure

    async def _connect_tcp(self) -> PlainSocket:
        found: Any = await anyio.getaddrinfo(self.origin.host, self.origin.port, type=socket.SOCK_STREAM)
        *others, last = alternating(found)
        for family, kind, protocol, _, address in others:
            try:
                with anyio.fail_after(_ADDRESS_SECONDS):
                    return await _connected(family, kind, protocol, address)
            except OSError:  # also a TimeoutError: the next address may accept it
                continue
        return await _connected(*last[:3], last[4])


async def _connected(family: int, kind: int, protocol: int, address: Any) -> PlainSocket:
    connection = socket.socket(family, kind, protocol)
    try:
        connection.setblocking(False)
        code = connection.connect_ex(address)
        if code in _IN_PROGRESS:
            await anyio.wait_writable(connection)
            code = connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if code:
            raise OSError(code, os.strerror(code))
        return PlainSocket(connection)
    except BaseException:
        connection.close()
        raise
