"""The client over TLS, and the load generator, against a server with a certificate of its own."""

from __future__ import annotations

import contextlib
import shutil
import ssl
import subprocess
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import cast

import anyio
import anyio.abc
import anyio.to_thread
import attrs
import pytest
from anyio.streams.tls import TLSListener, TLSStream

from poeproto import ConnectFailed, ConnectionLost, Done, Message, QueryRequest, Text
from poeproto_cli.load import Load
from poeproto_cli.load_query import write_query
from poeproto_h11 import Client

from .scripted_peer import HELLO, STREAM_HEAD, Peer, answering, reply, scripted, sent

pytestmark = pytest.mark.anyio


@attrs.frozen
class Certificate:
    """A self-signed certificate for 127.0.0.1."""

    file: Path
    key: Path

    def server(self) -> ssl.SSLContext:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(self.file, self.key)
        return context

    def trusting_client(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=str(self.file))


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("there is no openssl here to make a certificate with")
    made = Certificate((folder := tmp_path_factory.mktemp("tls")) / "cert.pem", folder / "key.pem")
    command = [openssl, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    command += ["-days", "2", "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    command += ["-out", str(made.file), "-keyout", str(made.key)]
    subprocess.run(command, check=True, capture_output=True)
    return made


@asynccontextmanager
async def serving(context: ssl.SSLContext, script: Callable[[Peer], Awaitable[object]]) -> AsyncGenerator[str]:
    """The address of a server that speaks TLS, and then runs the script on each connection."""

    async def handle(stream: TLSStream) -> None:
        try:
            with contextlib.suppress(anyio.EndOfStream, anyio.BrokenResourceError):
                await script(Peer(cast("anyio.abc.SocketStream", stream), []))
        finally:
            await anyio.aclose_forcefully(stream)

    tcp = await anyio.create_tcp_listener(local_host="127.0.0.1")
    async with TLSListener(tcp, context, standard_compatible=False) as listener, anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, handle)
        yield f"https://127.0.0.1:{tcp.extra(anyio.abc.SocketAttribute.local_port)}/"
        tasks.cancel_scope.cancel()


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_a_trusted_server(certificate: Certificate, version: ssl.TLSVersion) -> None:
    context = certificate.server()
    context.maximum_version = version
    async with serving(context, answering(HELLO)) as url, Client(ssl_context=certificate.trusting_client()) as client:
        for _ in range(3):
            async with client.query(url, "hello") as answer:
                assert [event async for event in answer] == [Text("hello"), Done()]
        assert client.connections_opened == 1


async def test_load(certificate: Certificate) -> None:
    def replies(url: str) -> list[bytes]:
        query = write_query(url, QueryRequest([Message("user", "hi")]))
        load = Load(query, 3, 20.0, certificate.trusting_client())
        received = load.replies(7)
        load.close()
        with pytest.raises(ConnectFailed, match=r"(?i)certificate"):
            Load(query, 1, 20.0)
        return [each.response for each in received]

    # Longer than a TLS record, so that one read does not bring it all.
    long = reply(*[Text("hello " * 1000)] * 20)
    async with serving(certificate.server(), answering(long)) as url:
        assert await anyio.to_thread.run_sync(replies, url) == [long] * 7


async def test_a_stranger_is_not_trusted(certificate: Certificate) -> None:
    async with serving(certificate.server(), answering(HELLO)) as url, Client() as client:
        with pytest.raises(ConnectFailed, match=r"(?i)certificate"):
            await client.settings(url)
        assert client.connections_opened == 0


async def test_another_name_is_not_trusted(certificate: Certificate) -> None:
    trusting = certificate.trusting_client()
    async with serving(certificate.server(), answering(HELLO)) as url, Client(ssl_context=trusting) as client:
        with pytest.raises(ConnectFailed, match=r"(?i)certificate"):
            await client.settings(url.replace("127.0.0.1", "localhost"))


async def test_a_connection_that_breaks_off_within_a_reply(certificate: Certificate) -> None:
    breaking = partial(_answer_once, STREAM_HEAD + sent(Text("a")))
    async with (
        serving(certificate.server(), breaking) as url,
        Client(ssl_context=certificate.trusting_client()) as client,
        client.query(url, "hello") as answer,
    ):
        assert await anext(answer) == Text("a")
        with pytest.raises(ConnectionLost):
            await anext(answer)


async def _answer_once(data: bytes, peer: Peer) -> None:
    await peer.answer(data)


async def _close(peer: Peer) -> None:
    await peer.stream.receive(1)


async def _speak_plainly(peer: Peer) -> None:
    await peer.stream.receive(1)
    await peer.send(b"HTTP/1.1 400 This is no TLS\r\n\r\n")
    await peer.until_left()


@pytest.mark.parametrize("script", [_close, _speak_plainly])
async def test_a_server_that_speaks_no_tls(script: Callable[[Peer], Awaitable[None]]) -> None:
    async with scripted(script) as server, Client() as client:
        with pytest.raises(ConnectFailed, match=r"no connection to https://127.0.0.1:\d+: .+"):
            await client.settings(server.address.replace("http:", "https:"))
        await server.until_closed(1)
        assert client.connections_opened == 0
