"""The clients' common part, and the client for event loops: calls bots and Poe, and streams replies."""

from __future__ import annotations

import os
import ssl
from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import TYPE_CHECKING, Generic, NoReturn, Self, TypeVar

from poeproto import (
    CostItem,
    Endpoints,
    Limits,
    Message,
    QueryRequest,
    ReplyFold,
    ReportErrorRequest,
    ReportFeedbackRequest,
    ReportReactionRequest,
    RetryPolicy,
    SettingsResponse,
    ToolDefinition,
)
from poeproto.flows import ToolFunctions, UploadedFile, tools_by_name
from poeproto_h11.client.anyio_backend import anyio_backend
from poeproto_h11.client.backend import Backend, Connector
from poeproto_h11.client.pool import Pool
from poeproto_h11.client.proxy import ProxyOption, client_rules
from poeproto_h11.client.timeouts import Timeouts
from poeproto_h11.client.transport import H11Transport
from poeproto_runtime.client.api import ApiCalls
from poeproto_runtime.client.extra_headers import ExtraHeaders, checked_headers, merged_headers
from poeproto_runtime.client.flow_runner import FlowRunner
from poeproto_runtime.client.reply import Reply, ReplyBase
from poeproto_runtime.client.uploads import Source
from poeproto_runtime.client.urls import split_url

__all__ = ["Client"]

AnyReply = TypeVar("AnyReply", bound=ReplyBase)


class ClientBase(ABC, Generic[AnyReply]):
    """What all clients share: keys, connections, and the making of replies, which does no I/O.

    Args:
        backend: does the I/O.
        api_key: as in `Client`, like the others.
    """

    def __init__(
        self,
        backend: Backend,
        api_key: str | None = None,
        access_key: str | None = None,
        endpoints: Endpoints | None = None,
        limits: Limits | None = None,
        timeouts: Timeouts | None = None,
        retry: RetryPolicy | None = None,
        headers: ExtraHeaders | None = None,
    ) -> None:
        limits = limits or Limits()
        self._headers = checked_headers(headers)
        self._api_key = api_key
        self._access_key = access_key
        self._tool_runner = backend.tool_runner
        self._pool = Pool(backend.connect, backend.proxies, backend.current_loop)
        transport = H11Transport(self._pool, backend, limits, timeouts or Timeouts())
        self._plain_calls = ApiCalls(transport, backend.in_thread, endpoints, limits, retry)
        self._calls = self._plain_calls.with_headers(self._headers)

    @property
    def connections_opened(self) -> int:
        """How many connections were opened so far. Requests beyond that number reused one."""
        return self._pool.opened

    def query(
        self,
        bot: str,
        request: QueryRequest | str,
        *,
        access_key: str | None = None,
        headers: ExtraHeaders | None = None,
    ) -> AnyReply:
        """Query a bot. Nothing is sent before the reply is entered or read.

        Args:
            bot: the bot's name on Poe, or the URL of a bot server. (`Context.query_bot` takes names only: a bot calls
                others through Poe, with its own key.)
            request: the query, or the text of one user message.
            access_key: the bot server's key, for a URL.
            headers: extra request headers of this call, as of `Client`; so with every method.

        Raises:
            InvalidValue: for a header that the client sets itself, or that HTTP has no form for.
        """
        url, key = self._target(bot, access_key)
        fold = ReplyFold()
        return self._reply(self._calls_with(headers).query(url, _as_query(request), key, fold), fold)

    def run_tools(
        self,
        bot: str,
        request: QueryRequest | str,
        tools: Iterable[ToolDefinition],
        functions: ToolFunctions,
        *,
        raise_errors: bool = False,
        access_key: str | None = None,
        headers: ExtraHeaders | None = None,
    ) -> AnyReply:
        """Query a model that may call tools, run the tools that it calls, and continue until it calls none.

        The caller sees one reply. The tools of a round run at once, synchronous functions in threads; `BlockingClient`
        runs each in a thread, and takes no asynchronous ones. A tool that fails gives the model an error result, and is
        logged; only a lack of funds is raised. Reading the reply raises `LimitExceeded` after more than
        `Limits.tool_rounds`. A cancellation while tools run closes the reply; a thread runs on until its function
        returns.

        Args:
            bot: as in `query`.
            request: as in `query`.
            tools: the definitions that the model is given.
            functions: the functions to call; each gets the arguments by name.
            raise_errors: raise `UnknownTool` and `ToolFailed` instead of returning them to the model as results.
            access_key: as in `query`.
            headers: as in `query`.

        Raises:
            ValueError: for functions without a name, or with the same name.
            TypeError: for an asynchronous function where there is no event loop.
        """
        url, key = self._target(bot, access_key)
        runner = self._tool_runner(tools_by_name(functions), raise_errors=raise_errors)
        fold = ReplyFold()
        return self._reply(
            self._calls_with(headers).run_tools(url, _as_query(request), list(tools), runner, key, fold), fold
        )

    def __repr__(self) -> str:
        return f"<{type(self).__name__}, {self.connections_opened} connections opened>"

    @abstractmethod
    def _reply(self, runner: FlowRunner[ReplyFold], fold: ReplyFold) -> AnyReply:
        """The reply of this kind of client over that runner."""

    def _target(self, bot: str, access_key: str | None) -> tuple[str, str | None]:
        """The URL of a bot, and the key for it."""
        url = self._calls.url_of(bot)
        at_poe = split_url(url)[0] == split_url(self._calls.endpoints.api)[0]
        if access_key is not None:
            return url, access_key
        return url, self._api_key if at_poe else self._access_key

    def _calls_with(self, headers: ExtraHeaders | None) -> ApiCalls:
        """The calls with the client's headers, and with these of one call."""
        if headers is None:
            return self._calls
        return self._plain_calls.with_headers(merged_headers(self._headers, checked_headers(headers)))

    def _own_key(self, access_key: str | None) -> str | None:
        """The key of the bot in whose name Poe is called."""
        return access_key or (self._api_key if self._access_key is None else self._access_key)


def _as_query(request: QueryRequest | str) -> QueryRequest:
    return QueryRequest([Message("user", request)]) if isinstance(request, str) else request


class Client(ClientBase[Reply]):
    """Calls bots and Poe over HTTP/1.1, on asyncio and trio. Use it as an async context manager.

    A client may be used in several event loops, in ``asyncio.run`` twice for instance; a reply belongs to the loop that
    it was begun in. No loop reuses a connection of another.

    Args:
        api_key: the key for bots called by name. It is sent to Poe's own origin only.
        access_key: the key for bots called by URL, unless a call has its own; also the bot's own key for uploads, costs
            and changes of settings.
        endpoints: the URLs of Poe.
        limits: the bounds of every exchange.
        timeouts: the timeouts of every call.
        retry: when a call is retried; by default once, and only if nothing can have been done.
        ssl_context: for https; by default certificates are verified against the system's trust store.
        headers: extra headers of every request, to Poe as well as to bots by URL; a call's own replace those of the
            same name. Those that the client sets itself are refused, such as `Authorization`.
        proxy: the URL of an HTTP proxy for all connections, as in ``http://user:password@proxy.example:3128``. By
            default the variables ``HTTP_PROXY``, ``HTTPS_PROXY``, ``ALL_PROXY`` and ``NO_PROXY`` decide; False uses
            none.
        unix_socket: the path of a Unix socket to connect to, whatever the host of a URL.
        connector: opens the connections; for tests and tunnels.
        backend: does the I/O; by default anyio, with that connector. Of `proxy`, `unix_socket`, `connector` and
            `backend`, pass one at most. With one of the last three, no proxy of the environment is used.

    No redirect is followed, and no cookie is kept. Every method raises `LocalProtocolError` for a name, URL, key or
    request that cannot be sent, and after the client was closed; `TransportError` when a connection fails, and
    `RequestRefused` for an answer with another status than 200.
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
        headers: ExtraHeaders | None = None,
        proxy: ProxyOption = None,
        unix_socket: str | os.PathLike[str] | None = None,
        connector: Connector | None = None,
        backend: Backend | None = None,
    ) -> None:
        rules = client_rules(proxy, {"unix_socket": unix_socket, "connector": connector, "backend": backend})
        backend = backend or anyio_backend(ssl_context, connector, rules, unix_socket=unix_socket)
        super().__init__(backend, api_key, access_key, endpoints, limits, timeouts, retry, headers)

    async def settings(
        self, bot: str, *, access_key: str | None = None, headers: ExtraHeaders | None = None
    ) -> SettingsResponse:
        """A bot's settings. Arguments as in `query`.

        Raises:
            RemoteProtocolError: when its answer breaks the protocol.
        """
        return await self._calls_with(headers).settings(*self._target(bot, access_key))

    async def report_feedback(
        self,
        bot: str,
        request: ReportFeedbackRequest,
        *,
        access_key: str | None = None,
        headers: ExtraHeaders | None = None,
    ) -> None:
        """Send a bot server a user's feedback on a reply (deprecated by Poe)."""
        await self._report(bot, request, access_key, headers)

    async def report_reaction(
        self,
        bot: str,
        request: ReportReactionRequest,
        *,
        access_key: str | None = None,
        headers: ExtraHeaders | None = None,
    ) -> None:
        """Send a bot server a user's reaction to a reply."""
        await self._report(bot, request, access_key, headers)

    async def report_error(
        self,
        bot: str,
        request: ReportErrorRequest,
        *,
        access_key: str | None = None,
        headers: ExtraHeaders | None = None,
    ) -> None:
        """Send a bot server an error that was found in one of its answers."""
        await self._report(bot, request, access_key, headers)

    async def sync_settings(
        self,
        bot_name: str,
        settings: SettingsResponse | None = None,
        *,
        access_key: str | None = None,
        headers: ExtraHeaders | None = None,
    ) -> SettingsResponse | None:
        """Send a bot's settings to Poe, or have Poe fetch them from the bot.

        Args:
            bot_name: the bot's name on Poe.
            settings: the settings; None has Poe fetch them.
            access_key: the bot's key, by default the client's.
            headers: as in `query`.

        Returns:
            The settings in Poe's answer; None if there are none in it.
        """
        return await self._calls_with(headers).sync_settings(bot_name, settings, self._own_key(access_key))

    async def upload(
        self,
        source: Source,
        *,
        name: str | None = None,
        content_type: str | None = None,
        access_key: str | None = None,
        headers: ExtraHeaders | None = None,
    ) -> UploadedFile:
        """Upload a file to Poe. (`Context.post_attachment` also puts its event into the reply, and so returns that.)

        Args:
            source: text, bytes, a path, an open binary file (read from its position), or an iterable of bytes, async or
                not.
            name: the file name; a path and a file have one of their own.
            content_type: the media type; by default guessed from the name.
            access_key: a bot's key, by default the client's.
            headers: as in `query`.

        Raises:
            UploadRefused: for another status than 200.
            LocalProtocolError: also when the file is larger than `Limits.file_size`.
            OSError: when the file cannot be read.
        """
        return await self._calls_with(headers).upload(source, name, content_type, self._own_key(access_key))

    async def upload_by_url(
        self, url: str, *, name: str | None = None, access_key: str | None = None, headers: ExtraHeaders | None = None
    ) -> UploadedFile:
        """Have Poe fetch a file and keep it. Other arguments and errors as in `upload`."""
        return await self._calls_with(headers).upload_by_url(url, name, self._own_key(access_key))

    async def authorize_cost(
        self,
        items: CostItem | Iterable[CostItem],
        bot_query_id: str,
        *,
        access_key: str | None = None,
        headers: ExtraHeaders | None = None,
    ) -> None:
        """Ask Poe whether a user can pay these costs; see `poeproto.flows.authorize_cost_request`.

        Args:
            items: the costs, at least one.
            bot_query_id: the query they belong to. (`Context.authorize_cost` knows its query, and takes items only.)
            access_key: the bot's key, by default the client's.
            headers: as in `query`.

        Raises:
            InsufficientFunds: when the user cannot.
            IncompleteReply: when Poe's answer broke off before it said so.
        """
        await self._calls_with(headers).authorize_cost(items, bot_query_id, self._own_key(access_key))

    async def capture_cost(
        self,
        items: CostItem | Iterable[CostItem],
        bot_query_id: str,
        *,
        access_key: str | None = None,
        headers: ExtraHeaders | None = None,
    ) -> None:
        """Charge a user these costs. Arguments and errors as in `authorize_cost`."""
        await self._calls_with(headers).capture_cost(items, bot_query_id, self._own_key(access_key))

    async def aclose(self) -> None:
        """Close the idle connections; those in use close with their replies."""
        await self._pool.aclose()

    if not TYPE_CHECKING:  # for who forgets an `async`; a type checker says so by itself

        def __enter__(self) -> NoReturn:
            raise TypeError("this client is asynchronous: write `async with Client(...)`, or use BlockingClient")

        def __exit__(self, *exc_info: object) -> None:
            """Never called; without it, Python would not call `__enter__` either."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.aclose()

    def _reply(self, runner: FlowRunner[ReplyFold], fold: ReplyFold) -> Reply:
        return Reply(runner, fold)

    async def _report(
        self,
        bot: str,
        request: ReportFeedbackRequest | ReportReactionRequest | ReportErrorRequest,
        access_key: str | None,
        headers: ExtraHeaders | None,
    ) -> None:
        url, key = self._target(bot, access_key)
        await self._calls_with(headers).report(url, request, key)
