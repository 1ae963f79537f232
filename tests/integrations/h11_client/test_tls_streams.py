"""TLS over a stream in memory, whose peer sends TLS messages between the data: decrypted data is never lost."""

from __future__ import annotations

import contextlib
import ssl
from collections.abc import Callable

import anyio
import anyio.lowlevel
import pytest

from poeproto import ConnectionLost
from poeproto_h11.client.tls import TlsStream, secure

from ...support.tls_peer import Certificate, certificate

__all__ = ["certificate"]  # a fixture

pytestmark = pytest.mark.anyio


class TlsPeer:
    """A `ByteStream` whose other end is a TLS server in memory.

    Attributes:
        before_sending: called before anything is sent to the server.
        tls: the server.
    """

    def __init__(self, context: ssl.SSLContext) -> None:
        self.before_sending: Callable[[], object] = lambda: None
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self._incoming, self._outgoing, server_side=True)

    async def receive(self, timeout: float) -> bytes:
        await anyio.lowlevel.checkpoint()
        return self._outgoing.read()

    async def send(self, data: bytes, timeout: float) -> None:
        self.before_sending()
        await anyio.lowlevel.checkpoint()
        self._incoming.write(data)
        if self.tls.version() is None:
            with contextlib.suppress(ssl.SSLError):  # it wants more, or sends an alert
                self.tls.do_handshake()

    async def send_until_answered(self, data: bytes, timeout: float) -> bool:
        await self.send(data, timeout)
        return True

    async def aclose(self) -> None:
        """Nothing to close."""

    def close_socket(self) -> None:
        """Nothing to close."""

    def is_idle(self) -> bool:
        return not self._outgoing.pending

    async def is_answering(self) -> bool:
        return not self.is_idle()


def ask_for_certificate(peer: TlsPeer) -> None:
    """Make the server's next write begin with a message that TLS itself must answer."""
    peer.tls.verify_client_post_handshake()


async def connected(certificate: Certificate) -> tuple[TlsStream, TlsPeer]:
    server, client = certificate.server(), certificate.trusting_client()
    for context in (server, client):
        context.post_handshake_auth = True
    server.verify_mode = ssl.CERT_OPTIONAL
    peer = TlsPeer(server)
    stream = await secure(peer, client, "127.0.0.1", 5)
    return stream, peer


async def test_a_peer_that_wants_a_certificate_is_quoted(certificate: Certificate) -> None:
    server = certificate.server()
    server.verify_mode = ssl.CERT_REQUIRED
    peer = TlsPeer(server)
    # In TLS 1.3 the client completes the handshake before the server has accepted it.
    with pytest.raises(ConnectionLost, match=r"while it was read: .*certificate required"):
        await (await secure(peer, certificate.trusting_client(), "127.0.0.1", 5)).receive(5)


async def test_decrypted_data_is_returned_before_tls_answers(certificate: Certificate) -> None:
    stream, peer = await connected(certificate)
    ask_for_certificate(peer)
    peer.tls.write(b"hello")

    def break_off() -> None:
        raise ConnectionLost("closed")

    peer.before_sending = break_off
    assert await stream.receive(5) == b"hello"
    with pytest.raises(ConnectionLost):
        await stream.receive(5)


async def test_records_of_tls_are_sent_with_the_next_write(certificate: Certificate) -> None:
    stream, peer = await connected(certificate)
    ask_for_certificate(peer)
    peer.tls.write(b"hello")
    assert await stream.receive(5) == b"hello"
    assert stream.is_idle()
    await stream.send(b"thanks", 5)
    assert peer.tls.read() == b"thanks"


async def test_a_read_that_is_cancelled_loses_nothing(certificate: Certificate) -> None:
    stream, peer = await connected(certificate)
    ask_for_certificate(peer)
    peer.tls.write(b"hello")
    with anyio.CancelScope() as scope:
        peer.before_sending = scope.cancel
        assert await stream.receive(5) == b"hello"
    assert not scope.cancel_called


async def test_a_connection_that_tls_was_cut_off_in_is_not_used_again(certificate: Certificate) -> None:
    stream, peer = await connected(certificate)
    ask_for_certificate(peer)
    peer.tls.do_handshake()
    with anyio.CancelScope() as scope:
        peer.before_sending = scope.cancel
        await stream.receive(5)
    assert scope.cancelled_caught
    peer.before_sending = lambda: None
    peer.tls.write(b"hello")
    assert await stream.receive(5) == b"hello"  # reading still works
    assert not stream.is_idle()
