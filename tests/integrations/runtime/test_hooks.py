"""Hooks: what they are called with, and that their failures do no harm."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

import anyio
import anyio.abc
import anyio.lowlevel
import pytest

from poeproto import (
    BotError,
    Context,
    Done,
    Error,
    Event,
    QueryRequest,
    RequestHead,
    ResponseHead,
    SettingsResponse,
    Text,
    encode_event,
)
from poeproto_asgi import BotApp, Observation, Outcome
from poeproto_h11 import Client
from poeproto_h11 import serve as serve_h11
from poeproto_runtime import BotService, CallHooks, Hooks, Route

from ...support.bots import BEARER, KEY, FunctionBot, Respond
from ...support.calling_bots import CallingBot, calling
from ...support.hypercorn_servers import serving
from ...support.memory_channel import MemoryChannel
from ...support.scripted_asgi import request as ask
from ...support.scripted_peer import answering, response

pytestmark = pytest.mark.anyio

HEAD = RequestHead("POST", "/")


class Calls:
    """The calls of the hooks, and the bytes written by then."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, Observation]] = []

    def hook(self, name: str) -> Any:
        def hook(seen: Observation) -> None:
            self.calls.append((name, seen))

        return hook

    @property
    def arguments(self) -> dict[str, Any]:
        return {name: self.hook(name) for name in ("on_start", "on_first_event", "on_end")}

    @property
    def names(self) -> list[str]:
        return [name for name, _ in self.calls]

    def __getitem__(self, name: str) -> Observation:
        [seen] = [seen for called, seen in self.calls if called == name]
        return seen


async def hello(request: QueryRequest, context: Context) -> AsyncIterator[str]:
    yield "hel"
    yield "lo"


def app_of(respond: Respond, called: Calls, **more: Any) -> BotApp:
    return BotApp(FunctionBot(respond), access_key=KEY, **called.arguments, **more)


async def test_a_reply() -> None:
    called = Calls()
    answer = await ask(app_of(hello, called, bot_name="Hello"))
    assert called.names == ["on_start", "on_first_event", "on_end"]
    start, first, end = (seen for _, seen in called.calls)
    assert (start.type, start.status, start.events, start.bytes, start.complete) == (None, None, 0, 0, False)
    assert (start.bot, start.bot_name, start.http_request.method) == ("FunctionBot", "Hello", "POST")
    assert (first.type, first.status) == ("query", 200)
    assert (end.status, end.events, end.bytes, end.error_id, end.complete) == (200, 2, len(answer.body), None, True)
    assert (start.outcome, first.outcome, end.outcome, end.error_type) == (None, None, Outcome.COMPLETE, None)
    assert start.first_event_seconds is None
    assert first.first_event_seconds == end.first_event_seconds
    assert end.first_event_seconds is not None
    assert 0 <= end.first_event_seconds <= end.seconds
    assert start.id == first.id == end.id
    assert 0 <= start.seconds <= first.seconds <= end.seconds
    assert KEY not in repr(end)


async def test_the_first_event_has_been_sent_when_its_hook_is_called() -> None:
    channel, written = MemoryChannel(), list[bytes]()

    async def bot(request: QueryRequest, context: Context) -> AsyncIterator[str]:
        yield "one"
        await anyio.lowlevel.checkpoint()
        yield "two"

    routes = {"/": Route(FunctionBot(bot), allow_without_key=True)}
    service = BotService(routes, hooks=Hooks(on_first_event=lambda seen: written.append(channel.stream)))
    await service.handle(HEAD, "/", channel)
    assert written == [encode_event(Text("one"))]


@pytest.mark.parametrize(
    ("method", "path", "body", "key", "status", "type_"),
    [
        ("GET", "/", b"", True, 200, None),
        ("POST", "/nowhere", b"{}", True, 404, None),
        ("POST", "http://[bad/", b"{}", True, 400, None),
        ("POST", "/", b"{}", False, 401, None),
        ("POST", "/", b"[", True, 400, None),
        ("POST", "/", b'{"type": "settings"}', True, 200, "settings"),
        ("POST", "/", b'{"type": "report_reaction"}', True, 200, "report_reaction"),
        ("POST", "/", b'{"type": "report_error"}', True, 200, "report_error"),
    ],
)
async def test_every_request(method: str, path: str, body: bytes, key: bool, status: int, type_: str | None) -> None:
    called = Calls()
    answer = await ask(app_of(hello, called), body, method, path, key=BEARER if key else "Bearer wrong")
    assert called.names == ["on_start", "on_end"]
    end = called["on_end"]
    assert (end.status, end.type, end.bytes, end.complete) == (status, type_, len(answer.body), True)
    assert end.outcome is (Outcome.COMPLETE if status == 200 else Outcome.REFUSED)
    assert (end.bot is None) == (path != "/")


async def test_a_failure_has_the_id_that_the_log_and_the_peer_have(caplog: pytest.LogCaptureFixture) -> None:
    async def bot(request: QueryRequest, context: Context) -> AsyncIterator[str]:
        yield "a"
        raise LookupError

    called = Calls()
    answer = await ask(app_of(bot, called))
    end = called["on_end"]
    assert end.error_id == end.id
    assert end.id.encode() in answer.body
    assert end.id in caplog.text
    assert (end.events, end.complete, end.outcome, end.error_type) == (1, True, Outcome.ERROR_EVENT, None)


async def test_an_error_event_of_a_bot_is_neither_a_failure_nor_a_first_event() -> None:
    async def bot(request: QueryRequest, context: Context) -> AsyncIterator[Event]:
        yield Error(text="no", error_type="user_caused_error")

    called = Calls()
    await ask(app_of(bot, called))
    assert called.names == ["on_start", "on_end"]
    end = called["on_end"]
    assert (end.error_id, end.first_event_seconds) == (None, None)
    assert (end.outcome, end.error_type) == (Outcome.ERROR_EVENT, "user_caused_error")


async def test_an_error_of_another_bot_that_propagates() -> None:
    async def bot(request: QueryRequest, context: Context) -> AsyncIterator[str]:
        yield "a"
        raise BotError(Error(error_type="insufficient_fund"))

    called = Calls()
    await ask(app_of(bot, called))
    end = called["on_end"]
    assert (end.events, end.outcome, end.error_type) == (1, Outcome.ERROR_EVENT, "insufficient_fund")


async def test_settings_that_fail_are_refused() -> None:
    class Broken(FunctionBot):
        async def get_settings(self, request: object, context: Context) -> SettingsResponse:
            raise LookupError

    called = Calls()
    answer = await ask(BotApp(Broken(hello), access_key=KEY, **called.arguments), b'{"type": "settings"}')
    end = called["on_end"]
    assert (answer.status, end.status, end.outcome, end.error_id) == (500, 500, Outcome.REFUSED, end.id)


async def test_a_failure_after_the_reply_leaves_it_complete() -> None:
    async def close() -> None:
        raise LookupError

    async def bot(request: QueryRequest, context: Context) -> AsyncIterator[str]:
        context.on_close(close)
        yield "a"

    called = Calls()
    await ask(app_of(bot, called))
    assert called["on_end"].outcome is Outcome.COMPLETE


async def test_a_server_that_stops_ends_the_reply_with_an_error() -> None:
    app: BotApp

    async def bot(request: QueryRequest, context: Context) -> AsyncIterator[str]:
        yield "a"
        app.stop_streams()
        await anyio.sleep_forever()

    called = Calls()
    app = app_of(bot, called)
    await ask(app)
    end = called["on_end"]
    assert (end.complete, end.outcome, end.error_id) == (True, Outcome.ERROR_EVENT, end.id)


@pytest.mark.parametrize("fails", [False, True])
async def test_a_request_that_the_server_cancels_or_fails_to_answer(fails: bool) -> None:
    class FailingChannel(MemoryChannel):
        async def start(self, head: ResponseHead) -> None:
            if fails:
                raise LookupError
            await super().start(head)

    called, channel = Calls(), FailingChannel()

    async def bot(request: QueryRequest, context: Context) -> AsyncIterator[str]:
        yield "hello"
        await anyio.sleep_forever()

    routes = {"/": Route(FunctionBot(bot), allow_without_key=True)}
    service = BotService(routes, hooks=Hooks(on_end=called.hook("on_end")))
    with suppress(BaseExceptionGroup):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(service.handle, HEAD, "/", channel)
            await channel.until(lambda: channel.events == [Text("hello")])
            tasks.cancel_scope.cancel()
    end = called["on_end"]
    assert (end.complete, end.outcome) == (False, Outcome.FAILED if fails else Outcome.CANCELLED)


@pytest.mark.parametrize("last", [None, Error(text="no"), Done()])
async def test_files_alone_are_a_first_event(last: Event | None) -> None:
    async def bot(request: QueryRequest, context: Context) -> AsyncIterator[Event]:
        await context.post_attachment(b"x", name="a.txt")
        if last is not None:
            yield last

    called = Calls()
    kept = b'{"attachment_url": "https://files.invalid/a", "mime_type": "text/plain"}'
    async with calling(CallingBot(bot), answering(response(200, kept)), hooks=Hooks(**called.arguments)) as served:
        assert len(await served.answer()) == (3 if isinstance(last, Error) else 2)
    assert called.names == ["on_start", "on_first_event", "on_end"]
    assert (called["on_end"].events, called["on_end"].complete) == (1, True)


async def test_a_disconnect() -> None:
    called, channel = Calls(), MemoryChannel()

    async def bot(request: QueryRequest, context: Context) -> AsyncIterator[str]:
        yield "hello"
        await anyio.sleep_forever()

    service = BotService(
        {"/": Route(FunctionBot(bot), allow_without_key=True)}, hooks=Hooks(on_end=called.hook("on_end"))
    )
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(service.handle, HEAD, "/", channel)
        await channel.until(lambda: channel.events == [Text("hello")])
        channel.gone.set()
    end = called["on_end"]
    assert (end.status, end.events, end.bytes, end.complete) == (200, 1, len(channel.stream), False)
    assert end.outcome is Outcome.DISCONNECTED


async def test_exceptions_of_hooks_are_logged_and_ignored(caplog: pytest.LogCaptureFixture) -> None:
    def hook(seen: Observation) -> None:
        raise LookupError("the hook is broken")

    app = BotApp(FunctionBot(hello), access_key=KEY, on_start=hook, on_first_event=hook, on_end=hook)
    answer = await ask(app)
    assert answer.events == [Text("hel"), Text("lo"), Done()]
    assert answer.complete
    assert caplog.text.count("LookupError: the hook is broken") == 3


async def text_of(client: Client, url: str) -> str:
    async with client.query(url, "hi") as answer:
        return await answer.text()


async def test_on_real_servers() -> None:
    called = Calls()
    async with serving(app_of(hello, called)) as address, Client(access_key=KEY) as client:
        assert await text_of(client, address + "?a=1") == "hello"
    end = called["on_end"]
    assert (end.status, end.complete, end.http_request.target) == (200, True, "/?a=1")

    called = Calls()
    async with anyio.create_task_group() as tasks:

        async def run(*, task_status: anyio.abc.TaskStatus[str]) -> None:
            bot = FunctionBot(hello)
            await serve_h11(bot, bind="127.0.0.1:0", access_key=KEY, task_status=task_status, **called.arguments)

        address = await tasks.start(run)
        async with Client(access_key=KEY) as client:
            assert await text_of(client, address) == "hello"
        tasks.cancel_scope.cancel()
    assert called.names == ["on_start", "on_first_event", "on_end"]


async def test_hooks_that_are_added_are_called_last_and_with_the_same_observation() -> None:
    own, added = Calls(), Calls()
    app = app_of(hello, own)
    hooks = Hooks(**added.arguments)
    app.service.add_hooks(hooks)
    await ask(app)
    assert own.names == added.names == ["on_start", "on_first_event", "on_end"]
    assert own["on_end"] is added["on_end"]
    app.service.remove_hooks(hooks)
    await ask(app)
    assert (len(own.calls), len(added.calls)) == (6, 3)


async def test_hooks_of_calls_cannot_be_added_where_there_are_no_calls() -> None:
    service = BotService({"/": Route(FunctionBot(hello), access_key=KEY)})
    service.add_call_hooks(CallHooks(on_end=lambda seen: None))
    service.remove_call_hooks(CallHooks())
    assert service.outbound is None


async def test_the_active_replies_are_counted() -> None:
    counts: list[int] = []

    async def respond(request: QueryRequest, context: Context) -> AsyncIterator[str]:
        counts.append(app.service.count_active_replies())
        yield "hello"

    app = BotApp(FunctionBot(respond), access_key=KEY)
    await ask(app)
    assert (counts, app.service.count_active_replies()) == ([1], 0)
