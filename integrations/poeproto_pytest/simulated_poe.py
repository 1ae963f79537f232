"""A simulated Poe in memory: the simulator, reached over a network in memory, and bots under test that it calls."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Any, Unpack

import anyio
import anyio.abc
import attrs

from poeproto import (
    Attachment,
    Bot,
    Endpoints,
    Limits,
    PoeprotoError,
    QueryRequest,
    ReportErrorRequest,
    ReportFeedbackRequest,
    ReportReactionRequest,
    RetryPolicy,
    SettingsResponse,
)
from poeproto.flows import UploadedFile
from poeproto.testing import TEST_ACCESS_KEY
from poeproto_asgi import BotApp
from poeproto_h11 import Client, serve
from poeproto_h11.client.anyio_backend import anyio_backend
from poeproto_pytest.memory_network import FetchNetwork, MemoryNetwork
from poeproto_pytest.observed_reply import BotCall, ObservedReply, query_in
from poeproto_pytest.recorded_bots import RecordedBots, bot_called
from poeproto_runtime import BotService, FetchPolicy, Outbound
from poeproto_runtime.client.client_base import ClientBaseOptions
from poeproto_runtime.client.transport import SharedTransport, Transport
from poeproto_runtime.client.uploads import in_worker_thread
from poeproto_simulator import Account, Charge, Conversation, ReceivedReply, Simulator
from poeproto_simulator.records import DEFAULT_BALANCE

__all__ = ["MemoryClient", "MemoryPoe", "ObservedBot"]

# The address of the simulated Poe. The name is reserved for tests (RFC 6761), so no other host can have it.
POE_URL = "http://poe.test"


class MemoryClient(Client):
    """A `poeproto_h11.Client` whose requests go through a network in memory, or a recording.

    Args:
        transport: sends the requests.
        limits: the limits of every exchange.
        options: the other arguments of `Client`: `api_key`, `access_key`, `endpoints`, `retry` and `headers`.
    """

    def __init__(
        self, transport: Transport, *, limits: Limits | None = None, **options: Unpack[ClientBaseOptions]
    ) -> None:
        self._memory = transport
        # Not `Client.__init__`, which has an argument for each hook where `options` have one for all.
        super(Client, self).__init__(anyio_backend(), limits=limits, **options)

    def _make_transport(self, transport: Transport) -> Transport:
        """In place of the pool's, which opens no connection."""
        return self._memory


class MemoryPoe(Simulator):
    """A `Simulator` that needs no socket: clients and bots reach it, and it reaches bots, in memory.

    Args:
        network: the network; it is served there at ``http://poe.test``.
        strict: as of `Simulator`, but on by default: an unknown bot is a mistake in a test.
        balance: the initial balance of each user, in thousandths of a US cent.
        api_key: the key of the first user.
        limits: the bounds of every exchange.

    Attributes:
        network: the network.
        api_key: the key of the first user.
    """

    def __init__(
        self,
        network: MemoryNetwork | None = None,
        *,
        strict: bool = True,
        balance: int = DEFAULT_BALANCE,
        api_key: str = "not-a-real-api-key",
        limits: Limits | None = None,
    ) -> None:
        super().__init__(strict=strict, balance=balance, api_key=api_key, limits=limits, address=POE_URL)
        self.api_key = api_key
        self.network = network or MemoryNetwork()
        self.network.serve(POE_URL, self)
        connect_in_memory(self.service, self.network, self.network, FetchPolicy(origins=[POE_URL]))
        self._memory_client = MemoryClient(self.network, limits=self.limits, retry=RetryPolicy(attempts=1))

    def close(self) -> None:
        """Delete the files that were stored. There is nothing else to close, so a fixture needs no event loop."""
        self.files.close()

    @property
    def client(self) -> Client:
        """The client for bots with a URL."""
        return self._memory_client

    def user_client(self, **options: Unpack[ClientBaseOptions]) -> MemoryClient:
        """A client of the first user: it calls bots by their names, and this simulator in memory."""
        options = {"api_key": self.api_key, "endpoints": Endpoints.at(POE_URL), **options}
        return MemoryClient(self.network, limits=self.limits, **options)

    def add_bot(
        self,
        bot: Bot,
        *,
        name: str | None = None,
        access_key: str = TEST_ACCESS_KEY,
        calls: Transport | None = None,
        limits: Limits | None = None,
    ) -> ObservedBot:
        """Serve a bot in the network and register it, as its author does on Poe.

        Args:
            bot: the bot.
            name: its name on Poe; by default that of its class.
            access_key: its key.
            calls: the transport for its calls of bots that are not registered here, a recording for instance.
            limits: the limits of its exchanges.
        """
        name = name or type(bot).__name__
        url = f"http://bot-{len(self.network.hosts())}.test/"
        endpoints = Endpoints.at(POE_URL)
        app = BotApp(bot, access_key=access_key, bot_name=name, limits=limits, endpoints=endpoints, sync_settings=False)
        recorded = None if calls is None else RecordedBots(self.network, calls, self.engine.bots.__contains__)
        connect_in_memory(app.service, self.network, recorded or self.network, FetchPolicy(origins=[POE_URL]))
        self.network.serve(url, app)
        self.register(name, url, access_key=access_key)
        return ObservedBot(name, url, access_key, self, app)

    @asynccontextmanager
    async def serving(self, bind: str = "127.0.0.1:0") -> AsyncGenerator[str]:
        """Serve on a socket, too, until the block ends; yields the address. In memory it is served as before."""
        try:
            async with super().serving(bind) as address:
                yield address
        finally:
            self.address = POE_URL


def connect_in_memory(
    service: BotService, network: MemoryNetwork, calls: SharedTransport, fetch_policy: FetchPolicy
) -> None:
    """Route the outbound calls of a service's bots through a network in memory."""
    own = service.outbound
    service.outbound = Outbound(
        transport=calls,
        fetching=FetchNetwork(network, fetch_policy),
        in_thread=in_worker_thread,
        endpoints=own.endpoints if own is not None else Endpoints.at(POE_URL),
        fetch_policy=fetch_policy,
    )


class ObservedBot:
    """A bot under test: registered at a simulated Poe in memory, and asked as a user or by a query of one's own.

    Attributes:
        name: its name on Poe.
        url: the URL of its server in the network.
        access_key: its key.
        poe: the simulated Poe.
        app: the bot's server, an ASGI application.
    """

    def __init__(self, name: str, url: str, access_key: str, poe: MemoryPoe, app: BotApp) -> None:
        self.name = name
        self.url = url
        self.app = app
        self.access_key = access_key
        self.poe = poe

    async def say(
        self,
        text: str,
        *,
        conversation: Conversation | ObservedReply | str | None = None,
        user: Account | None = None,
        attachments: Iterable[Attachment | UploadedFile] = (),
        parameters: Mapping[str, Any] | None = None,
        reply_to: str | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> ObservedReply:
        """Send a user's message, and return the reply. A reply that fails is returned too, not raised.

        Args:
            text: the text of the message.
            conversation: an earlier reply, to continue its conversation; by default a new one begins.
            user: as in `Simulator.say`, and so are the following.
            attachments: files, as `Simulator.store_file` returns them for instance.
            parameters: values of the bot's parameter controls.
            reply_to: the `message_id` of the message that this one replies to, if not the last.
            options: further fields of the query: `temperature`, `language_code` and so on.

        Raises:
            HTTPError: for a message that Poe's user interface does not let a user send.
        """
        if isinstance(conversation, ObservedReply):
            conversation = conversation.conversation
        before = len(self.poe.network.exchanges)
        received = await self.poe.say(
            self.name,
            text,
            conversation=conversation,
            user=user,
            attachments=attachments,
            parameters=parameters,
            reply_to=reply_to,
            options=options,
        )
        return self._observed(before, received.query.request, received)

    async def query(self, request: QueryRequest | str) -> ObservedReply:
        """Send a query as it is, apart from identifiers that it lacks, and return the reply.

        A reply that fails is returned too, not raised. The query is not a user's message: it belongs to no conversation
        of the simulated Poe.
        """
        if isinstance(request, str):
            return await self.say(request)
        before = len(self.poe.network.exchanges)
        query = self.poe.engine.open_query(self.name, self.poe.user, request)
        failure: PoeprotoError | None = None
        try:
            async with self.poe.client.query(self.url, query.request, access_key=self.access_key) as reply:
                async for _ in reply:
                    pass
        except PoeprotoError as exc:
            failure = exc
        finally:
            self.poe.engine.close_query(query)
        return self._observed(before, query.request, failure=failure)

    @asynccontextmanager
    async def serving(self, bind: str = "127.0.0.1:0") -> AsyncGenerator[str]:
        """Serve the bot on a socket until the block ends, and have the simulated Poe call it there; yields the URL.

        Its own calls still go through memory.
        """
        memory_url = self.url

        async def run(*, task_status: anyio.abc.TaskStatus[str]) -> None:
            await serve(self.app, bind=bind, task_status=task_status)

        async with anyio.create_task_group() as tasks:
            self.url = await tasks.start(run)
            self.poe.register(self.name, self.url, access_key=self.access_key)
            try:
                yield self.url
            finally:
                self.url = memory_url
                self.poe.register(self.name, self.url, access_key=self.access_key)
                tasks.cancel_scope.cancel()

    async def settings(self) -> SettingsResponse:
        """The bot's settings, asked of the bot."""
        return await self.poe.client.settings(self.url, access_key=self.access_key)

    async def report(self, report: ReportErrorRequest | ReportFeedbackRequest | ReportReactionRequest) -> None:
        """Send the bot a report, as Poe does."""
        client = self.poe.client
        match report:
            case ReportErrorRequest():
                await client.report_error(self.url, report, access_key=self.access_key)
            case ReportFeedbackRequest():
                await client.report_feedback(self.url, report, access_key=self.access_key)
            case ReportReactionRequest():
                await client.report_reaction(self.url, report, access_key=self.access_key)

    def client(self, **options: Unpack[ClientBaseOptions]) -> MemoryClient:
        """A client that calls the bot's server in memory: ``client.query(bot.url, ...)``, with its key by default."""
        options = {"access_key": self.access_key, **options}
        return MemoryClient(self.poe.network, limits=self.poe.limits, **options)

    def _observed(
        self,
        before: int,
        request: QueryRequest,
        received: ReceivedReply | None = None,
        failure: PoeprotoError | None = None,
    ) -> ObservedReply:
        """The reply to this query, among the exchanges since then."""
        exchanges = [each.as_recorded() for each in self.poe.network.exchanges[before:]]
        calls: list[BotCall] = []
        own: ObservedReply | None = None
        for exchange in exchanges:
            query = query_in(exchange)
            if own is None and exchange.request.url == self.url and query is not None:
                if query.bot_query_id == request.bot_query_id:
                    own = ObservedReply.of(exchange, self.poe.limits)
            elif query is not None and query.metadata == request.metadata and (bot := bot_called(exchange.request.url)):
                calls.append(BotCall(bot, query, ObservedReply.of(exchange, self.poe.limits)))
        assert own is not None, "the query was sent over the network"
        return attrs.evolve(
            own,
            failure=failure or (received.failure if received is not None else own.failure),
            charges=tuple(self._charges(request)),
            calls=tuple(calls),
            received=received,
        )

    def _charges(self, request: QueryRequest) -> list[Charge]:
        return [each for each in self.poe.charges if each.bot_query_id == request.bot_query_id]

    def __repr__(self) -> str:
        return f"<ObservedBot {self.name} at {self.url}>"
