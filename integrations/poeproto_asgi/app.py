"""Bots as an ASGI 3 application (https://asgi.readthedocs.io/en/latest/specs/www.html)."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Mapping, MutableMapping
from contextlib import asynccontextmanager, suppress
from typing import Any

import anyio

from poeproto import Bot, Endpoints, HttpResponse, Limits, RequestHead, ResponseHead
from poeproto_h11.client.outbound import make_outbound
from poeproto_runtime import BotService, ClientDisconnected, FetchPolicy, Hook, Hooks, Route

# The types of the ASGI specification; its messages are open dictionaries.
Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

# The name of an extension that a server may offer: a function that resets the connection, for answers that broke off.
# Closing it, which is what servers do then, may wait for ever behind what the peer does not read.
RESET = "poeproto.reset"

# The name of another: the server's own `ActiveReplies`, which it stops when it is about to stop itself.
STREAMS = "poeproto.streams"

# The most that is handed to the server at once, and at the end, where a short reply should be one write. What it cannot
# write for a peer that does not read, it holds three times: as it was given, with its framing, and in the buffer of its
# transport, where 64 KiB from before may be.
_PART = 32 * 1024
_LAST_PART = 48 * 1024

_GONE = "the client disconnected"  # what an OSError of `send` says, by the specification


class BotApp:
    """One or several bots as an ASGI application, for any ASGI server and for mounting in another application.

    Args:
        bot: the bot that answers at ``/``, or routes by path.
        access_key: the bot's key, or several that are valid at once; for a single bot only.
        allow_without_key: accept requests without a key; for a single bot only.
        bot_name: the bot's name on Poe; for a single bot only.
        limits: the bounds of every exchange.
        endpoints: where Poe is, for calls of the bots.
        fetch_policy: which URLs `Context.fetch_attachment` may fetch; None for none.
        sync_settings: whether Poe is told the settings of bots whose name and key are known, when the serving begins.
        on_start: called when the head of a request has been read; this and the next two must be quick.
        on_first_event: called when the first event of a reply is out.
        on_end: called when a request is over, however it ended.

    Raises:
        TypeError: when given something else than a `Bot` or `Route`s, or single-bot arguments beside routes.
        ValueError: when a bot has neither a key nor the permission to answer anyone.
    """

    def __init__(
        self,
        bot: Bot | Mapping[str, Route],
        *,
        access_key: str | Iterable[str] | None = None,
        allow_without_key: bool = False,
        bot_name: str | None = None,
        limits: Limits | None = None,
        endpoints: Endpoints | None = None,
        fetch_policy: FetchPolicy | None = None,
        sync_settings: bool = True,
        on_start: Hook | None = None,
        on_first_event: Hook | None = None,
        on_end: Hook | None = None,
    ) -> None:
        if isinstance(bot, Mapping):
            if access_key is not None or allow_without_key or bot_name is not None:
                raise TypeError("each Route has its own key and name; pass them there")
            routes = bot
        else:
            route = Route(bot, access_key=access_key, allow_without_key=allow_without_key, bot_name=bot_name)
            routes = {"/": route}
        limits = limits or Limits()
        outbound = make_outbound(limits, endpoints, fetch_policy=fetch_policy)
        hooks = Hooks(on_start=on_start, on_first_event=on_first_event, on_end=on_end)
        self.service = BotService(routes, limits, outbound, hooks, sync_settings=sync_settings)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one connection of the ASGI server."""
        if scope["type"] == "http":
            head = RequestHead(scope["method"], _target(scope), scope["headers"], client=_client(scope))
            channel = _AsgiChannel(receive, send)
            extensions: dict[str, Any] = scope.get("extensions") or {}
            try:
                await self.service.handle(head, _path(scope), channel, extensions.get(STREAMS))
            finally:
                if channel.broke_off and (reset := extensions.get(RESET)):
                    reset()
        elif scope["type"] == "lifespan":
            await self._run_lifespan(receive, send)
        elif scope["type"] == "websocket":
            # Closing before accepting is answered with 403 by the server.
            await send({"type": "websocket.close", "code": 1000})
        else:
            raise RuntimeError(f"ASGI scopes of type {scope['type']!r} are not supported")

    @asynccontextmanager
    async def lifespan(self, app: object = None) -> AsyncGenerator[None]:
        """What surrounds the serving, for hosts that run a lifespan of their own: enter it there.

        It takes an argument, which it ignores, so that Starlette can be given it as it is.
        """
        async with self.service.running():
            yield

    def stop_streams(self) -> None:
        """End the replies under way with an `error` that allows a retry, and `done`: the server is about to stop.

        For hosts that wait for open replies before they stop, and do not tell the application that they want to, which
        is all of them; `serve` and `run` do this by themselves. A query that is complete only afterwards is answered
        so at once, until a lifespan begins anew: for a host that runs none, this is final. May be called from any
        thread and any event loop, and in a signal handler.
        """
        self.service.stop_streams()

    async def _run_lifespan(self, receive: Receive, send: Send) -> None:
        await receive()
        stage = "startup"
        try:
            async with self.lifespan():
                await send({"type": "lifespan.startup.complete"})
                stage = "shutdown"
                await receive()
        except OSError as exc:
            # No fault of the code's, whose traceback a server would log.
            await send({"type": f"lifespan.{stage}.failed", "message": str(exc)})
        else:
            await send({"type": "lifespan.shutdown.complete"})


def _target(scope: Scope) -> str:
    # raw_path is optional in ASGI, and is without the query when present.
    target = (scope.get("raw_path") or scope["path"].encode()).decode("latin-1")
    query = scope["query_string"].decode("latin-1")
    return f"{target}?{query}" if query else target


def _client(scope: Scope) -> tuple[str, int] | None:
    client = scope.get("client")  # optional in ASGI; for a Unix socket, servers give None or an empty host
    return (client[0], client[1] or 0) if client and client[0] else None


def _path(scope: Scope) -> str:
    """The path below the mount: servers and frameworks leave `root_path` in `path`, older ones took it out."""
    path, root = scope["path"], scope.get("root_path", "").rstrip("/")
    if root and (path == root or path.startswith(f"{root}/")):
        path = path[len(root) :]
    return path or "/"


class _AsgiChannel:
    """The `Channel` of one ASGI request.

    Attributes:
        broke_off: whether an answer was begun and not ended, with a peer that is still there.
    """

    __slots__ = ("_in_parts", "_more_body", "_receive", "_send", "broke_off")

    def __init__(self, receive: Receive, send: Send) -> None:
        self._receive = receive
        self._send = send
        self._more_body = True
        self._in_parts = False  # whether some parts of a piece have been sent, and some have not
        self.broke_off = False

    async def receive(self) -> bytes | None:
        if not self._more_body:
            return None
        message = await self._receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnected("the client disconnected before its request was complete")
        self._more_body = message.get("more_body", False)
        return message.get("body", b"")

    async def wait_disconnected(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self.broke_off = False

    async def respond(self, response: HttpResponse) -> None:
        await self.start(ResponseHead(response.status, response.headers))
        if not self._more_body:
            await self.finish(response.body)
            return
        # A refusal. Hypercorn's queue towards us is bounded, and our last `send` waits until it has put the end of the
        # connection there: with the rest of the body in its way, that would be never.
        await self.send(response.body)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self.wait_disconnected)
            with suppress(ClientDisconnected):  # it has had its answer
                await self.finish(b"")
            tasks.cancel_scope.cancel()

    # These three catch the same each by itself: one coroutine more is felt where every event is a write.

    async def start(self, head: ResponseHead) -> None:
        self.broke_off = True
        try:
            await self._send({"type": "http.response.start", "status": head.status, "headers": list(head.headers)})
        except OSError as exc:
            raise ClientDisconnected(_GONE) from exc

    async def send(self, data: bytes) -> None:
        rest: list[bytes] = []
        if len(data) > _PART:
            rest = [data[start : start + _PART] for start in range(0, len(data), _PART)]
            rest.reverse()
            data = rest.pop()
            self._in_parts = True
        try:
            # A server takes the body of a message whole, if it takes it.
            await self._send({"type": "http.response.body", "body": data, "more_body": True})
            while rest:
                await self._send({"type": "http.response.body", "body": rest.pop(), "more_body": True})
        except OSError as exc:
            raise ClientDisconnected(_GONE) from exc
        self._in_parts = False

    async def finish(self, data: bytes) -> None:
        if self._in_parts:
            raise ClientDisconnected("a part of the answer before its end is missing")
        if len(data) > _LAST_PART:
            await self.send(data)
            data = b""
        try:
            await self._send({"type": "http.response.body", "body": data, "more_body": False})
        except OSError as exc:
            raise ClientDisconnected(_GONE) from exc
        self.broke_off = False
