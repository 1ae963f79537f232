"""From an HTTP request to a bot's answer: what every integration does alike."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from urllib.parse import quote

import anyio

from poeproto import (
    BotExchange,
    HttpResponse,
    Limits,
    QueryRequest,
    RemoteProtocolError,
    ReportErrorRequest,
    ReportFeedbackRequest,
    ReportReactionRequest,
    Request,
    RequestHead,
    SettingsRequest,
    SettingsResponse,
    insert_attachments,
)
from poeproto.vocabulary.http import without_key
from poeproto_runtime.cancellation import cancellation_is_ours
from poeproto_runtime.channel import Channel, ClientDisconnected
from poeproto_runtime.context import RequestContext
from poeproto_runtime.hooks import Hooks, Progress
from poeproto_runtime.outbound import Outbound
from poeproto_runtime.reply.shutdown import ActiveReplies, AllActiveReplies
from poeproto_runtime.reply.task import ReplyStream
from poeproto_runtime.reply.timers import LoopTimers
from poeproto_runtime.reply.writer import within_send_seconds
from poeproto_runtime.routes import Route, checked_routes
from poeproto_runtime.settings_sync import syncing_settings

logger = logging.getLogger("poeproto")

_INDEX = HttpResponse.of(
    200,
    "text/html; charset=utf-8",
    b"""<!DOCTYPE html>
<html lang="en"><meta charset="utf-8"><title>Poe bot server</title>
<h1>A Poe bot answers here</h1>
<p>This address is for Poe's servers, which send it POST requests.
Enter it as the server URL of a <a href="https://poe.com/create_bot?server=1">server bot</a>.</p>
</html>
""",
)
# What hooks are told is asked, in the wire's words.
_TYPES: dict[type[Request], str] = {
    QueryRequest: "query",
    SettingsRequest: "settings",
    ReportFeedbackRequest: "report_feedback",
    ReportReactionRequest: "report_reaction",
    ReportErrorRequest: "report_error",
}
_NO_URL = "the target of the request is no URL"
_NO_BOT = "there is no bot at this path"
_NO_TARGET = HttpResponse.of(400, "application/json", b'{"error":"%s"}' % _NO_URL.encode())
_NOT_FOUND = HttpResponse.of(404, "application/json", b'{"error":"%s"}' % _NO_BOT.encode())


class BotService:
    """Answers the requests to one or several bots, whatever server brings them.

    Args:
        routes: the bots by path.
        limits: the bounds of every exchange.
        outside: the ways out for calls of the bots; None for none.
        hooks: who is told about each request.
        sync_settings: whether Poe is told the settings of bots whose name and key are known, when the serving begins.

    Raises:
        TypeError, ValueError: when the routes are not usable; see `Route`.
    """

    def __init__(
        self,
        routes: Mapping[str, Route],
        limits: Limits | None = None,
        outbound: Outbound | None = None,
        hooks: Hooks | None = None,
        *,
        sync_settings: bool = True,
    ) -> None:
        self.routes = checked_routes(routes)
        self.limits = limits or Limits()
        self.outbound = outbound
        self._hooks = hooks or Hooks()
        self._sync_settings = sync_settings
        self._watches = LoopTimers(min(self.limits.heartbeat_seconds, self.limits.send_seconds))
        self._streams = AllActiveReplies(lambda: ActiveReplies(self._watches.here()))

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        """What surrounds the serving.

        Only within it, connections for calls are kept from one request to the next: where nobody says when the serving
        ends, they would stay open for ever.
        """
        self._streams.here().begin()
        if self.outbound is None:
            async with self._watches.here().hosted():
                yield
            return
        self.outbound.transport.hold()
        self.outbound.fetching.hold()
        try:
            routes = self.routes if self._sync_settings else {}
            async with self._watches.here().hosted(), syncing_settings(routes, self.outbound, self.limits):
                yield
        finally:
            await self.outbound.transport.release()
            await self.outbound.fetching.release()

    def streams(self) -> ActiveReplies:
        """For a server that begins to serve in the running event loop: what it stops its own replies with.

        It passes it with each request, and keeps it until it has ended.
        """
        return self._streams.new()

    def stop_streams(self) -> None:
        """End the replies under way with an `error` that allows a retry, whichever server's: all are about to stop.

        So end the replies to queries that are complete only afterwards, until `running` begins anew: without that, this
        is final. May be called from any thread and in any event loop; what has to be done in another is done there,
        soon.
        """
        self._streams.stop_soon()

    async def handle(
        self, head: RequestHead, path: str, channel: Channel, streams: ActiveReplies | None = None
    ) -> None:
        """Answer one request. Returns when the answer has been sent, or the peer has gone.

        Args:
            head: the request's head.
            path: the path to route by, percent-decoded, without what the server or a mount put before it.
            channel: where its body comes from and its answer goes.
            streams: those of the server that brings it, if that has any of its own.
        """
        if not path.startswith("/"):
            path = head.path  # a target in the absolute form
        route = self.routes.get(path)
        name, bot_name = (type(route.bot).__name__, route.bot_name) if route is not None else (None, None)
        progress = Progress(self._hooks, head, name, bot_name)
        progress.start()
        try:
            if route is None:
                refusal, why = (_NOT_FOUND, _NO_BOT) if path else (_NO_TARGET, _NO_URL)
                _log_refusal(head, path, refusal, why)
                await self._respond(channel, refusal, progress)
            elif head.method in ("GET", "HEAD"):
                await self._respond(channel, _INDEX, progress)
            else:
                await self._exchange(head, path, route, channel, progress, streams or self._streams.here())
        except ClientDisconnected:
            logger.debug("the peer went away before its answer")
        finally:
            progress.end()

    async def _exchange(
        self, head: RequestHead, path: str, route: Route, channel: Channel, progress: Progress, streams: ActiveReplies
    ) -> None:
        exchange = BotExchange(route.accepted_keys, self.limits)
        try:
            exchange.receive_head(head)
            while (data := await channel.receive()) is not None:
                exchange.receive_data(data)
            request = exchange.receive_eof()
        except RemoteProtocolError as exc:
            if exc.response is None:
                raise  # it always has one here, since nothing was answered yet
            _log_refusal(head, path, exc.response, str(exc))
            await self._respond(channel, exc.response, progress)
            return
        progress.type = _TYPES.get(type(request))
        if isinstance(request, QueryRequest):
            context = RequestContext(head, route, self.limits, self.outbound, request, exchange)
            if route.bot.attachment_templates is not None:
                request = insert_attachments(request, route.bot.attachment_templates)
            stream = ReplyStream(route.bot, exchange, channel, context, progress, streams.watch)
            streams.add(stream)
            try:
                await stream.run(request)
            finally:
                streams.discard(stream)
        else:
            context = RequestContext(head, route, self.limits, self.outbound)
            try:
                response = await self._answer(request, route, exchange, context, progress)
                await self._respond(channel, response, progress)
            finally:
                await context.close(progress.id)

    async def _respond(self, channel: Channel, response: HttpResponse, progress: Progress) -> None:
        progress.status = response.status
        with within_send_seconds(self.limits.send_seconds):
            await channel.respond(response)
        progress.bytes, progress.complete = len(response.body), True

    async def _answer(
        self, request: Request, route: Route, exchange: BotExchange, context: RequestContext, progress: Progress
    ) -> HttpResponse:
        try:
            with anyio.fail_after(self.limits.answer_seconds):
                return exchange.answer(await _call(route, request, context))
        except (Exception, asyncio.CancelledError) as exc:
            if isinstance(exc, asyncio.CancelledError) and cancellation_is_ours():
                raise
            what = f"{type(route.bot).__name__}: the bot failed at a {type(request).__name__}"
            error_id = progress.failed()
            logger.error("%s (error id %s)", what, error_id, exc_info=exc)
            apology = exchange.fail(error_id)
            assert isinstance(apology, HttpResponse), "nothing was answered yet"
            return apology


def _log_refusal(head: RequestHead, path: str, response: HttpResponse, why: str) -> None:
    """Tell whoever looks for the reason why Poe, or a test, gets no answer. Browsers and scanners are no news."""
    if head.method not in ("GET", "HEAD"):
        # What the peer chose must not look like another line of the log.
        line = "".join(character if character.isprintable() else "\ufffd" for character in why)
        logger.warning("%s %s refused: %d %s", head.method, without_key(quote(path)), response.status, line)


async def _call(route: Route, request: Request, context: RequestContext) -> SettingsResponse | None:
    bot = route.bot
    match request:
        case SettingsRequest():
            settings = await bot.get_settings(request, context)
            route.declared.update(settings)
            return settings
        case ReportFeedbackRequest():
            await bot.on_feedback(request, context)
        case ReportReactionRequest():
            await bot.on_reaction(request, context)
        case ReportErrorRequest():
            # Poe tells a bot's author nowhere else.
            logger.warning("Poe reports an error of the bot: %r %s", request.message, request.metadata)
            await bot.on_error(request, context)
        case _:
            raise TypeError(f"{type(request).__name__} is not a call")
    return None
