"""The calls of one request's bot: on the server's connections, within the bot's budget, and over with the request."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Iterable, Mapping

import anyio
import attrs

from poeproto import (
    Attachment,
    BotExchange,
    CallBudget,
    Context,
    CostItem,
    File,
    Limits,
    LocalProtocolError,
    Meta,
    QueryRequest,
    ReplyFold,
    State,
    ToolDefinition,
    ToolFunctions,
    TooManyFiles,
    UploadSource,
    make_inline_ref,
    tools_by_name,
)
from poeproto_runtime.client.api import ApiCalls
from poeproto_runtime.client.bot_reply import BotReplyStream
from poeproto_runtime.client.flow_runner import FlowRunner
from poeproto_runtime.client.tools import ToolRunner
from poeproto_runtime.fetch import fetch
from poeproto_runtime.forwarding import ForwardedMeta, passed_on
from poeproto_runtime.outbound import Outbound
from poeproto_runtime.routes import Route

logger = logging.getLogger("poeproto")

_ENDED = frozenset({State.FAILED, State.DONE})


class RequestCalls:
    """What `Context` offers, as far as it goes out of the process.

    Args:
        route: whose bot it is.
        limits: the bounds of every exchange.
        outside: the ways out, where the server offers any.
        request: the query, where the request is one.
        exchange: its exchange, where the request is a query.

    Attributes:
        posted: files whose events have not been sent yet.
    """

    def __init__(
        self,
        route: Route,
        limits: Limits,
        outbound: Outbound | None,
        request: QueryRequest | None,
        exchange: BotExchange | None,
    ) -> None:
        self.posted: list[File] = []
        self._route = route
        self._limits = limits
        self._outbound = outbound
        self._request = request
        self._exchange = exchange
        self._api: ApiCalls | None = None
        self._budget: CallBudget | None = None
        self._asked_again = False
        self._asking: anyio.Lock | None = None  # like the next, made when there is a call: most replies make none
        self._runs: set[FlowRunner[ReplyFold]] | None = None
        self._uploading = 0
        self._meta: ForwardedMeta | None = None
        self._closed = False

    def end(self) -> bool:
        """Let nothing begin from here on; returns whether there is something to close."""
        self._closed = True
        return self._api is not None

    async def aclose(self) -> None:
        """Give up what is under way."""
        try:
            while self._runs:
                await self._runs.pop().aclose()
        finally:
            if self._api is not None and self._outbound is not None:
                self._api = None
                await self._outbound.transport.release()

    # --- other bots

    @property
    def calls_left(self) -> Mapping[str, int]:
        """How often each bot may still be called."""
        return (self._budget or CallBudget(self._route.declared.known or {})).remaining

    async def prepare(self, context: Context) -> None:
        """Learn what the bot declares, if it has never said so. Without that, its first call has to ask."""
        if self._route.declared.known is None:
            try:
                await self._route.declared.ask(context)
            except Exception:
                logger.exception(
                    "%s: get_settings failed before a query, which goes on", type(self._route.bot).__name__
                )

    def query(self, bot_name: str, request: QueryRequest | str, context: Context) -> BotReplyStream:
        """Ask another bot."""

        async def begin(fold: ReplyFold) -> FlowRunner[ReplyFold]:
            api = self._out()
            url = api.bot_url(bot_name)
            (await self._budget_for(bot_name, context)).spend(bot_name)
            return self._keep(api.query_run(url, passed_on(request, self._request), self._route.access_key, fold))

        return BotReplyStream(begin, self._forget, self._takes_meta)

    def run_tools(
        self,
        bot_name: str,
        request: QueryRequest | str,
        tools: Iterable[ToolDefinition],
        functions: ToolFunctions,
        context: Context,
        *,
        raise_errors: bool,
    ) -> BotReplyStream:
        """Ask a model, and run the tools it calls."""
        offered, runner = list(tools), ToolRunner(tools_by_name(functions), raise_errors=raise_errors)

        async def begin(fold: ReplyFold) -> FlowRunner[ReplyFold]:
            api = self._out()
            url = api.bot_url(bot_name)
            budget = await self._budget_for(bot_name, context)
            asked, key = passed_on(request, self._request), self._route.access_key
            return self._keep(
                api.tool_rounds_run(url, asked, offered, runner, key, fold, bot_name=bot_name, budget=budget)
            )

        return BotReplyStream(begin, self._forget, self._takes_meta)

    async def _budget_for(self, bot_name: str, context: Context) -> CallBudget:
        declared = self._route.declared
        declared.check_not_asking()
        # One task asks, and the others wait for what it learns: the budget they spend from is one.
        if self._asking is None:
            self._asking = anyio.Lock(fast_acquire=True)
        async with self._asking:
            if self._budget is None:
                known = declared.known if declared.known is not None else await declared.ask(context)
                self._budget = CallBudget(known)
            if not self._budget.left(bot_name) and not self._asked_again:
                # The bot may declare more by now, and have told Poe through another process.
                self._asked_again = True
                self._budget.declare(await declared.ask(context))
            return self._budget

    def _takes_meta(self, meta: Meta) -> bool:
        if self._meta is not None:
            return False  # only the first that comes is taken
        self._meta = ForwardedMeta(self._exchange, meta)
        return self._meta.is_taken

    def is_stale(self, event: object) -> bool:
        """Whether that `Meta` was taken from another bot, and the reply has begun since without it."""
        return self._meta is not None and self._meta.is_stale(event)

    # --- files

    async def post(
        self,
        source: UploadSource | None,
        url: str | None,
        name: str | None,
        content_type: str | None,
        *,
        inline: bool,
    ) -> File:
        """Upload a file, and keep its event until the bot's next one."""
        if (source is None) == (url is None):
            raise TypeError("pass either a source or a url")
        exchange = self._reply_under_way()
        if exchange.files + len(self.posted) + self._uploading >= self._limits.files:
            raise TooManyFiles(f"the reply would have more than {self._limits.files} files")
        api, key = self._out(), self._route.access_key
        self._uploading += 1
        try:
            if url is None:
                assert source is not None
                uploaded = await api.upload(source, key, name, content_type)
            else:
                uploaded = await api.upload_by_url(url, key, name)
        finally:
            self._uploading -= 1
        self._reply_under_way()  # it may have ended meanwhile, where the bot posts from a task of its own
        file = uploaded.event(make_inline_ref(secrets.token_bytes(5)) if inline else None)
        if url is not None and content_type is not None:
            file = attrs.evolve(file, content_type=content_type)
        self.posted.append(file)
        return file

    def _reply_under_way(self) -> BotExchange:
        if self._exchange is None or self._closed or self._exchange.our_state in _ENDED:
            raise LocalProtocolError("a file belongs to a reply, and there is none under way")
        return self._exchange

    async def fetch(self, attachment: Attachment | str, max_size: int | None) -> bytes:
        """The content of an attachment."""
        self._out()
        assert self._outbound is not None
        url = attachment if isinstance(attachment, str) else attachment.url
        return (await fetch(url, self._outbound, self._limits, max_size)).body

    # --- costs

    async def authorize_cost(self, items: tuple[CostItem, ...]) -> None:
        """Ask whether the user can pay."""
        await self._out().authorize_cost(items, self._bot_query_id(), self._route.access_key)

    async def capture_cost(self, items: tuple[CostItem, ...]) -> None:
        """Charge the user."""
        await self._out().capture_cost(items, self._bot_query_id(), self._route.access_key)

    def _bot_query_id(self) -> str:
        if self._request is None or not self._request.bot_query_id:
            raise LocalProtocolError("costs belong to a query, and this request brought no bot_query_id")
        return self._request.bot_query_id

    # --- within

    def _out(self) -> ApiCalls:
        if self._closed:
            raise LocalProtocolError("the request is over, and its calls with it")
        if self._outbound is None:
            raise LocalProtocolError("this server offers its bots no calls")
        if self._api is None:
            outbound = self._outbound
            endpoints = self._route.poe(outbound.endpoints)
            outbound.transport.hold()
            self._api = ApiCalls(outbound.transport, outbound.in_thread, endpoints, self._limits, outbound.retry)
        return self._api

    def _forget(self, run: FlowRunner[ReplyFold]) -> None:
        if self._runs is not None:
            self._runs.discard(run)

    def _keep(self, run: FlowRunner[ReplyFold]) -> FlowRunner[ReplyFold]:
        if self._closed:
            raise LocalProtocolError("the request is over, and its calls with it")
        if self._runs is None:
            self._runs = set()
        self._runs.add(run)
        return run
