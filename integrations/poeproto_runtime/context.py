"""The context of a request: the runtime's `poeproto.Context`, with the calls that its bot makes."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Awaitable, Callable, Iterable, Mapping

import anyio
import attrs

from poeproto import (
    Attachment,
    BotExchange,
    CostItem,
    File,
    Limits,
    LocalProtocolError,
    Meta,
    QueryRequest,
    ReplyFold,
    RequestHead,
    State,
    ToolDefinition,
    TooManyFiles,
)
from poeproto.flows import CallBudget, ToolFunctions, UploadSource, tools_by_name
from poeproto.http import SECRET_KEYS
from poeproto.markdown import make_inline_ref
from poeproto_runtime.bot_mistakes import call_method, failure_line, place_of_caller
from poeproto_runtime.cancellation import cancellation_is_ours
from poeproto_runtime.client.api import ApiCalls, as_query
from poeproto_runtime.client.extra_headers import ExtraHeaders
from poeproto_runtime.client.flow_runner import FlowRunner
from poeproto_runtime.client.reply import BotReplyStream
from poeproto_runtime.client.tools import ToolRunner
from poeproto_runtime.fetch import fetch, file_in_url
from poeproto_runtime.outbound import Outbound
from poeproto_runtime.routes import Route

logger = logging.getLogger("poeproto")

_REPLY_ENDED = frozenset({State.FAILED, State.DONE})
# The fields that a forwarded query takes from the request it is made for, where it leaves them empty.
_IDENTIFIERS = ("user_id", "conversation_id", "message_id", "metadata")


class RequestContext:
    """The context of one request: its attributes, the calls of its bot, and the cleanup at its end.

    Attributes and methods are those of `poeproto.Context`; its runner also uses the others. Everything that only calls
    need is made at the first call, because most requests make none.

    Args:
        http_request: the head of the request.
        route: the bot, its keys and its name.
        limits: the bounds of every exchange.
        outbound: how to make calls; None where the server offers none.
        request: the query, where the request is one.
        exchange: the exchange of that query.

    Attributes:
        posted: files whose events have not been sent yet; the sender of the reply empties it.
    """

    def __init__(
        self,
        http_request: RequestHead,
        route: Route,
        limits: Limits,
        outbound: Outbound | None = None,
        request: QueryRequest | None = None,
        exchange: BotExchange | None = None,
    ) -> None:
        self.http_request = http_request
        self.access_key = route.access_key
        self.bot_name = route.bot_name
        self.limits = limits
        self.posted: list[File] = []
        self._attached: tuple[File, ...] = ()  # the files that `post_attachment` has returned
        self._route = route
        self._outbound = outbound
        self._request = request
        self._exchange = exchange
        self._closers: list[Callable[[], Awaitable[object]]] = []
        self._closed = False
        # For calls.
        self._api: ApiCalls | None = None
        self._budget: _RequestBudget | None = None
        self._runners: dict[FlowRunner[ReplyFold], tuple[str, str]] | None = (
            None  # with the name and place of each call
        )
        self._uploading = 0
        self._forwarded_meta: ForwardedMeta | None = None

    # --- other bots

    @property
    def calls_left(self) -> Mapping[str, int]:
        """How often each bot may still be called for this message."""
        if self._budget is not None and self._budget.is_known:
            return self._budget.calls.remaining
        return CallBudget(self._route.declared.known or {}).remaining

    async def prepare(self) -> None:
        """Ask the bot for its dependencies if it was never asked, so that `calls_left` is right from the start."""
        if self._route.declared.known is None:
            try:
                await self._route.declared.ask(self)
            except Exception as exc:
                line = failure_line(exc, self._route.bot.get_settings)
                logger.exception("%s: get_settings failed before a query, which continues: %s", self.bot_class, line)

    def query_bot(
        self, bot_name: str, request: QueryRequest | str, *, headers: ExtraHeaders | None = None
    ) -> BotReplyStream:
        """Query another bot on Poe."""
        api, budget, fold = self._calls(), self._request_budget(), ReplyFold()
        url, key = api.bot_url(bot_name), self.access_key

        async def prepare() -> None:
            self._check_open()
            await budget.learn(bot_name)
            budget.calls.spend(bot_name)

        api = api.with_options(headers)
        return self._stream(api.query(url, self._forwarded(request), key, fold, prepare, bot_name), fold, bot_name)

    async def final_text(
        self, bot_name: str, request: QueryRequest | str, *, headers: ExtraHeaders | None = None
    ) -> str:
        """Query another bot on Poe, and return the text of its reply."""
        return await self.query_bot(bot_name, request, headers=headers).text()

    def run_tools(
        self,
        bot_name: str,
        request: QueryRequest | str,
        tools: Iterable[ToolDefinition],
        functions: ToolFunctions,
        *,
        raise_errors: bool = False,
        headers: ExtraHeaders | None = None,
    ) -> BotReplyStream:
        """Query a model that may call tools, and run the tools that it calls."""
        api, budget, fold = self._calls(), self._request_budget(), ReplyFold()
        url, key = api.bot_url(bot_name), self.access_key
        definitions = list(tools)
        run_calls = ToolRunner(tools_by_name(functions, definitions), raise_errors=raise_errors)

        async def prepare() -> None:
            self._check_open()
            await budget.learn(bot_name)  # the flow spends from it, for each round

        forwarded = self._forwarded(request)
        runner = api.with_options(headers).run_tools(
            url, forwarded, definitions, run_calls, key, fold, prepare, bot_name=bot_name, budget=budget.calls
        )
        return self._stream(runner, fold, bot_name)

    def is_stale(self, event: object) -> bool:
        """Whether the event is a forwarded `Meta` that comes too late, because the reply has begun without it."""
        return self._forwarded_meta is not None and self._forwarded_meta.is_stale(event)

    def _forwarded(self, request: QueryRequest | str) -> QueryRequest:
        """The query as it is sent to another bot: with the identifiers of this request, and without keys."""
        request = as_query(request)
        changes: dict[str, object] = {}
        own = self._request
        if own is not None and own is not request:
            empty = [name for name in _IDENTIFIERS if not getattr(request, name)]
            changes = {name: getattr(own, name) for name in empty}
        if not request.extra.keys().isdisjoint(SECRET_KEYS):
            changes["extra"] = {name: value for name, value in request.extra.items() if name not in SECRET_KEYS}
        return attrs.evolve(request, **changes) if changes else request

    def _request_budget(self) -> _RequestBudget:
        if self._budget is None:
            self._budget = _RequestBudget(self, self._route)
        return self._budget

    def _stream(self, runner: FlowRunner[ReplyFold], fold: ReplyFold, bot_name: str) -> BotReplyStream:
        if self._runners is None:
            self._runners = {}
        runners = self._runners
        runners[runner] = bot_name, place_of_caller(3)

        async def forget() -> None:
            runners.pop(runner, None)

        return BotReplyStream(runner, fold, forget, self._accepts_meta)

    def _accepts_meta(self, meta: Meta) -> bool:
        if self._forwarded_meta is not None:
            return False  # only the first one of all bots is forwarded
        self._forwarded_meta = ForwardedMeta(self._exchange, meta)
        return self._forwarded_meta.is_accepted

    # --- files

    async def post_attachment(
        self,
        source: UploadSource | None = None,
        *,
        url: str | None = None,
        name: str | None = None,
        content_type: str | None = None,
        inline: bool = False,
    ) -> File:
        """Attach a file to the reply: upload it, and send its event before the bot's next one."""
        if (source is None) == (url is None):
            raise TypeError("post_attachment takes either a source or a url")
        exchange = self._open_reply()
        if exchange.files + len(self.posted) + self._uploading >= self.limits.files:
            raise TooManyFiles(f"the reply would have more than {self.limits.files} files")
        api = self._calls()
        self._uploading += 1
        try:
            if url is None:
                assert source is not None
                uploaded = await api.upload(source, name, content_type, self.access_key)
            else:
                uploaded = await api.upload_by_url(url, name, self.access_key)
        finally:
            self._uploading -= 1
        self._open_reply()  # it may have ended meanwhile, if the bot posts from a task of its own
        file = uploaded.event(make_inline_ref(secrets.token_bytes(5)) if inline else None)
        if url is not None and content_type is not None:
            file = attrs.evolve(file, content_type=content_type)
        self.posted.append(file)
        self._attached += (file,)
        return file

    def was_posted(self, event: object) -> bool:
        """Whether the event is a file that `post_attachment` has attached to this reply, and so is not sent again."""
        return event in self._attached

    async def fetch_attachment(self, attachment: Attachment | str, *, max_size: int | None = None) -> bytes:
        """The content of an attachment."""
        self._calls()
        assert self._outbound is not None
        url = attachment if isinstance(attachment, str) else attachment.url
        if (file := file_in_url(url, self.limits, max_size)) is not None:
            return file
        return (await fetch(url, self._outbound, self.limits, max_size)).body

    def _open_reply(self) -> BotExchange:
        if self._exchange is None or self._closed or self._exchange.our_state in _REPLY_ENDED:
            raise LocalProtocolError(
                "post_attachment attaches a file to a reply, and no reply is under way; call it in get_response"
            )
        return self._exchange

    # --- costs

    async def authorize_cost(self, *items: CostItem) -> None:
        """Make sure that the user can pay these costs."""
        await self._calls().authorize_cost(items, self._bot_query_id(), self.access_key)

    async def capture_cost(self, *items: CostItem) -> None:
        """Charge the user these costs."""
        await self._calls().capture_cost(items, self._bot_query_id(), self.access_key)

    def _bot_query_id(self) -> str:
        if self._request is None or not self._request.bot_query_id:
            raise LocalProtocolError("costs belong to a query, and this request has no bot_query_id")
        return self._request.bot_query_id

    # --- the end

    def on_close(self, async_fn: Callable[[], Awaitable[object]]) -> None:
        """Call this function when the request has ended, in whatever way; the last registered is called first."""
        if not callable(async_fn):
            raise TypeError(f"on_close takes an async function, to be called at the end; got {async_fn!r}")
        self._closers.append(async_fn)

    async def close(self, error_id: str, *, failed: bool = False) -> None:
        """Call the `on_close` functions, each under a shield with a deadline, and then close the calls.

        A function that fails or takes too long is logged, and the others still run. They may make calls themselves.

        Args:
            error_id: for the log.
            failed: whether the request has failed; otherwise a call that was never read is logged.
        """
        if self._closers:
            await self._call_closers(error_id)
        self._closed = True
        if self._api is not None:
            with anyio.CancelScope(shield=True):
                await self._close_calls(failed)

    async def _call_closers(self, error_id: str) -> None:
        seconds = self.limits.cleanup_seconds
        cancelled: asyncio.CancelledError | None = None
        while self._closers:
            closer = self._closers.pop()
            with anyio.move_on_after(seconds, shield=True) as scope:
                try:
                    await call_method(closer)
                except asyncio.CancelledError as exc:
                    if scope.cancel_called:
                        raise
                    if cancellation_is_ours():
                        # A server on asyncio cancelled our task at its graceful timeout; Task.cancel ignores shields.
                        cancelled = exc
                    logger.error("an on_close function was cancelled (error id %s)", error_id, exc_info=exc)
                except Exception as exc:
                    line = failure_line(exc, closer)
                    logger.exception("an on_close function failed (error id %s): %s", error_id, line)
            if scope.cancelled_caught:
                message = "an on_close function took longer than %g s and was cancelled (error id %s)"
                logger.error(message, seconds, error_id)
        if cancelled is not None:
            raise cancelled

    async def _close_calls(self, failed: bool) -> None:
        try:
            while self._runners:
                runner, (bot_name, place) = self._runners.popitem()
                if runner.is_new and not failed:
                    message = "%s: %s: the call of %r was never read, so nothing was sent; read it with `async for`, or"
                    logger.warning(message + " await its text()", self.bot_class, place, bot_name)
                await runner.aclose()
        finally:
            if self._outbound is not None:
                self._api = None
                await self._outbound.transport.release()

    # --- within

    def _calls(self) -> ApiCalls:
        self._check_open()
        if self._outbound is None:
            raise LocalProtocolError("this server was not configured for calls of its bots")
        if self._api is None:
            self._outbound.transport.hold()
            self._api = self._outbound.calls(self._route.poe(self._outbound.endpoints), self.limits)
        return self._api

    def _check_open(self) -> None:
        if self._closed:
            raise LocalProtocolError("the request has ended, and its context can make no more calls")

    @property
    def bot_class(self) -> str:
        """The name of the bot's class, for the log."""
        return type(self._route.bot).__name__

    @property
    def query_is_empty(self) -> bool:
        """Whether the request is a query without messages."""
        return self._request is not None and not self._request.query

    @property
    def checked_values(self) -> set[tuple[str, str]]:
        """Fields and values that the bot has sent, and that were logged if the protocol does not have them."""
        return self._route.checked_values

    def __repr__(self) -> str:
        return f"<RequestContext of {self.http_request!r}>"


class _RequestBudget:
    """The calls of other bots that one request may make, as its bot declares them.

    Args:
        context: given to the bot when it is asked.
        route: the bot, and the budget that it has declared so far.

    Attributes:
        calls: the calls left. All zero until `learn` was called.
        is_known: whether `learn` was called.
    """

    def __init__(self, context: RequestContext, route: Route) -> None:
        self.calls = CallBudget({})
        self.is_known = False
        self._context = context
        self._declared = route.declared
        self._asked_again = False
        self._lock = anyio.Lock(fast_acquire=True)  # one task asks, and the others wait for the answer

    async def learn(self, bot_name: str) -> None:
        """Set the budget to the bot's declaration, and fetch it again if it does not allow this call.

        Raises:
            LocalProtocolError: when the bot is just being asked, so that this would wait for itself.
        """
        declared = self._declared
        declared.check_not_asking()
        async with self._lock:
            if not self.is_known:
                self.calls.declare(declared.known if declared.known is not None else await declared.ask(self._context))
                self.is_known = True
            if not self.calls.left(bot_name) and not self._asked_again:
                # The bot may declare more by now, and may have synced that with Poe through another process.
                self._asked_again = True
                self.calls.declare(await declared.ask(self._context))


class ForwardedMeta:
    """The first `Meta` that another bot sent: the reply begins with it, unless it has begun before that is sent.

    Args:
        exchange: the exchange of the reply, if there is one.
        meta: the event.

    Attributes:
        is_accepted: whether the reply could still begin with it when it arrived.
    """

    def __init__(self, exchange: BotExchange | None, meta: Meta) -> None:
        self._exchange = exchange
        self.is_accepted = self._can_begin()
        self._pending = meta if self.is_accepted else None

    def is_stale(self, event: object) -> bool:
        """Whether the event is this one, and the reply has begun without it.

        A bot that merges replies as they arrive may have sent a text of another reply before it.
        """
        if self._pending is None or event is not self._pending:
            return False
        self._pending = None  # if it is sent a second time, it is out of order like any other
        return not self._can_begin()

    def _can_begin(self) -> bool:
        return self._exchange is not None and self._exchange.our_state is State.OPENED
