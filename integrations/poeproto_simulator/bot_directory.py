"""The bot directory: finds bots by name, and calls them, over HTTP at their URL or in this process."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, suppress
from typing import Protocol

import anyio

from poeproto import (
    Bot,
    Context,
    Endpoints,
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
from poeproto_runtime import BotService, ClientDisconnected, Route
from poeproto_simulator.records import RegisteredBot, same_key
from poeproto_simulator.responses import HTTPError
from poeproto_simulator.scripted_bots import Replayed
from poeproto_simulator.state import State

logger = logging.getLogger("poeproto")

OnEvent = Callable[[Event], object]
Report = ReportErrorRequest | ReportFeedbackRequest | ReportReactionRequest


class BotServer(Protocol):
    """A bot as Poe calls it. All methods raise `PoeprotoError` when the call fails or breaks the protocol."""

    async def ask(self, request: QueryRequest, on_event: OnEvent) -> ReplyFold:
        """Send a query, and pass each event of the reply to `on_event`; returns the whole reply."""
        ...

    async def settings(self) -> SettingsResponse:
        """Fetch the settings."""
        ...

    async def report(self, report: Report) -> None:
        """Send a report."""
        ...


class RemoteBot:
    """A bot at a URL, called over HTTP."""

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


class ReplayedBot:
    """A recording, called without a server: its bytes are received as from a bot at a URL.

    Args:
        bot: the recording.
        limits: the bounds of every exchange.
    """

    def __init__(self, bot: Replayed, limits: Limits) -> None:
        self._bot = bot
        self._limits = limits

    async def ask(self, request: QueryRequest, on_event: OnEvent) -> ReplyFold:
        exchange = PoeExchange(limits=self._limits)
        async with aclosing(self._bot.receive(exchange, request)) as events:
            async for event in events:
                on_event(event)
        return exchange.fold

    async def settings(self) -> SettingsResponse:
        return await self._bot.fetch_settings()

    async def report(self, report: Report) -> None:
        """Do nothing: a recording has no one to report to."""


class LocalBot:
    """A bot in this process, called through the service that also answers for it over HTTP.

    Both exchanges are real ones, so that the bot meets the same protocol rules as over HTTP.

    Args:
        service: the service.
        path: the bot's path there.
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
            raise RemoteProtocolError("the bot did not respond to the settings request")
        return settings

    async def report(self, report: Report) -> None:
        await self._exchange(report)

    async def _exchange(self, request: Request, on_event: OnEvent = lambda event: None) -> PoeExchange:
        exchange = PoeExchange(self._access_key, self._limits)
        sent = exchange.send(request, "http://simulator.invalid/")
        assert isinstance(sent.body, bytes), "only uploads have a streamed body"
        channel = _MemoryChannel(sent.body, exchange, on_event)
        await self._service.handle(RequestHead("POST", "/", sent.headers), self._path, channel)
        if channel.failure is not None:
            raise channel.failure
        if exchange.error is not None:
            raise exchange.error
        return exchange


class _MemoryChannel:
    """The `Channel` that connects the bot's exchange to Poe's.

    Attributes:
        failure: the exception of `on_event`. To the bot, that is a disconnect.
    """

    def __init__(self, body: bytes, exchange: PoeExchange, on_event: OnEvent) -> None:
        self._body: bytes | None = body
        self._exchange = exchange
        self._on_event = on_event
        self.failure: Exception | None = None

    async def receive(self) -> bytes | None:
        body, self._body = self._body, None
        return body

    async def wait_disconnected(self) -> None:
        await anyio.sleep_forever()

    async def respond(self, response: HttpResponse) -> None:
        await self.start(ResponseHead(response.status, response.headers))
        await self.finish(response.body)

    async def start(self, head: ResponseHead) -> None:
        self._exchange.receive_head(head)

    async def send(self, data: bytes) -> None:
        if self._exchange.error is None:
            for event in self._exchange.receive_data(data):
                try:
                    self._on_event(event)
                except Exception as exc:
                    self.failure = exc
                    raise ClientDisconnected("the simulated client takes no more events") from exc
        await anyio.lowlevel.checkpoint()

    async def finish(self, data: bytes) -> None:
        await self.send(data)
        if self._exchange.error is None:
            with suppress(PoeprotoError):  # `error` keeps it
                self._exchange.receive_eof()


class ForwardingBot(Bot):
    """Forwards requests to the server of a bot: callers name the bot, and do not know its URL.

    Args:
        bot: a bot with a URL.
        client: returns the client for the calls.
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
                    if not isinstance(event, UnknownEvent):  # Poe forwards known events only
                        yield event
        except PoeprotoError as exc:
            yield Error(text=f"{self._name} did not answer: {exc}")

    async def on_feedback(self, request: ReportFeedbackRequest, context: Context) -> None:
        await self._server().report(request)

    async def on_reaction(self, request: ReportReactionRequest, context: Context) -> None:
        await self._server().report(request)

    async def on_error(self, request: ReportErrorRequest, context: Context) -> None:
        await self._server().report(request)

    def _server(self) -> RemoteBot:
        return RemoteBot(self._url, self._access_key, self._client())


class BotDirectory:
    """Finds bots by name, and calls them.

    Args:
        state: has the registered bots.
        service: answers for bots in this process.
        client: returns the client for bots with a URL.
        limits: the bounds of every exchange.
        endpoints: returns Poe's endpoints, for the calls of bots in this process.
    """

    def __init__(
        self,
        state: State,
        service: BotService,
        client: Callable[[], Client],
        limits: Limits,
        endpoints: Callable[[], Endpoints],
    ) -> None:
        self._state = state
        self._service = service
        self._client = client
        self._limits = limits
        self._endpoints = endpoints
        self._routed: dict[str, tuple[object, ...]] = {}

    def find(self, name: str) -> RegisteredBot:
        """The bot of that name; a placeholder if there is none and the simulator is not strict.

        Raises:
            HTTPError: with status 404, for an unknown bot (strict only) or an empty name.
        """
        if name and name not in self._state.bots and not self._state.strict:
            self._state.add_placeholder(name)
        return self._state.bot(name)

    def find_with_key(self, name: str, access_key: str) -> RegisteredBot:
        """The bot of that name, for a call with its key. A bot without a key gets this one.

        Raises:
            HTTPError: with status 404 for an unknown bot, 401 for a wrong key (strict only), 400 for an invalid key.
        """
        bot = self.find(name)
        if self._state.strict and not same_key(bot.access_key, access_key):
            raise HTTPError(401, f"this is not the access key of {name}")
        try:
            return bot if bot.access_key else self._state.set_access_key(name, access_key)
        except ValueError as exc:
            raise HTTPError(400, "this is not a valid access key: expected visible ASCII characters") from exc

    def server_of(self, bot: RegisteredBot) -> BotServer:
        """The server of a bot, over HTTP or in this process."""
        if bot.url is not None:
            return RemoteBot(bot.url, bot.access_key, self._client())
        if isinstance(bot.bot, Replayed):
            return ReplayedBot(bot.bot, self._limits)
        return LocalBot(self._service, self.path_of(bot), bot.access_key, self._limits)

    def path_of(self, bot: RegisteredBot) -> str:
        """The bot's path in the service, which gets a route for it if it has none."""
        path = f"/{bot.name}"
        route_of = (bot.bot, bot.url, bot.access_key)
        if self._routed.get(path) != route_of:
            self._routed[path] = route_of
            self._service.routes[path] = Route(
                bot.bot or ForwardingBot(bot, self._client),
                access_key=bot.access_key,
                allow_without_key=bot.access_key is None,
                bot_name=bot.name,
                endpoints=self._endpoints,
            )
        return path

    async def fetch_settings(self, bot_name: str) -> SettingsResponse:
        """Fetch a bot's settings, and store them.

        Raises:
            PoeprotoError: when the call fails, or the settings are invalid.
            HTTPError: for an unknown bot (strict only).
        """
        bot = self.find(bot_name)
        settings = await self.server_of(bot).settings()
        try:
            self._state.set_settings(bot.name, settings)
        except HTTPError as exc:
            raise RemoteProtocolError(str(exc)) from None
        return settings

    async def with_settings(self, bot: RegisteredBot) -> RegisteredBot:
        """The bot with its settings, which are fetched if they are unknown. A failure is only logged."""
        if bot.settings is None:
            try:
                await self.fetch_settings(bot.name)
            except PoeprotoError as exc:
                logger.warning("the settings of %s could not be fetched: %s", bot.name, exc)
        return self._state.bot(bot.name)
