"""Bots as an ASGI 3 application (https://asgi.readthedocs.io/en/latest/specs/www.html)."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager, suppress

import anyio

from poeproto import Bot, Endpoints, HttpResponse, Limits, RequestHead, ResponseHead
from poeproto_asgi.asgi import (
    Receive,
    Scope,
    Send,
    client_of,
    extensions_of,
    path_of,
    receive_body,
    target_of,
)
from poeproto_h11 import ExtraHeaders, HeadersOfCall, ProxyOption, make_outbound
from poeproto_runtime import BotService, CallHooks, ClientDisconnected, FetchPolicy, Hook, Hooks, Route
from poeproto_runtime.routes import make_routes

__all__ = ["BotApp"]

# Extensions of our own, which a server may put into a request's scope; `poeproto_asgi.serve` does.
#
# A function that resets the connection, for a response that was cut off. Servers would close the connection
# gracefully instead, and that may block for ever on unsent data that the client does not read.
RESET = "poeproto.reset"
# The server's own `ActiveReplies`, which it stops when it shuts down.
ACTIVE_REPLIES = "poeproto.active_replies"
# A function that takes `send` once the head of a response has been sent, and returns a faster way to send the parts of
# the body; None if there is none.
CHUNK_WRITER = "poeproto.chunk_writer"

# Sends a part of a body, which is not empty. Returns None if nothing is left to be done, otherwise what to await.
ChunkWriter = Callable[[bytes], Awaitable[None] | None]

# How many bytes one message to the server holds at most; the last one may hold more, so that a short reply is one
# write. A server that cannot write a message holds it three times: as it was passed, with its framing, and in the
# buffer of its transport, which may hold 64 KiB from before.
_MESSAGE_SIZE = 32 * 1024
_LAST_MESSAGE_SIZE = 48 * 1024

_DISCONNECTED = "the client disconnected"  # by the specification, an OSError of `send` means this


class BotApp:
    """One or several bots as an ASGI application, for any ASGI server and for mounting in another application.

    Args:
        bot: the bot that answers at ``/``, or routes and bots by path.
        access_key: the key of each bot that has no `Route`, or several that are valid at once.
        allow_without_key: accept requests without a key, for these bots.
        bot_name: the bot's name on Poe; for a single bot only.
        limits: the bounds of every exchange.
        endpoints: where Poe is, for API calls of the bots.
        fetch_policy: which URLs `Context.fetch_attachment` may fetch; None for none.
        proxy: the proxy of the bots' outbound calls, as of `poeproto_h11.Client`.
        sync_settings: whether to push the settings to Poe at startup, for each bot whose name and key are known.
        on_start: called when the head of a request has been read; this and the next two must return quickly.
        on_first_event: called when the first event of a reply has been written.
        on_end: called when a request has ended, whatever its outcome.
        call_hooks: functions that are called for each outbound call of the bots, and each push of their settings.
        call_headers: extra headers of these calls, as of `poeproto_h11.Client`; files that are fetched get none.

    Raises:
        TypeError: when `bot` is neither a `Bot` nor a mapping of them or of `Route`s, or an argument has no effect.
        ValueError: when a bot has neither a key nor the permission to accept requests without one.

    Attributes:
        service: runs the bots; hooks are added to it later.
    """

    def __init__(
        self,
        bot: Bot | Mapping[str, Route] | Mapping[str, Bot] | Mapping[str, Route | Bot],
        *,
        access_key: str | Iterable[str] | None = None,
        allow_without_key: bool = False,
        bot_name: str | None = None,
        limits: Limits | None = None,
        endpoints: Endpoints | None = None,
        fetch_policy: FetchPolicy | None = None,
        proxy: ProxyOption = None,
        sync_settings: bool = True,
        on_start: Hook | None = None,
        on_first_event: Hook | None = None,
        on_end: Hook | None = None,
        call_hooks: CallHooks | None = None,
        call_headers: ExtraHeaders | HeadersOfCall | None = None,
    ) -> None:
        routes = make_routes(bot, access_key=access_key, allow_without_key=allow_without_key, bot_name=bot_name)
        limits = limits or Limits()
        outbound = make_outbound(
            limits, endpoints, fetch_policy=fetch_policy, proxy=proxy, hooks=call_hooks, headers=call_headers
        )
        hooks = Hooks(on_start=on_start, on_first_event=on_first_event, on_end=on_end)
        self.service = BotService(routes, limits, outbound, hooks, sync_settings=sync_settings)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one scope of the ASGI server: a request, or its lifespan."""
        if scope["type"] == "http":
            head = RequestHead(scope["method"], target_of(scope), scope.get("headers") or (), client=client_of(scope))
            extensions = extensions_of(scope)
            channel = _AsgiChannel(receive, send, extensions.get(CHUNK_WRITER))
            try:
                await self.service.handle(head, path_of(scope), channel, extensions.get(ACTIVE_REPLIES))
            finally:
                if channel.unfinished and (reset := extensions.get(RESET)):
                    reset()
        elif scope["type"] == "lifespan":
            await self._run_lifespan(receive, send)
        elif scope["type"] == "websocket":
            # By the specification, the server answers a close before an accept with 403.
            await send({"type": "websocket.close", "code": 1000})
        else:
            raise RuntimeError(
                f"ASGI scope type {scope['type']!r} is not supported; expected http, lifespan or websocket"
            )

    @asynccontextmanager
    async def lifespan(self, app: object = None) -> AsyncGenerator[None]:
        """The application's lifespan, for a host that runs a lifespan of its own: enter it there.

        It takes an argument and ignores it, so that it can be passed to Starlette as it is.
        """
        async with self.service.running():
            yield

    def stop_streams(self) -> None:
        """End the active replies with an `error` that allows a retry, and `done`: the server is about to stop.

        Call it under a host that waits for open replies before it stops, and does not notify the application first,
        as all but ours do; `serve` and `run` do the same by themselves. A query that is complete only afterwards gets
        the same end at once, until a lifespan starts again; under a host that runs none, for good. May be called from
        any thread, any event loop, and a signal handler.
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
            # The machine's error, not the code's: servers would log the traceback of an exception.
            await send({"type": f"lifespan.{stage}.failed", "message": str(exc)})
        else:
            await send({"type": "lifespan.shutdown.complete"})


class _AsgiChannel:
    """The `Channel` of one ASGI request.

    Args:
        receive: the server's.
        send: the server's.
        chunk_writer: the server's extension, if it has it.

    Attributes:
        unfinished: whether a response has begun and has not ended, while the client is still connected.
    """

    __slots__ = ("_chunk_writer", "_in_parts", "_more_body", "_receive", "_send", "_write_chunk", "unfinished")

    def __init__(self, receive: Receive, send: Send, chunk_writer: Callable[[Send], ChunkWriter | None] | None) -> None:
        self._receive = receive
        self._send = send
        self._chunk_writer = chunk_writer
        self._write_chunk: ChunkWriter | None = None
        self._more_body = True
        self._in_parts = False  # whether only some messages of a `send` have been sent
        self.unfinished = False

    async def receive(self) -> bytes | None:
        if not self._more_body:
            return None
        data, self._more_body = await receive_body(self._receive)
        return data

    async def wait_disconnected(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":  # here, to save each stream a coroutine
            pass
        self.unfinished = False

    async def respond(self, response: HttpResponse) -> None:
        await self.start(ResponseHead(response.status, response.headers))
        if not self._more_body:
            await self.finish(response.body)
            return
        # An error response before the whole body was read. Hypercorn's queue of messages to us is bounded, and our
        # last `send` waits until the disconnect is in it, behind the rest of the body. So empty the queue meanwhile.
        try:
            await self._send({"type": "http.response.body", "body": response.body, "more_body": True})
        except OSError as exc:
            raise ClientDisconnected(_DISCONNECTED) from exc
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self.wait_disconnected)
            with suppress(ClientDisconnected):  # the client has its response
                await self.finish(b"")
            tasks.cancel_scope.cancel()

    async def start(self, head: ResponseHead) -> None:
        self.unfinished = True
        try:
            await self._send({"type": "http.response.start", "status": head.status, "headers": list(head.headers)})
        except OSError as exc:
            raise ClientDisconnected(_DISCONNECTED) from exc
        if self._chunk_writer is not None:
            self._write_chunk = self._chunk_writer(self._send)

    def send(self, data: bytes) -> Awaitable[None] | None:
        # A server accepts either the whole body of a message or none of it.
        if len(data) > _MESSAGE_SIZE:
            return self._send_in_parts(data)
        if self._write_chunk is not None:
            return self._write_chunk(data)
        return self._send({"type": "http.response.body", "body": data, "more_body": True})

    async def _send_in_parts(self, data: bytes) -> None:
        rest = [data[start : start + _MESSAGE_SIZE] for start in range(0, len(data), _MESSAGE_SIZE)]
        rest.reverse()
        del data  # not to be held while a slow client reads
        self._in_parts = True
        while rest:
            written = self.send(rest.pop())
            if written is not None:
                await written
        self._in_parts = False

    async def finish(self, data: bytes) -> None:
        if self._in_parts:
            raise ClientDisconnected("an earlier write was cut short, so the response cannot be completed")
        self._write_chunk = None  # the next chunk would belong to another response
        try:
            if len(data) > _LAST_MESSAGE_SIZE:
                await self._send_in_parts(data)
                data = b""
            await self._send({"type": "http.response.body", "body": data, "more_body": False})
        except OSError as exc:
            raise ClientDisconnected(_DISCONNECTED) from exc
        self.unfinished = False
