"""Hooks of the calls that bots make, and the extra headers of those calls."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextvars import ContextVar
from typing import Any

import anyio
import anyio.abc
import pytest

from poeproto import (
    BotError,
    Context,
    CostItem,
    Endpoints,
    Error,
    Event,
    QueryRequest,
    Text,
    UndeclaredDependency,
    encode_request,
)
from poeproto_asgi import BotApp, CallHooks, CallObservation, Observation, Outcome
from poeproto_h11 import serve as serve_h11
from poeproto_runtime import FetchPolicy, Hooks

from ...support.bots import BEARER, KEY, Respond
from ...support.calling_bots import QUERY, CallingBot, calling, forwards
from ...support.memory_channel import MemoryChannel
from ...support.scripted_asgi import request as ask
from ...support.scripted_peer import (
    HELLO,
    LAST_CHUNK,
    STREAM_HEAD,
    Script,
    answering,
    chunk,
    reply,
    response,
    scripted,
    sent,
    starting,
)
from ...support.tool_models import WEATHER, calls, model

pytestmark = pytest.mark.anyio

GRANTED = STREAM_HEAD + chunk(b'event: result\ndata: {"status": "success"}\n\n') + LAST_CHUNK
UPLOADED = response(200, b'{"attachment_url": "https://files.invalid/a", "mime_type": "text/plain"}')
OF_SERVER: ContextVar[str] = ContextVar("the request that is served")


class Calls:
    """The arguments that the hooks were called with."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, CallObservation]] = []
        self.requests: list[str] = []  # which was served when a hook was called

    def note(self, name: str, seen: CallObservation) -> None:
        self.calls.append((name, seen))
        self.requests.append(OF_SERVER.get("none"))

    @property
    def hooks(self) -> CallHooks:
        return CallHooks(
            on_start=lambda seen: self.note("on_start", seen),
            on_first_event=lambda seen: self.note("on_first_event", seen),
            on_end=lambda seen: self.note("on_end", seen),
        )

    @property
    def end(self) -> CallObservation:
        names = [name for name, _ in self.calls]
        assert names.count("on_start") == names.count("on_end") == 1
        assert names[-1] == "on_end"
        return self.calls[-1][1]


def traceparent(seen: CallObservation) -> dict[str, str]:
    return {"traceparent": f"00-{seen.id * 2}-{seen.id}-01", "x-secret": "swordfish"}


async def queries(request: QueryRequest, context: Context) -> AsyncIterator[Event]:
    async for event in context.query_bot("Cat", request):
        yield event


async def asks_for_text(request: QueryRequest, context: Context) -> str:
    return await context.final_text("Cat", request)


def weather(at: str) -> str:
    return "rain"


async def runs_tools(request: QueryRequest, context: Context) -> str:
    return await context.run_tools("Cat", request, [WEATHER], [weather]).text()


async def posts(request: QueryRequest, context: Context) -> None:
    await context.post_attachment(b"x", name="a.txt")


async def posts_by_url(request: QueryRequest, context: Context) -> None:
    await context.post_attachment(url="https://files.invalid/a?sig=1")


async def authorizes(request: QueryRequest, context: Context) -> str:
    await context.authorize_cost(CostItem(1))
    return "paid"


async def captures(request: QueryRequest, context: Context) -> str:
    await context.capture_cost(CostItem(1))
    return "paid"


TOOL_CALL = calls(("weather", '{"at": "Rome"}'))
CALLS: dict[str, tuple[Respond, Script, str, str | None, int]] = {
    "query_bot": (queries, answering(HELLO), "query", "Cat", 1),
    "final_text": (asks_for_text, answering(HELLO), "query", "Cat", 1),
    "run_tools": (runs_tools, model(TOOL_CALL, reply(Text("rain"))), "run_tools", "Cat", 2),
    "post_attachment": (posts, answering(UPLOADED), "upload", None, 1),
    "post_attachment by URL": (posts_by_url, answering(UPLOADED), "upload_by_url", None, 1),
    "authorize_cost": (authorizes, answering(GRANTED), "authorize_cost", None, 1),
    "capture_cost": (captures, answering(GRANTED), "capture_cost", None, 1),
}


@pytest.mark.parametrize("name", CALLS)
async def test_every_call_has_hooks_and_headers(name: str) -> None:
    bot, script, operation, bot_name, attempts = CALLS[name]
    called = Calls()
    # The context variables that a hook of the serving side sets are those that the hooks of its calls see.
    serving = Hooks(on_start=lambda seen: OF_SERVER.set(seen.id), on_end=lambda seen: ended.append(seen))
    ended: list[Observation] = []
    more: dict[str, Any] = {"hooks": serving, "call_hooks": called.hooks, "call_headers": traceparent}
    async with calling(CallingBot(bot, Cat=2), script, **more) as served:
        await served.answer()
        requests = served.poe.requests
    end = called.end
    assert (end.operation, end.bot_name, end.attempts) == (operation, bot_name, attempts)
    assert (end.outcome, end.status, end.exception_type) == (Outcome.COMPLETE, 200, None)
    assert end.url.startswith(served.poe.address)
    assert set(called.requests) == {ended[0].id}
    assert ended[0].outcome is Outcome.COMPLETE
    assert len(requests) == attempts
    assert all(request.all("traceparent") == [f"00-{end.id * 2}-{end.id}-01"] for request in requests)
    assert KEY not in repr(called.calls)


async def test_a_call_has_its_own_headers_and_those_of_the_server() -> None:
    async def bot(request: QueryRequest, context: Context) -> str:
        return await context.final_text("Cat", request, headers={"x-secret": "own"})

    async with calling(CallingBot(bot, Cat=1), answering(HELLO), call_headers=traceparent) as served:
        assert (await served.answer())[0] == Text("hello")
        [request] = served.poe.requests
    assert (len(request.all("traceparent")), request.all("x-secret")) == (1, ["own"])
    assert "swordfish" not in repr(served.service.outbound)


async def test_a_file_that_is_fetched_has_hooks_and_no_headers() -> None:
    called = Calls()

    async def bot(request: QueryRequest, context: Context) -> str:
        return (await context.fetch_attachment(f"{files.address}a?sig={KEY}")).decode()

    async with scripted(answering(response(200, b"content"))) as files:
        policy = FetchPolicy(origins=[files.address])
        more: dict[str, Any] = {"call_hooks": called.hooks, "call_headers": traceparent, "fetch_policy": policy}
        async with calling(CallingBot(bot), answering(b""), **more) as served:
            assert (await served.answer())[0] == Text("content")
        await files.until_closed(1)
        assert not files.requests[0].all("traceparent")
    end = called.end
    assert (end.operation, end.outcome, end.bytes) == ("fetch_attachment", Outcome.COMPLETE, 7)
    assert end.url == f"{files.address}…"


@pytest.mark.parametrize(("status", "outcome"), [(404, Outcome.REFUSED), (200, Outcome.INVALID)])
async def test_a_file_that_cannot_be_fetched(status: int, outcome: Outcome) -> None:
    called = Calls()

    async def bot(request: QueryRequest, context: Context) -> str:
        return (await context.fetch_attachment(files.address, max_size=3)).decode()

    async with scripted(answering(response(status, b"content"))) as files:
        policy = FetchPolicy(origins=[files.address])
        async with calling(CallingBot(bot), answering(b""), call_hooks=called.hooks, fetch_policy=policy) as served:
            await served.answer()
        await files.until_closed(1)
    assert (called.end.status, called.end.outcome) == (status, outcome)


async def test_an_error_event_of_another_bot() -> None:
    called, raised = Calls(), list[BotError]()

    async def bot(request: QueryRequest, context: Context) -> AsyncIterator[Event | str]:
        try:
            async for event in context.query_bot("Cat", request):
                yield event
        except BotError as exc:
            raised.append(exc)
            yield "sorry"

    data = STREAM_HEAD + sent(Text("a"), Error(error_type="user_caused_error")) + LAST_CHUNK
    async with calling(CallingBot(bot, Cat=1), answering(data), call_hooks=called.hooks) as served:
        await served.answer()
    assert raised
    assert (called.end.outcome, called.end.error_type) == (Outcome.ERROR_EVENT, "user_caused_error")


async def test_a_call_that_is_not_declared_fails_before_a_request() -> None:
    called = Calls()

    async def bot(request: QueryRequest, context: Context) -> str:
        with pytest.raises(UndeclaredDependency):
            await context.final_text("Cat", request)
        return "no"

    async with calling(CallingBot(bot), answering(HELLO), call_hooks=called.hooks) as served:
        await served.answer()
    assert (called.end.outcome, called.end.exception_type) == (Outcome.FAILED, "UndeclaredDependency")
    assert (called.end.attempts, called.end.status) == (0, None)


async def test_a_call_that_is_open_when_its_request_ends() -> None:
    called = Calls()

    async def bot(request: QueryRequest, context: Context) -> AsyncIterator[str]:
        answer = context.query_bot("Cat", request)
        await anext(aiter(answer))
        yield "enough"

    async with calling(CallingBot(bot, Cat=1), starting, call_hooks=called.hooks) as served:
        await served.answer()
    assert (called.end.outcome, called.end.events) == (Outcome.CANCELLED, 1)


async def test_a_call_of_a_client_that_disconnects() -> None:
    called, channel = Calls(), MemoryChannel(encode_request(QUERY))
    async with (
        calling(CallingBot(forwards, Cat=1), starting, call_hooks=called.hooks) as served,
        anyio.create_task_group() as tasks,
    ):
        tasks.start_soon(served.answer, QUERY, channel)
        await channel.until(lambda: channel.events == [Text("a")])
        channel.gone.set()
    assert called.end.outcome is Outcome.CANCELLED


def test_hooks_of_another_kind() -> None:
    wrong: Any = Hooks(on_end=print)
    with pytest.raises(TypeError, match=r"^hooks of calls are given as CallHooks\(on_end=\.\.\.\), not as Hooks$"):
        BotApp(CallingBot(asks_for_text), access_key=KEY, call_hooks=wrong)


async def test_hooks_and_headers_of_servers() -> None:
    called = Calls()

    async with scripted(answering(HELLO)) as poe:
        more: dict[str, Any] = {
            "access_key": KEY,
            "endpoints": Endpoints.at(poe.address),
            "call_hooks": called.hooks,
            "call_headers": traceparent,
        }
        bot = CallingBot(asks_for_text, Cat=1)
        app = BotApp(bot, **more)
        await ask(app, encode_request(QUERY), key=BEARER)
        assert called.end.outcome is Outcome.COMPLETE
        called.calls.clear()

        async with anyio.create_task_group() as tasks:

            async def run(*, task_status: anyio.abc.TaskStatus[str]) -> None:
                await serve_h11(bot, bind="127.0.0.1:0", bot_name="Caller", task_status=task_status, **more)

            await tasks.start(run)
            while not any(name == "on_end" for name, _ in called.calls):
                await anyio.wait_all_tasks_blocked()
            tasks.cancel_scope.cancel()
        assert (called.end.operation, called.end.bot_name) == ("sync_settings", "Caller")
        assert called.end.url == f"{poe.address}bot/update_settings/Caller/…"
        with pytest.raises(TypeError, match="hooks and headers of calls"):
            await serve_h11(app, call_hooks=called.hooks)
        with pytest.raises(TypeError, match="hooks and headers of calls"):
            await serve_h11(app, call_headers={"x": "1"})
    assert len(poe.requests) == 2
    assert all(request.all("traceparent") for request in poe.requests)
