"""Blocks sockets to other hosts than this machine, for tests that must not depend on the network.

It is an audit hook (PEP 578), so it sees every use of Python's sockets, whoever has imported what. A hook cannot be
removed; it is added at the first use, and does nothing while no block is active. uvloop connects in C, unseen by it, so
its methods are wrapped. Other processes are not blocked.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from ipaddress import ip_address
from typing import Any, cast

# This file is imported for tests that use the marker only, but must not need the rest of poeproto.
__all__ = ["NetworkBlocked", "network_blocked"]

_CONNECTS = frozenset({"socket.connect", "socket.sendto", "socket.sendmsg"})
_LOOKUPS = frozenset({"socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr"})
_LOCAL_NAMES = frozenset({"", "localhost", "localhost.localdomain", "ip6-localhost"})


class NetworkBlocked(OSError):
    """A test that must not use the network has used it.

    As an `OSError` it is a connection that failed, so libraries close their sockets. Where one hides it, the
    plugin fails the test nevertheless.

    Args:
        address: as below.
        reason: which rule forbids it, for the message.

    Attributes:
        address: the address to connect to, or the name to resolve.
    """

    def __init__(self, address: str, reason: str) -> None:
        self.address = address
        super().__init__(
            f"{address}: the network is blocked in this test ({reason}), except for this machine. Use the fixtures "
            "poe_bot or poe_simulator, replay a recording with poe_recording, or leave out the marker"
        )


class _Block:
    """The active block of this process; tests run one at a time."""

    def __init__(self) -> None:
        self.reason: str | None = None
        self.seen: list[NetworkBlocked] = []
        self.is_installed = False
        self.lock = threading.Lock()


_block = _Block()


@contextmanager
def network_blocked(reason: str) -> Generator[list[NetworkBlocked]]:
    """Block all but loopback addresses and Unix sockets, in every thread; yields the blocked addresses.

    Args:
        reason: why, for the message.
    """
    with _block.lock:
        if not _block.is_installed:
            _block.is_installed = True
            sys.addaudithook(_audit)
    _wrap_uvloop()
    outer = _block.reason, _block.seen
    _block.reason, _block.seen = reason, []
    try:
        yield _block.seen
    finally:
        _block.reason, _block.seen = outer


def _audit(event: str, arguments: tuple[Any, ...]) -> None:
    if _block.reason is None or not event.startswith("socket."):
        return
    if event in _CONNECTS:
        _check_address(arguments[-1])
    elif event in _LOOKUPS:
        _check_name(arguments[0])


def _check_address(address: Any) -> None:
    """Raise for an address of `socket.connect` that is not on this machine."""
    if not isinstance(address, tuple) or not address:
        return  # a path of a Unix socket, or a socket that is connected already
    parts = cast("tuple[Any, ...]", address)
    host = parts[0]
    if isinstance(host, str) and not _is_local(host):
        _raise(f"{host}:{parts[1]}" if len(parts) > 1 else host)


def _check_name(host: Any) -> None:
    """Raise for the lookup of a name. An address is looked up without the network."""
    name = host.decode("ascii", "replace") if isinstance(host, bytes) else host
    if isinstance(name, str) and not _is_local(name) and _as_address(name) is None:
        _raise(name)


def _is_local(host: str) -> bool:
    address = _as_address(host)
    if address is None:
        return host.lower().rstrip(".") in _LOCAL_NAMES or host.lower().rstrip(".").endswith(".localhost")
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_loopback


def _as_address(host: str) -> Any:
    try:
        return ip_address(host.partition("%")[0])
    except ValueError:
        return None


def _raise(address: str) -> None:
    assert _block.reason is not None
    blocked = NetworkBlocked(address, _block.reason)
    _block.seen.append(blocked)
    raise blocked


def _wrap_uvloop() -> None:
    """Check the hosts that uvloop's loops connect to, if uvloop has been imported."""
    uvloop: Any = sys.modules.get("uvloop")
    if uvloop is None or hasattr(uvloop.Loop, "_poeproto_pytest"):
        return
    uvloop.Loop._poeproto_pytest = True
    for name in ("create_connection", "getaddrinfo", "create_datagram_endpoint", "sock_connect"):
        setattr(uvloop.Loop, name, _checked(getattr(uvloop.Loop, name), name))


def _checked(method: Callable[..., Any], name: str) -> Callable[..., Any]:
    async def checked(self: Any, *arguments: Any, **options: Any) -> Any:
        if _block.reason is not None:
            _check_uvloop(name, arguments, options)
        return await method(self, *arguments, **options)

    return checked


def _check_uvloop(name: str, arguments: tuple[Any, ...], options: dict[str, Any]) -> None:
    match name:
        case "create_connection":
            host = arguments[1] if len(arguments) > 1 else options.get("host")
            port = arguments[2] if len(arguments) > 2 else options.get("port")
            if isinstance(host, str) and not _is_local(host):
                _raise(f"{host}:{port}")
        case "getaddrinfo":
            _check_name(arguments[0] if arguments else options.get("host"))
        case "create_datagram_endpoint":
            _check_address(arguments[2] if len(arguments) > 2 else options.get("remote_addr"))
        case _:
            _check_address(arguments[1] if len(arguments) > 1 else options.get("address"))
