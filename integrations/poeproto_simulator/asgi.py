"""The little of ASGI that the simulator needs besides what `poeproto_asgi.BotApp` does."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any
from urllib.parse import quote, unquote

from poeproto import HttpResponse
from poeproto.auth import bearer_key
from poeproto_simulator.refusals import Refused

# The types of the ASGI specification; its messages are open dictionaries.
Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


class CallerGone(OSError):
    """The caller has closed the connection; or it is to be closed under the caller, which looks the same from here."""


def raw_path_of(scope: Scope) -> str:
    """The path as the caller wrote it, still percent-encoded, below the mount."""
    # raw_path is optional in ASGI, and is without the query when present.
    raw = scope.get("raw_path")
    path = raw.decode("latin-1") if raw is not None else quote(scope["path"])
    root = quote(scope.get("root_path", "").rstrip("/"))
    return path[len(root) :] if root and path.startswith(f"{root}/") else path


def segments_of(scope: Scope) -> tuple[str, ...]:
    """The parts of the path, each decoded by itself, so that a name may hold a slash."""
    return tuple(unquote(part) for part in raw_path_of(scope).removeprefix("/").split("/"))


def header_of(scope: Scope, name: bytes) -> str:
    """The first value of that header, empty where there is none."""
    return next((value.decode("latin-1") for key, value in scope["headers"] if key.lower() == name), "")


def key_of(scope: Scope, *, bare: bool = False) -> str:
    """The key in ``Authorization: Bearer <key>``, empty where there is none; `bare`: also one without "Bearer"."""
    value = header_of(scope, b"authorization")
    key = bearer_key(value.encode("latin-1"))
    if key is None:
        return value.strip() if bare else ""
    return key.decode("latin-1")


def media_type_of(scope: Scope) -> str:
    """The ``Content-Type`` in lower case, without its parameters."""
    return header_of(scope, b"content-type").partition(";")[0].strip().lower()


def root_of(scope: Scope) -> str:
    """The address under which the caller reached this application, without a slash at its end."""
    host = header_of(scope, b"host") or "localhost"
    return f"{scope.get('scheme', 'http')}://{host}{scope.get('root_path', '').rstrip('/')}"


async def receive_part(receive: Receive) -> tuple[bytes, bool]:
    """The next part of the body, and whether more will come.

    Raises:
        CallerGone: when the caller has left.
    """
    message = await receive()
    if message["type"] == "http.disconnect":
        raise CallerGone("the caller left before its request was complete")
    return message.get("body", b""), message.get("more_body", False)


async def read_body(receive: Receive, largest: int) -> bytes:
    """The whole body.

    Raises:
        Refused: with status 413, for one that is larger. What is too much of it has been read and thrown away by then:
            a server that still has parts of a body to hand over may not take the answer.
        CallerGone: when the caller has left.
    """
    body = bytearray()
    size, more = 0, True
    while more:
        data, more = await receive_part(receive)
        size += len(data)
        if size <= largest:
            body += data
    if size > largest:
        raise Refused(413, f"the body has {size} bytes, and {largest} are allowed")
    return bytes(body)


async def read_until_end(receive: Receive) -> None:
    """Read the body and throw it away.

    Raises:
        CallerGone: when the caller has left.
    """
    while (await receive_part(receive))[1]:
        pass


def replaying(body: bytes, receive: Receive) -> Receive:
    """A `receive` that brings this body first, and then what the real one brings."""
    pending = [body]

    async def receive_again() -> Message:
        if pending:
            return {"type": "http.request", "body": pending.pop(), "more_body": False}
        return await receive()

    return receive_again


async def until_gone(receive: Receive) -> None:
    """Return when the caller has left."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def start(send: Send, status: int, headers: Iterable[tuple[bytes, bytes]]) -> None:
    """Send the head of a response."""
    await send({"type": "http.response.start", "status": status, "headers": list(headers)})


async def respond(send: Send, response: HttpResponse) -> None:
    """Send a whole response."""
    await start(send, response.status, response.headers)
    await send({"type": "http.response.body", "body": response.body, "more_body": False})
