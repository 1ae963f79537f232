"""An in-memory network: HTTP clients on one side, ASGI applications on the other, and no sockets between them.

The code under test is the real code of both sides: the flows and exchanges of a client, and an ASGI application with
its exchange, its reply tasks and its context. Only HTTP/1.1 itself is left out.

Each request has a task, as under a server. The caller's `aclose` and `finish` wait for its end, so that the bot's
cleanup has ended when the test continues.
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
import sys
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, MutableMapping
from contextlib import aclosing
from typing import Any, Protocol
from urllib.parse import unquote

import anyio
import anyio.lowlevel
import attrs

from poeproto import (
    ConnectFailed,
    ConnectionLost,
    HttpRequest,
    IncompleteChunkedBody,
    Limits,
    PoeprotoError,
    ResponseHead,
)
from poeproto.http import BodyWriter, StreamedBody
from poeproto_asgi.app import RESET
from poeproto_asgi.asgi import AsgiMessage, Receive, Scope, Send
from poeproto_h11 import Origin, make_outbound, split_url
from poeproto_pytest.observed_exchange import ObservedExchange
from poeproto_record import End
from poeproto_runtime import FetchPolicy
from poeproto_runtime.client.transport import IncomingResponse, TransportCall
from poeproto_runtime.client.uploads import in_worker_thread, read_source

__all__ = ["AsgiApp", "MemoryNetwork"]

logger = logging.getLogger("poeproto")

# Approximately the buffers of a connection: an application that sends more waits for the reader.
_BUFFER_SIZE = 64 * 1024
# How long the end of an application is waited for after its response, before it is cancelled.
_CLEANUP_SECONDS = 10.0
_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})


async def _keep() -> None:
    """Close nothing after a response."""


class AsgiApp(Protocol):
    """An ASGI 3 application."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send, /) -> None: ...


class MemoryNetwork:
    """Connects clients with ASGI applications in memory; a `poeproto_runtime.client.transport.SharedTransport`.

    Requests to loopback addresses go over sockets, for servers that a test has started. Other hosts do not exist.

    Attributes:
        exchanges: all requests and their responses, in order, with times.
        sockets: sends the requests to loopback addresses.
    """

    def __init__(self) -> None:
        self.sockets = make_outbound(Limits(), proxy=False).transport
        self.exchanges: list[ObservedExchange] = []
        self._apps: dict[Origin, AsgiApp] = {}

    def serve(self, url: str, app: AsgiApp) -> None:
        """Serve an application at the origin of a URL, as in ``http://files.test``."""
        self._apps[split_url(url)[0]] = app

    def app_at(self, origin: Origin) -> AsgiApp | None:
        """The application that is served at an origin."""
        return self._apps.get(origin)

    def hosts(self) -> list[str]:
        """The origins that are served."""
        return [str(origin) for origin in self._apps]

    def begin(self) -> MemoryCall:
        """Start a call."""
        return MemoryCall(self)

    def hold(self) -> None:
        """Add a user; nothing is kept for it."""

    async def release(self) -> None:
        """Remove a user."""


@attrs.frozen
class ObservedCall:
    """The requests of one call over another transport, which a network has among its `exchanges`.

    Attributes:
        network: the network.
        call: sends the requests.
        release: called after each response.
    """

    network: MemoryNetwork
    call: TransportCall
    release: Callable[[], Awaitable[None]] = _keep

    async def send(self, request: HttpRequest) -> IncomingResponse:
        """Send a request, and wait for the head of the response."""
        request = attrs.evolve(request, body=(body := await whole_body(request)))
        exchange = ObservedExchange(request.method, request.url, request.headers, body, anyio.current_time())
        self.network.exchanges.append(exchange)
        try:
            response = await self.call.send(request)
        except BaseException as exc:
            exchange.ended(End.RESET, anyio.current_time(), str(exc))
            raise
        exchange.receive_head(response.head, anyio.current_time())
        return ObservedResponse(response, exchange, self.release)

    async def sleep(self, seconds: float) -> None:
        """Wait before the next request."""
        await self.call.sleep(seconds)


class ObservedResponse:
    """A response whose parts are noted as they are received."""

    def __init__(
        self, response: IncomingResponse, exchange: ObservedExchange, release: Callable[[], Awaitable[None]]
    ) -> None:
        self.head = response.head
        self._response = response
        self._exchange = exchange
        self._release: Callable[[], Awaitable[None]] | None = release

    async def receive(self) -> bytes | None:
        """The next part of the body; None at its end."""
        try:
            data = await self._response.receive()
        except PoeprotoError as exc:
            self._exchange.ended(End.RESET, anyio.current_time(), str(exc))
            raise
        if data is None:
            self._exchange.ended(End.EOF, anyio.current_time())
        else:
            self._exchange.receive_data(data, anyio.current_time())
        return data

    async def finish(self) -> None:
        """Close the response after its reply is complete."""
        self._exchange.ended(End.EOF, anyio.current_time())
        try:
            await self._response.finish()
        finally:
            await self._released()

    async def aclose(self) -> None:
        """Close the response at once."""
        self._exchange.ended(End.CLIENT_DISCONNECTED, anyio.current_time())
        try:
            await self._response.aclose()
        finally:
            await self._released()

    async def _released(self) -> None:
        release, self._release = self._release, None
        if release is not None:
            await release()


@attrs.frozen
class FetchNetwork:
    """The network as bots fetch files from it: requests that a `FetchPolicy` forbids are refused.

    Attributes:
        network: the network.
        policy: the policy. Addresses are not checked, since names have none here.
    """

    network: MemoryNetwork
    policy: FetchPolicy

    def begin(self) -> MemoryCall:
        """Start a call."""
        return MemoryCall(self.network, self.policy)

    def hold(self) -> None:
        """Add a user; nothing is kept for it."""

    async def release(self) -> None:
        """Remove a user."""


class MemoryCall:
    """The requests of one call; a `poeproto_runtime.client.transport.TransportCall`. It has no timeouts."""

    def __init__(self, network: MemoryNetwork, policy: FetchPolicy | None = None) -> None:
        self._network = network
        self._policy = policy

    async def send(self, request: HttpRequest) -> IncomingResponse:
        """Send a request, and wait for the head of the response.

        Raises:
            ConnectFailed: for a host that is not served here, if nothing is beyond.
            ConnectionLost: when the application ended the connection before its response.
        """
        origin, target = split_url(request.url)
        if self._policy is not None:
            self._policy.check_origin(origin.scheme, str(origin))
        app = self._network.app_at(origin)
        if app is None:
            return await self._send_over_socket(request, origin)
        body = await whole_body(request)
        exchange = ObservedExchange(request.method, request.url, request.headers, body, anyio.current_time())
        self._network.exchanges.append(exchange)
        connection = _Connection(exchange)
        connection.start(app, _scope(request, origin, target, len(body), connection.reset))
        try:
            head = await connection.receive_head()
        except BaseException:
            await connection.aclose()
            raise
        return MemoryResponse(head, connection)

    async def _send_over_socket(self, request: HttpRequest, origin: Origin) -> IncomingResponse:
        if origin.host not in _LOOPBACK:
            raise ConnectFailed(
                f"{origin}: the test's network is in memory and has no such host. It has "
                f"{', '.join(self._network.hosts())}; add others with network.serve, or pass a recording"
            )
        sockets = self._network.sockets
        sockets.hold()
        try:
            return await ObservedCall(self._network, sockets.begin(), sockets.release).send(request)
        except BaseException:
            await sockets.release()
            raise

    async def sleep(self, seconds: float) -> None:
        """Wait before the next request."""
        await anyio.sleep(seconds)


class MemoryResponse:
    """A response that is being received; a `poeproto_runtime.client.transport.IncomingResponse`.

    Attributes:
        head: the status and headers.
    """

    def __init__(self, head: ResponseHead, connection: _Connection) -> None:
        self.head = head
        self._connection = connection

    async def receive(self) -> bytes | None:
        """The next part of the body; None at its end.

        Raises:
            ConnectionLost: when the body of a response with status 200 breaks off.
        """
        try:
            return await self._connection.receive()
        except ConnectionLost:
            if self.head.status == 200:
                raise
            return None  # the status matters more than why its explanation broke off

    async def finish(self) -> None:
        """Close the response after its reply is complete, and wait for the end of the application."""
        await self._connection.aclose()

    aclose = finish


class _Connection:
    """One request, the task that answers it, and the bytes between them."""

    def __init__(self, exchange: ObservedExchange) -> None:
        self.exchange = exchange
        self._body: bytes | None = exchange.body
        self._head: ResponseHead | None = None
        self._buffer: deque[bytes] = deque()
        self._size = 0
        self._ended = False  # the response has been sent to its end
        self._failure: ConnectionLost | None = None
        self._closed = False  # the client has disconnected, or has the whole response
        self._changed = anyio.Event()
        self._task_ended = anyio.Event()
        self._task: _Task | None = None

    # --- the client's side

    def start(self, app: AsgiApp, scope: Scope) -> None:
        self._task = _start_task(self._run(app, scope))

    async def receive_head(self) -> ResponseHead:
        while self._head is None:
            self._raise_failure()
            await self._wait()
        await anyio.lowlevel.checkpoint()
        return self._head

    async def receive(self) -> bytes | None:
        while not self._buffer:
            if self._ended or self._closed:
                await anyio.lowlevel.checkpoint()
                return None
            self._raise_failure()
            await self._wait()
        await anyio.lowlevel.checkpoint()
        data = self._buffer.popleft()
        self._size -= len(data)
        self._notify()
        return data

    async def aclose(self) -> None:
        self._closed = True
        if self.exchange.end is None:
            self.exchange.ended(End.CLIENT_DISCONNECTED, anyio.current_time())
        self._notify()
        with anyio.move_on_after(_CLEANUP_SECONDS, shield=True) as scope:
            await self._task_ended.wait()
        if scope.cancelled_caught and self._task is not None:
            logger.error("a request was still being answered %g s after its client disconnected", _CLEANUP_SECONDS)
            self._task.cancel()

    def reset(self) -> None:
        self._fail("the server reset the connection")

    def _fail(self, why: str) -> None:
        if self._failure is None and not self._ended:
            self._failure = IncompleteChunkedBody(why) if self._head is not None else ConnectionLost(why)
            self.exchange.ended(End.RESET, anyio.current_time(), why)
            self._notify()

    def _raise_failure(self) -> None:
        if self._failure is not None:
            raise self._failure

    async def _wait(self) -> None:
        await self._changed.wait()

    def _notify(self) -> None:
        self._changed.set()
        self._changed = anyio.Event()

    # --- the application's side

    async def _run(self, app: AsgiApp, scope: Scope) -> None:
        try:
            await app(scope, self._receive, self._send)
            self._fail("the application returned before its response was complete")
        except Exception as exc:
            logger.exception("%s: the application failed", self.exchange.method)
            self._fail(f"the application failed: {type(exc).__name__}: {exc}")
        finally:
            self._fail("the task of the request was cancelled")
            self._task_ended.set()

    async def _receive(self) -> AsgiMessage:
        await anyio.lowlevel.checkpoint()
        if self._body is not None:
            body, self._body = self._body, None
            return {"type": "http.request", "body": body, "more_body": False}
        while not (self._closed or self._ended or self._failure is not None):
            await self._wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: AsgiMessage) -> None:
        if self._failure is not None or (self._closed and not self._ended):
            raise OSError("the client disconnected")
        if message["type"] == "http.response.start":
            self._head = ResponseHead(message["status"], message.get("headers", ()))
            self.exchange.receive_head(self._head, anyio.current_time())
        elif data := bytes(message.get("body", b"")):
            self._buffer.append(data)
            self._size += len(data)
            self.exchange.receive_data(data, anyio.current_time())
        if message["type"] == "http.response.body" and not message.get("more_body", False):
            self._ended = True
            self.exchange.ended(End.EOF, anyio.current_time())
        self._notify()
        await anyio.lowlevel.checkpoint()
        while self._size > _BUFFER_SIZE and not (self._closed or self._ended):
            await self._wait()


class _Task(Protocol):
    """The methods that `asyncio.Task` and a cancel scope of trio share here."""

    def cancel(self) -> object: ...


# asyncio keeps only weak references to tasks.
_running: set[asyncio.Task[None]] = set()


def _start_task(coroutine: Coroutine[Any, Any, None]) -> _Task:
    """Start a task that belongs to no task group: fixtures are synchronous, so no group is open as long as they are."""
    if anyio.get_cancelled_exc_class() is asyncio.CancelledError:
        task = asyncio.get_running_loop().create_task(coroutine)
        _running.add(task)
        task.add_done_callback(_running.discard)
        return task
    trio: Any = sys.modules["trio"]
    scope = trio.CancelScope()

    async def run() -> None:
        with scope:
            await coroutine

    trio.lowlevel.spawn_system_task(run, context=contextvars.copy_context())
    return scope


def _scope(request: HttpRequest, origin: Origin, target: str, size: int, reset: object) -> Scope:
    path, _, query = target.partition("?")
    headers = [(b"host", origin.authority.encode()), *request.headers, (b"content-length", str(size).encode())]
    scope: MutableMapping[str, Any] = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "method": request.method,
        "scheme": origin.scheme,
        "path": unquote(path),
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "root_path": "",
        "headers": headers,
        "client": ("127.0.0.1", 50000),
        "server": (origin.host, origin.port),
        "extensions": {RESET: reset},
    }
    return scope


async def whole_body(request: HttpRequest) -> bytes:
    """The whole body of a request, with a file in it if there is one."""
    body = request.body
    if not isinstance(body, StreamedBody):
        return body
    writer = BodyWriter(body)
    parts = [writer.begin()]
    async with aclosing(read_source(body.source, in_worker_thread)) as chunks:
        async for chunk in chunks:
            parts.append(writer.send(chunk))
    parts.append(writer.end())
    return b"".join(parts)
