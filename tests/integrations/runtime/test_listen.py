"""The sockets that servers are given."""

from __future__ import annotations

import errno
import os
import socket
import stat
from pathlib import Path
from typing import Any, NoReturn

import pytest

from poeproto_runtime.listen import address_of, listen, listening


def test_small_events_do_not_wait_for_one_another() -> None:
    with listen("127.0.0.1:0") as listener, socket.create_connection(listener.getsockname()[:2]):
        connection, _ = listener.accept()
        with connection:
            assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


@pytest.mark.parametrize(
    ("number", "words"),
    [(-2, "Name or service not known"), (98, os.strerror(98))],
)
def test_an_address_that_cannot_be_had_is_named_once(number: int, words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(address: Any, **more: Any) -> NoReturn:
        raise OSError(number, f"{words} (while attempting to bind on address {address!r})")  # as the library has it

    monkeypatch.setattr(socket, "create_server", refuse)
    with pytest.raises(OSError, match="cannot listen") as caught:
        listen("bots.invalid:80")
    assert caught.value.strerror == f"cannot listen on bots.invalid:80: {words}"


@pytest.mark.parametrize(
    ("bind", "address"),
    [
        ("127.0.0.1:0", "http://127.0.0.1:"),
        ("0", "http://127.0.0.1:"),
        (":0", "http://0.0.0.0:"),
        ("[::1]:0", "http://[::1]:"),
        ("[::]:0", "http://[::]:"),
    ],
)
def test_addresses_of_the_network(bind: str, address: str) -> None:
    with listen(bind) as listener:
        assert address_of(listener) == f"{address}{listener.getsockname()[1]}/"


@pytest.mark.parametrize(
    "bind",
    [
        "",
        ":",
        "localhost",
        "localhost:",
        "localhost:http",
        "a/b:80",
        "-1",
        "²",
        "unix:",
        "unix:a\0b",
        "fd:3",
        "fd://",
        "fd://x",
    ],
)
def test_texts_that_are_not_an_address(bind: str) -> None:
    with pytest.raises(ValueError, match="must be HOST:PORT, :PORT, PORT, unix:PATH or fd://NUMBER, got"):
        listen(bind)


# --- Unix sockets


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder, which relative paths start from: those of pytest may be too long for a socket."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def connect(path: str) -> None:
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(path)


@pytest.mark.parametrize("form", ["unix:bot", "unix:./bot", "unix://bot"])
def test_a_unix_socket(folder: Path, form: str) -> None:
    with listening(form) as listener:
        connect("bot")
        assert address_of(listener) == f"unix:{form.removeprefix('unix:').removeprefix('//')}"
    assert not (folder / "bot").exists()


@pytest.mark.parametrize("mode", ["600", "660", "0666", "777"])
def test_the_permissions_of_the_file(folder: Path, mode: str) -> None:
    with listening(f"unix:bot,mode={mode}") as listener:
        assert address_of(listener) == "unix:bot"
        assert stat.S_IMODE((folder / "bot").stat().st_mode) == int(mode, 8)


def test_a_suffix_that_is_not_a_mode_belongs_to_the_path(folder: Path) -> None:
    with listening("unix:bot,mode=9"):
        connect("bot,mode=9")


def test_a_file_that_was_left_behind_is_replaced(folder: Path) -> None:
    listen("unix:bot").close()
    assert (folder / "bot").exists()
    with listening("unix:bot"):
        connect("bot")


def test_a_server_that_listens_keeps_its_file(folder: Path) -> None:
    with listening("unix:bot"):
        with pytest.raises(OSError, match=r"on unix:bot: .* \(a server accepts connections there\)") as caught:
            listen("unix:bot")
        assert caught.value.errno == errno.EADDRINUSE
        connect("bot")


def test_a_server_whose_queue_is_full_keeps_its_file(folder: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener, socket.socket(socket.AF_UNIX) as waiting:
        listener.bind("bot")
        listener.listen(0)
        waiting.connect("bot")
        with pytest.raises(OSError, match="a server accepts connections there"):
            listen("unix:bot")


def test_another_file_is_kept(folder: Path) -> None:
    (folder / "bot").write_text("important")
    with pytest.raises(OSError, match="there is a file that is not a socket"):
        listen("unix:bot")
    assert (folder / "bot").read_text() == "important"


def test_a_file_that_was_replaced_is_kept(folder: Path) -> None:
    with listening("unix:bot"):
        (folder / "bot").unlink()
        (folder / "bot").write_text("of another server")
    assert (folder / "bot").exists()
    with listening("unix:other"):
        (folder / "other").unlink()


def test_paths_that_cannot_be_bound(folder: Path) -> None:
    with pytest.raises(OSError, match="the path of a Unix socket has about 100 characters at most"):
        listen(f"unix:{'a' * 200}")
    with pytest.raises(OSError, match="cannot listen on unix:missing/bot: No such file or directory"):
        listen("unix:missing/bot")


# --- inherited sockets


def test_an_inherited_socket() -> None:
    for made in (socket.create_server(("127.0.0.1", 0)), socket.socket(socket.AF_UNIX)):
        if made.family == socket.AF_UNIX:
            made.bind("")  # Linux chooses an abstract name
            made.listen()
        address = made.getsockname()
        with listen(f"fd://{made.detach()}") as listener, socket.socket(listener.family) as client:
            assert not listener.get_inheritable()
            client.connect(address)
            connection, _ = listener.accept()
            with connection:
                if listener.family == socket.AF_INET:
                    assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_numbers_without_a_listening_socket(folder: Path) -> None:
    with socket.socket() as plain, socket.socket(type=socket.SOCK_DGRAM) as datagrams, open("file", "w") as file:
        for opened in (plain, datagrams):
            with pytest.raises(OSError, match="Invalid argument \\(it is not a listening stream socket\\)"):
                listen(f"fd://{opened.fileno()}")
            assert opened.fileno() >= 0
            opened.getsockname()  # it is still open
        for number in (file.fileno(), 9999, 10**20):
            with pytest.raises(OSError, match="systemd passes the first as 3"):
                listen(f"fd://{number}")
