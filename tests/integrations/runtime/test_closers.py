"""Functions that bots give to `Context.on_close`: called however a request ends, and whatever becomes of the others."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import anyio
import anyio.lowlevel
import pytest

from poeproto import Context, Error, Limits, QueryRequest, RequestHead

from ...support.bots import SECRET
from ...support.memory_channel import MemoryChannel, answer, service_of

pytestmark = pytest.mark.anyio


async def test_closers_run_after_a_success_the_last_registered_first() -> None:
    seen: list[str] = []

    async def bot(request: QueryRequest, context: Context) -> AsyncIterator[str]:
        def closes(name: str) -> None:
            async def closer() -> None:
                await anyio.lowlevel.checkpoint()
                seen.append(name)

            context.on_close(closer)

        closes("first")
        closes("second")
        yield "hello"
        seen.append("ended")

    await answer(bot)
    assert seen == ["ended", "second", "first"]


async def test_closers_run_after_every_failure(caplog: pytest.LogCaptureFixture) -> None:
    async def raises(request: QueryRequest, context: Context) -> AsyncIterator[str]:
        context.on_close(closer)
        raise LookupError

    async def yields_an_error(request: QueryRequest, context: Context) -> AsyncIterator[Error]:
        context.on_close(closer)
        yield Error()

    async def is_silent(request: QueryRequest, context: Context) -> None:
        context.on_close(closer)

    async def takes_too_long(request: QueryRequest, context: Context) -> None:
        context.on_close(closer)
        await anyio.sleep_forever()

    for bot in (raises, yields_an_error, is_silent, takes_too_long):
        closed: list[str] = []

        async def closer() -> None:
            await anyio.lowlevel.checkpoint()
            closed.append("closed")  # noqa: B023 - used up within the round

        await answer(bot, limits=Limits(answer_seconds=0.02))
        assert closed == ["closed"], bot


async def test_a_closer_that_raises_is_logged_and_the_rest_runs(caplog: pytest.LogCaptureFixture) -> None:
    seen: list[str] = []

    async def closer() -> None:
        seen.append("closed")

    async def fails() -> None:
        raise LookupError(SECRET)

    async def bot(request: QueryRequest, context: Context) -> AsyncIterator[str]:
        context.on_close(closer)
        context.on_close(fails)
        context.on_close(lambda: None)  # pyright: ignore[reportArgumentType]
        yield "hello"

    channel = await answer(bot)
    assert seen == ["closed"]
    assert SECRET in caplog.text
    assert SECRET.encode() not in channel.stream
    assert len(caplog.records) == 2, "nothing to await is a fault, too"


async def test_a_closer_that_hangs_is_cancelled(caplog: pytest.LogCaptureFixture) -> None:
    seen: list[str] = []

    async def hangs() -> None:
        try:
            await anyio.sleep_forever()
        finally:
            seen.append("cut")

    async def bot(request: QueryRequest, context: Context) -> AsyncIterator[str]:
        context.on_close(hangs)
        yield "hello"

    channel = await answer(bot, limits=Limits(cleanup_seconds=0.02))
    assert channel.ended
    assert seen == ["cut"]
    assert "and was cancelled" in caplog.text


async def test_every_closer_has_its_turn_though_others_hang(caplog: pytest.LogCaptureFixture) -> None:
    seen: list[str] = []

    async def closer() -> None:
        await anyio.lowlevel.checkpoint()
        seen.append("closed")

    async def bot(request: QueryRequest, context: Context) -> AsyncIterator[str]:
        context.on_close(closer)
        context.on_close(anyio.sleep_forever)
        context.on_close(closer)
        context.on_close(anyio.sleep_forever)
        yield "hello"

    channel = await answer(bot, limits=Limits(cleanup_seconds=0.02))
    assert channel.ended
    assert seen == ["closed", "closed"]
    assert [record.getMessage().partition(" (")[0] for record in caplog.records] == [
        "an on_close function took longer than 0.02 s and was cancelled"
    ] * 2


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_every_closer_has_its_turn_though_the_server_cancels_the_task(caplog: pytest.LogCaptureFixture) -> None:
    # As Hypercorn and Uvicorn do when their graceful timeout is over; asyncio's cancellation knows no shield.
    channel = MemoryChannel()
    seen: list[str] = []
    closing = anyio.Event()

    async def hangs() -> None:
        closing.set()
        try:
            await anyio.sleep_forever()
        finally:
            seen.append("cut")

    async def closer() -> None:
        await anyio.lowlevel.checkpoint()
        seen.append("closed")

    async def awaits_what_was_cancelled() -> None:
        other = asyncio.create_task(asyncio.sleep(3600))
        other.cancel()
        await other

    async def bot(request: QueryRequest, context: Context) -> AsyncIterator[str]:
        context.on_close(closer)
        context.on_close(awaits_what_was_cancelled)
        context.on_close(hangs)
        yield "hello"

    task = asyncio.create_task(service_of(bot).handle(RequestHead("POST", "/"), "/", channel))
    await closing.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert seen == ["cut", "closed"]
    assert len(caplog.records) == 2


async def test_a_closer_that_awaits_a_cancelled_task_fails_alone(caplog: pytest.LogCaptureFixture) -> None:
    seen: list[str] = []

    async def closer() -> None:
        seen.append("closed")

    async def fails() -> None:
        raise asyncio.CancelledError

    async def bot(request: QueryRequest, context: Context) -> AsyncIterator[str]:
        context.on_close(closer)
        context.on_close(fails)
        yield "hello"

    channel = await answer(bot)
    assert channel.ended
    assert seen == ["closed"]
    assert len(caplog.records) == 1


async def test_closers_are_shielded_from_the_servers_own_end() -> None:
    channel = MemoryChannel()
    seen: list[str] = []

    async def closer() -> None:
        await anyio.lowlevel.checkpoint()
        seen.append("closed")

    async def bot(request: QueryRequest, context: Context) -> AsyncIterator[str]:
        context.on_close(closer)
        yield "hello"
        await anyio.sleep_forever()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(answer, bot, channel)
        await channel.until(lambda: channel.attempts == 1)
        tasks.cancel_scope.cancel()
    assert seen == ["closed"]
