"""How the simulator reaches a bot: over HTTP at its URL, or in this process through the same exchange."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from typing import Protocol

import anyio

from poeproto import (
    Bot,
    Context,
    Error,
    Event,
    HttpResponse,
    Limits,
    PoeExchange,
    PoeprotoError,
    QueryRequest,
    RemoteProtocolError,
    ReplyFold,
    ReportErrorRequest,
    ReportFeedbackRequest,
    ReportReactionRequest,
    Request,
    RequestHead,
    ResponseHead,
    SettingsRequest,
    SettingsResponse,
    UnknownEvent,
)
from poeproto_h11 import Client
from poeproto_runtime import BotService
from poeproto_simulator.records import RegisteredBot

OnEvent = Callable[[Event], object]
Report = ReportErrorRequest | ReportFeedbackRequest | ReportReactionRequest


class BotServer(Protocol):
    """A bot, as the Poe server calls it. All methods raise `PoeprotoError` when the bot does not do its part."""

    async def ask(self, request: QueryRequest, on_event: OnEvent) -> ReplyFold:
        """Send a query, and pass on the events as they come; gives the whole reply."""
        ...

    async def settings(self) -> SettingsResponse:
        """Ask for the settings."""
        ...

    async def report(self, report: Report) -> None:
        """Send a report."""
        ...


class RemoteBot:
    """A bot at a URL."""

    def __init__(self, url: str, access_key: str | None, client: Client) -> None:
        self._url = url
        self._access_key = access_key
        self._client = client

    async def ask(self, request: QueryRequest, on_event: OnEvent) -> ReplyFold:
        async with self._client.query(self._url, request, access_key=self._access_key) as reply:
            async for event in reply:
                on_event(event)
            return reply.fold

    async def settings(self) -> SettingsResponse:
        return await self._client.settings(self._url, access_key=self._access_key)

    async def report(self, report: Report) -> None:
        match report:
            case ReportErrorRequest():
                await self._client.report_error(self._url, report, access_key=self._access_key)
            case ReportFeedbackRequest():
                await self._client.report_feedback(self._url, report, access_key=self._access_key)
            case ReportReactionRequest():
                await self._client.report_reaction(self._url, report, access_key=self._access_key)


class LocalBot:
    """A bot in this process, behind the service that also answers for it over HTTP.

    Args:
        service: the service.
        path: where it has the bot.
        access_key: the bot's key.
        limits: the bounds of every exchange.
    """

    def __init__(self, service: BotService, path: str, access_key: str | None, limits: Limits) -> None:
        self._service = service
        self._path = path
        self._access_key = access_key
        self._limits = limits

    async def ask(self, request: QueryRequest, on_event: OnEvent) -> ReplyFold:
        return (await self._exchange(request, on_event)).fold

    async def settings(self) -> SettingsResponse:
        settings = (await self._exchange(SettingsRequest())).settings
        if settings is None:
            raise RemoteProtocolError("the bot did not answer")
        return settings

    async def report(self, report: Report) -> None:
        await self._exchange(report)

    async def _exchange(self, request: Request, on_event: OnEvent = lambda event: None) -> PoeExchange:
        call = PoeExchange(self._access_key, self._limits)
        sent = call.send(request, "http://simulator.invalid/")
        assert isinstance(sent.body, bytes), "only uploads have another"
        channel = _MemoryChannel(sent.body, call, on_event)
        await self._service.handle(RequestHead("POST", "/", sent.headers), self._path, channel)
        if call.error is not None:
            raise call.error
        return call


class _MemoryChannel:
    """The `Channel` between the two exchanges."""

    def __init__(self, body: bytes, call: PoeExchange, on_event: OnEvent) -> None:
        self._body: bytes | None = body
        self._call = call
        self._on_event = on_event

    async def receive(self) -> bytes | None:
        body, self._body = self._body, None
        return body

    async def wait_disconnected(self) -> None:
        await anyio.sleep_forever()

    async def respond(self, response: HttpResponse) -> None:
        await self.start(ResponseHead(response.status, response.headers))
        await self.finish(response.body)

    async def start(self, head: ResponseHead) -> None:
        self._call.receive_head(head)

    async def send(self, data: bytes) -> None:
        if self._call.error is None:
            for event in self._call.receive_data(data):
                self._on_event(event)
        await anyio.lowlevel.checkpoint()

    async def finish(self, data: bytes) -> None:
        await self.send(data)
        if self._call.error is None:
            with suppress(PoeprotoError):  # it stays in `error`
                self._call.receive_eof()


class Forwarding(Bot):
    """Stands for a bot that has a server of its own, where others call it by its name.

    Args:
        bot: which bot.
        server: its server.
    """

    def __init__(self, bot: RegisteredBot, client: Callable[[], Client]) -> None:
        self._name = bot.name
        self._url = bot.url or ""
        self._access_key = bot.access_key
        self._client = client

    async def get_response(self, request: QueryRequest, context: Context) -> AsyncIterator[Event | str]:
        try:
            async with self._client().query(self._url, request, access_key=self._access_key) as reply:
                async for event in reply:
                    if not isinstance(event, UnknownEvent):  # Poe passes on what it knows
                        yield event
        except PoeprotoError as exc:
            yield Error(text=f"{self._name} did not answer: {exc}")

    async def get_settings(self, request: SettingsRequest, context: Context) -> SettingsResponse:
        return await self._server().settings()

    async def on_feedback(self, request: ReportFeedbackRequest, context: Context) -> None:
        await self._server().report(request)

    async def on_reaction(self, request: ReportReactionRequest, context: Context) -> None:
        await self._server().report(request)

    async def on_error(self, request: ReportErrorRequest, context: Context) -> None:
        await self._server().report(request)

    def _server(self) -> RemoteBot:
        return RemoteBot(self._url, self._access_key, self._client())
