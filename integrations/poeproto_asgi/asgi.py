"""ASGI: its types, and the functions that every application needs
(https://asgi.readthedocs.io/en/latest/specs/www.html).

Servers differ in the fields of a scope that only inform: Granian has the port as a string, others leave out optional
keys or have a list for a tuple. No request fails for that. A value of another type is converted where its meaning is
clear; otherwise it counts as unknown.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, cast
from urllib.parse import quote, unquote

from poeproto_runtime import ClientDisconnected

# The specification's scopes and messages are open dictionaries: servers add keys of their own.
Scope = MutableMapping[str, Any]
AsgiMessage = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[AsgiMessage]]
Send = Callable[[AsgiMessage], Awaitable[None]]

# Characters that stand unescaped in a path (RFC 3986, 3.3), besides letters, digits and "_.-~".
_PATH_CHARACTERS = "/:@!$&'()*+,;="


def target_of(scope: Scope) -> str:
    """The request target as the client wrote it, still percent-encoded, with the query."""
    target, _, own_query = _raw_target(scope).partition("?")
    query = _text(scope.get("query_string")) or own_query
    return f"{target}?{query}" if query else target


def raw_path_of(scope: Scope) -> str:
    """The path as the client wrote it, still percent-encoded, with the path of a mount and without the query."""
    return _raw_target(scope).partition("?")[0]


def _raw_target(scope: Scope) -> str:
    # raw_path is optional in ASGI. It is without the query, but not on every server.
    return _text(scope.get("raw_path")) or quote(_text(scope.get("path")), _PATH_CHARACTERS, errors="replace") or "/"


def root_path_of(scope: Scope) -> str:
    """The path of the mount, percent-decoded, without a slash at its end; empty if there is none."""
    return _text(scope.get("root_path")).rstrip("/")


def path_of(scope: Scope) -> str:
    """The path below the mount, percent-decoded.

    Servers and frameworks leave `root_path` in `path`; older ones removed it.
    """
    path, root = _text(scope.get("path")) or unquote(raw_path_of(scope)), root_path_of(scope)
    if root and (path == root or path.startswith(f"{root}/")):
        path = path[len(root) :]
    return path or "/"


def client_of(scope: Scope) -> tuple[str, int] | None:
    """The client's host and port; None where the server does not know them. A port of 0 is unknown."""
    client = scope.get("client")  # optional in ASGI; for a Unix socket, servers give None or an empty host
    if not isinstance(client, tuple | list) or not client:
        return None
    host, *rest = cast("list[Any]", client)
    port = _port(rest[0]) if rest else 0
    return (_text(host), port) if _text(host) else None


def extensions_of(scope: Scope) -> dict[str, Any]:
    """The extensions that the server offers, by name; empty if it offers none."""
    extensions = scope.get("extensions")
    return cast("dict[str, Any]", extensions) if isinstance(extensions, dict) else {}


def _port(value: object) -> int:
    if type(value) is int:
        return value
    digits = _text(value)
    return int(digits) if digits.isascii() and digits.isdigit() and len(digits) <= 5 else 0


def _text(value: object) -> str:
    """A field of the scope as a string, whichever of bytes and strings the server has; empty for another type."""
    if isinstance(value, bytes):
        return value.decode("latin-1")
    return value if isinstance(value, str) else ""


async def receive_body(receive: Receive) -> tuple[bytes, bool]:
    """The next part of the request's body, and whether more will follow.

    Raises:
        ClientDisconnected: when the client disconnects instead.
    """
    message = await receive()
    if message["type"] == "http.disconnect":
        raise ClientDisconnected("the client disconnected before its request was complete")
    return message.get("body") or b"", bool(message.get("more_body"))


async def wait_disconnected(receive: Receive) -> None:
    """Return when the client disconnects; messages before that are dropped."""
    while (await receive())["type"] != "http.disconnect":
        pass
