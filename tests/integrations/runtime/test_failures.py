"""Bots of every form, the illegal ones too: what the client reads, and what the log says."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from poeproto import (
    Context,
    Done,
    Error,
    Event,
    File,
    Limits,
    Meta,
    QueryRequest,
    SuggestedReply,
    Text,
    UnknownEvent,
)

from ...support.bots import SECRET
from ...support.memory_channel import MemoryChannel, answer

pytestmark = pytest.mark.anyio


def error_of(channel: MemoryChannel) -> Error:
    """The error that ends this reply."""
    assert channel.ended
    error, done = channel.events[-2:]
    assert isinstance(error, Error)
    assert done == Done()
    return error


def assert_failed_in_private(
    channel: MemoryChannel, caplog: pytest.LogCaptureFixture, before: list[Event] | None = None
) -> str:
    """The peer reads an error with an id and nothing else; the log has the details under that id, which return."""
    error = error_of(channel)
    assert channel.events[:-2] == (before or [])
    assert not error.allow_retry
    assert error.text is not None
    assert SECRET.encode() not in channel.stream
    assert b"Traceback" not in channel.stream
    found = re.search(r"[0-9a-f]{16}", error.text)
    assert found is not None
    (record,) = (record for record in caplog.records if record.levelname == "ERROR")
    assert record.name == "poeproto"
    assert found[0] in record.getMessage()
    return caplog.text


async def test_a_bot_that_raises(caplog: pytest.LogCaptureFixture) -> None:
    async def bot(request: QueryRequest, context: Context) -> AsyncIterator[str]:
        yield "before"
        raise LookupError(SECRET)

    channel = await answer(bot)
    log = assert_failed_in_private(channel, caplog, [Text("before")])
    assert f"LookupError: {SECRET}" in log
    assert "Traceback" in log


async def test_a_bot_that_raises_after_a_burst_has_all_of_it_delivered(caplog: pytest.LogCaptureFixture) -> None:
    async def bot(request: QueryRequest, context: Context) -> AsyncIterator[str]:
        for number in range(100):
            yield str(number)
        await anyio.lowlevel.checkpoint()
        yield "last"
        raise LookupError(SECRET)

    channel = await answer(bot)
    assert_failed_in_private(channel, caplog, [*(Text(str(number)) for number in range(100)), Text("last")])


async def test_a_bot_that_raises_before_its_first_event(caplog: pytest.LogCaptureFixture) -> None:
    async def bot(request: QueryRequest, context: Context) -> AsyncIterator[str]:
        raise LookupError(SECRET)
        yield ""

    assert_failed_in_private(await answer(bot), caplog)


async def test_a_bot_that_raises_at_the_call(caplog: pytest.LogCaptureFixture) -> None:
    def bot(request: QueryRequest, context: Context) -> AsyncIterator[str]:
        raise LookupError(SECRET)

    assert_failed_in_private(await answer(bot), caplog)


async def test_a_bot_whose_tasks_raise(caplog: pytest.LogCaptureFixture) -> None:
    async def fails() -> None:
        raise LookupError(SECRET)

    async def bot(request: QueryRequest, context: Context) -> AsyncIterator[str]:
        yield "before"
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(fails)
            await anyio.sleep_forever()

    log = assert_failed_in_private(await answer(bot), caplog, [Text("before")])
    assert SECRET in log


async def test_a_coroutine_that_raises(caplog: pytest.LogCaptureFixture) -> None:
    async def bot(request: QueryRequest, context: Context) -> str:
        await anyio.lowlevel.checkpoint()
        raise LookupError(SECRET)

    assert_failed_in_private(await answer(bot), caplog)


async def test_each_failure_has_its_own_id(caplog: pytest.LogCaptureFixture) -> None:
    async def bot(request: QueryRequest, context: Context) -> str:
        raise LookupError(SECRET)

    assert error_of(await answer(bot)).text != error_of(await answer(bot)).text


async def test_an_error_event_of_a_bot_is_sent_and_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    own = Error(allow_retry=False, text="You asked too much.", error_type="user_caused_error")

    async def bot(request: QueryRequest, context: Context) -> AsyncIterator[Event]:
        yield own

    assert (await answer(bot)).events == [own, Done()]
    assert not caplog.records


@pytest.mark.parametrize("event", [SuggestedReply("a"), Meta(), None])
async def test_a_bot_without_an_answer(event: Event | None, caplog: pytest.LogCaptureFixture) -> None:
    async def bot(request: QueryRequest, context: Context) -> AsyncIterator[Event]:
        if event is not None:
            yield event

    channel = await answer(bot)
    assert_failed_in_private(channel, caplog, [event] if event is not None else [])
    assert error_of(channel).text is not None
    assert "no answer" in str(error_of(channel).text)


async def test_a_coroutine_that_returns_text() -> None:
    async def bot(request: QueryRequest, context: Context) -> str:
        await anyio.lowlevel.checkpoint()
        return "hello"

    assert (await answer(bot)).events == [Text("hello"), Done()]


async def test_a_coroutine_that_returns_nothing(caplog: pytest.LogCaptureFixture) -> None:
    async def bot(request: QueryRequest, context: Context) -> None: ...

    channel = await answer(bot)
    assert "no answer" in str(error_of(channel).text)


async def test_a_coroutine_that_returns_a_generator() -> None:
    async def events() -> AsyncIterator[str]:
        yield "a"
        await anyio.lowlevel.checkpoint()
        yield "b"

    async def bot(request: QueryRequest, context: Context) -> AsyncIterator[str]:
        return events()

    assert (await answer(bot)).events == [Text("a"), Text("b"), Done()]


async def test_an_awaitable_that_is_not_a_coroutine() -> None:
    class Later:
        def __await__(self) -> Any:
            return self._text().__await__()

        async def _text(self) -> str:
            return "hello"

    def bot(request: QueryRequest, context: Context) -> Awaitable[str]:
        return Later()

    assert (await answer(bot)).events == [Text("hello"), Done()]


@pytest.mark.parametrize("result", [None, "text", 5, ["a"]])
async def test_get_response_that_is_not_a_coroutine_function(result: object, caplog: pytest.LogCaptureFixture) -> None:
    def bot(request: QueryRequest, context: Context) -> object:
        return result

    log = assert_failed_in_private(await answer(bot), caplog)
    assert "get_response must be" in log


@pytest.mark.parametrize(
    "event",
    [Meta(), None, 5, b"text", {"text": "a"}, UnknownEvent("later", "{}"), Text(5), File("u", "n", None)],  # pyright: ignore
)
async def test_an_illegal_event(event: Any, caplog: pytest.LogCaptureFixture) -> None:
    closed: list[str] = []

    async def bot(request: QueryRequest, context: Context) -> AsyncIterator[Any]:
        try:
            yield "before"
            yield event
            yield "after"
        finally:
            closed.append("finally")

    log = assert_failed_in_private(await answer(bot), caplog, [Text("before")])
    assert "LocalProtocolError" in log
    assert closed == ["finally"]


async def test_an_illegal_first_event(caplog: pytest.LogCaptureFixture) -> None:
    async def bot(request: QueryRequest, context: Context) -> AsyncIterator[Any]:
        yield Done()

    assert_failed_in_private(await answer(bot), caplog)


@pytest.mark.parametrize(
    ("limits", "event"),
    [
        (Limits(text_length=10), "12345"),
        (Limits(events=2), "a"),
        (Limits(files=2), File("https://files.invalid/a", "a", "text/plain")),
    ],
)
async def test_a_bot_that_exceeds_a_limit(limits: Limits, event: Any, caplog: pytest.LogCaptureFixture) -> None:
    async def bot(request: QueryRequest, context: Context) -> AsyncIterator[Any]:
        for _ in range(3):
            yield event

    channel = await answer(bot, limits=limits)
    before = Text(event) if isinstance(event, str) else event
    assert_failed_in_private(channel, caplog, [before, before])


async def test_an_abandoned_generator_may_use_the_loop_in_its_finally() -> None:
    seen: list[str] = []

    async def bot(request: QueryRequest, context: Context) -> AsyncIterator[Event]:
        try:
            yield Error(text="sorry")
        finally:
            await anyio.lowlevel.checkpoint()
            seen.append("finally")

    assert error_of(await answer(bot)) == Error(text="sorry")
    assert seen == ["finally"]


async def test_an_abandoned_generator_may_hold_a_task_group() -> None:
    seen: list[str] = []

    async def child() -> None:
        try:
            await anyio.sleep_forever()
        finally:
            seen.append("child")

    async def bot(request: QueryRequest, context: Context) -> AsyncIterator[Event]:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(child)
            await anyio.lowlevel.checkpoint()
            yield Error(text="sorry")

    assert error_of(await answer(bot)) == Error(text="sorry")
    assert seen == ["child"]


async def test_an_abandoned_generator_may_hold_a_cancel_scope() -> None:
    async def bot(request: QueryRequest, context: Context) -> AsyncIterator[Event]:
        with anyio.CancelScope():
            await anyio.lowlevel.checkpoint()
            yield Error(text="sorry")

    assert error_of(await answer(bot)) == Error(text="sorry")


async def test_an_abandoned_generator_whose_tasks_fail(caplog: pytest.LogCaptureFixture) -> None:
    async def child() -> None:
        try:
            await anyio.sleep_forever()
        finally:
            raise LookupError(SECRET)

    async def bot(request: QueryRequest, context: Context) -> AsyncIterator[Event]:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(child)
            await anyio.lowlevel.checkpoint()
            yield Error(text="sorry")

    channel = await answer(bot)
    assert channel.events == [Error(text="sorry"), Done()]
    assert SECRET in caplog.text


async def test_a_generator_that_fails_while_it_is_closed(caplog: pytest.LogCaptureFixture) -> None:
    async def bot(request: QueryRequest, context: Context) -> AsyncIterator[Event]:
        try:
            yield Error(text="sorry")
        finally:
            raise LookupError(SECRET)

    channel = await answer(bot)
    assert channel.events == [Error(text="sorry"), Done()]
    assert SECRET in caplog.text


async def test_a_generator_that_does_not_end_when_it_is_closed(caplog: pytest.LogCaptureFixture) -> None:
    async def bot(request: QueryRequest, context: Context) -> AsyncIterator[Event]:
        try:
            yield Error(text="sorry")
        finally:
            await anyio.sleep_forever()

    channel = await answer(bot, limits=Limits(cleanup_seconds=0.02))
    assert channel.events == [Error(text="sorry"), Done()]
    assert caplog.records


async def test_tasks_that_fail_while_the_bot_is_cut_off(caplog: pytest.LogCaptureFixture) -> None:
    async def child() -> None:
        try:
            await anyio.sleep_forever()
        finally:
            raise LookupError(SECRET)

    async def bot(request: QueryRequest, context: Context) -> AsyncIterator[str]:
        yield "hello"
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(child)
            await anyio.sleep_forever()

    channel = await answer(bot, limits=Limits(answer_seconds=0.2))
    assert channel.events[0] == Text("hello")
    assert error_of(channel).text
    assert SECRET.encode() not in channel.stream
    assert SECRET in caplog.text


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_bot_that_awaits_a_cancelled_task_has_failed(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def bot(request: QueryRequest, context: Context) -> AsyncIterator[str]:
        yield "before"
        task = asyncio.ensure_future(anyio.sleep_forever())
        task.cancel()
        await task

    channel = await answer(bot)
    log = assert_failed_in_private(channel, caplog, [Text("before")])
    assert "CancelledError" in log


@pytest.mark.parametrize("last", [Done(), Error(text="no")])
async def test_heartbeats_do_not_disturb_the_end_of_a_bot_that_cleans_up_for_long(last: Event) -> None:
    async def bot(request: QueryRequest, context: Context) -> AsyncIterator[Event]:
        try:
            yield Text("hello")
            yield last
        finally:
            await anyio.sleep(0.05)

    channel = await answer(bot, limits=Limits(heartbeat_seconds=0.005))
    assert channel.ended
    assert channel.events == list(dict.fromkeys([Text("hello"), last, Done()]))
