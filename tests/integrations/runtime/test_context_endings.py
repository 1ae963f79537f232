"""When the calls of a bot end, and their connections."""

from __future__ import annotations

from collections.abc import AsyncIterator

import anyio
import pytest

from poeproto import (
    Context,
    Done,
    Event,
    LocalProtocolError,
    QueryRequest,
    Text,
    encode_request,
)

from ...support.calling_bots import QUERY, CallingBot, calling, forwards
from ...support.memory_channel import MemoryChannel
from ...support.scripted_peer import HELLO, STREAM_HEAD, Peer, answering, sent, starting

pytestmark = pytest.mark.anyio


async def test_a_reply_that_is_left_is_closed_at_once_with_async_with_and_with_the_request_otherwise() -> None:
    left = anyio.Event()

    async def bot(request: QueryRequest, context: Context) -> AsyncIterator[str]:
        async with context.query_bot("Cat", request) as answer:
            assert await anext(aiter(answer)) == Text("a")
        with pytest.raises(LocalProtocolError, match="closed before its end"):
            await anext(aiter(answer))
        await left.wait()
        yield "left"
        abandoned = context.query_bot("Cat", request)
        assert await anext(aiter(abandoned)) == Text("b")
        yield "done"

    async def first(peer: Peer) -> None:
        await peer.answer(STREAM_HEAD + sent(Text("a")))
        await peer.until_left()
        left.set()

    async def second(peer: Peer) -> None:
        await peer.answer(STREAM_HEAD + sent(Text("b")))
        await peer.until_left()

    async with calling(CallingBot(bot, Cat=2), first, second) as served:
        assert await served.answer() == [Text("left"), Text("done"), Done()]
        await served.poe.until_closed(2)


async def test_a_dropped_reply_is_closed_before_its_request_ends() -> None:
    left = anyio.Event()

    async def bot(request: QueryRequest, context: Context) -> AsyncIterator[str]:
        async for event in context.query_bot("Cat", request):
            assert event == Text("a")
            break
        await left.wait()
        yield "left"

    async def cat(peer: Peer) -> None:
        await peer.answer(STREAM_HEAD + sent(Text("a")))
        await peer.until_left()
        left.set()

    async with calling(CallingBot(bot, Cat=1), cat) as served:
        assert await served.answer() == [Text("left"), Done()]
        await served.poe.until_closed(1)


async def test_a_disconnect_ends_the_calls() -> None:
    channel = MemoryChannel(encode_request(QUERY))

    async def bot(request: QueryRequest, context: Context) -> AsyncIterator[Event]:
        async for event in context.query_bot("Cat", request):
            yield event

    async with calling(CallingBot(bot, Cat=1), starting) as served, anyio.create_task_group() as tasks:
        tasks.start_soon(served.answer, QUERY, channel)
        await channel.until(lambda: channel.events == [Text("a")])
        channel.gone.set()
        await served.poe.until_closed(1)


async def test_a_context_is_of_no_use_after_its_request() -> None:
    kept: list[Context] = []

    async def bot(request: QueryRequest, context: Context) -> str:
        kept.append(context)
        return "hello"

    async with calling(CallingBot(bot, Cat=1), answering(HELLO)) as served:
        await served.answer()
        with pytest.raises(LocalProtocolError, match="the request has ended"):
            await kept[0].final_text("Cat", "too late")
        with pytest.raises(LocalProtocolError, match="no reply is under way"):
            await kept[0].post_attachment(b"too late", name="a")
    assert served.poe.requests == []


async def test_on_close_functions_may_still_call() -> None:
    said: list[str] = []

    async def bot(request: QueryRequest, context: Context) -> AsyncIterator[str]:
        async def closer() -> None:
            said.append(await context.final_text("Cat", request))

        context.on_close(closer)
        yield "hello"

    async with calling(CallingBot(bot, Cat=1), answering(HELLO)) as served:
        await served.answer()
    assert said == ["hello"]


async def test_connections_are_used_again_within_the_serving_and_closed_with_the_request_outside_of_it() -> None:
    async with calling(CallingBot(forwards, Cat=1), answering(HELLO)) as served:
        for _ in range(3):
            assert await served.answer() == [Text("hello"), Done()]
        assert served.opened == 1
    async with calling(CallingBot(forwards, Cat=1), answering(HELLO)) as served:
        assert served.service.outbound is not None
        await served.service.outbound.transport.release()  # as in a host without a lifespan
        for number in range(3):
            assert await served.answer() == [Text("hello"), Done()]
            await served.poe.until_closed(number + 1)
        assert served.opened == 3
        served.service.outbound.transport.hold()
