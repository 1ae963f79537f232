"""TLS over a stream, the same for streams that block and for those of an event loop."""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from poeproto import ConnectionLost

if TYPE_CHECKING:
    from poeproto_h11.client.streams import ByteStream

T = TypeVar("T")

_READ_SIZE = 64 * 1024


def system_trust() -> ssl.SSLContext:
    """TLS that checks certificates against the system's trust store."""
    import truststore  # only those who use TLS wait for it

    return truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def time_left(end: float) -> float:
    """The seconds until then.

    Raises:
        TimeoutError: when there are none.
    """
    left = end - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left


async def secure(stream: ByteStream, context: ssl.SSLContext, host: str, timeout: float) -> TlsStream:
    """Agree on keys over that stream, and check the certificate; the stream is closed if that fails.

    Args:
        stream: the connection.
        context: whom to trust.
        host: the name or address that the server's certificate must be for.
        timeout: for all of that, in seconds.

    Raises:
        ssl.SSLError, ConnectionLost, TimeoutError: when that fails.
    """
    end = time.monotonic() + timeout
    try:
        secured = TlsStream(stream, context, host)  # which may read the system's certificates first
        await secured.handshake(time_left(end))
    except BaseException:
        await stream.aclose()
        raise
    return secured


class TlsStream:
    """A `ByteStream` that speaks TLS over another.

    TLS is kept in memory and apart from the connection (`ssl.SSLObject`), so that a deadline is one for a whole
    operation, and the connection can be closed wherever an operation is interrupted. Make one with `secure`.
    """

    def __init__(self, stream: ByteStream, context: ssl.SSLContext, host: str) -> None:
        self._stream = stream
        self._incoming = ssl.MemoryBIO()
        self._api = ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._api, server_hostname=host)
        self._early = b""  # what was decrypted to see whether there is anything
        self._cut_off = False  # whether TLS was interrupted while it said something, so that the peer may lack some

    async def handshake(self, timeout: float) -> None:
        """Agree on keys, and check the certificate."""
        end = time.monotonic() + timeout
        await self._do(self._tls.do_handshake, end)
        await self._flush(end)

    async def receive(self, timeout: float) -> bytes:
        """Some bytes; none at the end."""
        if self._early:
            data, self._early = self._early, b""
            return data
        try:
            # What TLS says to that goes out with the next operation: a flush here could fail, and lose what was read.
            # https://www.rfc-editor.org/rfc/rfc8446#section-4.6.3 has new keys follow "prior to sending" more data.
            return await self._do(partial(self._tls.read, _READ_SIZE), time.monotonic() + timeout)
        except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
            # HTTP says itself where a body ends, and many servers leave out the end of TLS.
            return b""
        except ssl.SSLError as exc:
            raise ConnectionLost(f"the connection broke while it was read: {exc}") from exc

    async def send(self, data: bytes, timeout: float) -> None:
        """Send all of them."""
        end = time.monotonic() + timeout
        view = memoryview(data)
        try:
            while view:  # OpenSSL takes a record of it at a time
                view = view[await self._do(partial(self._tls.write, view), end) :]
            await self._flush(end)
        except ssl.SSLError as exc:
            raise ConnectionLost(f"the connection broke while it was written: {exc}") from exc

    async def aclose(self) -> None:
        """Close at once."""
        await self._stream.aclose()

    def is_quiet(self) -> bool:
        """Whether there is nothing to read."""
        return not self._cut_off and self._nothing_decrypted() and self._stream.is_quiet()

    async def is_answering(self) -> bool:
        """Whether the peer has something to say. What is TLS's own, new session tickets for one, is no answer."""
        try:
            while self._nothing_decrypted():
                if self._stream.is_quiet():
                    return False
                await self._take_in(1.0)  # there is something, so this is over at once
        except (ConnectionLost, TimeoutError):
            pass
        return True

    def _nothing_decrypted(self) -> bool:
        if self._early:
            return False
        try:
            self._early = self._tls.read(_READ_SIZE)
        except ssl.SSLWantReadError:
            return True
        except ssl.SSLError:
            pass
        return False  # bytes, an end, or a fault

    async def _do(self, operation: Callable[[], T], end: float) -> T:
        """What the operation returns, once TLS has had what it needs of the peer for it."""
        while True:
            try:
                return operation()
            except ssl.SSLWantReadError:
                await self._flush(end)
                await self._take_in(time_left(end))
            except ssl.SSLError:
                with suppress(ConnectionLost, TimeoutError):
                    await self._flush(end)  # TLS tells the peer what is wrong
                raise

    async def _take_in(self, timeout: float) -> None:
        data = await self._stream.receive(timeout)
        if data:
            self._incoming.write(data)
        else:
            self._incoming.write_eof()

    async def _flush(self, end: float) -> None:
        if self._api.pending:
            left = time_left(end)
            self._cut_off = True
            await self._stream.send(self._api.read(), left)
            self._cut_off = False
