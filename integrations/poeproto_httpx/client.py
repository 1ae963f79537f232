"""The client over httpx: calls bots and Poe through an `httpx.AsyncClient`, and streams replies."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, TypeVar

import anyio.to_thread

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
from poeproto_httpx.transport import HttpxTransport, Session
from poeproto_runtime.client.api import ApiCalls
from poeproto_runtime.client.reply import Reply
from poeproto_runtime.client.tools import ToolRunner
from poeproto_runtime.client.uploads import Source
from poeproto_runtime.client.urls import split_url

__all__ = ["HttpxClient"]

T = TypeVar("T")


class HttpxClient:
    """Calls bots and Poe through an `httpx.AsyncClient`, with its proxies, headers, event hooks and timeouts.

    The methods are those of `poeproto_h11.Client`, which is several times faster for replies in many small parts. There
    is nothing to close: the session is, and stays, the caller's.

    Args:
        session: an `httpx.AsyncClient`, or a client of its form. Disable or prolong its read timeout, which is 5
            seconds by default: models may think for longer.
        api_key: the key for bots called by name. It is sent to Poe's own origin only.
        access_key: the key for bots called by URL, unless a call has its own; also the bot's own key for uploads, costs
            and changes of settings.
        endpoints: the URLs of Poe.
        limits: the bounds of every exchange.
        retry: when a call is retried; by default once, and only if nothing can have been done.

    Every method raises `LocalProtocolError` for a name, URL, key or request that cannot be sent, `TransportError` when
    a connection fails, and `RequestRefused` for an answer with another status than 200. What event hooks raise is
    raised as it is.
    """

    def __init__(
        self,
        session: Session,
        api_key: str | None = None,
        *,
        access_key: str | None = None,
        endpoints: Endpoints | None = None,
        limits: Limits | None = None,
        retry: RetryPolicy | None = None,
    ) -> None:
        self._calls = ApiCalls(HttpxTransport(session, limits), _in_worker_thread, endpoints, limits, retry)
        self._api_key = api_key
        self._access_key = access_key

    def query(self, bot: str, request: QueryRequest | str, *, access_key: str | None = None) -> Reply:
        """Query a bot. Nothing is sent before the reply is entered or read.

        Args:
            bot: the bot's name on Poe, or the URL of a bot server.
            request: the query, or the text of one user message.
            access_key: the bot server's key, for a URL.
        """
        fold = ReplyFold()
        url, key = self._target(bot, access_key)
        return Reply(self._calls.query(url, _as_query(request), key, fold), fold)

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
        """Query a model that may call tools, run those that it calls, and continue until it calls none.

        Args:
            bot: as in `query`, like `request` and `access_key`.
            request: the query.
            tools: the definitions that the model is given.
            functions: the functions to call; each gets the arguments by name.
            raise_errors: raise `UnknownTool` and `ToolFailed` instead of returning them to the model as results.
            access_key: the key.
        """
        fold = ReplyFold()
        url, key = self._target(bot, access_key)
        runner = ToolRunner(tools_by_name(functions), raise_errors=raise_errors)
        return Reply(self._calls.run_tools(url, _as_query(request), list(tools), runner, key, fold), fold)

    async def settings(self, bot: str, *, access_key: str | None = None) -> SettingsResponse:
        """A bot's settings; arguments as in `query`."""
        return await self._calls.settings(*self._target(bot, access_key))

    async def report(
        self,
        bot: str,
        request: ReportFeedbackRequest | ReportReactionRequest | ReportErrorRequest,
        *,
        access_key: str | None = None,
    ) -> None:
        """Send a bot server a report; other arguments as in `query`."""
        url, key = self._target(bot, access_key)
        await self._calls.report(url, request, key)

    async def sync_settings(
        self, bot_name: str, settings: SettingsResponse | None = None, *, access_key: str | None = None
    ) -> SettingsResponse | None:
        """Send a bot's settings to Poe, or with None have Poe fetch them; returns those in Poe's answer, if any."""
        return await self._calls.sync_settings(bot_name, settings, self._own_key(access_key))

    async def upload(
        self,
        source: Source,
        *,
        name: str | None = None,
        content_type: str | None = None,
        access_key: str | None = None,
    ) -> UploadedFile:
        """Upload a file to Poe: text, bytes, a path, an open binary file, or an iterable of bytes, async or not.

        Raises:
            UploadRefused: for another status than 200.
            OSError: when the file cannot be read.
        """
        return await self._calls.upload(source, name, content_type, self._own_key(access_key))

    async def upload_by_url(self, url: str, *, name: str | None = None, access_key: str | None = None) -> UploadedFile:
        """Have Poe fetch a file and keep it; errors as in `upload`."""
        return await self._calls.upload_by_url(url, name, self._own_key(access_key))

    async def authorize_cost(
        self, items: CostItem | Iterable[CostItem], bot_query_id: str, *, access_key: str | None = None
    ) -> None:
        """Ask Poe whether a user can pay these costs; raises `InsufficientFunds` when not."""
        await self._calls.authorize_cost(items, bot_query_id, self._own_key(access_key))

    async def capture_cost(
        self, items: CostItem | Iterable[CostItem], bot_query_id: str, *, access_key: str | None = None
    ) -> None:
        """Charge a user these costs; raises `InsufficientFunds` when the user cannot pay."""
        await self._calls.capture_cost(items, bot_query_id, self._own_key(access_key))

    def _target(self, bot: str, access_key: str | None) -> tuple[str, str | None]:
        """The URL of a bot, and the key for it."""
        url = self._calls.url_of(bot)
        if access_key is not None:
            return url, access_key
        at_poe = split_url(url)[0] == split_url(self._calls.endpoints.api)[0]
        return url, self._api_key if at_poe else self._access_key

    def _own_key(self, access_key: str | None) -> str | None:
        """The key of the bot in whose name Poe is called."""
        return access_key or (self._api_key if self._access_key is None else self._access_key)


def _as_query(request: QueryRequest | str) -> QueryRequest:
    return QueryRequest([Message("user", request)]) if isinstance(request, str) else request


async def _in_worker_thread(function: Callable[..., T], *args: Any) -> T:
    return await anyio.to_thread.run_sync(partial(function, *args))
