"""Listening sockets, bound before the server starts, so that port 0 works and the address is known at once."""

from __future__ import annotations

import errno
import os
import socket

# How many connections may wait to be accepted. The system lowers it to its own bound: on Linux that is 4,096 by default
# (net.core.somaxconn). When thousands of clients connect at once, Linux drops those that do not fit: they wait for
# seconds, and some are reset.
LISTEN_QUEUE = 65_535
# Errors of accept(2) that end when the process or the system frees something.
EXHAUSTED = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
_LARGEST_PORT = 65535


def listen(bind: str) -> socket.socket:
    """A listening TCP socket. The system queues connections from now on.

    Args:
        bind: ``HOST:PORT`` or ``[IPV6]:PORT``; port 0 takes a free port.

    Raises:
        ValueError: when `bind` has another form, or its port is too large.
        OSError: when the address cannot be bound; its message names the address.
    """
    host, separator, port = bind.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not separator or not host or "/" in host or not port.isdecimal():
        raise ValueError(f"the address to bind must be HOST:PORT, got {bind!r}")
    if int(port) > _LARGEST_PORT:
        raise ValueError(f"the port of HOST:PORT is at most {_LARGEST_PORT}, got {bind!r}")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = socket.create_server((host, int(port)), family=family, backlog=LISTEN_QUEUE)
    except OSError as exc:
        # The system's words alone: socket's own repeat the address. Negative numbers are name resolution's.
        words = os.strerror(exc.errno) if exc.errno and exc.errno > 0 else exc.strerror or str(exc)
        reason = words.partition(" (while attempting to bind")[0]
        raise OSError(exc.errno, f"cannot listen on {bind}: {reason}") from exc
    # Accepted connections inherit it. asyncio sets it only on sockets made with IPPROTO_TCP, which these are not.
    # Without it, a second small event waits until the client has acknowledged the first, for 40 ms or more.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


def address_of(listener: socket.socket) -> str:
    """The address of a listening socket, as a URL."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/"
