"""The calls of Poe and of bots: each flow of the core, made from its arguments and run over a transport.

Clients (`poeproto_h11.Client`, `BlockingClient`) and the context of a request share this: a client decides which key a
call takes, the context which bots may be called.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from pathlib import PurePosixPath
from urllib.parse import unquote, urlsplit

from poeproto import (
    CostItem,
    Endpoints,
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
from poeproto.http import Headers
from poeproto_runtime.client.extra_headers import HeaderTransport
from poeproto_runtime.client.flow_runner import FlowRunner, Prepare, R, RunToolCalls
from poeproto_runtime.client.transport import Transport
from poeproto_runtime.client.uploads import InThread, Source, measure

# A host and a port without a scheme. What may hold a key, after a `@`, `?` or `#`, is not repeated in an error.
_ADDRESS = re.compile(r"[^/:\s@?#]+:\d+(/[^@?#]*)?")


class ApiCalls:
    """All calls of Poe and of bots, over one transport.

    Args:
        transport: sends the requests.
        in_thread: calls functions that may block.
        endpoints: the URLs of Poe.
        limits: the bounds of every exchange.
        retry: when a call is retried.

    Names, URLs and keys that cannot be used raise `LocalProtocolError`. Otherwise a call raises what its flow in the
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

    def with_headers(self, headers: Headers) -> ApiCalls:
        """The same calls, with these headers added to each request."""
        if not headers:
            return self
        transport = HeaderTransport(self._transport, headers)
        return ApiCalls(transport, self._in_thread, self.endpoints, self.limits, self._retry)

    def url_of(self, bot: str) -> str:
        """The URL of a bot, given by its name on Poe or by its URL."""
        if "://" not in bot and _ADDRESS.fullmatch(bot):
            raise LocalProtocolError(f"{bot!r} is neither a bot's name nor a URL; did you mean http://{bot}?")
        return bot if "://" in bot else self.bot_url(bot)

    def bot_url(self, bot_name: str) -> str:
        """The URL of the bot of that name on Poe. The name is never read as a URL, whatever it looks like."""
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
    ) -> FlowRunner[ReplyFold]:
        """Query the bot at that URL; its reply is folded into `fold`."""
        flow = query_flow(
            request, url, access_key=_usable(access_key), limits=self.limits, retry=self._retry, fold=fold
        )
        return FlowRunner(flow, self._transport, prepare=prepare)

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
            bot_name=bot_name,
            budget=budget,
            fold=fold,
        )
        return FlowRunner(flow, self._transport, run_calls, prepare)

    async def settings(self, url: str, access_key: str | None) -> SettingsResponse:
        """The settings of the bot at that URL."""
        return await self._run(
            settings_flow(url, access_key=_usable(access_key), limits=self.limits, retry=self._retry)
        )

    async def report(
        self,
        url: str,
        request: ReportFeedbackRequest | ReportReactionRequest | ReportErrorRequest,
        access_key: str | None,
    ) -> None:
        """Send a report to the bot at that URL."""
        await self._run(
            report_flow(request, url, access_key=_usable(access_key), limits=self.limits, retry=self._retry)
        )

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
        response = await self._run(call_flow(request, limits=self.limits, retry=self._retry))
        return read_settings_sync(response, access_key=key, limits=self.limits)

    async def upload(
        self, source: Source, name: str | None, content_type: str | None, access_key: str | None
    ) -> UploadedFile:
        """Upload a file."""
        key = _required(access_key)
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
            return await self._upload(request, measured.name, key)
        finally:
            measured.close()

    async def upload_by_url(self, url: str, name: str | None, access_key: str | None) -> UploadedFile:
        """Have Poe fetch a file."""
        key = _required(access_key)
        name_in_url = _name_in(url)
        with _raise_as_local_error():
            request = upload_by_url_request(url, access_key=key, name=name, endpoints=self.endpoints)
        return await self._upload(request, name or name_in_url or "file", key)

    async def authorize_cost(
        self, items: CostItem | Iterable[CostItem], bot_query_id: str, access_key: str | None
    ) -> None:
        """Ask Poe whether the user can pay these costs."""
        await self._cost(authorize_cost_request, items, bot_query_id, access_key)

    async def capture_cost(
        self, items: CostItem | Iterable[CostItem], bot_query_id: str, access_key: str | None
    ) -> None:
        """Charge the user these costs."""
        await self._cost(capture_cost_request, items, bot_query_id, access_key)

    async def _run(self, flow: Flow[R]) -> R:
        return await FlowRunner(flow, self._transport).run()

    async def _upload(self, request: HttpRequest, name: str, key: str) -> UploadedFile:
        return await self._run(upload_flow(request, name=name, access_key=key, limits=self.limits, retry=self._retry))

    async def _cost(
        self,
        make: Callable[..., HttpRequest],
        items: CostItem | Iterable[CostItem],
        bot_query_id: str,
        access_key: str | None,
    ) -> None:
        key = _required(access_key)
        with _raise_as_local_error():
            request = make(items, bot_query_id=bot_query_id, access_key=key, endpoints=self.endpoints)
        await self._run(cost_flow(request, access_key=key, limits=self.limits, retry=self._retry))


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
