"""The held channel: a channel that sends no head before it has a part of the body to send with it."""

from __future__ import annotations

from collections.abc import Awaitable

from poeproto import HttpResponse, ResponseHead
from poeproto_openai.reply_exchange import ReplyExchange
from poeproto_runtime import Channel
from poeproto_runtime.hooks import Progress

__all__ = ["HeldChannel"]


class HeldChannel:
    """The `Channel` of a reply whose status is not known before its first bytes.

    Args:
        channel: the server's, whose request has been read.
        exchange: says at the end whether there is a whole response in place of the stream.
        progress: is given the status.
    """

    __slots__ = ("_channel", "_exchange", "_head", "_progress")

    def __init__(self, channel: Channel, exchange: ReplyExchange, progress: Progress) -> None:
        self._channel = channel
        self._exchange = exchange
        self._progress = progress
        self._head: ResponseHead | None = None

    async def receive(self) -> bytes | None:
        return await self._channel.receive()

    async def wait_disconnected(self) -> None:
        await self._channel.wait_disconnected()

    async def respond(self, response: HttpResponse) -> None:
        await self._channel.respond(response)

    async def start(self, head: ResponseHead) -> None:
        self._head = head

    def send(self, data: bytes) -> Awaitable[None] | None:
        if not data:  # an event that has no bytes here
            return None
        if self._head is not None:
            return self._send_with_head(data, self._head)
        return self._channel.send(data)

    async def _send_with_head(self, data: bytes, head: ResponseHead) -> None:
        self._head = None
        await self._channel.start(head)
        written = self._channel.send(data)
        if written is not None:
            await written

    async def finish(self, data: bytes) -> None:
        response = self._exchange.response
        if response is not None:
            self._progress.status = response.status
            await self._channel.respond(response)
            return
        if self._head is not None:
            head, self._head = self._head, None
            await self._channel.start(head)
        await self._channel.finish(data)
