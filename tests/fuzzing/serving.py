"""Targets: whole requests to an application and to the embedded server, in one process."""

from __future__ import annotations

import logging
import socket
from collections import Counter
from collections.abc import (
    AsyncGenerator,
    Awaitable,
    Callable,
    Coroutine,
    Generator,
    Iterable,
    MutableMapping,
)
from contextlib import asynccontextmanager, contextmanager, suppress
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar
from urllib.parse import unquote

import anyio
import h11

from poeproto import Bot, Context, Data, Done, Event, File, Json, Limits, PoeExchange, QueryRequest, ResponseHead, Text
from poeproto.testing import sample_settings
from poeproto_asgi import BotApp
from poeproto_h11 import serve
from poeproto_runtime import Route
from tests.fuzzing.inputs import chance_of, cuts, parsed

T = TypeVar("T")
Run = Callable[[Iterable[bytes]], Awaitable["Counter[int | None]"]]

KEY = "not-a-real-key-00000000000000000"
# The statuses that are allowed for any request. 500 is not among them.
STATUSES = frozenset({200, 400, 401, 404, 405, 408, 413, 414, 431, 501, 505})
# After this time without a response, the server is assumed to be waiting for the rest of the request.
_SILENCE_SECONDS = 0.2
# Small enough to be exceeded, with time for every reply.
LIMITS = Limits(request_body=3000)


class EchoBot(Bot):
    """Repeats the messages of the query, as far as the protocol allows."""

    async def get_response(self, request: QueryRequest, context: Context) -> AsyncGenerator[Event | str]:
        for message in request.query[-3:]:
            yield message.content[:1000]
            yield Text(message.content[:10], 1)
        yield Json({"extra_params": request.extra_params, "user": request.user_id})
        yield File("https://files.invalid/a", request.language_code, "text/plain")
        yield Data(request.metadata)

    async def get_settings(self, request: object, context: Context) -> Any:
        return sample_settings()


def make_app() -> BotApp:
    """An application with a bot that requires a key, and one that does not."""
    bot = EchoBot()
    return BotApp({"/": Route(bot, access_key=KEY), "/open": Route(bot, allow_without_key=True)}, limits=LIMITS)


class _Errors(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.seen: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.seen.append(self.format(record))


@contextmanager
def errors_logged() -> Generator[list[str]]:
    """Collects the records of level ERROR; warnings, such as error responses, are dropped."""
    logger, handler = logging.getLogger("poeproto"), _Errors()
    propagated, logger.propagate = logger.propagate, False
    logger.addHandler(handler)
    try:
        yield handler.seen
    finally:
        logger.removeHandler(handler)
        logger.propagate = propagated


# --- the application, called as an ASGI server does


async def ask_app(app: BotApp, data: bytes) -> int:
    """The status of the response, which must be complete and one of `STATUSES`."""
    first, headers, body = parsed(data)
    method, _, target = first.partition(" ")
    raw_path, _, query = target.partition(" ")[0].partition("?")
    scope = {
        "type": "http",
        "method": method,
        "path": unquote(raw_path),
        "raw_path": raw_path.encode("latin-1"),
        "query_string": query.encode("latin-1"),
        "headers": [(name.lower(), value) for name, value in headers],
    }
    parts = cuts(body, chance_of(data))
    requests = iter(
        [{"type": "http.request", "body": part, "more_body": True} for part in parts] + [{"type": "http.request"}]
    )
    sent: list[MutableMapping[str, Any]] = []

    async def receive() -> MutableMapping[str, Any]:
        for message in requests:
            return message
        await anyio.sleep_forever()
        raise AssertionError("unreachable")

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(message)

    await app(scope, receive, send)
    start, *bodies = sent
    assert start["type"] == "http.response.start"
    assert [message.get("more_body", False) for message in bodies] == [True] * (len(bodies) - 1) + [False]
    check_answer(ResponseHead(start["status"], start["headers"]), b"".join(each.get("body", b"") for each in bodies))
    return start["status"]


def check_answer(head: ResponseHead, body: bytes) -> None:
    """Check an allowed status, headers of one line each, the declared length, a reply with its end."""
    assert head.status in STATUSES, head.status
    assert not any(set(b"\r\n\0") & set(name + value) for name, value in head.headers)
    length = head.get("content-length")
    assert length is None or int(length) == len(body)
    if head.media_type == "text/event-stream":
        caller = PoeExchange()
        caller.send(QueryRequest(query=[]), "http://bot.invalid/")
        caller.receive_head(head)
        events = caller.receive_data(body)
        assert caller.error is None
        assert isinstance(events[-1], Done)
        assert caller.fold.error is None


# --- the embedded server, over sockets


@asynccontextmanager
async def embedded_server() -> AsyncGenerator[Path]:
    """The path of a Unix socket on which the server listens; TCP ports would run out."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "server"
        listening = socket.socket(socket.AF_UNIX)
        listening.bind(str(path))
        listening.listen(64)
        async with anyio.create_task_group() as tasks:
            await tasks.start(partial(serve, make_app(), bind=listening))
            yield path
            tasks.cancel_scope.cancel()


async def ask_server(path: Path, data: bytes) -> int | None:
    """The status of the answer to these bytes, which may be any; None where the server merely hangs up.

    What comes is HTTP, of `STATUSES`, and where it is not cut off by our own end, a whole answer.
    """
    head, _, body = data.partition(b"\n\n")
    head += b"\nhost: bot.invalid\nconnection: close\n"
    if b"content-length" not in head.lower() and b"transfer-encoding" not in head.lower():
        head += b"content-length: %d\n" % len(body)
    wire = head.replace(b"\n", b"\r\n") + b"\r\n" + body
    answered, cut_off = bytearray(), True
    async with await anyio.connect_unix(path) as stream:
        with suppress(anyio.BrokenResourceError, anyio.EndOfStream):  # at any time; the received data is checked
            for part in cuts(wire, chance_of(data)):
                await stream.send(part)
            with anyio.move_on_after(_SILENCE_SECONDS):
                cut_off = False
                while True:
                    answered += await stream.receive()
            cut_off = True
            await stream.send_eof()  # the server waits for the rest of the request
            while True:
                answered += await stream.receive()
    return _status_of(answered, "HEAD" if data.startswith(b"HEAD ") else "GET", whole=not cut_off)


def _status_of(answered: bytes | bytearray, method: str, *, whole: bool) -> int | None:
    reader = h11.Connection(h11.CLIENT)
    reader.send(h11.Request(method=method, target="/", headers=[("host", "bot.invalid")]))
    reader.send(h11.EndOfMessage())
    reader.receive_data(bytes(answered))
    reader.receive_data(b"")
    head: ResponseHead | None = None
    body = b""
    try:
        while not isinstance(event := reader.next_event(), h11.EndOfMessage | h11.ConnectionClosed):
            if isinstance(event, h11.Response):
                head = ResponseHead(event.status_code, event.headers.raw_items())
            elif isinstance(event, h11.Data):
                body += event.data
            elif event is h11.PAUSED or event is h11.NEED_DATA:
                raise AssertionError("the answer goes on")
    except h11.RemoteProtocolError:
        # Cut off because we closed, or, if nothing was received, because the server did.
        assert not (whole and answered), answered
    else:
        if head is not None and method != "HEAD":
            check_answer(head, body)
    if head is None:
        return None
    assert head.status in STATUSES, head.status
    return head.status


# --- many of them


async def run_app(inputs: Iterable[bytes]) -> Counter[int | None]:
    """How many responses of each status an application sent."""
    app, statuses = make_app(), Counter[int | None]()
    with errors_logged() as errors:
        for data in inputs:
            statuses[await _blaming(data, ask_app(app, data))] += 1
            assert not errors, (data, errors)
    return statuses


async def run_server(inputs: Iterable[bytes]) -> Counter[int | None]:
    """How many responses of each status the embedded server sent, to eight clients at a time."""
    statuses, left = Counter[int | None](), iter(inputs)

    async def ask_on(path: Path) -> None:
        for data in left:
            statuses[await _blaming(data, ask_server(path, data))] += 1

    with errors_logged() as errors:
        async with embedded_server() as path, anyio.create_task_group() as tasks:
            for _ in range(8):
                tasks.start_soon(ask_on, path)
        assert not errors, errors
    return statuses


async def _blaming(data: bytes, asking: Coroutine[Any, Any, T]) -> T:
    try:
        return await asking
    except Exception as exc:
        exc.add_note(f"the request was {data!r}")
        raise
