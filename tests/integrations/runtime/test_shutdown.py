"""Shutdown: the replies of a server that is about to stop, late ones included, and no others."""

from __future__ import annotations

import gc
import weakref
from collections.abc import AsyncIterator
from contextlib import ExitStack

import anyio
import anyio.lowlevel
import pytest
from anyio.from_thread import BlockingPortal, start_blocking_portal
from anyio.lowlevel import current_token

from poeproto import Context, Done, Error, QueryRequest, RequestHead, Text
from poeproto_runtime import BotService

from ...support.memory_channel import MemoryChannel, service_of

pytestmark = pytest.mark.anyio

HEAD = RequestHead("POST", "/")


async def waits(request: QueryRequest, context: Context) -> AsyncIterator[str]:
    yield "hello"
    await anyio.sleep_forever()


async def answers(request: QueryRequest, context: Context) -> AsyncIterator[str]:
    yield "hello"


def assert_ended(channel: MemoryChannel) -> None:
    hello, error, done = channel.events
    assert (hello, done) == (Text("hello"), Done())
    assert isinstance(error, Error)
    assert error.allow_retry
    assert channel.ended


def assert_refused(channel: MemoryChannel) -> None:
    error, done = channel.events
    assert isinstance(error, Error)
    assert error.allow_retry
    assert done == Done()
    assert channel.ended


class ReplyElsewhere:
    """A reply under way in the event loop of another thread."""

    def __init__(self, portal: BlockingPortal, service: BotService) -> None:
        self.channel = portal.call(MemoryChannel)
        self._over = portal.start_task_soon(service.handle, HEAD, "/", self.channel)
        portal.call(self.channel.until, lambda: self.channel.events == [Text("hello")])

    def wait(self) -> None:
        self._over.result()


async def test_from_another_thread() -> None:
    channel, service = MemoryChannel(), service_of(waits)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(service.handle, HEAD, "/", channel)
        await channel.until(lambda: channel.events == [Text("hello")])
        await anyio.to_thread.run_sync(service.stop_streams)
    assert_ended(channel)


def test_replies_in_several_event_loops() -> None:
    service = service_of(waits)
    with ExitStack() as stack:
        replies = [
            ReplyElsewhere(stack.enter_context(start_blocking_portal(backend)), service)
            for backend in ("asyncio", "asyncio", "trio", "trio")
        ]
        service.stop_streams()
        for reply in replies:
            reply.wait()
            assert_ended(reply.channel)
    service.stop_streams()  # of loops that are over, nothing is left to stop


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_an_event_loop_that_has_ended_is_not_kept(backend: str) -> None:
    service = service_of(answers)
    loops: list[weakref.ref[object]] = []

    async def answer() -> None:
        loops.append(weakref.ref(current_token().native_token))
        channel = MemoryChannel()
        await service.handle(HEAD, "/", channel)
        assert channel.ended

    for _ in range(2):
        anyio.run(answer, backend=backend)
    gc.collect()
    assert [loop() for loop in loops] == [None, None]
    service.stop_streams()


async def test_the_replies_of_one_server_and_no_others() -> None:
    service = service_of(waits)
    one, two = service.active_replies(), service.active_replies()
    channels = {streams: MemoryChannel() for streams in (one, two, None)}
    async with anyio.create_task_group() as tasks:
        for streams, channel in channels.items():
            tasks.start_soon(service.handle, HEAD, "/", channel, streams)
            await channel.until(lambda channel=channel: channel.events == [Text("hello")])
        one.stop()
        await channels[one].until(lambda: channels[one].ended)
        await anyio.wait_all_tasks_blocked()
        assert not channels[two].ended
        assert not channels[None].ended
        late = MemoryChannel()
        await service.handle(HEAD, "/", late, one)
        assert_refused(late)
        service.stop_streams()
    for channel in channels.values():
        assert_ended(channel)


async def test_a_query_that_arrives_late_is_answered_at_once_without_the_bot(
    caplog: pytest.LogCaptureFixture,
) -> None:
    asked: list[str] = []

    async def bot(request: QueryRequest, context: Context) -> str:
        asked.append("asked")
        return "hello"

    service = service_of(bot)
    early = MemoryChannel()
    await service.handle(HEAD, "/", early)
    service.stop_streams()
    await anyio.lowlevel.checkpoint()
    late = MemoryChannel()
    await service.handle(HEAD, "/", late)
    assert_refused(late)
    assert asked == ["asked"]
    assert caplog.records == []


async def test_a_query_whose_answer_has_just_begun() -> None:
    asked: list[str] = []

    async def bot(request: QueryRequest, context: Context) -> str:
        asked.append("asked")
        return "hello"

    channel, service = MemoryChannel(), service_of(bot)
    channel.head_open = anyio.Event()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(service.handle, HEAD, "/", channel)
        await channel.until(lambda: channel.head is not None)
        service.stop_streams()
        await anyio.wait_all_tasks_blocked()
        channel.head_open.set()
    assert_refused(channel)
    assert asked == []


async def test_other_requests_that_arrive_late_are_answered() -> None:
    service = service_of(waits)
    service.stop_streams()
    await anyio.lowlevel.checkpoint()
    channel = MemoryChannel(b'{"type": "settings"}')
    await service.handle(HEAD, "/", channel)
    assert channel.response is not None
    assert channel.response.status == 200


async def test_a_server_that_serves_again() -> None:
    async def bot(request: QueryRequest, context: Context) -> str:
        return "hello"

    service = service_of(bot)
    for _ in range(2):
        async with service.running():
            channel = MemoryChannel()
            await service.handle(HEAD, "/", channel)
            assert channel.events == [Text("hello"), Done()]
            service.stop_streams()
            await anyio.lowlevel.checkpoint()
            late = MemoryChannel()
            await service.handle(HEAD, "/", late)
            assert_refused(late)
