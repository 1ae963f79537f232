"""Reading requests and sending responses over ASGI, for requests that `poeproto_asgi.BotApp` does not answer itself."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from urllib.parse import quote, unquote

from poeproto import HttpResponse
from poeproto.auth import bearer_key
from poeproto_asgi import asgi
from poeproto_asgi.asgi import AsgiMessage, Receive, Scope, Send, receive_body
from poeproto_simulator.responses import HTTPError


class SendFailed(OSError):
    """A `send` failed: the client has disconnected, or a fault cuts the response short.

    It is an `OSError`, as the ASGI specification has it for a disconnect. So `BotApp` handles a fault as a disconnect.
    """


def raw_path_of(scope: Scope) -> str:
    """The path as the client wrote it, still percent-encoded, below the mount."""
    path, root = asgi.raw_path_of(scope), quote(asgi.root_path_of(scope))
    return path[len(root) :] if root and path.startswith(f"{root}/") else path


def segments_of(scope: Scope) -> tuple[str, ...]:
    """The segments of the path, each decoded by itself: a bot's name may contain a slash."""
    return tuple(unquote(part) for part in raw_path_of(scope).removeprefix("/").split("/"))


def header_of(scope: Scope, name: bytes) -> str:
    """The first value of a header; empty if there is none."""
    return next((value.decode("latin-1") for key, value in scope["headers"] if key.lower() == name), "")


def key_of(scope: Scope, *, bare: bool = False) -> str:
    """The key in ``Authorization: Bearer <key>``; empty if there is none. `bare` also accepts one without "Bearer"."""
    value = header_of(scope, b"authorization")
    key = bearer_key(value.encode("latin-1"))
    if key is None:
        return value.strip() if bare else ""
    return key.decode("latin-1")


def media_type_of(scope: Scope) -> str:
    """The ``Content-Type`` in lower case, without its parameters."""
    return header_of(scope, b"content-type").partition(";")[0].strip().lower()


def root_of(scope: Scope) -> str:
    """The URL under which the client reached this application, without a trailing slash."""
    host = header_of(scope, b"host") or "localhost"
    return f"{scope.get('scheme') or 'http'}://{host}{asgi.root_path_of(scope)}"


async def read_body(receive: Receive, largest: int) -> bytes:
    """The whole body.

    Raises:
        HTTPError: with status 413, for a body of more than `largest` bytes. The excess is read and discarded first: a
            server that still holds parts of a body may not accept the response.
        ClientDisconnected: when the client has disconnected.
    """
    body = bytearray()
    size, more = 0, True
    while more:
        data, more = await receive_body(receive)
        size += len(data)
        if size <= largest:
            body += data
    if size > largest:
        raise HTTPError(413, f"the body has {size} bytes, and {largest} are allowed")
    return bytes(body)


async def discard_body(receive: Receive) -> None:
    """Read the body and discard it.

    Raises:
        ClientDisconnected: when the client has disconnected.
    """
    while (await receive_body(receive))[1]:
        pass


def with_body(body: bytes, receive: Receive) -> Receive:
    """A `receive` that returns this body first, and then delegates to the one given."""
    pending = [body]

    async def receive_again() -> AsgiMessage:
        if pending:
            return {"type": "http.request", "body": pending.pop(), "more_body": False}
        return await receive()

    return receive_again


def with_headers(send: Send, headers: Mapping[str, str]) -> Send:
    """A `send` that adds headers to the response."""
    added = [(name.encode(), value.encode()) for name, value in headers.items()]

    async def send_with_headers(message: AsgiMessage) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message["headers"], *added]}
        await send(message)

    return send_with_headers


async def start(send: Send, status: int, headers: Iterable[tuple[bytes, bytes]]) -> None:
    """Send the head of a response."""
    await send({"type": "http.response.start", "status": status, "headers": list(headers)})


async def respond(send: Send, response: HttpResponse) -> None:
    """Send a whole response."""
    await start(send, response.status, response.headers)
    await send({"type": "http.response.body", "body": response.body, "more_body": False})
