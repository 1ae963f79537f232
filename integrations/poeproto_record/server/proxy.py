"""The recording proxy: forwards the bytes as they arrive, and records them.

Each connection of a client has one connection to the server, so that whatever happens on one happens on the other:
keep-alive, pipelining, HTTP/1.0, interim responses and trailers need no code here. Of the bytes, only the target and
the ``Host`` header of requests are changed. Two tasks serve a connection:

    ProxyConnection.run          reads from the client, records the request, writes to the server
      _pass_responses            reads from the server, records the response, writes to the client

Each holds one read, and reads on when the other side's kernel has taken all of it: backpressure passes in both
directions. A read is recorded before it is forwarded, so that a client that has seen a response finds it recorded.

An end of stream passes as one, since a client may end its side and still read. A reset passes as a reset. Of an
exchange that both leave incomplete, the side that ended first is recorded as the cause.
"""

from __future__ import annotations

import contextlib
import logging
import os
import ssl
from typing import BinaryIO, cast

import anyio
import anyio.abc
import h11

import poeproto
from poeproto_h11.client.connection import h11_reason
from poeproto_record.errors import RecordingError
from poeproto_record.records import End
from poeproto_record.redaction import Redaction
from poeproto_record.server.error_response import error_response
from poeproto_record.server.listener import serve_connections
from poeproto_record.server.observers import OpenExchange, RequestObserver, RequestPart, ResponseObserver
from poeproto_record.server.sockets import ByteSocket, PlainSocket
from poeproto_record.server.upstream import Upstream
from poeproto_record.writer import DEFAULT_REDACTION, RecordingWriter
from poeproto_runtime.listen import listening

__all__ = ["record"]

logger = logging.getLogger("poeproto")

# How long a connection stays open for the client after the server has closed its side.
_LINGER_SECONDS = 5.0
# How many requests a client may pipeline.
_PIPELINED = 32


async def record(
    url: str,
    file: BinaryIO,
    *,
    bind: str = "127.0.0.1:8082",
    unix_socket: str | os.PathLike[str] | None = None,
    ssl_context: ssl.SSLContext | None = None,
    keep_host: bool = False,
    redaction: Redaction | None = DEFAULT_REDACTION,
    task_status: anyio.abc.TaskStatus[str] = anyio.TASK_STATUS_IGNORED,
) -> None:
    """Serve as a streaming reverse proxy until cancelled, and record the traffic.

    Args:
        url: the server. Paths of requests are appended to the path of the URL; ``/`` stands for the URL itself.
        file: the recording, open for writing in binary mode. Nothing is written before the address is bound. The caller
            closes it.
        bind: where to listen, as of `poeproto_asgi.serve`.
        unix_socket: the path of a socket to connect to, whatever the host of the URL.
        ssl_context: for https; by default certificates are verified against the system's trust store.
        keep_host: forward the ``Host`` header as the client sends it; by default it names the server of the URL.
        redaction: what is replaced in the recording; None records everything as it is.
        task_status: for `anyio.abc.TaskGroup.start`; given the address once connections are accepted.

    Raises:
        LocalProtocolError: when the URL is invalid.
        ValueError, OSError: when the address is malformed or cannot be bound.
        RecordingError: when the recording cannot be written. The proxy ends then, and resets all connections.
    """
    upstream = Upstream(url, unix_socket=unix_socket, ssl_context=ssl_context, keep_host=keep_host)
    output = _Output(file)
    with listening(bind) as listener:
        writer = RecordingWriter(cast("BinaryIO", output), tool=f"poeproto {poeproto.__version__}", redaction=redaction)

        async def handle(client: PlainSocket) -> None:
            await ProxyConnection(client, upstream, writer).run()

        if output.failure is None:
            with output.scope:
                await serve_connections(listener, handle, task_status)
    if output.failure is not None:
        raise RecordingError(
            f"cannot be written: {output.failure.strerror or output.failure}", file=str(getattr(file, "name", ""))
        ) from output.failure


class _Output:
    """The file of a recording. A failure to write ends the proxy, not the connection that it happens in.

    Args:
        file: the file.

    Attributes:
        scope: is cancelled at the first failure.
        failure: the first failure.
    """

    def __init__(self, file: BinaryIO) -> None:
        self.scope = anyio.CancelScope()
        self.failure: OSError | None = None
        self._file = file

    def write(self, line: bytes) -> None:
        """Write a line, unless an earlier one failed: it may have been cut."""
        if self.failure is None:
            try:
                self._file.write(line)
                self._file.flush()
            except OSError as exc:
                self.failure = exc
                self.scope.cancel()

    def flush(self) -> None:
        """Do nothing: `write` has flushed."""


class ProxyConnection:
    """A connection of a client, and the one to the server that belongs to it.

    Args:
        client: the connection, which this takes over.
        upstream: the server.
        writer: the recording.
    """

    def __init__(self, client: PlainSocket, upstream: Upstream, writer: RecordingWriter) -> None:
        self._client = client
        self._upstream = upstream
        self._writer = writer
        self._server: ByteSocket | None = None
        self._requests = RequestObserver(upstream.rewrite)
        self._responses = ResponseObserver(writer)
        self._request: OpenExchange | None = None  # the one whose request is being received
        self._client_has_ended = False
        self._response_passed = anyio.Event()  # replaced each time
        # The outcome of exchanges that are still open when this connection ends.
        self._outcome = End.RESET
        self._detail = "the proxy has stopped"
        self._resets = True

    async def run(self) -> None:
        """Serve the connection until it ends."""
        try:
            async with anyio.create_task_group() as tasks:
                self._tasks = tasks
                await self._pass_requests()
        finally:
            self._client.close(reset=self._resets)
            if self._server is not None:
                self._server.close(reset=self._resets)
            self._responses.end_open(self._outcome, self._detail)

    def _stop(self, outcome: End, detail: str, *, resets: bool) -> None:
        self._outcome, self._detail, self._resets = outcome, detail, resets
        self._tasks.cancel_scope.cancel()

    # --- from the client to the server

    async def _pass_requests(self) -> None:
        while data := await self._read_client():
            try:
                for part in self._requests.receive(data):
                    if not await self._pass(part):
                        return
            except h11.RemoteProtocolError as exc:
                why = f"the request is not valid HTTP: {h11_reason(exc)}"
                logger.warning("not recorded: %s", why)
                if self._server is None:
                    await self._refuse(exc.error_status_hint, why, b"")
                    return
                if not await self._pass(RequestPart(self._requests.become_opaque())):
                    return
        self._client_has_ended = True
        if self._server is None or not self._responses.open:
            self._stop(End.CLIENT_DISCONNECTED, "", resets=False)
        else:
            await self._server.send_eof()

    async def _read_client(self) -> bytes:
        while len(self._responses.open) >= _PIPELINED:
            self._response_passed = anyio.Event()
            await self._response_passed.wait()
        try:
            data = await self._client.receive()
        except OSError:
            self._stop(End.CLIENT_DISCONNECTED, "the client reset the connection", resets=True)
            await anyio.sleep_forever()  # until the other task cancels this one
            raise
        self._requests.is_opaque = self._requests.is_opaque or self._responses.is_opaque
        return data

    async def _pass(self, part: RequestPart) -> bool:
        """Record and forward a part of a request; False if the connection to the server is closed."""
        self._record(part)
        if self._server is None and not await self._connect():
            return False
        assert self._server is not None
        try:
            await self._server.send(part.raw)
        except OSError:
            return False  # the server may have answered before it broke: that is for `_pass_responses` to see
        return True

    def _record(self, part: RequestPart) -> None:
        if part.head is not None:
            head = part.head
            headers = tuple(head.headers)
            method, target = head.method.decode("ascii"), head.target.decode("latin-1")
            number = self._writer.request(method, target, headers, b"".join(part.payloads), is_whole=part.is_end)
            proposes_switch = any(name == b"upgrade" for name, _ in headers)
            self._request = OpenExchange(number, head.method, proposes_switch)
            self._responses.open.append(self._request)
        elif self._request is not None:
            for index, payload in enumerate(part.payloads, 1):
                if not self._request.has_ended:
                    is_last = part.is_end and index == len(part.payloads)
                    self._writer.request_data(self._request.number, payload, is_last=is_last)

    async def _connect(self) -> bool:
        try:
            self._server = await self._upstream.connect()
        except OSError as exc:
            reason = exc.strerror or str(exc) or "it took too long"
            detail = f"no connection to {self._upstream}: {reason}"
            logger.warning("%s", detail)
            is_late = isinstance(exc, TimeoutError)
            method = self._responses.open[0].method
            self._responses.end_open(End.TIMEOUT if is_late else End.RESET, detail)
            await self._refuse(504 if is_late else 502, detail, method)
            return False
        self._tasks.start_soon(self._pass_responses, self._server)
        return True

    async def _refuse(self, status: int, why: str, method: bytes) -> None:
        """Answer in place of the server, and close."""
        with anyio.move_on_after(_LINGER_SECONDS), contextlib.suppress(OSError):  # the client may have disconnected
            await self._client.send(error_response(status, {"error": why}, method))
            await self._client.send_eof()
            # A close with unread bytes resets the connection, and may destroy the response.
            while await self._client.receive():
                pass
        self._stop(End.RESET, why, resets=False)

    # --- from the server to the client

    async def _pass_responses(self, server: ByteSocket) -> None:
        while True:
            try:
                data = await server.receive()
            except OSError as exc:
                # After the client has ended its side, that is how most servers react.
                outcome = End.CLIENT_DISCONNECTED if self._client_has_ended else End.RESET
                self._stop(outcome, f"the connection to the server broke: {exc.strerror or exc}", resets=True)
                return
            if not data:
                break
            self._responses.receive(data)
            self._response_passed.set()
            if not await self._write_client(data):
                return
            if self._client_has_ended and not self._responses.open and not self._responses.is_opaque:
                self._stop(End.EOF, "", resets=False)
                return
        self._responses.receive_eof()
        outcome = End.CLIENT_DISCONNECTED if self._client_has_ended else End.RESET
        self._responses.end_open(outcome, "" if self._client_has_ended else "the server closed before the end")
        await self._client.send_eof()
        if not self._client_has_ended:
            await anyio.sleep(_LINGER_SECONDS)  # the client closes: that cancels this
        self._stop(End.RESET, "the server has closed the connection", resets=False)

    async def _write_client(self, data: bytes) -> bool:
        try:
            await self._client.send(data)
        except OSError:
            self._stop(End.CLIENT_DISCONNECTED, "", resets=True)
            return False
        return True
