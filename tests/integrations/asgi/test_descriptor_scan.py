"""The scan finds a listener's connections among the process's descriptors, and resets no others."""

from __future__ import annotations

import select
import socket
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest

from poeproto_asgi.descriptor_scan import ScannedConnections


def accepted_by(listener: socket.socket) -> tuple[socket.socket, socket.socket]:
    """A connection: the peer's end, and what the listener scanned."""
    peer = socket.create_connection(listener.getsockname()[:2])
    return peer, listener.accept()[0]


def test_connections_of_one_listener_are_reset_and_no_others() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.create_server(("127.0.0.1", 0)) as other:
        scanned = ScannedConnections(listener)
        assert list(scanned.open()) == []
        one, two, three = accepted_by(listener), accepted_by(listener), accepted_by(other)
        assert len(list(scanned.open())) == 2
        scanned.reset_peers({one[0].getsockname(), three[0].getsockname()})
        scanned.reset_peers({("127.0.0.1", 1)})
        assert one[0].recv(1) == one[1].recv(1) == b""
        with pytest.raises(BrokenPipeError):
            one[1].sendall(b"a")
        for first, second in (two, three):
            first.sendall(b"a")
            assert second.recv(1) == b"a"
        scanned.reset_all()
        assert two[0].recv(1) == two[1].recv(1) == b""
        three[1].sendall(b"a")
        assert three[0].recv(1) == b"a"
        for end in (*one, *two, *three):
            end.close()


@pytest.mark.skipif(sys.platform != "linux", reason="the mark is Linux's")
@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_connections_of_another_listener_at_the_same_address_are_not_reset(host: str) -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with ExitStack() as stack:

        def listen_at(port: int) -> socket.socket:
            return stack.enter_context(socket.create_server((host, port), family=family, reuse_port=True))

        first = listen_at(0)
        scanned = ScannedConnections(first)
        second = listen_at(first.getsockname()[1])
        others = ScannedConnections(second)
        got: dict[socket.socket, list[tuple[socket.socket, socket.socket]]] = {first: [], second: []}
        while not all(got.values()):  # the system deals connections out
            peer = stack.enter_context(socket.create_connection(first.getsockname()[:2]))
            [listener], _, _ = select.select([first, second], [], [])
            got[listener].append((peer, stack.enter_context(listener.accept()[0])))
        assert len(list(scanned.open())) == len(got[first])
        assert len(list(others.open())) == len(got[second])
        scanned.reset_all()
        for peer, connection in got[first]:
            assert peer.recv(1) == connection.recv(1) == b""
        for peer, connection in got[second]:
            peer.sendall(b"a")
            assert connection.recv(1) == b"a"


def test_connections_from_before_the_server_began_are_reset() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        one = socket.create_connection(listener.getsockname())
        scanned = ScannedConnections(listener)
        two = socket.create_connection(listener.getsockname())
        ours = [listener.accept()[0] for _ in range(2)]
        listener.close()
        assert len(list(scanned.open())) == 2
        scanned.reset_all()
        for end in (one, two, *ours):
            assert end.recv(1) == b""
            end.close()


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])
def test_connections_of_a_listener_at_every_address(host: str) -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.create_server((host, 0), family=family) as listener:
        loopback = "::1" if ":" in host else "127.0.0.1"
        with socket.create_connection((loopback, listener.getsockname()[1])) as peer, listener.accept()[0] as ours:
            ScannedConnections(listener).reset_peers({peer.getsockname()[:2]})
            assert ours.recv(1) == b""


def test_connections_of_a_unix_socket(tmp_path: Path) -> None:
    path = str(tmp_path / "socket")
    with socket.socket(socket.AF_UNIX) as listener, socket.socket(socket.AF_UNIX) as peer:
        listener.bind(path)
        listener.listen()
        peer.connect(path)
        with listener.accept()[0] as ours:
            ScannedConnections(listener).reset_all()
            assert ours.recv(1) == b""
