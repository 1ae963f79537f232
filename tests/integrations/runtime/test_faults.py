"""Faults of the channel: the server gets the exception, and the log does not blame the bot."""

from __future__ import annotations

from collections.abc import AsyncIterator

import anyio
import anyio.lowlevel
import pytest

from poeproto import Context, QueryRequest, ResponseHead
from poeproto_runtime.channel import ChannelFailed

from ...support.bots import SECRET
from ...support.memory_channel import MemoryChannel, answer

pytestmark = pytest.mark.anyio


class FaultyChannel(MemoryChannel):
    """A channel whose writes of one kind raise a forbidden exception."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self._kind = kind

    async def start(self, head: ResponseHead) -> None:
        self._fail_at("start")
        await super().start(head)

    async def send(self, data: bytes) -> None:
        self._fail_at("send")
        await self._send(data)

    async def finish(self, data: bytes) -> None:
        self._fail_at("finish")
        await super().finish(data)

    def _fail_at(self, kind: str) -> None:
        if kind == self._kind:
            raise LookupError("a fault of the server's")


@pytest.mark.parametrize("waits", [False, True])
@pytest.mark.parametrize("kind", ["start", "send", "finish"])
async def test_a_fault_of_the_channel_is_not_logged_as_the_bots(
    kind: str, waits: bool, caplog: pytest.LogCaptureFixture
) -> None:
    closed: list[str] = []

    async def closer() -> None:
        closed.append("on_close")

    async def bot(request: QueryRequest, context: Context) -> AsyncIterator[str]:
        context.on_close(closer)
        if waits:
            await anyio.lowlevel.checkpoint()
        yield "hello"

    channel = FaultyChannel(kind)
    with pytest.raises(ExceptionGroup) as raised:  # the server reports it, since it knows the request
        await answer(bot, channel)
    assert raised.group_contains((LookupError, ChannelFailed))
    assert not channel.ended
    assert caplog.records == []
    assert closed == ([] if kind == "start" else ["on_close"])


async def test_a_fault_in_the_writers_task_is_not_logged_as_the_bots(
    caplog: pytest.LogCaptureFixture,
) -> None:
    seen: list[str] = []

    async def bot(request: QueryRequest, context: Context) -> AsyncIterator[str]:
        try:
            for number in range(10):
                yield str(number)
                if not number:
                    channel.broken = True
            await anyio.sleep_forever()
        finally:
            seen.append("finally")

    class LaterFaulty(MemoryChannel):
        broken = False

        async def send(self, data: bytes) -> None:
            if self.broken:
                raise LookupError("a fault of the server's")
            await self._send(data)

    channel = LaterFaulty()
    with pytest.raises(ExceptionGroup) as raised:
        await answer(bot, channel)
    assert raised.group_contains(ChannelFailed)
    assert seen == ["finally"]
    assert caplog.records == []


async def test_a_bot_that_fails_in_its_cleanup_after_a_fault_that_is_not_its_own(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def bot(request: QueryRequest, context: Context) -> AsyncIterator[str]:
        try:
            yield "hello"
        finally:
            raise LookupError(SECRET)

    channel = FaultyChannel("send")
    await answer(bot, channel)
    assert not channel.ended
    assert SECRET in caplog.text
