"""Records Poe's requests to bots, and their responses: a transport of the simulator's client that keeps a record."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

import anyio.abc
import attrs

from poeproto import DeadlineExceeded, HttpRequest, Limits, PoeprotoError, ResponseHead, RetryPolicy
from poeproto_h11 import Client
from poeproto_playground.call_recorder import answered_call
from poeproto_playground.exchange_log import Exchange, ExchangeLog, kind_of, object_in, text_in
from poeproto_record import End
from poeproto_runtime.client.transport import IncomingResponse, Transport, TransportCall

# With it, the bot's process says which of its log lines belong to which exchange.
EXCHANGE_HEADER = "poeproto-playground-exchange"

FindBot = Callable[[str], tuple[str | None, bool]]


class RecordingClient(Client):
    """A client that records its exchanges.

    Args:
        log: keeps them.
        find_bot: the name of the bot at a URL, and whether its process was started here.
        limits: the bounds of every exchange.
    """

    def __init__(self, log: ExchangeLog, find_bot: FindBot, limits: Limits) -> None:
        self._log = log
        self._find_bot = find_bot
        # No proxy: bots that are tried out run on this machine.
        super().__init__(limits=limits, retry=RetryPolicy(attempts=1))

    def _make_transport(self, transport: Transport) -> Transport:
        self._recording = RecordingTransport(transport, self._log, self._find_bot)
        return self._recording

    async def send_raw(
        self, request: HttpRequest, resent_from: str | None, task_status: anyio.abc.TaskStatus[Exchange]
    ) -> None:
        """Send a request as it is, valid or not, and read the response. A failure is recorded, and not raised."""
        call = self._recording.begin()
        exchange = call.record(request)
        exchange.resent_from = resent_from
        task_status.started(exchange)
        with suppress(PoeprotoError):
            response = await call.send_recorded(request, exchange)
            try:
                while await response.receive() is not None:
                    pass
            finally:
                await response.aclose()


class RecordingTransport:
    """A transport that records the bytes sent and received.

    Args:
        transport: does it.
        log: keeps the exchanges.
        find_bot: the name of the bot at a URL, and whether its process was started here.
    """

    def __init__(self, transport: Transport, log: ExchangeLog, find_bot: FindBot) -> None:
        self._transport = transport
        self._log = log
        self._find_bot = find_bot

    def begin(self) -> RecordingCall:
        """Start a call."""
        return RecordingCall(self._transport.begin(), self._log, self._find_bot)


class RecordingCall:
    """The requests of one call, each of which is recorded.

    Args:
        call: sends them.
        log: keeps the exchanges.
        find_bot: the name of the bot at a URL, and whether its process was started here.
    """

    def __init__(self, call: TransportCall, log: ExchangeLog, find_bot: FindBot) -> None:
        self._call = call
        self._log = log
        self._find_bot = find_bot

    async def send(self, request: HttpRequest) -> IncomingResponse:
        """Send a request, and wait for the head of the response; as of `TransportCall`."""
        return await self.send_recorded(request, self.record(request))

    def record(self, request: HttpRequest) -> Exchange:
        """Record a request that is about to be sent."""
        body = request.body if isinstance(request.body, bytes) else b""
        fields = object_in(body)
        bot, _ = self._find_bot(request.url)
        call = answered_call()
        return self._log.begin(
            "to-bot",
            kind_of(fields),
            request.method,
            request.url,
            request.headers,
            body,
            bot=bot,
            conversation=text_in(fields, "conversation_id"),
            message=text_in(fields, "message_id"),
            parent=call.id if call else None,
        )

    async def send_recorded(self, request: HttpRequest, exchange: Exchange) -> IncomingResponse:
        """Send a request that was recorded."""
        if self._find_bot(request.url)[1]:
            marked = (*request.headers, (EXCHANGE_HEADER.encode(), exchange.id.encode()))
            request = attrs.evolve(request, headers=marked)
        try:
            response = await self._call.send(request)
        except BaseException as exc:
            end_with_failure(self._log, exchange, exc)
            raise
        self._log.head(exchange, response.head.status, response.head.headers)
        return _RecordingResponse(response, self._log, exchange)

    async def sleep(self, seconds: float) -> None:
        """Wait before the next request."""
        await self._call.sleep(seconds)


class _RecordingResponse:
    def __init__(self, response: IncomingResponse, log: ExchangeLog, exchange: Exchange) -> None:
        self._response = response
        self._log = log
        self._exchange = exchange

    @property
    def head(self) -> ResponseHead:
        return self._response.head

    async def receive(self) -> bytes | None:
        try:
            data = await self._response.receive()
        except BaseException as exc:
            end_with_failure(self._log, self._exchange, exc)
            raise
        if data is None:
            self._log.end(self._exchange, End.EOF)
        else:
            self._log.data(self._exchange, data)
        return data

    async def finish(self) -> None:
        await self._response.finish()
        self._log.end(self._exchange, End.EOF)  # the reply is complete; further bytes are not read

    async def aclose(self) -> None:
        await self._response.aclose()
        self._log.end(self._exchange, End.CLIENT_DISCONNECTED)


def end_with_failure(log: ExchangeLog, exchange: Exchange, failure: BaseException) -> None:
    """End an exchange that has failed, or was cancelled: then Poe's user has stopped the reply."""
    if isinstance(failure, DeadlineExceeded):
        log.end(exchange, End.TIMEOUT, str(failure))
    elif isinstance(failure, PoeprotoError):
        log.end(exchange, End.RESET, str(failure))
    else:
        log.end(exchange, End.CLIENT_DISCONNECTED, "stopped")
