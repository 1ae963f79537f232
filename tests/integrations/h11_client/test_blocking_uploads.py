"""Uploads of the blocking client: every kind of source, streamed."""

from __future__ import annotations

import io
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import pytest
from anyio.from_thread import BlockingPortal

from poeproto import ConnectionLost, Endpoints, Limits, LocalProtocolError, UploadRefused
from poeproto.flows import UploadedFile
from poeproto_h11 import BlockingClient
from poeproto_runtime.client.uploads import BlockingSource

from ...support.bots import KEY
from ...support.peers_in_thread import ScriptedServerInThread, scripted_in_thread
from ...support.scripted_peer import Peer, Received, answering, refuse_early, response

DATA = os.urandom(1 << 20) * 5  # some megabytes without a multipart boundary in them
STORED = response(200, b'{"attachment_url": "https://files.invalid/1", "mime_type": "text/plain", "size": 3}')


def client_of(server: ScriptedServerInThread, **options: Any) -> BlockingClient:
    return BlockingClient(access_key=KEY, endpoints=Endpoints.at(server.address), **options)


def content_of(request: Received) -> bytes:
    """The file in a request whose body is one multipart field."""
    head, _, rest = request.body.partition(b"\r\n\r\n")
    boundary = head.partition(b"\r\n")[0]
    assert rest.rstrip(b"\r\n").endswith(boundary + b"--")
    return rest[: rest.rindex(b"\r\n" + boundary)]


def a_pipe(folder: Path) -> BlockingSource:
    """A file that is not seekable."""
    reading, writing = os.pipe()

    def write() -> None:
        with os.fdopen(writing, "wb") as end:
            end.write(DATA)

    threading.Thread(target=write).start()
    return os.fdopen(reading, "rb")


def a_path(folder: Path) -> Path:
    (folder / "cat.txt").write_bytes(DATA)
    return folder / "cat.txt"


def a_file(folder: Path) -> BlockingSource:
    (folder / "cat.txt").write_bytes(b"before it" + DATA)
    file = (folder / "cat.txt").open("rb")
    file.seek(len(b"before it"))
    return file


def parts() -> Iterator[bytes]:
    for start in range(0, len(DATA), 1_000_000):
        yield DATA[start : start + 1_000_000]
        yield b""


SOURCES: dict[str, Callable[[Path], BlockingSource]] = {
    "bytes": lambda folder: DATA,
    "path": a_path,
    "file": a_file,
    "pipe": a_pipe,
    "generator": lambda folder: parts(),
    "list": lambda folder: list(parts()),
}


@pytest.mark.parametrize("kind", SOURCES)
def test_a_source_is_uploaded(portal: BlockingPortal, kind: str, tmp_path: Path) -> None:
    source = SOURCES[kind](tmp_path)
    with scripted_in_thread(portal, answering(STORED)) as server, client_of(server) as client:
        file = client.upload(source, name="dog.txt")
        assert file == UploadedFile("https://files.invalid/1", "text/plain", "dog.txt", 3)
        if isinstance(source, io.IOBase):
            assert not source.closed, "it is the caller's"
            source.close()
        [request] = server.requests
        assert content_of(request) == DATA
        assert request.all("authorization") == [KEY]


def test_text_and_a_name_of_its_own(portal: BlockingPortal, tmp_path: Path) -> None:
    with scripted_in_thread(portal, answering(STORED)) as server, client_of(server) as client:
        client.upload("naïve", name="a.txt")
        assert content_of(server.requests[-1]) == "naïve".encode()
        assert client.upload(a_path(tmp_path)).name == "cat.txt"
        client.upload_by_url("https://files.invalid/x.png")
        assert b"files.invalid%2Fx.png" in server.requests[-1].body
        assert client.connections_opened == 1


def test_a_file_is_sent_while_it_is_read(portal: BlockingPortal) -> None:
    arrived = threading.Event()

    class Gated(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            if self.tell() > 1_000_000:
                assert arrived.wait(20), "all is read before any is sent"
            return super().read(size)

    async def script(peer: Peer) -> None:
        peer._buffer = await peer.stream.receive()
        while len(peer._buffer) < 200_000:
            peer._buffer += await peer.stream.receive()
        arrived.set()
        await peer.answer(STORED)

    with scripted_in_thread(portal, script) as server, client_of(server) as client:
        client.upload(Gated(DATA), name="a.txt")
        assert content_of(server.requests[0]) == DATA


def test_a_refusal_may_arrive_while_the_file_is_sent(portal: BlockingPortal) -> None:
    with (
        scripted_in_thread(portal, refuse_early) as server,
        client_of(server) as client,
        pytest.raises(UploadRefused) as caught,
    ):
        client.upload(DATA * 4, name="a.txt")
    assert caught.value.status == 413


def test_a_refusal_leaves_nothing_to_a_running_loop(portal: BlockingPortal, anyio_backend: str, tmp_path: Path) -> None:
    # Event loops track async generators, and trio warns of those that are left without being closed.
    path = tmp_path / "a.txt"
    path.write_bytes(DATA * 4)

    async def main(client: BlockingClient) -> None:
        for source in (path, io.BytesIO(DATA * 4)):
            with pytest.raises(UploadRefused):
                client.upload(source, name="a.txt")
            await anyio.lowlevel.checkpoint()

    with scripted_in_thread(portal, refuse_early) as server, client_of(server) as client:
        anyio.run(main, client, backend=anyio_backend)


def test_a_server_that_disconnects_meanwhile(portal: BlockingPortal) -> None:
    async def script(peer: Peer) -> None:
        await peer.stream.receive(1)

    with scripted_in_thread(portal, script) as server, client_of(server) as client, pytest.raises(ConnectionLost):
        client.upload(DATA * 4, name="a.txt")


def test_sources_that_cannot_be_uploaded(portal: BlockingPortal, tmp_path: Path) -> None:
    with scripted_in_thread(portal, answering(STORED)) as server:
        with client_of(server, limits=Limits(file_size=10)) as client:
            for source in (b"a" * 11, iter([b"a" * 6, b"b" * 5])):
                with pytest.raises(LocalProtocolError, match=r"10 bytes|limit is 10"):
                    client.upload(source, name="a.txt")
            with pytest.raises(LocalProtocolError, match="needs a name"):
                client.upload([b"a"])
            with pytest.raises(FileNotFoundError):
                client.upload(tmp_path / "nowhere.txt")
            with pytest.raises(TypeError):
                client.upload(1, name="a.txt")  # pyright: ignore[reportArgumentType]
        (tmp_path / "a.txt").write_text("a" * 100)
        with client_of(server) as client, (tmp_path / "a.txt").open() as file, pytest.raises(TypeError, match="binary"):
            client.upload(file)  # pyright: ignore[reportArgumentType]
        with BlockingClient() as client, pytest.raises(LocalProtocolError, match="needs an access key"):
            client.upload(b"a", name="a.txt")
        assert server.connections <= 1
