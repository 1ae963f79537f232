"""The service: answers HTTP requests with bots, the same behind every server."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import cast
from urllib.parse import quote

import anyio

from poeproto import (
    Bot,
    BotExchange,
    Endpoints,
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
)
from poeproto.conversation import insert_attachments
from poeproto.http import without_key
from poeproto_runtime.bot_mistakes import call_method, failure_line
from poeproto_runtime.cancellation import cancellation_is_ours
from poeproto_runtime.channel import Channel, within_send_seconds
from poeproto_runtime.client.call_hooks import CallHooks
from poeproto_runtime.client.extra_headers import HeadersOfCall
from poeproto_runtime.context import RequestContext
from poeproto_runtime.hooks import REQUEST_TYPES, Hooks, Progress
from poeproto_runtime.instrumentation import announce
from poeproto_runtime.loop_watch import loop_watched
from poeproto_runtime.outbound import Outbound
from poeproto_runtime.reply.shutdown import ActiveReplies, AllActiveReplies
from poeproto_runtime.reply.task import ReplyStream
from poeproto_runtime.reply.timers import LoopTimers
from poeproto_runtime.routes import Route, checked_routes
from poeproto_runtime.settings_sync import syncing_settings

__all__ = ["BotService"]

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
_NO_URL = "the target of the request is not a URL"
_NO_BOT = "there is no bot at this path"
_NO_TARGET = HttpResponse.of(400, "application/json", b'{"error":"%s"}' % _NO_URL.encode())
_NO_METHOD = "the method is not allowed here"
# The exchange allows POST. The index page is the service's own.
_NOT_ALLOWED = HttpResponse.of(
    405, "application/json", b'{"error":"%s"}' % _NO_METHOD.encode(), [("allow", "GET, HEAD, POST")]
)
_NOT_FOUND = HttpResponse.of(404, "application/json", b'{"error":"%s"}' % _NO_BOT.encode())


class BotService:
    """Answers the requests to one or several bots, behind any server.

    Args:
        routes: the bots by path.
        limits: the bounds of every exchange.
        outbound: the configuration of the bots' outbound calls; None for bots that make none.
        hooks: functions that are called for each request.
        sync_settings: whether the settings of bots whose name and key are known are pushed to Poe in `running`.

    Attributes:
        routes: the bots by path.
        limits: the bounds of every exchange.
        outbound: the configuration of the bots' outbound calls.
        hooks: whose functions are called for each request, in this order.
        sync_settings: as above; may be changed until `running` is entered.

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
        if outbound is None or outbound.endpoints == Endpoints():
            for route in self.routes.values():
                if route.endpoints is None:  # a stand-in for Poe has keys of any length
                    route.warn_of_short_keys()
        self.hooks: tuple[Hooks, ...] = () if hooks in (None, Hooks()) else (hooks,)
        self.sync_settings = sync_settings
        self._timers = LoopTimers(min(self.limits.heartbeat_seconds, self.limits.send_seconds))
        self._replies = AllActiveReplies(lambda: ActiveReplies(self._timers.here()))
        announce(self)

    def add_hooks(self, hooks: Hooks) -> None:
        """Call these functions, too, for each request that starts from now on, after those that are there."""
        self.hooks = (*self.hooks, hooks)

    def remove_hooks(self, hooks: Hooks) -> None:
        """Call these functions no more for requests that start from now on; those under way still call them."""
        self.hooks = tuple(each for each in self.hooks if each is not hooks)

    def add_call_hooks(self, hooks: CallHooks, headers: HeadersOfCall | None = None) -> None:
        """Call these functions, too, for each outbound call of the requests that start from now on.

        Args:
            hooks: are called after those that are there.
            headers: extra headers of each of these calls, which override those of the same name.
        """
        if self.outbound is not None:
            self.outbound = self.outbound.with_hooks(hooks, headers)

    def remove_call_hooks(self, hooks: CallHooks, headers: HeadersOfCall | None = None) -> None:
        """Undo `add_call_hooks` for requests that start from now on."""
        if self.outbound is not None:
            self.outbound = self.outbound.without_hooks(hooks, headers)

    def count_active_replies(self) -> int:
        """How many replies are under way. May be called from any thread."""
        return self._replies.count()

    def redirect_calls(self, endpoints: Endpoints) -> None:
        """Send all calls of the bots to these endpoints, and push no settings. For tools that run a bot without Poe.

        Call it before `running` is entered.
        """
        self.sync_settings = False
        for route in self.routes.values():
            route.endpoints = endpoints

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        """Open while requests are served: runs the timers, watches the event loop, syncs settings, and keeps
        connections for outbound calls.

        Without it, connections are not kept from one request to the next: nothing would say when to close them.
        """
        self._replies.here().restart()
        with loop_watched():
            async with self._running():
                yield

    @asynccontextmanager
    async def _running(self) -> AsyncGenerator[None]:
        if self.outbound is None:
            async with self._timers.here().running():
                yield
            return
        self.outbound.transport.hold()
        self.outbound.fetching.hold()
        try:
            routes = self.routes if self.sync_settings else {}
            async with self._timers.here().running(), syncing_settings(routes, self.outbound, self.limits):
                yield
        finally:
            await self.outbound.transport.release()
            await self.outbound.fetching.release()

    def active_replies(self) -> ActiveReplies:
        """The active replies of one more server, which starts to serve in the running event loop.

        The server passes the object with each request, keeps it until it has ended, and calls its `stop` to end them.
        """
        return self._replies.new()

    def stop_streams(self) -> None:
        """End the replies under way of all servers with an `error` that allows a retry: the process is about to stop.

        A query that arrives later ends the same way at once, until `running` is entered again; without that, this is
        final. May be called from any thread and event loop; the replies of another loop are stopped there, soon.
        """
        self._replies.stop_soon()

    def paths_without_key(self) -> list[str]:
        """The paths at which requests without a key are answered, for tools that warn of it."""
        return sorted(path for path, route in self.routes.items() if route.accepted_keys is None)

    def accepts_key(self, key: str) -> bool:
        """Whether this key opens one of the bots."""
        return any(key.encode() in (route.accepted_keys or ()) for route in self.routes.values())

    def active_locations(self) -> list[str]:
        """The bot of each reply under way, and the line where it is. May be called from any thread."""
        return self._replies.locations()

    async def handle(
        self, head: RequestHead, path: str, channel: Channel, active_replies: ActiveReplies | None = None
    ) -> None:
        """Answer one request. Returns when the response has been sent, or the client has disconnected.

        Args:
            head: the request's head.
            path: the path to route by, percent-decoded, without the prefix of the server or a mount.
            channel: where its body comes from and its response goes.
            active_replies: those of the server that has received it; by default those of the event loop.

        Raises:
            ExceptionGroup: with a `ChannelFailed` in it, when a write raised an exception that a `Channel` must not
                raise.
        """
        if not path.startswith("/"):
            path = head.path  # a target in the absolute form
        route = self.routes.get(path)
        name, bot_name = (type(route.bot).__name__, route.bot_name) if route is not None else (None, None)
        with Progress(self.hooks, head, name, bot_name) as progress:
            if route is None:
                refusal, why = (_NOT_FOUND, _NO_BOT) if path else (_NO_TARGET, _NO_URL)
                _log_refusal(head, path, refusal, why)
                await self._respond(channel, refusal, progress)
            elif head.method in ("GET", "HEAD"):
                await self._respond(channel, _INDEX, progress)
            elif head.method != "POST":
                _log_refusal(head, path, _NOT_ALLOWED, _NO_METHOD)
                await self._respond(channel, _NOT_ALLOWED, progress)
            else:
                await self._exchange(head, path, route, channel, progress, active_replies or self._replies.here())

    async def _exchange(
        self,
        head: RequestHead,
        path: str,
        route: Route,
        channel: Channel,
        progress: Progress,
        active_replies: ActiveReplies,
    ) -> None:
        exchange = BotExchange(route.accepted_keys, self.limits)
        try:
            exchange.receive_head(head)
            while (data := await channel.receive()) is not None:
                exchange.receive_data(data)
            request = exchange.receive_eof()
        except RemoteProtocolError as exc:
            if exc.response is None:
                raise  # never here: as long as nothing was answered, there is a response
            _log_refusal(head, path, exc.response, str(exc))
            await self._respond(channel, exc.response, progress)
            return
        progress.type = REQUEST_TYPES.get(type(request))
        if isinstance(request, QueryRequest):
            context = RequestContext(head, route, self.limits, self.outbound, request, exchange)
            if route.bot.attachment_templates is not None:
                request = insert_attachments(request, route.bot.attachment_templates)
            reply = ReplyStream(route.bot, exchange, channel, context, progress, active_replies.timers)
            active_replies.add(reply)
            try:
                await reply.run(request)
            finally:
                active_replies.discard(reply)
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
            line = failure_line(exc, _method_for(route.bot, request))
            logger.error("%s (error id %s): %s", what, error_id, line, exc_info=exc)
            apology = exchange.fail(error_id)
            assert isinstance(apology, HttpResponse), "nothing was answered yet"
            return apology


def _log_refusal(head: RequestHead, path: str, response: HttpResponse, why: str) -> None:
    """Log why Poe, or a test, is refused. `GET` is sent by browsers and scanners, and is not logged."""
    if head.method not in ("GET", "HEAD"):
        logger.warning("%s %s refused: %d %s", head.method, without_key(quote(path)), response.status, why)


def _method_for(bot: Bot, request: Request) -> Callable[..., Awaitable[SettingsResponse | None]]:
    match request:
        case SettingsRequest():
            return bot.get_settings
        case ReportFeedbackRequest():
            return bot.on_feedback
        case ReportReactionRequest():
            return bot.on_reaction
        case ReportErrorRequest():
            return bot.on_error
        case _:
            raise TypeError(f"{type(request).__name__} is not a call")


async def _call(route: Route, request: Request, context: RequestContext) -> SettingsResponse | None:
    method = _method_for(route.bot, request)
    if isinstance(request, ReportErrorRequest):
        # Poe reports this to a bot's author in no other way.
        logger.warning("Poe reports an error of the bot: %r %s", request.message, request.metadata)
    result = await call_method(method, request, context)
    if not isinstance(request, SettingsRequest):
        return None
    settings = cast("SettingsResponse", result)  # checked by `update`
    route.declared.update(settings)
    return settings
