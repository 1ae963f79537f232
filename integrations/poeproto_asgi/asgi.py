"""ASGI: its types, and what every application on it needs (https://asgi.readthedocs.io/en/latest/specs/www.html)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from poeproto_runtime import ClientDisconnected

# The specification's scopes and messages are open dictionaries: servers add keys of their own.
Scope = MutableMapping[str, Any]
AsgiMessage = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[AsgiMessage]]
Send = Callable[[AsgiMessage], Awaitable[None]]


def target_of(scope: Scope) -> str:
    """The request target as the client wrote it, still percent-encoded, with the query."""
    # raw_path is optional in ASGI, and is without the query when present.
    target = (scope.get("raw_path") or scope["path"].encode()).decode("latin-1")
    query = scope["query_string"].decode("latin-1")
    return f"{target}?{query}" if query else target


def path_of(scope: Scope) -> str:
    """The path below the mount, percent-decoded.

    Servers and frameworks leave `root_path` in `path`; older ones removed it.
    """
    path, root = scope["path"], scope.get("root_path", "").rstrip("/")
    if root and (path == root or path.startswith(f"{root}/")):
        path = path[len(root) :]
    return path or "/"


def client_of(scope: Scope) -> tuple[str, int] | None:
    """The client's host and port; None where the server does not know them."""
    client = scope.get("client")  # optional in ASGI; for a Unix socket, servers give None or an empty host
    return (client[0], int(client[1] or 0)) if client and client[0] else None


async def receive_body(receive: Receive) -> tuple[bytes, bool]:
    """The next part of the request's body, and whether more will follow.

    Raises:
        ClientDisconnected: when the client disconnects instead.
    """
    message = await receive()
    if message["type"] == "http.disconnect":
        raise ClientDisconnected("the client disconnected before its request was complete")
    return message.get("body", b""), message.get("more_body", False)


async def wait_disconnected(receive: Receive) -> None:
    """Return when the client disconnects; messages before that are dropped."""
    while (await receive())["type"] != "http.disconnect":
        pass
