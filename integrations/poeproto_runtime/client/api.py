"""Calls of Poe and of bots: the core's flows over a transport, for clients and for bots that call others."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from pathlib import PurePosixPath
from urllib.parse import urlsplit

from poeproto import (
    CallBudget,
    CostItem,
    Endpoints,
    Flow,
    HttpRequest,
    Limits,
    LocalProtocolError,
    QueryRequest,
    ReplyFold,
    ReportErrorRequest,
    ReportFeedbackRequest,
    ReportReactionRequest,
    RetryPolicy,
    SettingsResponse,
    ToolDefinition,
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
from poeproto.auth import access_key_set
from poeproto_runtime.client.flow_runner import FlowRunner, R, RunToolCalls
from poeproto_runtime.client.reply import Reply
from poeproto_runtime.client.transport import Transport
from poeproto_runtime.client.uploads import InThread, Source, measure


class ApiCalls:
    """Everything that is called, over one transport.

    Args:
        transport: sends the requests.
        in_thread: calls functions that may block.
        endpoints: where Poe is.
        limits: the bounds of every exchange.
        retry: when a call is made again.

    Names, URLs and keys that cannot be used raise `LocalProtocolError`. What else a call raises is what its flow in the
    core raises.
    """

    def __init__(
        self,
        transport: Transport,
        in_thread: InThread,
        endpoints: Endpoints | None = None,
        limits: Limits | None = None,
        retry: RetryPolicy | None = None,
    ) -> None:
        self.endpoints = endpoints or Endpoints()
        self.limits = limits or Limits()
        self._transport = transport
        self._in_thread = in_thread
        self._retry = retry or RetryPolicy()

    def url_of(self, bot: str) -> str:
        """The URL of a bot that is given by its name on Poe, or by its URL."""
        return bot if "://" in bot else self.bot_url(bot)

    def bot_url(self, bot_name: str) -> str:
        """The URL of the bot of that name on Poe, whatever it looks like."""
        with _as_ours():
            return self.endpoints.bot(bot_name)

    def query(self, url: str, request: QueryRequest, access_key: str | None) -> Reply:
        """Ask the bot at that URL."""
        fold = ReplyFold()
        return Reply(self.query_run(url, request, access_key, fold), fold)

    def query_run(
        self, url: str, request: QueryRequest, access_key: str | None, fold: ReplyFold
    ) -> FlowRunner[ReplyFold]:
        """Ask the bot at that URL, and gather its reply there."""
        return self._run(
            query_flow(request, url, access_key=_usable(access_key), limits=self.limits, retry=self._retry, fold=fold)
        )

    def tool_rounds(
        self,
        url: str,
        request: QueryRequest,
        tools: Iterable[ToolDefinition],
        run_tools: RunToolCalls,
        access_key: str | None,
    ) -> Reply:
        """Ask the model at that URL, and run the tools it calls for."""
        fold = ReplyFold()
        return Reply(self.tool_rounds_run(url, request, list(tools), run_tools, access_key, fold), fold)

    def tool_rounds_run(
        self,
        url: str,
        request: QueryRequest,
        tools: Iterable[ToolDefinition],
        run_tools: RunToolCalls,
        access_key: str | None,
        fold: ReplyFold,
        bot_name: str | None = None,
        budget: CallBudget | None = None,
    ) -> FlowRunner[ReplyFold]:
        """Ask the model at that URL, run the tools it calls for, and gather its reply there."""
        flow = tool_rounds_flow(
            request,
            url,
            tools,
            access_key=_usable(access_key),
            limits=self.limits,
            retry=self._retry,
            bot_name=bot_name,
            budget=budget,
            fold=fold,
        )
        return FlowRunner(flow, self._transport, run_tools)

    async def settings(self, url: str, access_key: str | None) -> SettingsResponse:
        """The settings of the bot at that URL."""
        flow = settings_flow(url, access_key=_usable(access_key), limits=self.limits, retry=self._retry)
        return await self._run(flow).run()

    async def report(
        self,
        url: str,
        request: ReportFeedbackRequest | ReportReactionRequest | ReportErrorRequest,
        access_key: str | None,
    ) -> None:
        """Report something to the bot at that URL."""
        flow = report_flow(request, url, access_key=_usable(access_key), limits=self.limits, retry=self._retry)
        await self._run(flow).run()

    async def sync_settings(
        self, bot_name: str, access_key: str | None, settings: SettingsResponse | None
    ) -> SettingsResponse | None:
        """Push these settings to Poe, or with None have Poe fetch them; what Poe says it has now, if it says so."""
        key = _required(access_key)
        with _as_ours():
            if settings is None:
                request = fetch_settings_request(bot_name, access_key=key, endpoints=self.endpoints)
            else:
                request = update_settings_request(bot_name, settings, access_key=key, endpoints=self.endpoints)
        response = await self._run(call_flow(request, limits=self.limits, retry=self._retry)).run()
        return read_settings_sync(response, access_key=key, limits=self.limits)

    async def upload(
        self, source: Source, access_key: str | None, name: str | None, content_type: str | None
    ) -> UploadedFile:
        """Upload a file."""
        key = _required(access_key)
        measured = await measure(source, name, content_type, self.limits, self._in_thread)
        try:
            with _as_ours():
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
            return await self._upload(request, measured.name, key)
        finally:
            measured.close()

    async def upload_by_url(self, url: str, access_key: str | None, name: str | None) -> UploadedFile:
        """Have Poe fetch a file."""
        key = _required(access_key)
        name_there = _name_in(url)
        with _as_ours():
            request = upload_by_url_request(url, access_key=key, name=name, endpoints=self.endpoints)
        return await self._upload(request, name or name_there or "file", key)

    async def authorize_cost(self, items: CostItem | Iterable[CostItem], bot_query_id: str, key: str | None) -> None:
        """Ask whether the user can pay this."""
        await self._cost(authorize_cost_request, items, bot_query_id, key)

    async def capture_cost(self, items: CostItem | Iterable[CostItem], bot_query_id: str, key: str | None) -> None:
        """Charge this."""
        await self._cost(capture_cost_request, items, bot_query_id, key)

    def _run(self, flow: Flow[R]) -> FlowRunner[R]:
        return FlowRunner(flow, self._transport)

    async def _upload(self, request: HttpRequest, name: str, key: str) -> UploadedFile:
        flow = upload_flow(request, name=name, access_key=key, limits=self.limits, retry=self._retry)
        return await self._run(flow).run()

    async def _cost(
        self,
        make: Callable[..., HttpRequest],
        items: CostItem | Iterable[CostItem],
        bot_query_id: str,
        access_key: str | None,
    ) -> None:
        key = _required(access_key)
        with _as_ours():
            request = make(items, bot_query_id=bot_query_id, access_key=key, endpoints=self.endpoints)
        await self._run(cost_flow(request, access_key=key, limits=self.limits, retry=self._retry)).run()


@contextmanager
def _as_ours() -> Generator[None]:
    """What cannot be called is the caller's breach of a rule, like other things that cannot be sent."""
    try:
        yield
    except LocalProtocolError:
        raise
    except ValueError as exc:
        raise LocalProtocolError(str(exc)) from exc


def _name_in(url: str) -> str:
    try:
        return PurePosixPath(urlsplit(url).path).name
    except ValueError:
        # What urlsplit says may quote what a URL holds before its host.
        raise LocalProtocolError("not a URL: its host is malformed") from None


def _usable(access_key: str | None) -> str | None:
    if access_key is not None:
        with _as_ours():
            access_key_set(access_key)
    return access_key


def _required(access_key: str | None) -> str:
    if access_key is None:
        raise LocalProtocolError("this call needs an access key, and there is none")
    return access_key
