"""Hooks of calls: one start and one end for each call, whatever its ending, and what the end says."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import attrs
import pytest

from poeproto import (
    Done,
    Endpoints,
    Error,
    Event,
    LocalProtocolError,
    PoeprotoError,
    RequestRefused,
    RetryPolicy,
    Text,
    ToolFailed,
    encode_event,
)
from poeproto_h11 import (
    BlockingClient,
    CallHooks,
    CallObservation,
    Client,
    Outcome,
    Timeouts,
    get_bot_response,
    get_bot_response_sync,
    get_final_response,
    get_final_response_sync,
)
from poeproto_runtime.client.call_hooks import CallProgress
from poeproto_runtime.client.flow_runner import FlowRunner
from poeproto_runtime.client.observed_runner import ObservedReplyRunner

from ...support.observed_calls import Calls
from ...support.scripted_peer import (
    HELLO,
    LAST_CHUNK,
    STREAM_HEAD,
    Peer,
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
from .test_extra_headers import arguments

pytestmark = pytest.mark.anyio

KEY = "k" * 32
ONCE = RetryPolicy(attempts=1)
STREAM = "Content-Type: text/event-stream"


@attrs.frozen
class Ending:
    """A way for a query to end.

    Attributes:
        scripts: what the peer does.
        outcome: what the end says, like the others.
        more: arguments of the client.
    """

    scripts: tuple[Script, ...]
    outcome: Outcome
    exception: str | None = None
    error_type: str | None = None
    status: int | None = 200
    attempts: int = 1
    events: int = 0
    bytes: int = 0
    more: dict[str, Any] = attrs.field(factory=dict[str, Any])


def whole(*events: Event) -> bytes:
    return b"".join(map(encode_event, events))


async def hang_up(peer: Peer) -> None:
    await peer.read_request()


async def never_answer(peer: Peer) -> None:
    await peer.read_request()
    await peer.until_left()


def cut_short(data: bytes) -> Script:
    async def script(peer: Peer) -> None:
        await peer.answer(data)

    return script


ERROR = Error(text="no", error_type="user_caused_error")
A = whole(Text("a"))
BROKEN = b"event: text\ndata: {\n\n"
ENDINGS = {
    "complete": Ending((answering(HELLO),), Outcome.COMPLETE, events=1, bytes=len(whole(Text("hello"), Done()))),
    "only done": Ending((answering(reply()),), Outcome.COMPLETE, bytes=len(whole(Done()))),
    "error": Ending(
        (answering(STREAM_HEAD + sent(Text("a"), ERROR) + LAST_CHUNK),),
        Outcome.ERROR_EVENT,
        error_type="user_caused_error",
        events=1,
        bytes=len(A + whole(ERROR)),
    ),
    "only an error": Ending(
        (answering(STREAM_HEAD + sent(Error(), Done()) + LAST_CHUNK),),
        Outcome.ERROR_EVENT,
        bytes=len(whole(Error(), Done())),
    ),
    "incomplete": Ending(
        (answering(STREAM_HEAD + sent(Text("a")) + LAST_CHUNK),),
        Outcome.INCOMPLETE,
        "IncompleteReply",
        events=1,
        bytes=len(A),
    ),
    "cut short": Ending(
        (cut_short(STREAM_HEAD + sent(Text("a"))),),
        Outcome.DISCONNECTED,
        "IncompleteChunkedBody",
        events=1,
        bytes=len(A),
    ),
    "a lost connection": Ending((hang_up,), Outcome.DISCONNECTED, "ConnectionLost", status=None),
    "refused": Ending((answering(response(400, b"no")),), Outcome.REFUSED, "RequestRefused", status=400, bytes=2),
    "not a stream": Ending((answering(response(200, b"<p>")),), Outcome.REFUSED, "RequestRefused", bytes=3),
    "invalid": Ending(
        (answering(STREAM_HEAD + sent(Text("a")) + chunk(BROKEN)),),
        Outcome.INVALID,
        "RemoteProtocolError",
        events=1,
        bytes=len(A + BROKEN),
    ),
    "not HTTP": Ending((answering(b"SSH-2.0\r\n\r\n"),), Outcome.INVALID, "RemoteProtocolError", status=None),
    "a timeout": Ending(
        (never_answer,), Outcome.TIMEOUT, "DeadlineExceeded", status=None, more={"timeouts": Timeouts(header=0.05)}
    ),
    "a timeout within": Ending(
        (starting,),
        Outcome.TIMEOUT,
        "DeadlineExceeded",
        events=1,
        bytes=len(A),
        more={"timeouts": Timeouts(idle=0.05)},
    ),
    "a retry": Ending(
        (model(response(503, b"busy"), HELLO),),
        Outcome.COMPLETE,
        attempts=2,
        events=1,
        bytes=4 + len(whole(Text("hello"), Done())),
        more={"retry": RetryPolicy(delay=0)},
    ),
    "retries that end": Ending(
        (answering(response(503, b"busy")),),
        Outcome.REFUSED,
        "RequestRefused",
        status=503,
        attempts=3,
        bytes=12,
        more={"retry": RetryPolicy(attempts=3, delay=0)},
    ),
}


def read(client: BlockingClient, url: str, within: bool) -> None:
    if within:
        with client.query(url, "hello") as answer:
            for _ in answer:
                pass
    else:
        for _ in client.query(url, "hello"):
            pass


async def read_async(client: Client, url: str, within: bool) -> None:
    if within:
        async with client.query(url, "hello") as answer:
            async for _ in answer:
                pass
    else:
        async for _ in client.query(url, "hello"):
            pass


def check(ending: Ending, called: Calls) -> None:
    seen = called.end
    assert (seen.outcome, seen.exception_type, seen.error_type) == (
        ending.outcome,
        ending.exception,
        ending.error_type,
    )
    counts = (seen.status, seen.attempts, seen.events, seen.bytes)
    assert counts == (ending.status, ending.attempts, ending.events, ending.bytes)
    assert called.names == ["on_start", *(["on_first_event"] if ending.events else []), "on_end"]
    assert (seen.first_event_seconds is not None) == bool(ending.events)


@pytest.mark.parametrize("within", [True, False])
@pytest.mark.parametrize("name", ENDINGS)
async def test_every_ending_of_a_query(name: str, within: bool) -> None:
    ending, called = ENDINGS[name], Calls()
    options: dict[str, Any] = {"retry": ONCE, **ending.more, **called.hooks}
    async with scripted(*ending.scripts) as server, Client(**options) as client:
        with suppress(PoeprotoError):
            await read_async(client, server.address, within)
    check(ending, called)


@pytest.mark.parametrize("within", [True, False])
@pytest.mark.parametrize("name", ENDINGS)
async def test_every_ending_of_a_query_that_blocks(name: str, within: bool) -> None:
    ending, called = ENDINGS[name], Calls()
    options: dict[str, Any] = {"retry": ONCE, **ending.more, **called.hooks}

    def ask(url: str) -> None:
        with BlockingClient(**options) as client, suppress(PoeprotoError):
            read(client, url, within)

    async with scripted(*ending.scripts) as server:
        await anyio.to_thread.run_sync(ask, server.address)
    check(ending, called)


async def test_the_arguments_of_the_hooks() -> None:
    called = Calls()
    async with scripted(answering(HELLO)) as server, Client(**called.hooks) as client:
        url = f"{server.address}bots/cat?key={KEY}#{KEY}"
        assert await client.query(url, "hello").text() == "hello"
        assert called.names == ["on_start", "on_first_event", "on_end"]
        start, first, end = (seen for _, seen in called.calls)
        assert start.url == f"{server.address}bots/cat"
    assert start.id == first.id == end.id
    assert re.fullmatch("[0-9a-f]{16}", start.id)
    assert (start.operation, start.bot_name) == ("query", None)
    assert (start.attempts, start.status, start.events, start.bytes) == (0, None, 0, 0)
    assert (start.outcome, first.outcome, start.first_event_seconds) == (None, None, None)
    assert (first.attempts, first.status, first.events) == (1, 200, 1)
    assert end.first_event_seconds is not None
    assert 0 <= start.seconds <= end.first_event_seconds <= first.seconds <= end.seconds
    assert KEY not in repr(end)


async def test_no_connection() -> None:
    called = Calls()
    async with scripted(answering(HELLO)) as server:
        url = server.address
    async with Client(retry=ONCE, **called.hooks) as client:
        with suppress(PoeprotoError):
            await client.query(url, "hello").text()
    end = called.end
    assert (end.outcome, end.exception_type, end.attempts) == (Outcome.CONNECT_FAILED, "ConnectFailed", 1)


# --- calls that the caller ends


async def leave_the_block(client: Client, url: str) -> None:
    async with client.query(url, "hello") as answer:
        async for _ in answer:
            break


async def close(client: Client, url: str) -> None:
    answer = client.query(url, "hello")
    await anext(answer)
    await answer.aclose()
    await answer.aclose()


async def drop(client: Client, url: str) -> None:
    async for _ in client.query(url, "hello"):
        break


async def enter_and_leave(client: Client, url: str) -> None:
    async with client.query(url, "hello"):
        pass


async def fail_within(client: Client, url: str) -> None:
    with suppress(LookupError):
        async with client.query(url, "hello") as answer:
            async for _ in answer:
                raise LookupError


async def cancel_a_read(client: Client, url: str) -> None:
    answer = client.query(url, "hello")
    await anext(answer)
    with anyio.move_on_after(0.01):
        await anext(answer)


async def cancel_within(client: Client, url: str) -> None:
    async with client.query(url, "hello") as answer:
        await anext(answer)
        for _ in range(2):  # a read that was cancelled within the block may be repeated: the call continues
            with anyio.move_on_after(0.01):
                await anext(answer)


async def close_the_client(client: Client, url: str) -> None:
    async with client.query(url, "hello") as answer:
        await anext(answer)
        await client.aclose()


LEAVING = [leave_the_block, close, drop, enter_and_leave, fail_within, cancel_a_read, cancel_within, close_the_client]


@pytest.mark.parametrize("leave", LEAVING)
async def test_a_reply_that_the_caller_ends(leave: Callable[[Client, str], Awaitable[None]]) -> None:
    called = Calls()
    async with scripted(starting) as server, Client(**called.hooks) as client:
        await leave(client, server.address)
        end = await called.until_ended()
        await server.until_closed(1)
    assert (end.outcome, end.exception_type, end.status) == (Outcome.CANCELLED, None, 200)
    assert end.events == (0 if leave is enter_and_leave else 1)


@pytest.mark.parametrize("operation", ["query", "settings"])
async def test_a_request_that_is_cancelled(operation: str) -> None:
    called = Calls()
    async with scripted(never_answer) as server, Client(**called.hooks) as client:
        async with anyio.create_task_group() as tasks:
            call = (
                client.query(server.address, "a").text
                if operation == "query"
                else partial(client.settings, server.address)
            )
            tasks.start_soon(call)
            await server.until_asked()
            tasks.cancel_scope.cancel()
        end = called.end
    assert (end.operation, end.outcome, end.status, end.attempts) == (operation, Outcome.CANCELLED, None, 1)


def leave_the_block_blocking(client: BlockingClient, url: str) -> None:
    with client.query(url, "hello") as answer:
        for _ in answer:
            break


def close_blocking(client: BlockingClient, url: str) -> None:
    answer = client.query(url, "hello")
    next(answer)
    answer.close()
    answer.close()


def drop_blocking(client: BlockingClient, url: str) -> None:
    for _ in client.query(url, "hello"):
        break


@pytest.mark.parametrize("leave", [leave_the_block_blocking, close_blocking, drop_blocking])
async def test_a_blocking_reply_that_the_caller_ends(leave: Callable[[BlockingClient, str], None]) -> None:
    called = Calls()

    def ask(url: str) -> CallObservation:
        with BlockingClient(**called.hooks) as client:
            leave(client, url)
            return called.end  # at once

    async with scripted(starting) as server:
        end = await anyio.to_thread.run_sync(ask, server.address)
    assert (end.outcome, end.events) == (Outcome.CANCELLED, 1)


async def test_an_interrupted_blocking_reply() -> None:
    called = Calls()

    def interrupt(seen: CallObservation) -> None:
        raise KeyboardInterrupt

    def ask(url: str) -> None:
        hooks: dict[str, Any] = {**called.hooks, "on_first_event": interrupt}
        with BlockingClient(**hooks) as client, pytest.raises(KeyboardInterrupt):
            for _ in client.query(url, "hello"):
                pass

    async with scripted(starting) as server:
        await anyio.to_thread.run_sync(ask, server.address)
    assert called.end.outcome is Outcome.CANCELLED


async def test_a_reply_that_is_never_read_does_not_start() -> None:
    called = Calls()
    async with Client(**called.hooks) as client:
        await client.query("http://127.0.0.1:9/", "hello").aclose()
        with pytest.raises(LocalProtocolError):
            client.query("http://user:password@a.invalid/", "hello")
    assert called.names == []


async def test_a_reply_that_was_entered_without_a_block_and_dropped() -> None:
    called = Calls()
    async with scripted(starting) as server, Client(**called.hooks) as client:
        answer = client.query(server.address, "hello")
        await answer.__aenter__()
        await anext(answer)
        response = answer._runner._response
        assert response is not None
        del answer
        end = await called.until_ended()
        await response.aclose()
    assert (end.outcome, end.events) == (Outcome.CANCELLED, 1)


async def test_a_closed_client() -> None:
    called = Calls()
    async with Client(**called.hooks) as client:
        pass
    with pytest.raises(LocalProtocolError):
        await client.query("http://127.0.0.1:9/", "hello").text()
    assert (called.end.outcome, called.end.exception_type) == (Outcome.FAILED, "LocalProtocolError")


async def test_a_reply_that_was_read_through_done_is_complete() -> None:
    called = Calls()
    async with (
        scripted(answering(HELLO)) as server,
        Client(**called.hooks) as client,
        client.query(server.address, "hello") as answer,
    ):
        while await anext(answer) != Done():
            pass
    assert called.end.outcome is Outcome.COMPLETE


# --- the kinds of called

OPERATIONS = {
    "query": None,
    "run_tools": None,
    "settings": None,
    "report_feedback": None,
    "report_reaction": None,
    "report_error": None,
    "sync_settings": "Cat",
    "upload": None,
    "upload_by_url": None,
    "authorize_cost": None,
    "capture_cost": None,
}


def check_every_call(server_address: str, called: Calls, of_call: Calls) -> None:
    ends = [seen for name, seen in called.calls if name == "on_end"]
    assert {seen.operation: seen.bot_name for seen in ends} == OPERATIONS
    assert of_call.calls == called.calls
    for seen in ends:
        assert (seen.outcome, seen.status, seen.attempts, seen.bytes) == (Outcome.REFUSED, 400, 1, 2)
        assert seen.url.startswith(server_address)
        assert KEY not in repr(seen)
        assert "q-1" in seen.url or "cost" not in seen.operation
    assert len(called.calls) == 2 * len(OPERATIONS)


async def test_every_call_has_hooks_of_the_client_and_of_its_own() -> None:
    called, of_call, order = Calls(), Calls(), list[str]()
    async with scripted(answering(response(400, b"no"))) as server:
        more: Any = {"endpoints": Endpoints.at(server.address), "access_key": KEY, "retry": ONCE, **called.hooks}
        async with Client(**more) as client:
            for name, values in arguments(server.address).items():
                with pytest.raises(RequestRefused):
                    call = getattr(client, name)(*values, **of_call.hooks)
                    await (call.text() if hasattr(call, "text") else call)
            check_every_call(server.address, called, of_call)
            with pytest.raises(RequestRefused):
                await client.settings("Cat", on_end=lambda seen: order.append(seen.url))
            assert order == [f"{server.address}bot/Cat"]
            assert called.calls[-1][1].bot_name == "Cat"

        def ask() -> None:
            with BlockingClient(**more) as client:
                for name, values in arguments(server.address).items():
                    with pytest.raises(RequestRefused):
                        call = getattr(client, name)(*values, **of_call.hooks)
                        call.text()

        called.calls.clear()
        of_call.calls.clear()
        await anyio.to_thread.run_sync(ask)
        check_every_call(server.address, called, of_call)


async def test_calls_of_poe_succeed_or_fail_by_the_answer() -> None:
    called = Calls()
    bodies = [
        (response(200, b'event: result\ndata: {"status": "no"}\n\n', STREAM), "InsufficientFunds", Outcome.REFUSED),
        (response(200, b'event: result\ndata: {"status": "success"}\n\n', STREAM), None, Outcome.COMPLETE),
        (response(200, b": nothing\n\n", STREAM), "IncompleteReply", Outcome.INCOMPLETE),
    ]
    for body, exception, outcome in bodies:
        called.calls.clear()
        async with scripted(answering(body)) as server:
            at = Endpoints.at(server.address)
            async with Client(access_key=KEY, endpoints=at, retry=ONCE, **called.hooks) as client:
                with suppress(PoeprotoError):
                    await client.authorize_cost(*arguments("")["authorize_cost"])
        assert (called.end.outcome, called.end.exception_type) == (outcome, exception)


@pytest.mark.parametrize("blocking", [False, True])
async def test_a_file_that_cannot_be_read(tmp_path: Path, blocking: bool) -> None:
    called = Calls()
    missing = tmp_path / "missing.txt"
    if blocking:
        with BlockingClient(access_key=KEY, **called.hooks) as client, pytest.raises(FileNotFoundError):
            client.upload(missing)
    else:
        async with Client(access_key=KEY, **called.hooks) as client:
            with pytest.raises(FileNotFoundError):
                await client.upload(missing)
    end = called.end
    assert (end.operation, end.outcome, end.exception_type) == ("upload", Outcome.FAILED, "FileNotFoundError")
    assert (end.attempts, end.url) == (0, Endpoints().file_upload)


def weather(at: str) -> str:
    if at == "nowhere":
        raise LookupError
    return "rain"


async def test_rounds_of_tools_are_one_call() -> None:
    called = Calls()
    wants = calls(("weather", '{"at": "Rome"}'))
    async with scripted(model(wants, reply(Text("It rains.")))) as server, Client(**called.hooks) as client:
        assert await client.run_tools(server.address, "how is it?", [WEATHER], [weather]).text() == "It rains."
    assert (called.end.operation, called.end.outcome, called.end.attempts) == ("run_tools", Outcome.COMPLETE, 2)
    assert called.end.events == 1


@pytest.mark.parametrize("blocking", [False, True])
async def test_a_tool_that_fails(blocking: bool) -> None:
    called = Calls()
    arguments = ("how is it?", [WEATHER], [weather])

    def ask(url: str) -> None:
        with BlockingClient(**called.hooks) as client, pytest.raises(ToolFailed):
            client.run_tools(url, *arguments, raise_errors=True).text()

    async with scripted(model(calls(("weather", '{"at": "nowhere"}')))) as server:
        if blocking:
            await anyio.to_thread.run_sync(ask, server.address)
        else:
            async with Client(**called.hooks) as client:
                with pytest.raises(ToolFailed):
                    await client.run_tools(server.address, *arguments, raise_errors=True).text()
    assert (called.end.outcome, called.end.exception_type, called.end.attempts) == (Outcome.FAILED, "ToolFailed", 1)


async def test_a_tool_that_is_cancelled() -> None:
    called, started = Calls(), anyio.Event()

    async def waiting() -> str:
        started.set()
        await anyio.sleep_forever()
        return ""

    async with (
        scripted(model(calls(("waiting", "{}")))) as server,
        Client(**called.hooks) as client,
        anyio.create_task_group() as tasks,
    ):
        tasks.start_soon(client.run_tools(server.address, "how is it?", [], [waiting]).text)
        await started.wait()
        tasks.cancel_scope.cancel()
    assert (called.end.outcome, called.end.exception_type) == (Outcome.CANCELLED, None)


# --- the hooks


@pytest.mark.parametrize("data", [HELLO, reply(Text("a"), Text("b")), STREAM_HEAD + sent(ERROR) + LAST_CHUNK])
async def test_a_hook_for_each_event(data: bytes) -> None:
    called, seen = Calls(), list[tuple[int, Event]]()
    async with scripted(answering(data)) as server, Client(**called.hooks) as client:
        answer = client.query(server.address, "hello", on_event=lambda call, event: seen.append((call.events, event)))
        events = [event async for event in answer]
    assert [event for _, event in seen] == events
    assert all(count == called.end.events for count, _ in seen), "they came in one read"


async def test_failures_of_hooks_are_logged_and_ignored(caplog: pytest.LogCaptureFixture) -> None:
    def fail(*seen: object) -> None:
        raise LookupError("the hook is broken")

    async def hook(seen: CallObservation) -> None:
        pass

    broken: Any = dict.fromkeys(("on_start", "on_first_event", "on_event", "on_end"), fail)
    async with scripted(answering(HELLO)) as server, Client(**broken) as client:
        assert await client.query(server.address, "hello", on_end=hook).text() == "hello"
    assert caplog.text.count("LookupError: the hook is broken") == 5
    assert "a hook failed (call " in caplog.text
    assert f"{__file__}:" in caplog.text
    assert "is a coroutine function, and was not run; define it with `def`" in caplog.text


async def test_an_unknown_keyword_argument() -> None:
    wrong: Any = {"on_close": print}
    message = "unexpected keyword argument 'on_close'; the hooks of a call are on_start, on_first_event, on_event, on_e"
    async with Client() as client:
        with pytest.raises(TypeError, match=message):
            client.query("Cat", "hello", **wrong)
        with pytest.raises(TypeError, match=message):
            await client.settings("Cat", **wrong)
    with BlockingClient() as blocking, pytest.raises(TypeError, match=message):
        blocking.settings("Cat", **wrong)


async def test_the_shortcuts_have_hooks() -> None:
    called = Calls()
    async with scripted(answering(HELLO)) as server:
        url = server.address
        assert [event async for event in get_bot_response("hello", url, **called.hooks)] == [Text("hello"), Done()]
        assert called.end.outcome is Outcome.COMPLETE
        called.calls.clear()
        assert await get_final_response("hello", url, **called.hooks) == "hello"
        assert called.end.outcome is Outcome.COMPLETE

        def ask() -> None:
            called.calls.clear()
            assert list(get_bot_response_sync("hello", url, **called.hooks)) == [Text("hello"), Done()]
            assert called.end.outcome is Outcome.COMPLETE
            called.calls.clear()
            assert get_final_response_sync("hello", url, **called.hooks) == "hello"
            assert called.end.outcome is Outcome.COMPLETE

        await anyio.to_thread.run_sync(ask)


def test_a_reply_without_hooks_has_no_progress() -> None:
    for client in (Client(), Client(on_end=None), Client(headers={"x": "1"})):
        assert type(client.query("Cat", "hello")._runner) is FlowRunner
        assert type(client.query("Cat", "hello", on_end=print)._runner) is ObservedReplyRunner


# --- secrets in a URL


@pytest.mark.parametrize(
    ("operation", "url", "shown"),
    [
        ("query", f"https://bot.example/a/b?key={KEY}", "https://bot.example/a/b"),
        (
            "sync_settings",
            f"http://[::1]:8080/bot/update_settings/Cat/{KEY}/1.2",
            "http://[::1]:8080/bot/update_settings/Cat/…",
        ),
        ("fetch_attachment", f"https://files.example/{KEY}?sig={KEY}", "https://files.example/…"),
        ("fetch_attachment", f"https://user:{KEY}@files.example/", "…"),
    ],
)
def test_urls_without_secrets(operation: str, url: str, shown: str) -> None:
    assert CallProgress((), operation, url).observation().url == shown


async def test_the_times_of_chunks_are_noted_if_a_hook_asks_for_them() -> None:
    seen: list[Any] = []
    async with scripted(answering(HELLO)) as server, Client(on_end=seen.append) as client:
        await client.query(server.address, "hello").text()
        hooks = CallHooks(on_end=seen.append, time_chunks=True)
        client.add_hooks(hooks)
        await client.query(server.address, "hello").text()
        client.remove_hooks(hooks)
        await client.query(server.address, "hello").text()
    without, *noted, after = seen
    assert list(without.chunk_seconds) == list(after.chunk_seconds) == []
    for end in noted:
        [*_, last] = end.chunk_seconds
        assert end.first_event_seconds > 0
        assert 0 < last <= end.seconds
    assert len(noted) == 2
