"""A server with a certificate of its own, for tests of TLS."""

from __future__ import annotations

import contextlib
import shutil
import ssl
import subprocess
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import cast

import anyio
import anyio.abc
import attrs
import pytest
from anyio.streams.tls import TLSListener, TLSStream

from .scripted_peer import Peer


@attrs.frozen
class Certificate:
    """A self-signed certificate for 127.0.0.1 and files.example."""

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
    command += ["-days", "2", "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1,DNS:files.example"]
    command += ["-out", str(made.file), "-keyout", str(made.key)]
    subprocess.run(command, check=True, capture_output=True)
    return made


@asynccontextmanager
async def serving_tls(context: ssl.SSLContext, script: Callable[[Peer], Awaitable[object]]) -> AsyncGenerator[str]:
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
