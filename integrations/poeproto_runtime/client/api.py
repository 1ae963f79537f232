"""The calls of Poe and of bots: each flow of the core, made from its arguments and run over a transport.

Clients (`ClientBase`) and the context of a request share this: a client decides which key a call takes, the context
which bots may be called.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import contextmanager
from pathlib import PurePosixPath
from urllib.parse import unquote, urlsplit

from poeproto import (
    CostItem,
    Endpoints,
    HttpRequest,
    Limits,
    LocalProtocolError,
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
from poeproto.auth import access_key_set
from poeproto.flows import (
    CallBudget,
    Flow,
    UploadedFile,
    authorize_cost_request,
    call_flow,
    capture_cost_request,
    cost_flow,
    fetch_settings_request,
    query_flow,
    read_settings_sync,
    report_flow,
    settings_flow,
    tool_rounds_flow,
    update_settings_request,
    upload_by_url_request,
    upload_flow,
    upload_request,
)
from poeproto_runtime.client.call_hooks import CallHooks, CallProgress
from poeproto_runtime.client.extra_headers import ExtraHeaders, HeadersOfCall, HeaderTransport, RequestHeaders
from poeproto_runtime.client.flow_runner import FlowRunner, Prepare, R, RunToolCalls
from poeproto_runtime.client.observed_runner import CountingRunner, ObservedReplyRunner
from poeproto_runtime.client.transport import Transport
from poeproto_runtime.client.uploads import InThread, Source, measure
from poeproto_runtime.hooks import REQUEST_TYPES

# A host and a port without a scheme. What may hold a key, after a `@`, `?` or `#`, is not repeated in an error.
_ADDRESS = re.compile(r"[^/:\s@?#]+:\d+(/[^@?#]*)?")


def as_query(request: object) -> QueryRequest:
    """The query itself, or one of a text.

    Raises:
        TypeError: for anything else.
    """
    if isinstance(request, str):
        return QueryRequest([Message("user", request)])
    if not isinstance(request, QueryRequest):
        raise TypeError(
            f"a query must be a QueryRequest or a string, got a value of type {type(request).__name__}; write"
            " QueryRequest([Message(...), ...]) for messages"
        )
    return request


def _check_name(bot: object) -> None:
    if not isinstance(bot, str):
        raise TypeError(
            f"a bot must be named by a string, got a value of type {type(bot).__name__}; the bot comes first, then the"
            " request"
        )


class ApiCalls:
    """All calls of Poe and of bots, over one transport.

    Args:
        transport: sends the requests.
        in_thread: calls functions that may block.
        endpoints: the URLs of Poe.
        limits: the bounds of every exchange.
        retry: when a call is retried.
        hooks: are called for each call.
        headers: extra headers of each request.

    Names, URLs and keys that cannot be used raise `LocalProtocolError`. Otherwise a call raises the exceptions of its
    flow in the core.
    """

    def __init__(
        self,
        transport: Transport,
        in_thread: InThread,
        endpoints: Endpoints | None = None,
        limits: Limits | None = None,
        retry: RetryPolicy | None = None,
        hooks: Sequence[CallHooks] = (),
        headers: RequestHeaders | None = None,
    ) -> None:
        self.endpoints = endpoints or Endpoints()
        self.limits = limits or Limits()
        self._transport = transport
        self._in_thread = in_thread
        self._retry = retry or RetryPolicy()
        self._hooks = tuple(hooks)
        self._headers = headers or RequestHeaders()

    def with_options(
        self, headers: ExtraHeaders | HeadersOfCall | None = None, hooks: Sequence[CallHooks] = ()
    ) -> ApiCalls:
        """The same calls with more extra headers, which override those of the same name, and with more hooks.

        Raises:
            InvalidValue: for a header that the client sets itself, or that HTTP has no form for.
        """
        if headers is None and not hooks:
            return self
        return ApiCalls(
            self._transport,
            self._in_thread,
            self.endpoints,
            self.limits,
            self._retry,
            (*self._hooks, *hooks),
            self._headers.with_source(headers),
        )

    def without_options(self, headers: HeadersOfCall | None, hooks: CallHooks) -> ApiCalls:
        """The same calls without these headers and hooks."""
        rest = tuple(each for each in self._hooks if each is not hooks)
        kept = self._headers.without_source(headers)
        return ApiCalls(self._transport, self._in_thread, self.endpoints, self.limits, self._retry, rest, kept)

    def url_of(self, bot: str) -> str:
        """The URL of a bot, given by its name on Poe or by its URL."""
        _check_name(bot)
        if "://" not in bot and _ADDRESS.fullmatch(bot):
            raise LocalProtocolError(f"{bot!r} is neither a bot's name nor a URL; did you mean http://{bot}?")
        return bot if "://" in bot else self.bot_url(bot)

    def bot_url(self, bot_name: str) -> str:
        """The URL of the bot of that name on Poe. The name is never read as a URL, whatever it looks like."""
        _check_name(bot_name)
        with _raise_as_local_error():
            return self.endpoints.bot(bot_name)

    # --- bots

    def query(
        self,
        url: str,
        request: QueryRequest,
        access_key: str | None,
        fold: ReplyFold,
        prepare: Prepare | None = None,
        bot_name: str | None = None,
    ) -> FlowRunner[ReplyFold]:
        """Query the bot at that URL; its reply is folded into `fold`."""
        flow = query_flow(
            request, url, access_key=_usable(access_key), limits=self.limits, retry=self._retry, fold=fold
        )
        return self.run_reply(flow, "query", url, bot_name, prepare=prepare)

    def run_tools(
        self,
        url: str,
        request: QueryRequest,
        tools: Iterable[ToolDefinition],
        run_calls: RunToolCalls,
        access_key: str | None,
        fold: ReplyFold,
        prepare: Prepare | None = None,
        bot_name: str | None = None,
        budget: CallBudget | None = None,
    ) -> FlowRunner[ReplyFold]:
        """Query the model at that URL, and run the tools that it calls; its reply is folded into `fold`."""
        flow = tool_rounds_flow(
            request,
            url,
            tools,
            access_key=_usable(access_key),
            limits=self.limits,
            retry=self._retry,
            bot_name=None if budget is None else bot_name,
            budget=budget,
            fold=fold,
        )
        return self.run_reply(flow, "run_tools", url, bot_name, run_calls, prepare)

    async def settings(self, url: str, access_key: str | None, bot_name: str | None = None) -> SettingsResponse:
        """The settings of the bot at that URL."""
        flow = settings_flow(url, access_key=_usable(access_key), limits=self.limits, retry=self._retry)
        return await self.run_flow(flow, "settings", url, bot_name)

    async def report(
        self,
        url: str,
        request: ReportFeedbackRequest | ReportReactionRequest | ReportErrorRequest,
        access_key: str | None,
        bot_name: str | None = None,
    ) -> None:
        """Send a report to the bot at that URL."""
        flow = report_flow(request, url, access_key=_usable(access_key), limits=self.limits, retry=self._retry)
        await self.run_flow(flow, REQUEST_TYPES[type(request)], url, bot_name)

    # --- Poe

    async def sync_settings(
        self, bot_name: str, settings: SettingsResponse | None, access_key: str | None
    ) -> SettingsResponse | None:
        """Send these settings to Poe, or with None have Poe fetch them; returns those in Poe's answer, if any."""
        key = _required(access_key)
        with _raise_as_local_error():
            if settings is None:
                request = fetch_settings_request(bot_name, access_key=key, endpoints=self.endpoints)
            else:
                request = update_settings_request(bot_name, settings, access_key=key, endpoints=self.endpoints)
        with CallProgress(self._hooks, "sync_settings", request.url, bot_name) as progress:
            response = await self._run(call_flow(request, limits=self.limits, retry=self._retry), progress)
            return read_settings_sync(response, access_key=key, limits=self.limits)

    async def upload(
        self, source: Source, name: str | None, content_type: str | None, access_key: str | None
    ) -> UploadedFile:
        """Upload a file."""
        key = _required(access_key)
        with CallProgress(self._hooks, "upload", self.endpoints.file_upload) as progress:
            measured = await measure(source, name, content_type, self.limits, self._in_thread)
            try:
                with _raise_as_local_error():
                    request = upload_request(
                        measured,
                        size=measured.size,
                        name=measured.name,
                        content_type=measured.content_type,
                        access_key=key,
                        boundary=secrets.token_hex(16),
                        repeatable=True,
                        endpoints=self.endpoints,
                        limits=self.limits,
                    )
                return await self._upload(request, measured.name, key, progress)
            finally:
                measured.close()

    async def upload_by_url(self, url: str, name: str | None, access_key: str | None) -> UploadedFile:
        """Have Poe fetch a file."""
        key = _required(access_key)
        name_in_url = _name_in(url)
        with _raise_as_local_error():
            request = upload_by_url_request(url, access_key=key, name=name, endpoints=self.endpoints)
        with CallProgress(self._hooks, "upload_by_url", request.url) as progress:
            return await self._upload(request, name or name_in_url or "file", key, progress)

    async def authorize_cost(
        self, items: CostItem | Iterable[CostItem], bot_query_id: str, access_key: str | None
    ) -> None:
        """Ask Poe whether the user can pay these costs."""
        await self._cost("authorize_cost", authorize_cost_request, items, bot_query_id, access_key)

    async def capture_cost(
        self, items: CostItem | Iterable[CostItem], bot_query_id: str, access_key: str | None
    ) -> None:
        """Charge the user these costs."""
        await self._cost("capture_cost", capture_cost_request, items, bot_query_id, access_key)

    # --- flows of the caller's own

    def run_reply(
        self,
        flow: Flow[ReplyFold],
        operation: str,
        url: str,
        bot_name: str | None = None,
        run_tools: RunToolCalls | None = None,
        prepare: Prepare | None = None,
    ) -> FlowRunner[ReplyFold]:
        """The runner of a flow that queries a bot; `operation`, `url` and `bot_name` are for the hooks."""
        if not self._hooks and not self._headers.needs_progress:
            return FlowRunner(flow, self._with_headers(None), run_tools, prepare)
        progress = CallProgress(self._hooks, operation, url, bot_name)
        return ObservedReplyRunner(flow, self._with_headers(progress), progress, run_tools, prepare)

    async def run_flow(self, flow: Flow[R], operation: str, url: str, bot_name: str | None = None) -> R:
        """Run a flow without a reply to its end, and return its result; arguments as of `run_reply`."""
        with CallProgress(self._hooks, operation, url, bot_name) as progress:
            return await self._run(flow, progress)

    async def _run(self, flow: Flow[R], progress: CallProgress) -> R:
        return await CountingRunner(flow, self._with_headers(progress), progress).run()

    def _with_headers(self, progress: CallProgress | None) -> Transport:
        return HeaderTransport(self._transport, self._headers, progress) if self._headers else self._transport

    async def _upload(self, request: HttpRequest, name: str, key: str, progress: CallProgress) -> UploadedFile:
        flow = upload_flow(request, name=name, access_key=key, limits=self.limits, retry=self._retry)
        return await self._run(flow, progress)

    async def _cost(
        self,
        operation: str,
        make: Callable[..., HttpRequest],
        items: CostItem | Iterable[CostItem],
        bot_query_id: str,
        access_key: str | None,
    ) -> None:
        key = _required(access_key)
        with _raise_as_local_error():
            request = make(items, bot_query_id=bot_query_id, access_key=key, endpoints=self.endpoints)
        flow = cost_flow(request, access_key=key, limits=self.limits, retry=self._retry)
        await self.run_flow(flow, operation, request.url)


@contextmanager
def _raise_as_local_error() -> Generator[None]:
    """Re-raise a `ValueError` as `LocalProtocolError`: the caller gave an argument that no request can be made of."""
    try:
        yield
    except LocalProtocolError:
        raise
    except ValueError as exc:
        raise LocalProtocolError(str(exc)) from exc


def _name_in(url: str) -> str:
    try:
        return PurePosixPath(unquote(urlsplit(url).path)).name
    except ValueError:
        # urlsplit's message may quote credentials from before the host.
        raise LocalProtocolError("not a URL: its host is malformed") from None


def _usable(access_key: str | None) -> str | None:
    if access_key is not None:
        with _raise_as_local_error():
            access_key_set(access_key)
    return access_key


def _required(access_key: str | None) -> str:
    if access_key is None:
        raise LocalProtocolError("this call needs an access key: pass one to the call or to the client (or server)")
    return access_key
