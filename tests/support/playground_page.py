"""A page of the playground without a browser: calls of the API, and the stream of changes, folded into a state."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

import anyio

from poeproto_playground import PlayedBot, Playground

from .raw_http import Connection, Response, connect, fetch


def raw_request(
    address: str, method: str, path: str, body: bytes = b"", *headers: str, host: str | None = None, token: str = ""
) -> bytes:
    """The bytes of a request of the page."""
    lines = [f"{method} {path} HTTP/1.1", f"Host: {host or urlsplit(address).netloc}", f"Content-Length: {len(body)}"]
    lines += [f"Authorization: Bearer {token}"] if token else []
    return "\r\n".join([*lines, *headers, "", ""]).encode() + body


class PlaygroundPage:
    """The page, as far as a test reads it: the state, and the messages of its conversations.

    Args:
        playground: the playground.
        address: its origin.
    """

    def __init__(self, playground: Playground, address: str) -> None:
        self.playground = playground
        self.address = address
        self.state: dict[str, Any] = {}
        self.messages: dict[str, dict[str, Any]] = {}
        self.lines = 0
        self._changed = anyio.Event()

    async def fetch(self, method: str, path: str, body: bytes = b"", *headers: str) -> Response:
        """A call with the token."""
        token = self.playground.guard.token
        return await fetch(self.address, raw_request(self.address, method, path, body, *headers, token=token))

    async def get(self, path: str) -> Any:
        """A GET call that succeeds."""
        response = await self.fetch("GET", f"/api/{path}")
        assert response.status == 200, response.body
        return json.loads(response.body)

    async def post(self, path: str, expected: int = 200, **fields: Any) -> Any:
        """A POST call."""
        response = await self.fetch(
            "POST", f"/api/{path}", json.dumps(fields).encode(), "Content-Type: application/json"
        )
        assert response.status == expected, response.body
        return json.loads(response.body)

    async def delete(self, path: str) -> Any:
        """A DELETE call that succeeds."""
        response = await self.fetch("DELETE", f"/api/{path}")
        assert response.status == 200, response.body
        return json.loads(response.body)

    async def until(self, condition: Callable[[], object]) -> None:
        """Wait until the changes have made this true."""
        while not condition():
            await self._changed.wait()

    async def ended(self, message_id: str) -> dict[str, Any]:
        """Wait until a reply has ended; returns it."""
        await self.until(lambda: self.messages.get(message_id, {}).get("status") not in (None, "streaming"))
        return self.messages[message_id]

    async def ask(self, text: str, conversation: str | None = None, **fields: Any) -> dict[str, Any]:
        """Send a message, and wait for the end of the reply."""
        conversation = conversation or (await self.post("conversations"))["id"]
        sent = await self.post(f"conversations/{conversation}/messages", text=text, **fields)
        return {**await self.ended(sent["reply"]), "conversation": conversation, "asked": sent["message"]}

    def bot(self, name: str) -> dict[str, Any]:
        """A bot."""
        return next((bot for bot in self.state["bots"] if bot["name"] == name), {})

    async def follow(self, connection: Connection) -> None:
        """Follow the stream."""
        token = self.playground.guard.token
        await connection.send(raw_request(self.address, "GET", "/api/events", token=token))
        status, _ = await connection.read_head()
        assert status == 200
        rest = b""
        while data := await connection.read_chunk():
            *lines, rest = (rest + data).split(b"\n")
            for line in lines:
                self.lines += 1
                for change in json.loads(line):
                    self._apply(change)
                changed, self._changed = self._changed, anyio.Event()
                changed.set()

    def _apply(self, change: dict[str, Any]) -> None:
        state = self.state
        match change["type"]:
            case "snapshot":
                self.state = change["state"]
            case "bot" | "exchange" | "conversation" as kind:
                key = "name" if kind == "bot" else "id"
                new = change[kind]
                others = [each for each in state[f"{kind}s"] if each[key] != new[key]]
                state[f"{kind}s"] = [*others, new]
            case "conversation-removed":
                state["conversations"] = [each for each in state["conversations"] if each["id"] != change["id"]]
            case "messages":
                self.messages.update({each["id"]: each for each in change["messages"]})
            case "message":
                self.messages[change["message"]["id"]] = change["message"]
            case "text":
                self._append(change)
            case "log":
                state["logs"] += change["logs"]
            case _:
                state.update({name: value for name, value in change.items() if name != "type"})

    def _append(self, change: dict[str, Any]) -> None:
        texts = self.messages[change["message"]]["texts"]
        shown = next((each for each in texts if each["index"] == change["index"]), None)
        if shown is None:
            shown = {"index": change["index"], "epoch": change["epoch"], "text": ""}
            texts.append(shown)
        before = shown["text"] if shown["epoch"] == change["epoch"] else ""
        shown["text"] = before[: change["start"]] + change["append"]
        shown["epoch"] = change["epoch"]


@asynccontextmanager
async def playing(*bots: PlayedBot, **options: Any) -> AsyncGenerator[PlaygroundPage]:
    """A playground that is served, and a page that follows it."""
    playground = Playground(bots, poll=0.02, **options)
    async with playground.serving() as address, connect(address) as connection, anyio.create_task_group() as tasks:
        page = PlaygroundPage(playground, address)
        tasks.start_soon(page.follow, connection)
        await page.until(lambda: page.state)
        yield page
        tasks.cancel_scope.cancel()


@asynccontextmanager
async def playing_url(
    name: str, url: str, access_key: str | None = None, **options: Any
) -> AsyncGenerator[PlaygroundPage]:
    """A playground with a running bot."""
    async with playing(PlayedBot(url=url, name=name, access_key=access_key), **options) as page:
        await page.until(lambda: page.bot(name).get("settings") or page.bot(name).get("settings_error"))
        yield page
