"""The transport over httpx: sends the requests of calls through a client of the caller's, which stays the caller's."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from typing import Any, Protocol, cast, runtime_checkable

import anyio

from poeproto import (
    ConnectFailed,
    ConnectionLost,
    DeadlineExceeded,
    HttpRequest,
    IncompleteChunkedBody,
    Limits,
    LocalProtocolError,
    PoeprotoError,
    RemoteProtocolError,
    ResponseHead,
)
from poeproto.http import BodyWriter, StreamedBody
from poeproto_runtime.client.uploads import MeasuredSource, in_worker_thread, read_source
from poeproto_runtime.client.urls import split_url

__all__ = ["HttpxTransport", "Session"]

# How long reading to the end of a body may take once the reply in it is complete.
_DRAIN_SECONDS = 1.0
# httpx has decoded the body, so these no longer describe it.
_DECODED = frozenset({b"content-encoding", b"content-length", b"transfer-encoding"})
# Names of httpx's exception classes, and the exception raised for each. The first that matches counts.
_FAILURES: Sequence[tuple[str, type[PoeprotoError]]] = (
    ("ConnectTimeout", ConnectFailed),
    ("PoolTimeout", ConnectFailed),
    ("ConnectError", ConnectFailed),
    ("ProxyError", ConnectFailed),
    ("TimeoutException", DeadlineExceeded),
    ("UnsupportedProtocol", LocalProtocolError),
    ("LocalProtocolError", LocalProtocolError),
    ("InvalidURL", LocalProtocolError),
    ("DecodingError", RemoteProtocolError),
    ("TooManyRedirects", RemoteProtocolError),
    ("TransportError", ConnectionLost),
    ("StreamError", ConnectionLost),
)


@runtime_checkable
class Session(Protocol):
    """The part of `httpx.AsyncClient` that the transport uses; the client of httpx2 has the same methods."""

    def build_request(self, method: str, url: str, *, content: Any, headers: Any) -> Any:
        """A request with the client's own headers and these."""
        ...

    async def send(self, request: Any, *, stream: bool) -> Any:
        """Send a request, and wait for the head of the response; with `stream`, not for its body."""
        ...


class HttpxTransport:
    """Sends requests through an `httpx.AsyncClient`; a `poeproto_runtime.client.transport.Transport`.

    The configuration of the client applies: its transport and proxies, headers, cookies, authentication, redirects,
    event hooks and timeouts. It is never closed. httpx itself is not imported, so a client of the same form can stand
    in for it.

    Args:
        session: the client.
        limits: `Limits.drain` bounds the bytes read after a reply.

    Raises:
        TypeError: for an object without the methods of an `httpx.AsyncClient`.
    """

    def __init__(self, session: Session, limits: Limits | None = None) -> None:
        if not isinstance(session, Session):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise TypeError(f"expected an httpx.AsyncClient, or a client of its form, not {type(session).__name__}")
        if hasattr(session, "__enter__") and not hasattr(session, "__aenter__"):
            raise TypeError("this client of httpx is synchronous; expected an httpx.AsyncClient")
        self._session = session
        self._limits = limits or Limits()

    def begin(self) -> HttpxCall:
        """Start a call. Its timeouts are those of the session."""
        return HttpxCall(self._session, self._limits)


class HttpxCall:
    """The requests of one call; a `poeproto_runtime.client.transport.TransportCall`.

    Args:
        session: the client.
        limits: as of `HttpxTransport`.
    """

    def __init__(self, session: Session, limits: Limits) -> None:
        self._session = session
        self._limits = limits

    async def send(self, request: HttpRequest) -> HttpxResponse:
        """Send a request, and wait for the head of the response.

        Raises:
            TransportError, RemoteProtocolError: when that fails.
            LocalProtocolError: when the request cannot be sent, or its file is not of the declared size.
        """
        split_url(request.url)  # raises the same errors as the other transports
        headers, body = list(request.headers), request.body
        if isinstance(body, StreamedBody):
            headers.append((b"content-length", str(len(body)).encode()))
            content = _streamed(body)
            async with aclosing(content):
                return await self._send(request, content, headers)
        return await self._send(request, body, headers)

    async def _send(self, request: HttpRequest, content: Any, headers: list[tuple[bytes, bytes]]) -> HttpxResponse:
        try:
            prepared = self._session.build_request(request.method, request.url, content=content, headers=headers)
            response = await self._session.send(prepared, stream=True)
        except Exception as exc:
            raise_mapped(exc)
            raise
        return HttpxResponse(response, self._limits.drain)

    async def sleep(self, seconds: float) -> None:
        """Wait before the next request."""
        await anyio.sleep(seconds)


class HttpxResponse:
    """A response that is being received; a `poeproto_runtime.client.transport.IncomingResponse`.

    Args:
        response: a response of httpx, whose body has not been read.
        drain: how many bytes are read after a reply.

    Attributes:
        head: the status and headers.
    """

    def __init__(self, response: Any, drain: int) -> None:
        pairs: list[tuple[bytes, bytes]] = list(response.headers.raw)
        if any(name.lower() == b"content-encoding" for name, _ in pairs):
            pairs = [(name, value) for name, value in pairs if name.lower() not in _DECODED]
        self.head = ResponseHead(response.status_code, pairs)
        self._response = response
        self._chunks: AsyncIterator[bytes] = response.aiter_bytes()
        self._drain_size = drain
        self._ended = False
        self._failure: PoeprotoError | None = None

    async def receive(self) -> bytes | None:
        """The next part of the body; None at its end, or after the response was closed.

        Raises:
            TransportError, RemoteProtocolError: when the body of a response with status 200 breaks off. The body of an
                error response just ends there.
        """
        if self._failure is not None:
            raise self._failure
        while not self._ended:
            try:
                data = await anext(self._chunks)
            except StopAsyncIteration:
                self._ended = True
            except Exception as exc:
                self._ended = True
                if self.head.status != 200:
                    return None
                try:
                    raise_mapped(exc)
                except PoeprotoError as failure:
                    self._failure = failure
                    raise
                raise
            except BaseException:
                # A cancelled read ends httpx's iterator, and the connection with it.
                self._failure = ConnectionLost("a read of the response was cancelled")
                raise
            else:
                if data:
                    return data
        return None

    async def finish(self) -> None:
        """Read a short rest of the body, so that the connection can be reused, and close the response."""
        left = self._drain_size
        try:
            with anyio.move_on_after(_DRAIN_SECONDS):
                while left > 0 and (data := await self.receive()) is not None:
                    left -= len(data)
        except PoeprotoError:
            pass  # the reply is complete
        finally:
            await self.aclose()

    async def aclose(self) -> None:
        """Close the response at once, wherever it is."""
        if not self._ended:
            self._ended = True
            await self._unwind()
        with anyio.CancelScope(shield=True):
            chunks = cast("object", self._chunks)
            if isinstance(chunks, AsyncGenerator):
                await cast("AsyncGenerator[bytes]", chunks).aclose()
            await self._response.aclose()

    async def _unwind(self) -> None:
        """End httpx's iterator by a read that is cancelled at once.

        The iterator consists of async generators, each of which reads the next. Closing the outermost leaves the
        others to the garbage collector, of which trio warns; an exception ends them all.
        """
        left = self._drain_size
        with anyio.CancelScope(shield=True) as scope:
            scope.cancel()
            try:
                async for data in self._chunks:  # data that has arrived is read without waiting
                    left -= len(data)
                    if left <= 0:
                        break
            except Exception:  # noqa: BLE001, S110 - the response is being closed, whatever was wrong with it
                pass


def raise_mapped(exc: Exception) -> None:
    """Raise the error of poeproto for one of httpx; return for any other, such as an event hook's own.

    httpx is not imported, so its classes are known by their names.
    """
    if isinstance(exc, PoeprotoError):
        return
    if isinstance(exc, RuntimeError) and "closed" in str(exc):
        raise LocalProtocolError("the session is closed: pass an open one") from exc
    bases = [cls for cls in type(exc).__mro__ if cls.__module__.partition(".")[0] in ("httpx", "httpx2")]
    names = {cls.__name__ for cls in bases}
    if "incomplete chunked read" in str(exc):
        raise IncompleteChunkedBody("the peer closed the connection within the response") from exc
    for name, error in _FAILURES:
        if name in names:
            raise error(f"httpx: {type(exc).__name__}: {exc}") from exc


async def _streamed(body: StreamedBody) -> AsyncGenerator[bytes]:
    """The parts of a body with a file in it."""
    writer = BodyWriter(body)
    yield writer.begin()
    source: MeasuredSource = body.source
    async with aclosing(read_source(source, in_worker_thread)) as chunks:
        async for chunk in chunks:
            yield writer.send(chunk)
    yield writer.end()
