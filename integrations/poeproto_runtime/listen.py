"""Listening sockets, bound before the server starts, so that port 0 works and the address is known at once."""

from __future__ import annotations

import errno
import os
import re
import socket
import stat
from collections.abc import Generator
from contextlib import contextmanager, suppress

# How many connections may wait to be accepted. The system lowers it to its own bound: on Linux that is 4,096 by default
# (net.core.somaxconn). When thousands of clients connect at once, Linux drops those that do not fit: they wait for
# seconds, and some are reset.
LISTEN_QUEUE = 65_535
# Errors of accept(2) that end when the process or the system frees something.
EXHAUSTED = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
# The host of a port alone; only this machine reaches it. With a colon, as in ``:8080``, every machine does.
_LOOPBACK = "127.0.0.1"
_ALL_INTERFACES = "0.0.0.0"
_LARGEST_PORT = 65535
_FORMS = "HOST:PORT, :PORT, PORT, unix:PATH or fd://NUMBER"
_MODE = re.compile(r"(?P<path>.*),mode=(?P<mode>[0-7]{3,4})", re.DOTALL)


def listen(bind: str) -> socket.socket:
    """A listening socket. The system queues connections from now on.

    Args:
        bind: one of these forms:

            - ``HOST:PORT``, ``[IPV6]:PORT``; ``:PORT`` for all IPv4 addresses of the machine, ``PORT`` for loopback
              only. Port 0 takes a free port.
            - ``unix:PATH``, and ``unix:PATH,mode=660`` for the permissions of the socket file; by default the umask
              decides. A file that a server left behind is replaced.
            - ``fd://NUMBER``: a listening socket that this process inherited, as from systemd.

    Raises:
        ValueError: when `bind` has another form, or its port is too large.
        OSError: when the address cannot be bound; its message names the address.
    """
    try:
        if bind.startswith("unix:"):
            return _listen_at_path(bind)
        if bind.startswith("fd:"):
            return _inherited(bind)
        return _listen_at_port(*_host_and_port(bind))
    except OSError as exc:
        # The system's words alone: socket's own repeat the address. Negative numbers are name resolution's.
        words = os.strerror(exc.errno) if exc.errno and exc.errno > 0 else exc.strerror or str(exc)
        reason = words.partition(" (while attempting to bind")[0]
        raise OSError(exc.errno, f"cannot listen on {bind}: {reason}{_advice(bind, exc)}") from exc


@contextmanager
def listening(bind: str) -> Generator[socket.socket]:
    """As `listen`, and closed at the end of the block. The file of a Unix socket is removed, unless it was replaced."""
    with listen(bind) as listener:
        path = os.path.abspath(listener.getsockname()) if bind.startswith("unix:") else None
        made = os.stat(path) if path else None
        try:
            yield listener
        finally:
            if path:
                with suppress(FileNotFoundError):
                    found = os.stat(path)
                    if made and (found.st_dev, found.st_ino) == (made.st_dev, made.st_ino):
                        os.unlink(path)


def address_of(listener: socket.socket) -> str:
    """The address of a listening socket: a URL, or ``unix:PATH``."""
    if listener.family not in (socket.AF_INET, socket.AF_INET6):
        return f"unix:{os.fsdecode(listener.getsockname())}"
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/"


def host_of(bind: str) -> str | None:
    """The host that `listen` would listen on, as given or as the inherited socket has it; None for a Unix socket.

    Raises:
        ValueError: when `bind` has another form.
        OSError: when no socket was inherited under the number.
    """
    if bind.startswith("unix:"):
        return None
    if bind.startswith("fd:"):
        with _duplicate(bind) as inherited:
            return inherited.getsockname()[0] if inherited.family in (socket.AF_INET, socket.AF_INET6) else None
    return _host_and_port(bind)[0]


# --- TCP


def _host_and_port(bind: str) -> tuple[str, int]:
    host, separator, port = bind.rpartition(":")
    if not separator:
        host = _LOOPBACK
    elif not host:
        host = _ALL_INTERFACES
    bare = host.removeprefix("[").removesuffix("]")
    if ":" in bare and bare == host:
        raise ValueError(f"an IPv6 address is bound in brackets, as [::1]:8080, got {bind!r}")
    host = bare
    if not host or "/" in host or not (port.isascii() and port.isdecimal()):
        raise ValueError(f"the address to bind must be {_FORMS}, got {bind!r}")
    if int(port) > _LARGEST_PORT:
        raise ValueError(f"the port of HOST:PORT is at most {_LARGEST_PORT}, got {bind!r}")
    return host, int(port)


def _listen_at_port(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.create_server((host, port), family=family, backlog=LISTEN_QUEUE)
    _send_at_once(listener)
    return listener


def _send_at_once(listener: socket.socket) -> None:
    # Accepted connections inherit it. asyncio sets it only on sockets made with IPPROTO_TCP, which these are not.
    # Without it, a second small event waits until the client has acknowledged the first, for 40 ms or more.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


# --- Unix sockets


def _listen_at_path(bind: str) -> socket.socket:
    path, mode = bind.removeprefix("unix:"), None
    if match := _MODE.fullmatch(path):
        path, mode = match["path"], int(match["mode"], 8)
    if path.startswith("//"):
        path = path[2:]  # a URL: unix:///run/bot.sock
    if not path or "\0" in path:
        raise ValueError(f"the address to bind must be {_FORMS}, got {bind!r}")
    if not hasattr(socket, "AF_UNIX"):
        raise OSError(errno.EAFNOSUPPORT, os.strerror(errno.EAFNOSUPPORT))
    _remove_stale(path)
    listener = socket.socket(socket.AF_UNIX)
    try:
        _bind_path(listener, path)
        if mode is not None:
            os.chmod(path, mode)
        # Only now: nobody can connect before the permissions are right.
        listener.listen(LISTEN_QUEUE)
    except BaseException:
        listener.close()
        raise
    return listener


def _bind_path(listener: socket.socket, path: str) -> None:
    try:
        listener.bind(path)
    except OSError as exc:
        if exc.errno is None:  # Python's own check of the length
            raise OSError(errno.ENAMETOOLONG, os.strerror(errno.ENAMETOOLONG)) from exc
        raise


def _remove_stale(path: str) -> None:
    """Remove the socket file of a server that has ended: nobody accepts connections there.

    Raises:
        OSError: when a server listens there, or the file is not a socket.
    """
    try:
        if not stat.S_ISSOCK(os.stat(path).st_mode):
            raise OSError(errno.EEXIST, os.strerror(errno.EEXIST))
    except FileNotFoundError:
        return
    with socket.socket(socket.AF_UNIX) as client:
        client.setblocking(False)  # the queue of a server that does not accept may be full
        code = client.connect_ex(path)
    if code == errno.ECONNREFUSED:
        with suppress(FileNotFoundError):
            os.unlink(path)
    elif code != errno.ENOENT:
        raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))


# --- inherited sockets


def _number(bind: str) -> int:
    number = bind.removeprefix("fd://")
    if not (number.isascii() and number.isdecimal()):
        raise ValueError(f"the address to bind must be {_FORMS}, got {bind!r}")
    if int(number) > 2**31 - 1:
        raise OSError(errno.EBADF, os.strerror(errno.EBADF))
    return int(number)


def _duplicate(bind: str) -> socket.socket:
    """A socket that can be closed: that which was inherited stays open."""
    try:
        return socket.socket(fileno=os.dup(_number(bind)))
    except OSError as exc:
        raise OSError(exc.errno, f"cannot listen on {bind}: {exc.strerror}{_advice(bind, exc)}") from exc


def _inherited(bind: str) -> socket.socket:
    listener = socket.socket(fileno=_number(bind))
    try:
        if listener.type != socket.SOCK_STREAM or not listener.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
            raise OSError(errno.EINVAL, "it is not a listening stream socket")
        listener.listen(LISTEN_QUEUE)
        if listener.family in (socket.AF_INET, socket.AF_INET6):
            _send_at_once(listener)
        os.set_inheritable(listener.fileno(), False)
    except BaseException:
        listener.detach()  # the caller closes it
        raise
    return listener


def _advice(bind: str, exc: OSError) -> str:
    if bind.startswith("fd:"):
        if exc.errno == errno.EINVAL:
            return " (it is not a listening stream socket)"
        return " (no socket was inherited under this number; systemd passes the first as 3)"
    if bind.startswith("unix:"):
        if exc.errno == errno.EEXIST:
            return " (there is a file that is not a socket; remove it, or use another path)"
        if exc.errno == errno.EADDRINUSE:
            return " (a server accepts connections there)"
        if exc.errno == errno.ENAMETOOLONG:
            return " (the path of a Unix socket has about 100 characters at most)"
    return ""
