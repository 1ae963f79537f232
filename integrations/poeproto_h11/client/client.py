"""The client on anyio: calls bots and Poe, and streams replies."""

from __future__ import annotations

import ssl
from collections.abc import Iterable
from types import TracebackType
from typing import Self

from poeproto import (
    CostItem,
    Endpoints,
    Limits,
    Message,
    QueryRequest,
    ReportErrorRequest,
    ReportFeedbackRequest,
    ReportReactionRequest,
    RetryPolicy,
    SettingsResponse,
    ToolDefinition,
    ToolFunctions,
    UploadedFile,
    tools_by_name,
)
from poeproto_h11.client.backend import Backend, anyio_backend
from poeproto_h11.client.pool import Pool
from poeproto_h11.client.streams import Connector
from poeproto_h11.client.timeouts import Timeouts
from poeproto_h11.client.transport import H11Transport
from poeproto_h11.client.urls import split_url
from poeproto_runtime.client.api import ApiCalls
from poeproto_runtime.client.reply import Reply
from poeproto_runtime.client.uploads import Source


class Client:
    """Calls bots and Poe over HTTP/1.1, on asyncio and trio. Use it as an async context manager, within one event loop.

    Args:
        api_key: the key for bots called by name; it goes to Poe's own origin only.
        access_key: the key for bots called by URL, where a call does not bring another; and the bot's own key for
            uploads, costs and changes of settings.
        endpoints: where Poe is.
        limits: the bounds of every exchange.
        timeouts: the deadlines of every call.
        retry: when a call is made again; by default once, and only where nothing can have been done.
        ssl_context: for https; by default certificates are checked against the system's trust store.
        connector: opens the connections; for tests and tunnels.
        backend: what it does its I/O with; by default anyio, with that connector.

    No redirect is followed, and no cookie kept. Every method raises `LocalProtocolError` for a name, a URL, a key or a
    request that cannot be sent, and after the client was closed; `TransportError` when a connection fails, and
    `RequestRefused` for an answer of another status than 200.
    """

    def __init__(
        self,
        api_key: str | None = None,
        *,
        access_key: str | None = None,
        endpoints: Endpoints | None = None,
        limits: Limits | None = None,
        timeouts: Timeouts | None = None,
        retry: RetryPolicy | None = None,
        ssl_context: ssl.SSLContext | None = None,
        connector: Connector | None = None,
        backend: Backend | None = None,
    ) -> None:
        backend = backend or anyio_backend(ssl_context, connector)
        limits = limits or Limits()
        self._api_key = api_key
        self._access_key = access_key
        self._tool_runner = backend.tool_runner
        self._pool = Pool(backend.connect)
        transport = H11Transport(self._pool, backend, limits, timeouts or Timeouts())
        self._calls = ApiCalls(transport, backend.in_thread, endpoints, limits, retry)

    @property
    def connections_opened(self) -> int:
        """How many connections were opened so far; requests beyond that number used one again."""
        return self._pool.opened

    def query(self, bot: str, request: QueryRequest | str, *, access_key: str | None = None) -> Reply:
        """Ask a bot; enter the result with ``async with`` to get the reply as it streams.

        Args:
            bot: the bot's name on Poe, or the URL of a bot server.
            request: the query, or the text of one user message.
            access_key: the bot server's key, for a URL.
        """
        url = self._calls.url_of(bot)
        return self._calls.query(url, _as_query(request), self._key_for(url, access_key))

    def run_tools(
        self,
        bot: str,
        request: QueryRequest | str,
        tools: Iterable[ToolDefinition],
        functions: ToolFunctions,
        *,
        raise_errors: bool = False,
        access_key: str | None = None,
    ) -> Reply:
        """Ask a model that may call tools, run what it calls, and go on until it has no more calls.

        To the caller it is one reply. The tools of a round run at once, synchronous functions in threads. What fails
        becomes an error result, which the model reads, and is logged; only a lack of funds is raised. Reading the reply
        raises `LimitExceeded` after more than `Limits.tool_rounds`. A cancellation while tools run ends the reply.

        Args:
            bot: as in `query`.
            request: as in `query`.
            tools: what the model is told that it may call.
            functions: what is called; each is given the arguments by name.
            raise_errors: raise `UnknownTool` and `ToolFailed` instead of telling the model.
            access_key: as in `query`.

        Raises:
            ValueError: for functions without a name, or of the same name.
        """
        url = self._calls.url_of(bot)
        runner = self._tool_runner(tools_by_name(functions), raise_errors=raise_errors)
        return self._calls.tool_rounds(url, _as_query(request), tools, runner, self._key_for(url, access_key))

    async def settings(self, bot: str, *, access_key: str | None = None) -> SettingsResponse:
        """A bot's settings, asked for at its name or URL.

        Raises:
            RemoteProtocolError: when its answer is not what the protocol says.
        """
        url = self._calls.url_of(bot)
        return await self._calls.settings(url, self._key_for(url, access_key))

    async def report_feedback(self, bot: str, request: ReportFeedbackRequest, *, access_key: str | None = None) -> None:
        """Tell a bot server what a user thinks of a reply (deprecated by Poe)."""
        await self._report(bot, request, access_key)

    async def report_reaction(self, bot: str, request: ReportReactionRequest, *, access_key: str | None = None) -> None:
        """Tell a bot server how a user reacted to a reply."""
        await self._report(bot, request, access_key)

    async def report_error(self, bot: str, request: ReportErrorRequest, *, access_key: str | None = None) -> None:
        """Tell a bot server what is wrong with an answer of its."""
        await self._report(bot, request, access_key)

    async def sync_settings(
        self, bot_name: str, settings: SettingsResponse | None = None, *, access_key: str | None = None
    ) -> SettingsResponse | None:
        """Tell Poe a bot's settings, or have Poe fetch them from the bot; what Poe has now, if it says so.

        Args:
            bot_name: the bot's name on Poe.
            settings: what to tell; None has Poe fetch them.
            access_key: the bot's key, by default the client's.
        """
        return await self._calls.sync_settings(bot_name, access_key or self._own_key(), settings)

    async def upload(
        self,
        source: Source,
        *,
        name: str | None = None,
        content_type: str | None = None,
        access_key: str | None = None,
    ) -> UploadedFile:
        """Have Poe keep a file.

        Args:
            source: text, bytes, a path, an open binary file (read from where it stands), or an iterable of bytes, async
                or not.
            name: the file name; a path and a file have one of their own.
            content_type: the media type; by default what the name's suffix says.
            access_key: a bot's key, by default the client's.

        Raises:
            UploadRefused: for another status than 200.
            LocalProtocolError: also when the file is larger than `Limits.file_size`.
            OSError: when the file cannot be read.
        """
        return await self._calls.upload(source, access_key or self._own_key(), name, content_type)

    async def upload_by_url(self, url: str, *, name: str | None = None, access_key: str | None = None) -> UploadedFile:
        """Have Poe fetch and keep a file."""
        return await self._calls.upload_by_url(url, access_key or self._own_key(), name)

    async def authorize_cost(
        self, items: CostItem | Iterable[CostItem], bot_query_id: str, *, access_key: str | None = None
    ) -> None:
        """Ask whether a user can pay this; see `poeproto.authorize_cost_request`.

        Raises:
            InsufficientFunds: when the user cannot.
            IncompleteReply: when it is unknown.
        """
        await self._calls.authorize_cost(items, bot_query_id, access_key or self._own_key())

    async def capture_cost(
        self, items: CostItem | Iterable[CostItem], bot_query_id: str, *, access_key: str | None = None
    ) -> None:
        """Charge a user this. Errors as in `authorize_cost`."""
        await self._calls.capture_cost(items, bot_query_id, access_key or self._own_key())

    async def aclose(self) -> None:
        """Close the connections that are not in use; the others close with their replies."""
        await self._pool.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    def __repr__(self) -> str:
        return f"<{type(self).__name__}, {self.connections_opened} connections opened>"

    async def _report(
        self,
        bot: str,
        request: ReportFeedbackRequest | ReportReactionRequest | ReportErrorRequest,
        access_key: str | None,
    ) -> None:
        url = self._calls.url_of(bot)
        await self._calls.report(url, request, self._key_for(url, access_key))

    def _key_for(self, url: str, access_key: str | None) -> str | None:
        at_poe = split_url(url)[0] == split_url(self._calls.endpoints.api)[0]
        if access_key is not None:
            return access_key
        return self._api_key if at_poe else self._access_key

    def _own_key(self) -> str | None:
        return self._api_key if self._access_key is None else self._access_key


def _as_query(request: QueryRequest | str) -> QueryRequest:
    return QueryRequest([Message("user", request)]) if isinstance(request, str) else request
