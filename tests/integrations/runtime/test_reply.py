"""How a bot's events are sent: when, by which task, and how many are buffered."""

from __future__ import annotations

from collections.abc import AsyncIterator

import anyio
import anyio.lowlevel
import pytest

from poeproto import Context, Done, Error, Limits, Meta, QueryRequest, ReplaceResponse, RequestHead, Text

from ...support.bots import events_in
from ...support.memory_channel import MemoryChannel, answer, service_of

pytestmark = pytest.mark.anyio

HEARTBEAT = b": \n\n"


async def test_the_head_is_sent_before_the_first_event() -> None:
    channel = MemoryChannel()
    seen: list[bool] = []

    async def bot(request: QueryRequest, context: Context) -> AsyncIterator[str]:
        seen.append(channel.head is not None)
        yield "hello"

    await answer(bot, channel)
    assert seen == [True]
    assert channel.head is not None
    assert channel.head.status == 200
    assert channel.head.get("content-type") == "text/event-stream; charset=utf-8"


async def test_the_bot_is_given_the_request_and_its_surroundings() -> None:
    async def bot(request: QueryRequest, context: Context) -> AsyncIterator[str]:
        assert context.http_request.method == "POST"
        assert context.limits.files == 20
        assert context.access_key is None
        assert context.bot_name is None
        yield request.query[-1].content

    channel = await answer(bot)
    assert channel.events == [Text("hello"), Done()]


async def test_the_first_event_is_written_at_once() -> None:
    channel = MemoryChannel()
    read = anyio.Event()

    async def bot(request: QueryRequest, context: Context) -> AsyncIterator[str]:
        yield "first"
        # No suspension lies between, so it must be out already.
        assert channel.events == [Text("first")]
        await read.wait()
        yield "second"

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(answer, bot, channel)
        await channel.until(lambda: channel.events == [Text("first")])
        read.set()
    assert channel.events == [Text("first"), Text("second"), Done()]
    assert channel.ended


async def test_a_burst_is_written_in_few_writes() -> None:
    async def bot(request: QueryRequest, context: Context) -> AsyncIterator[str]:
        for number in range(1000):
            yield str(number)

    channel = await answer(bot)
    assert channel.events == [*(Text(str(number)) for number in range(1000)), Done()]
    assert len(channel.writes) == 2, "the first event, and all the rest"


async def test_a_long_burst_is_written_in_parts_of_the_buffers_size() -> None:
    limits = Limits(write_buffer=4096)

    async def bot(request: QueryRequest, context: Context) -> AsyncIterator[str]:
        for number in range(1000):
            yield str(number)

    channel = await answer(bot, limits=limits)
    assert channel.events == [*(Text(str(number)) for number in range(1000)), Done()]
    assert max(map(len, channel.writes)) < limits.write_buffer + 100
    assert len(channel.writes) <= len(channel.stream) // limits.write_buffer + 2


async def test_a_burst_is_written_while_the_bot_waits() -> None:
    channel = MemoryChannel()
    more = anyio.Event()

    async def bot(request: QueryRequest, context: Context) -> AsyncIterator[str]:
        for number in range(10):
            yield str(number)
        await more.wait()
        yield "end"

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(answer, bot, channel)
        await channel.until(lambda: len(channel.events) == 10)
        assert len(channel.writes) == 2
        more.set()
    assert channel.events[-2:] == [Text("end"), Done()]


async def test_lone_events_are_written_by_the_bots_own_task() -> None:
    task: list[int] = []

    async def bot(request: QueryRequest, context: Context) -> AsyncIterator[str]:
        task.append(anyio.get_current_task().id)
        for number in range(20):
            await anyio.lowlevel.checkpoint()
            yield str(number)

    channel = await answer(bot)
    assert channel.writers == task * 21
    assert [events_in(data) for data in channel.writes] == [*([Text(str(number))] for number in range(20)), [Done()]]


async def test_backpressure_a_client_that_does_not_read_stops_the_bot() -> None:
    limits = Limits(write_buffer=1000)
    channel = MemoryChannel()
    made: list[str] = []

    async def bot(request: QueryRequest, context: Context) -> AsyncIterator[str]:
        yield "first"
        channel.open = anyio.Event()
        yield "the writer's task is stuck with this"
        await anyio.lowlevel.checkpoint()
        for number in range(500):
            made.append(f"{number:50}")
            yield made[-1]

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(answer, bot, channel, limits)
        await channel.until(lambda: channel.attempts == 2)
        await anyio.wait_all_tasks_blocked()
        held = len(made)
        assert 0 < held * 80 < limits.write_buffer + 160
        await anyio.wait_all_tasks_blocked()
        assert len(made) == held
        channel.open.set()
    assert channel.events[2:] == [*map(Text, made), Done()]
    assert len(made) == 500


async def test_backpressure_a_first_write_that_is_stuck_stops_the_bot() -> None:
    channel = MemoryChannel()
    channel.open = anyio.Event()
    made: list[str] = []

    async def bot(request: QueryRequest, context: Context) -> AsyncIterator[str]:
        for number in range(10):
            made.append(str(number))
            yield made[-1]

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(answer, bot, channel)
        await channel.until(lambda: channel.attempts == 1)
        await anyio.wait_all_tasks_blocked()
        assert made == ["0"]
        channel.open.set()
    assert channel.events == [*map(Text, made), Done()]


async def test_a_bot_that_never_waits_does_not_block_others() -> None:
    channel = MemoryChannel()
    channel.suspends = False
    turns = [0]

    async def other() -> None:
        while True:
            turns[0] += 1
            await anyio.lowlevel.checkpoint()

    async def bot(request: QueryRequest, context: Context) -> AsyncIterator[str]:
        before = turns[0]
        for number in range(5000):
            yield str(number)
        assert turns[0] > before + 10

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(other)
        await answer(bot, channel, Limits(write_buffer=2000))
        tasks.cancel_scope.cancel()
    assert channel.events[-1] == Done()


async def test_heartbeats_while_the_bot_is_idle() -> None:
    channel = MemoryChannel()
    heard = anyio.Event()

    async def bot(request: QueryRequest, context: Context) -> AsyncIterator[str]:
        await heard.wait()
        yield "awake"

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(answer, bot, channel, Limits(heartbeat_seconds=0.002))
        await channel.until(lambda: channel.writes == [HEARTBEAT, HEARTBEAT])
        heard.set()
    assert channel.events == [Text("awake"), Done()]
    assert not channel.writes[-1].endswith(HEARTBEAT)


async def test_a_bot_that_ends_its_reply_is_not_resumed() -> None:
    for last in (Error(text="sorry"), Done()):

        async def bot(request: QueryRequest, context: Context) -> AsyncIterator[Text | Error | Done]:
            yield Text("hello")
            yield last  # noqa: B023 - used up within the round
            raise AssertionError("asked again")

        channel = await answer(bot)
        expected = [Text("hello"), last] if last == Done() else [Text("hello"), last, Done()]
        assert channel.events == expected


async def test_every_event_passes() -> None:
    async def bot(request: QueryRequest, context: Context) -> AsyncIterator[Meta | ReplaceResponse | str]:
        yield Meta(content_type="text/plain")
        yield "a"
        yield ReplaceResponse("b")

    channel = await answer(bot)
    assert channel.events == [Meta(content_type="text/plain"), Text("a"), ReplaceResponse("b"), Done()]


async def test_stopping_ends_open_replies_with_an_error_that_allows_a_retry(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", logger="poeproto")
    channels = [MemoryChannel() for _ in range(3)]
    closed: list[str] = []

    async def bot(request: QueryRequest, context: Context) -> AsyncIterator[str]:
        try:
            yield "hello"
            await anyio.sleep_forever()
        finally:
            closed.append("finally")

    service = service_of(bot)
    async with anyio.create_task_group() as tasks:
        for channel in channels:
            tasks.start_soon(service.handle, RequestHead("POST", "/"), "/", channel)
        for channel in channels:
            await channel.until(lambda channel=channel: channel.events == [Text("hello")])
        service.stop_streams()
    for channel in channels:
        hello, error, done = channel.events
        assert (hello, done) == (Text("hello"), Done())
        assert isinstance(error, Error)
        assert error.allow_retry
        assert channel.ended
    assert closed == ["finally"] * 3
    assert len(caplog.records) == 3
    service.stop_streams()  # nothing is open any more


async def test_a_bot_that_takes_too_long_is_cut_off(caplog: pytest.LogCaptureFixture) -> None:
    closed: list[str] = []

    async def bot(request: QueryRequest, context: Context) -> AsyncIterator[str]:
        try:
            yield "hello"
            await anyio.sleep_forever()
        finally:
            closed.append("finally")

    channel = await answer(bot, limits=Limits(answer_seconds=0.2))
    hello, error, done = channel.events
    assert (hello, done) == (Text("hello"), Done())
    assert isinstance(error, Error)
    assert error.allow_retry
    assert error.text is not None
    assert "too long" in error.text
    assert closed == ["finally"]
    assert error.text.split()[-1] in caplog.text


async def test_a_deadline_that_cuts_a_write_short_ends_the_reply_without_another_byte() -> None:
    channel = MemoryChannel()
    channel.open = anyio.Event()

    async def bot(request: QueryRequest, context: Context) -> AsyncIterator[str]:
        yield "hello"

    await answer(bot, channel, Limits(answer_seconds=0.02))
    assert channel.writes == []
    assert not channel.ended
