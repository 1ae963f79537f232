"""The base of all clients: which URL and which key a call has, and the calls themselves, which differ in no client."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Generic, Protocol, TypedDict, TypeVar, Unpack

from poeproto import (
    CostItem,
    Endpoints,
    Limits,
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
from poeproto_runtime.client.api import ApiCalls, as_query
from poeproto_runtime.client.call_hooks import CallHookOptions, CallHooks, checked_hooks, hooks_in
from poeproto_runtime.client.extra_headers import ExtraHeaders, HeadersOfCall
from poeproto_runtime.client.flow_runner import FlowRunner, RunToolCalls
from poeproto_runtime.client.reply import Reply, ReplyBase
from poeproto_runtime.client.transport import Transport
from poeproto_runtime.client.uploads import InThread, Source
from poeproto_runtime.client.urls import split_url
from poeproto_runtime.instrumentation import announce

AnyReply = TypeVar("AnyReply", bound=ReplyBase)


class MakeToolRunner(Protocol):
    """Makes a tool runner."""

    def __call__(self, functions: Mapping[str, Callable[..., Any]], *, raise_errors: bool) -> RunToolCalls:
        """A runner of these functions, keyed by the names that the model knows."""
        ...


class ClientBaseOptions(TypedDict, total=False):
    """The arguments of `ClientBase` that clients forward unchanged."""

    api_key: str | None
    access_key: str | None
    endpoints: Endpoints | None
    retry: RetryPolicy | None
    headers: ExtraHeaders | HeadersOfCall | None
    hooks: CallHooks | None


class ClientBase(ABC, Generic[AnyReply]):
    """Base class of all clients: keys, hooks and headers, and the construction of replies, which does no I/O.

    Args:
        transport: sends the requests.
        in_thread: calls functions that may block.
        tool_runner: makes the runner of the tools that a model calls.
        api_key: the key for bots called by name. It is sent to Poe's own origin only.
        access_key: the key for bots called by URL, unless a call has its own; also the bot's own key for uploads, costs
            and changes of settings.
        endpoints: the URLs of Poe.
        limits: the bounds of every exchange.
        retry: when a call is retried.
        headers: extra headers of every request.
        hooks: are called for every call.
    """

    def __init__(
        self,
        transport: Transport,
        in_thread: InThread,
        tool_runner: MakeToolRunner,
        *,
        api_key: str | None = None,
        access_key: str | None = None,
        endpoints: Endpoints | None = None,
        limits: Limits | None = None,
        retry: RetryPolicy | None = None,
        headers: ExtraHeaders | HeadersOfCall | None = None,
        hooks: CallHooks | None = None,
    ) -> None:
        self._api_key = api_key
        self._access_key = access_key
        self._tool_runner = tool_runner
        calls = ApiCalls(transport, in_thread, endpoints, limits, retry)
        self._calls = calls.with_options(headers, checked_hooks(hooks))
        announce(self)

    def add_hooks(self, hooks: CallHooks, headers: HeadersOfCall | None = None) -> None:
        """Call these functions, too, for each call that is made from now on.

        Args:
            hooks: are called after those of the client, and before those of a call.
            headers: extra headers of each of these calls, which override those of the client under the same name.
        """
        self._calls = self._calls.with_options(headers, checked_hooks(hooks))

    def remove_hooks(self, hooks: CallHooks, headers: HeadersOfCall | None = None) -> None:
        """Undo `add_hooks` for calls that are made from now on; those under way still call the functions."""
        self._calls = self._calls.without_options(headers, hooks)

    def query(
        self,
        bot: str,
        request: QueryRequest | str,
        *,
        access_key: str | None = None,
        headers: ExtraHeaders | HeadersOfCall | None = None,
        **hooks: Unpack[CallHookOptions],
    ) -> AnyReply:
        """Query a bot. Nothing is sent before the reply is entered or read.

        Args:
            bot: the bot's name on Poe, or the URL of a bot server. (`Context.query_bot` takes names only: a bot calls
                others through Poe, with its own key.)
            request: the query, or the text of one user message.
            access_key: the bot server's key, for a URL.
            headers: extra request headers of this call, as of `Client`; so with every method.
            hooks: `on_start`, `on_first_event`, `on_event` and `on_end` of this call, after those of the client; so
                with every method.

        Raises:
            InvalidValue: for a header that the client sets itself, or that HTTP has no form for.
        """
        url, key = self._target(bot, access_key)
        fold = ReplyFold()
        calls = self._calls_with(headers, hooks)
        return self._reply(calls.query(url, as_query(request), key, fold, bot_name=name_of_bot(bot)), fold)

    def run_tools(
        self,
        bot: str,
        request: QueryRequest | str,
        tools: Iterable[ToolDefinition],
        functions: ToolFunctions,
        *,
        raise_errors: bool = False,
        access_key: str | None = None,
        headers: ExtraHeaders | HeadersOfCall | None = None,
        **hooks: Unpack[CallHookOptions],
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
            hooks: as in `query`.

        Raises:
            ValueError: for functions without a name, or with the same name, and for a definition without a function.
            TypeError: for an asynchronous function where there is no event loop.
        """
        url, key = self._target(bot, access_key)
        definitions = list(tools)
        run_calls = self._tool_runner(tools_by_name(functions, definitions), raise_errors=raise_errors)
        fold = ReplyFold()
        calls, query = self._calls_with(headers, hooks), as_query(request)
        runner = calls.run_tools(url, query, definitions, run_calls, key, fold, bot_name=name_of_bot(bot))
        return self._reply(runner, fold)

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

    def _calls_with(self, headers: ExtraHeaders | HeadersOfCall | None, hooks: CallHookOptions) -> ApiCalls:
        """The calls with the client's headers and hooks, and with these of one call."""
        return self._calls.with_options(headers, hooks_in(hooks))

    def _own_key(self, access_key: str | None) -> str | None:
        """The key of the bot in whose name Poe is called."""
        return access_key or (self._api_key if self._access_key is None else self._access_key)


def name_of_bot(bot: str) -> str | None:
    """The bot's name on Poe, if the bot is not given by its URL."""
    return None if "://" in bot else bot


class AsyncClientBase(ClientBase[Reply]):
    """Base class of the clients for event loops: the methods of `poeproto_h11.Client`, over any transport."""

    async def settings(
        self,
        bot: str,
        *,
        access_key: str | None = None,
        headers: ExtraHeaders | HeadersOfCall | None = None,
        **hooks: Unpack[CallHookOptions],
    ) -> SettingsResponse:
        """A bot's settings. Arguments as in `query`.

        Raises:
            RemoteProtocolError: when its answer breaks the protocol.
        """
        url, key = self._target(bot, access_key)
        return await self._calls_with(headers, hooks).settings(url, key, name_of_bot(bot))

    async def report_feedback(
        self,
        bot: str,
        request: ReportFeedbackRequest,
        *,
        access_key: str | None = None,
        headers: ExtraHeaders | HeadersOfCall | None = None,
        **hooks: Unpack[CallHookOptions],
    ) -> None:
        """Send a bot server a user's feedback on a reply (deprecated by Poe)."""
        await self._report(bot, request, access_key, headers, hooks)

    async def report_reaction(
        self,
        bot: str,
        request: ReportReactionRequest,
        *,
        access_key: str | None = None,
        headers: ExtraHeaders | HeadersOfCall | None = None,
        **hooks: Unpack[CallHookOptions],
    ) -> None:
        """Send a bot server a user's reaction to a reply."""
        await self._report(bot, request, access_key, headers, hooks)

    async def report_error(
        self,
        bot: str,
        request: ReportErrorRequest,
        *,
        access_key: str | None = None,
        headers: ExtraHeaders | HeadersOfCall | None = None,
        **hooks: Unpack[CallHookOptions],
    ) -> None:
        """Send a bot server an error that was found in one of its answers."""
        await self._report(bot, request, access_key, headers, hooks)

    async def sync_settings(
        self,
        bot_name: str,
        settings: SettingsResponse | None = None,
        *,
        access_key: str | None = None,
        headers: ExtraHeaders | HeadersOfCall | None = None,
        **hooks: Unpack[CallHookOptions],
    ) -> SettingsResponse | None:
        """Send a bot's settings to Poe, or have Poe fetch them from the bot.

        Args:
            bot_name: the bot's name on Poe.
            settings: the settings; None has Poe fetch them.
            access_key: the bot's key, by default the client's.
            headers: as in `query`.
            hooks: as in `query`.

        Returns:
            The settings in Poe's answer; None if there are none in it.
        """
        return await self._calls_with(headers, hooks).sync_settings(bot_name, settings, self._own_key(access_key))

    async def upload(
        self,
        source: Source,
        *,
        name: str | None = None,
        content_type: str | None = None,
        access_key: str | None = None,
        headers: ExtraHeaders | HeadersOfCall | None = None,
        **hooks: Unpack[CallHookOptions],
    ) -> UploadedFile:
        """Upload a file to Poe. (`Context.post_attachment` also puts its event into the reply, and so returns that.)

        Args:
            source: text, bytes, a path, an open binary file (read from its position), or an iterable of bytes, async or
                not.
            name: the file name; a path and a file have one of their own.
            content_type: the media type; by default guessed from the name.
            access_key: a bot's key, by default the client's.
            headers: as in `query`.
            hooks: as in `query`.

        Raises:
            UploadRefused: for another status than 200.
            LocalProtocolError: also when the file is larger than `Limits.file_size`.
            OSError: when the file cannot be read.
        """
        return await self._calls_with(headers, hooks).upload(source, name, content_type, self._own_key(access_key))

    async def upload_by_url(
        self,
        url: str,
        *,
        name: str | None = None,
        access_key: str | None = None,
        headers: ExtraHeaders | HeadersOfCall | None = None,
        **hooks: Unpack[CallHookOptions],
    ) -> UploadedFile:
        """Have Poe fetch a file and keep it. Other arguments and errors as in `upload`."""
        return await self._calls_with(headers, hooks).upload_by_url(url, name, self._own_key(access_key))

    async def authorize_cost(
        self,
        items: CostItem | Iterable[CostItem],
        bot_query_id: str,
        *,
        access_key: str | None = None,
        headers: ExtraHeaders | HeadersOfCall | None = None,
        **hooks: Unpack[CallHookOptions],
    ) -> None:
        """Ask Poe whether a user can pay these costs; see `poeproto.flows.authorize_cost_request`.

        Args:
            items: the costs, at least one.
            bot_query_id: the query they belong to. (`Context.authorize_cost` knows its query, and takes items only.)
            access_key: the bot's key, by default the client's.
            headers: as in `query`.
            hooks: as in `query`.

        Raises:
            InsufficientFunds: when the user cannot.
            IncompleteReply: when Poe's answer broke off before it said so.
        """
        await self._calls_with(headers, hooks).authorize_cost(items, bot_query_id, self._own_key(access_key))

    async def capture_cost(
        self,
        items: CostItem | Iterable[CostItem],
        bot_query_id: str,
        *,
        access_key: str | None = None,
        headers: ExtraHeaders | HeadersOfCall | None = None,
        **hooks: Unpack[CallHookOptions],
    ) -> None:
        """Charge a user these costs. Arguments and errors as in `authorize_cost`."""
        await self._calls_with(headers, hooks).capture_cost(items, bot_query_id, self._own_key(access_key))

    def _reply(self, runner: FlowRunner[ReplyFold], fold: ReplyFold) -> Reply:
        return Reply(runner, fold)

    async def _report(
        self,
        bot: str,
        request: ReportFeedbackRequest | ReportReactionRequest | ReportErrorRequest,
        access_key: str | None,
        headers: ExtraHeaders | HeadersOfCall | None,
        hooks: CallHookOptions,
    ) -> None:
        url, key = self._target(bot, access_key)
        await self._calls_with(headers, hooks).report(url, request, key, name_of_bot(bot))
