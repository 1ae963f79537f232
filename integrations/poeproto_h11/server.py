"""A small embedded server: h11 on anyio streams, in front of the same runtime as the ASGI application."""

from __future__ import annotations

import contextlib
import logging
import socket
from collections.abc import Iterable, Mapping
from email.utils import formatdate
from http import HTTPStatus
from typing import Protocol

import anyio
import anyio.abc
import h11

from poeproto import Bot, Endpoints, HttpResponse, Limits, RequestHead, ResponseHead
from poeproto.http import Headers
from poeproto_h11.outside import make_outside
from poeproto_runtime import BotService, FetchPolicy, Hook, Hooks, PeerGone, Route
from poeproto_runtime.binding import address_of, listen

logger = logging.getLogger("poeproto")

_MAX_HEAD = 32 * 1024
_READ_SIZE = 64 * 1024
# How long a connection may stay without a request, or take for the head of one.
_HEAD_SECONDS = 30.0
# What is read of a body that nobody wants, so that its sender reads our refusal before it meets a reset connection.
_LINGER_BYTES = 32 * 1024 * 1024
_LINGER_SECONDS = 2.0
# A request without either of them has no body (RFC 9112, 6.3).
_BODY_HEADERS = (b"content-length", b"transfer-encoding")


class HasService(Protocol):
    """What carries a service: `poeproto_asgi.BotApp` does."""

    @property
    def service(self) -> BotService:
        """The service that answers."""
        ...


async def serve(
    app: HasService | Bot | Mapping[str, Route],
    *,
    bind: str | socket.socket = "127.0.0.1:8080",
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
    task_status: anyio.abc.TaskStatus[str] = anyio.TASK_STATUS_IGNORED,
) -> None:
    """Serve bots until cancelled; replies under way break off then.

    Args:
        app: a bot, routes by path, or an application that has been made already.
        bind: ``HOST:PORT``, or a socket that listens already, which this call takes over.
        access_key: the bot's key, or several; for a single bot only.
        allow_without_key: accept requests without a key; for a single bot only.
        bot_name: the bot's name on Poe; for a single bot only.
        limits: the bounds of every exchange; like the following, not for an application, which has its own.
        endpoints: where Poe is, for calls of the bots.
        fetch_policy: which URLs `Context.fetch_attachment` may fetch; None for none.
        sync_settings: whether Poe is told the settings of bots whose name and key are known, when the serving begins.
        on_start: called when the head of a request has been read; this and the next two must be quick.
        on_first_event: called when the first event of a reply is out.
        on_end: called when a request is over, however it ended.
        task_status: for `anyio.abc.TaskGroup.start`; given the address as a URL once connections are accepted.

    Raises:
        TypeError, ValueError: when the arguments do not make a service; see `Route`.
        OSError: when the address cannot be bound.
    """
    hooks = Hooks(on_start=on_start, on_first_event=on_first_event, on_end=on_end)
    if isinstance(app, Bot):
        route = Route(app, access_key=access_key, allow_without_key=allow_without_key, bot_name=bot_name)
        routes: Mapping[str, Route] = {"/": route}
    elif access_key is not None or allow_without_key or bot_name is not None:
        raise TypeError("each Route has its own key and name; pass them there")
    else:
        routes = app if isinstance(app, Mapping) else {}
    if isinstance(app, Bot | Mapping):
        limits = limits or Limits()
        outside = make_outside(limits, endpoints, fetch_policy=fetch_policy)
        service = BotService(routes, limits, outside, hooks, sync_settings=sync_settings)
    elif limits or endpoints or fetch_policy or hooks != Hooks() or not sync_settings:
        raise TypeError("an application has its own limits, endpoints, policy and hooks, and syncs as it was told")
    else:
        service = app.service
    listening = bind if isinstance(bind, socket.socket) else listen(bind)
    address = address_of(listening)
    async with await anyio.abc.SocketListener.from_socket(listening) as listener, service.running():
        task_status.started(address)
        await listener.serve(_ConnectionHandler(service))


class _ConnectionHandler:
    """Answers the requests of a connection, one after the other."""

    def __init__(self, service: BotService) -> None:
        self._service = service

    async def __call__(self, stream: anyio.abc.ByteStream) -> None:
        channel = _H11Channel(stream)
        try:
            while (head := await channel.next_head()) is not None:
                await self._service.handle(head, head.path, channel)
                if not await channel.ready_for_next():
                    break
        except PeerGone:
            logger.debug("the peer went away")
        except Exception:
            # A fault of ours. It must not end the other connections, which the listener's task group would do.
            logger.exception("a connection was closed because of an internal error")
        finally:
            await anyio.aclose_forcefully(stream)


class _H11Channel:
    """The `Channel` of the requests of one connection."""

    def __init__(self, stream: anyio.abc.ByteStream) -> None:
        self._stream = stream
        self._h11 = h11.Connection(h11.SERVER, max_incomplete_event_size=_MAX_HEAD)
        self._method = ""
        self._client = _client_of(stream)

    async def next_head(self) -> RequestHead | None:
        """The head of the next request; None when the peer has none, or none that can be read."""
        with anyio.move_on_after(_HEAD_SECONDS):
            try:
                event = await self._next_event()
            except h11.RemoteProtocolError as exc:
                await self._refuse(exc)
                return None
            if isinstance(event, h11.Request):
                self._method = event.method.decode("ascii")
                if not any(name in _BODY_HEADERS for name, _ in event.headers):
                    # Read its end now: nothing is left unread then, and the connection can stay open.
                    self._h11.next_event()
                target = event.target.decode("latin-1")
                return RequestHead(self._method, target, event.headers.raw_items(), client=self._client)
        return None

    async def ready_for_next(self) -> bool:
        """Whether another request may come on this connection; reads off what is left of a refused one."""
        if self._h11.our_state is h11.DONE and self._h11.their_state is h11.DONE:
            self._h11.start_next_cycle()
            self._method = ""
            return True
        if self._h11.their_state is h11.SEND_BODY:
            await self._linger()
        return False

    async def receive(self) -> bytes | None:
        if self._h11.their_state is not h11.SEND_BODY:
            return None
        if self._h11.they_are_waiting_for_100_continue:
            await self._write(self._h11.send(h11.InformationalResponse(status_code=100, headers=[])))
        try:
            event = await self._next_event()
        except h11.RemoteProtocolError as exc:
            raise PeerGone(f"the request's body is not acceptable HTTP: {exc}") from exc
        if isinstance(event, h11.Data):
            return bytes(event.data)
        if isinstance(event, h11.EndOfMessage):
            return None
        raise PeerGone("the peer closed the connection within its request")

    async def departed(self) -> None:
        waiting = 0
        # A peer that sends its next request early stays; what it sends waits, within a bound.
        while waiting < _MAX_HEAD:
            data = await self._read()
            if not data:
                return
            waiting += len(data)
            self._h11.receive_data(data)
        await anyio.sleep_forever()

    async def respond(self, response: HttpResponse) -> None:
        parts = [self._head(response.status, response.headers)]
        if self._method != "HEAD":
            parts.append(self._h11.send(h11.Data(data=response.body)))
        parts.append(self._h11.send(h11.EndOfMessage()))
        await self._write(*parts)

    async def start(self, head: ResponseHead) -> None:
        await self._write(self._head(head.status, head.headers))

    async def send(self, data: bytes) -> None:
        await self._write(self._h11.send(h11.Data(data=data)))

    async def finish(self, data: bytes) -> None:
        # h11 would write a chunk of no bytes as such, which is the end of the body.
        parts = [self._h11.send(h11.Data(data=data))] if data else []
        await self._write(*parts, self._h11.send(h11.EndOfMessage()))

    def _head(self, status: int, headers: Headers) -> bytes | None:
        # A server that has a clock must send Date (RFC 9110, 6.6.1).
        sent = [*headers, (b"date", formatdate(usegmt=True).encode())]
        if self._h11.their_state is h11.SEND_BODY:
            # The rest of the request will not be read, so no other can follow it.
            sent.append((b"connection", b"close"))
        return self._h11.send(h11.Response(status_code=status, headers=sent, reason=HTTPStatus(status).phrase.encode()))

    async def _refuse(self, exc: h11.RemoteProtocolError) -> None:
        if self._h11.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            body = b'{"error": "the request is not acceptable HTTP"}'
            close = [("connection", "close")]
            await self.respond(HttpResponse.of(exc.error_status_hint, "application/json", body, close))
            await self._linger()

    async def _linger(self) -> None:
        left = _LINGER_BYTES
        with anyio.move_on_after(_LINGER_SECONDS):
            # Our end first: a peer may read until there (RFC 9112, 9.6). If the connection broke, reading ends at once.
            with contextlib.suppress(OSError):
                await self._stream.send_eof()
            while left > 0 and (data := await self._read()):
                left -= len(data)

    async def _next_event(self) -> h11.Event | type[h11.NEED_DATA] | type[h11.PAUSED]:
        while (event := self._h11.next_event()) is h11.NEED_DATA:
            self._h11.receive_data(await self._read())
        return event

    async def _read(self) -> bytes:
        try:
            return await self._stream.receive(_READ_SIZE)
        except (anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError):
            return b""

    async def _write(self, *parts: bytes | None) -> None:
        try:
            await self._stream.send(b"".join(part for part in parts if part))
        except (anyio.BrokenResourceError, anyio.ClosedResourceError) as exc:
            raise PeerGone("the connection broke while the answer was written") from exc


def _client_of(stream: anyio.abc.ByteStream) -> tuple[str, int] | None:
    address = stream.extra(anyio.abc.SocketAttribute.remote_address, None)
    return address if isinstance(address, tuple) else None  # a Unix socket's is a path
