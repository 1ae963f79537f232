"""An ASGI server that follows a script: what the tests of the application talk through."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import anyio
import anyio.lowlevel
import attrs

from poeproto import Event
from poeproto_asgi import BotApp

from .bots import BEARER, events_in, query_body

DISCONNECT = {"type": "http.disconnect"}


@attrs.define
class Answer:
    """The response of an application.

    Attributes:
        messages: all of it.
        received: how many messages it had taken by the time its answer was out.
    """

    messages: list[dict[str, Any]]
    received: int

    @property
    def status(self) -> int:
        return self.messages[0]["status"]

    @property
    def headers(self) -> dict[str, str]:
        return {name.decode(): value.decode() for name, value in self.messages[0]["headers"]}

    @property
    def body(self) -> bytes:
        return b"".join(message["body"] for message in self.messages[1:])

    @property
    def events(self) -> list[Event]:
        assert self.status == 200, self.body
        assert self.headers["content-type"].startswith("text/event-stream")
        return events_in(self.body)

    @property
    def complete(self) -> bool:
        return bool(self.messages) and self.messages[-1].get("more_body") is False


def http_scope(
    method: str = "POST",
    path: str = "/",
    headers: Iterable[tuple[str, str]] = (("authorization", BEARER),),
    root_path: str = "",
    **more: Any,
) -> dict[str, Any]:
    """The scope of a request."""
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": root_path,
        "headers": [(name.encode(), value.encode()) for name, value in headers],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 2),
        **more,
    }


def body_messages(*parts: bytes) -> list[dict[str, Any]]:
    """The messages that bring a body in these parts."""
    last = len(parts) - 1
    return [{"type": "http.request", "body": part, "more_body": number != last} for number, part in enumerate(parts)]


async def converse(
    app: BotApp, scope: dict[str, Any], messages: list[dict[str, Any]], send_error: Exception | None = None
) -> Answer:
    """Run the application for one connection.

    Args:
        app: the application.
        scope: the connection's scope.
        messages: what `receive` gives, one a call; then it blocks, as a server does while nothing happens.
        send_error: what `send` raises from the first part of a body on.
    """
    sent: list[dict[str, Any]] = []
    taken = received = 0

    async def receive() -> dict[str, Any]:
        nonlocal taken
        await anyio.lowlevel.checkpoint()
        if taken == len(messages):
            await anyio.sleep_forever()
        taken += 1
        return messages[taken - 1]

    async def send(message: Any) -> None:
        await anyio.lowlevel.checkpoint()
        nonlocal received
        if message["type"] == "http.response.body":
            if send_error is not None:
                raise send_error
            if message["body"]:
                received = taken
        sent.append(message)

    await app(scope, receive, send)
    return Answer(sent, received)


async def request(
    app: BotApp,
    body: bytes | None = None,
    method: str = "POST",
    path: str = "/",
    *,
    key: str | None = BEARER,
    headers: Iterable[tuple[str, str]] = (),
    root_path: str = "",
) -> Answer:
    """Make one request: a query unless there is another body."""
    pairs = [*headers, *([("authorization", key)] if key is not None else [])]
    scope = http_scope(method, path, pairs, root_path)
    return await converse(app, scope, body_messages(query_body() if body is None else body))
