"""What a bot is given besides the request: the runtime's `poeproto.Context`."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping

import anyio

from poeproto import (
    Attachment,
    BotExchange,
    BotReply,
    CostItem,
    File,
    Limits,
    QueryRequest,
    RequestHead,
    ToolDefinition,
    ToolFunctions,
    UploadSource,
)
from poeproto_runtime.calls import RequestCalls
from poeproto_runtime.outbound import Outbound
from poeproto_runtime.reply.suspension import cancellation_is_ours
from poeproto_runtime.routes import Route

logger = logging.getLogger("poeproto")


class RequestContext:
    """The surroundings of one request, and what is to be done when it is over.

    Attributes and methods are those of `poeproto.Context`.
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
        self._calls = RequestCalls(route, limits, outbound, request, exchange)
        self._closers: list[Callable[[], Awaitable[object]]] = []

    @property
    def posted(self) -> list[File]:
        """Files whose events have not been sent yet; whoever sends them empties it."""
        return self._calls.posted

    @property
    def calls_left(self) -> Mapping[str, int]:
        """How often each bot may still be called for this message."""
        return self._calls.calls_left

    def is_stale(self, event: object) -> bool:
        """Whether this `Meta` is another bot's, and other events of the reply went out since it was passed on."""
        return self._calls.is_stale(event)

    async def prepare(self) -> None:
        """Make ready what a bot reads of this without waiting."""
        await self._calls.prepare(self)

    def query_bot(self, bot_name: str, request: QueryRequest | str) -> BotReply:
        """Ask another bot on Poe."""
        return self._calls.query(bot_name, request, self)

    async def final_text(self, bot_name: str, request: QueryRequest | str) -> str:
        """Ask another bot on Poe, and return its whole answer."""
        return await self._calls.query(bot_name, request, self).text()

    def run_tools(
        self,
        bot_name: str,
        request: QueryRequest | str,
        tools: Iterable[ToolDefinition],
        functions: ToolFunctions,
        *,
        raise_errors: bool = False,
    ) -> BotReply:
        """Ask a model that may call tools, and run what it calls."""
        return self._calls.run_tools(bot_name, request, tools, functions, self, raise_errors=raise_errors)

    async def post_attachment(
        self,
        source: UploadSource | None = None,
        *,
        url: str | None = None,
        name: str | None = None,
        content_type: str | None = None,
        inline: bool = False,
    ) -> File:
        """Attach a file to the reply."""
        return await self._calls.post(source, url, name, content_type, inline=inline)

    async def fetch_attachment(self, attachment: Attachment | str, *, max_size: int | None = None) -> bytes:
        """The content of an attachment."""
        return await self._calls.fetch(attachment, max_size)

    async def authorize_cost(self, *items: CostItem) -> None:
        """Make sure that the user can pay this."""
        await self._calls.authorize_cost(items)

    async def capture_cost(self, *items: CostItem) -> None:
        """Charge this."""
        await self._calls.capture_cost(items)

    def on_close(self, async_fn: Callable[[], Awaitable[object]]) -> None:
        """Call this function when the request is over, however it ends; the last registered is called first."""
        self._closers.append(async_fn)

    async def close(self, error_id: str) -> None:
        """Call what `on_close` was given, each function under a shield with a deadline of its own.

        What fails or hangs is logged, and the rest runs. Then the calls to others end, which those functions may make.
        """
        if self._closers:
            await self._call_closers(error_id)
        if self._calls.end():
            with anyio.CancelScope(shield=True):
                await self._calls.aclose()

    async def _call_closers(self, error_id: str) -> None:
        seconds = self.limits.cleanup_seconds
        cancelled: asyncio.CancelledError | None = None
        while self._closers:
            closer = self._closers.pop()
            with anyio.move_on_after(seconds, shield=True) as scope:
                try:
                    await closer()
                except asyncio.CancelledError as exc:
                    if scope.cancel_called:
                        raise
                    if cancellation_is_ours():
                        # Servers on asyncio cancel a task when their patience ends, and know no shield.
                        cancelled = exc
                    logger.error("an on_close function was cancelled (error id %s)", error_id, exc_info=exc)
                except Exception:
                    logger.exception("an on_close function failed (error id %s)", error_id)
            if scope.cancelled_caught:
                what = "an on_close function took longer than %g s and was cut short (error id %s)"
                logger.error(what, seconds, error_id)
        if cancelled is not None:
            raise cancelled

    def __repr__(self) -> str:
        return f"<RequestContext of {self.http_request!r}>"
