"""TLS over any byte stream, blocking or not: `ssl.SSLObject` does the cryptography, the stream moves the bytes."""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import TypeVar

from poeproto import ConnectionLost
from poeproto_h11.client.backend import ByteStream, time_left

T = TypeVar("T")

_READ_SIZE = 64 * 1024


def system_trust() -> ssl.SSLContext:
    """A TLS context that verifies certificates against the system's trust store."""
    import truststore  # here, because the import is slow, and only https needs it

    return truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


async def secure(stream: ByteStream, context: ssl.SSLContext, host: str, timeout: float) -> TlsStream:
    """Do the TLS handshake on a stream, and verify the certificate; the stream is closed if that fails.

    Args:
        stream: the connection.
        context: the trusted certificates and the settings of TLS.
        host: the name or address that the server's certificate must be for.
        timeout: for the whole handshake, in seconds.

    Raises:
        ssl.SSLError, ConnectionLost, TimeoutError: when that fails.
    """
    end = time.monotonic() + timeout
    try:
        secured = TlsStream(stream, context, host)  # this may read the system's certificates
        await secured.handshake(time_left(end))
    except BaseException:
        await stream.aclose()
        raise
    return secured


class TlsStream:
    """A `ByteStream` that does TLS over another one. Make it with `secure`.

    TLS runs in memory (`ssl.SSLObject`), apart from the connection. So one timeout covers a whole operation, however
    many reads and writes TLS needs for it, and the connection can be closed wherever an operation is interrupted.
    """

    def __init__(self, stream: ByteStream, context: ssl.SSLContext, host: str) -> None:
        self._stream = stream
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=host)
        self._early = b""  # data that was decrypted to find out whether there is any
        self._cut_short = False  # whether a write of TLS records was interrupted, so the peer may have received a part

    async def handshake(self, timeout: float) -> None:
        """Do the handshake, and verify the certificate."""
        end = time.monotonic() + timeout
        await self._run(self._tls.do_handshake, end)
        await self._flush(end)

    async def receive(self, timeout: float) -> bytes:
        """The next bytes; empty at the end."""
        if self._early:
            data, self._early = self._early, b""
            return data
        try:
            # Records that TLS answers with (a key update, say) go out with the next operation: flushing them here could
            # fail and lose what was read. They are due "prior to sending" more data:
            # https://www.rfc-editor.org/rfc/rfc8446#section-4.6.3
            return await self._run(partial(self._tls.read, _READ_SIZE), time.monotonic() + timeout)
        except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
            # Many servers omit the close_notify alert. That is safe here: HTTP itself says where a body ends.
            return b""
        except ssl.SSLError as exc:
            raise ConnectionLost(f"the connection broke while it was read: {exc}") from exc

    async def send(self, data: bytes, timeout: float) -> None:
        """Send all of the data."""
        end = time.monotonic() + timeout
        await self._encrypt(data, end)
        await self._flush(end)

    async def send_until_answered(self, data: bytes, timeout: float) -> bool:
        """Send all of the data, or stop when there is data to read. Returns whether all was sent.

        TLS's own records, such as session tickets, do not count.
        """
        end = time.monotonic() + timeout
        await self._encrypt(data, end)
        self._cut_short = True
        while not await self._stream.send_until_answered(self._outgoing.read(), time_left(end)):
            if await self.is_answering():
                return False
        self._cut_short = False
        return True

    async def _encrypt(self, data: bytes, end: float) -> None:
        view = memoryview(data)
        try:
            while view:  # OpenSSL takes one record at a time
                view = view[await self._run(partial(self._tls.write, view), end) :]
        except ssl.SSLError as exc:
            raise ConnectionLost(f"the connection broke while it was written: {exc}") from exc

    async def aclose(self) -> None:
        """Close at once."""
        await self._stream.aclose()

    def close_socket(self) -> None:
        """Close without waiting."""
        self._stream.close_socket()

    def is_idle(self) -> bool:
        """Whether there is nothing to read."""
        return not self._cut_short and self._has_no_data() and self._stream.is_idle()

    async def is_answering(self) -> bool:
        """Whether the peer has sent data, or disconnected. TLS's own records, such as session tickets, do not count."""
        try:
            while self._has_no_data():
                if self._stream.is_idle():
                    return False
                await self._feed(1.0)  # there are bytes, so this does not wait
        except (ConnectionLost, TimeoutError):
            pass
        return True

    def _has_no_data(self) -> bool:
        if self._early:
            return False
        try:
            self._early = self._tls.read(_READ_SIZE)
        except ssl.SSLWantReadError:
            return True
        except ssl.SSLError:
            pass
        return False  # data, the end, or an error

    async def _run(self, operation: Callable[[], T], end: float) -> T:
        """Run an operation of TLS, and exchange records with the peer until it returns."""
        while True:
            try:
                return operation()
            except ssl.SSLWantReadError:
                await self._flush(end)
                await self._feed(time_left(end))
            except ssl.SSLError:
                with suppress(ConnectionLost, TimeoutError):
                    await self._flush(end)  # the alert that names the error to the peer
                raise

    async def _feed(self, timeout: float) -> None:
        data = await self._stream.receive(timeout)
        if data:
            self._incoming.write(data)
        else:
            self._incoming.write_eof()

    async def _flush(self, end: float) -> None:
        if self._outgoing.pending:
            left = time_left(end)
            self._cut_short = True
            await self._stream.send(self._outgoing.read(), left)
            self._cut_short = False
