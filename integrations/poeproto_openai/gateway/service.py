"""The gateway's service: answers the requests of OpenAI's clients with bots, the same behind every server."""

from __future__ import annotations

import logging
import re
import time
from typing import Any

from poeproto import Bot, Context, Endpoints, HttpResponse, Limits, QueryRequest, RequestHead, RetryPolicy
from poeproto.conversation import insert_attachments
from poeproto_openai.api_error import INVALID_REQUEST, ApiError, server_stopping, time_limit_passed
from poeproto_openai.chat.exchange import ReplyOptions
from poeproto_openai.gateway.formats import FORMATS
from poeproto_openai.gateway.held_channel import HeldChannel
from poeproto_openai.gateway.keys import GatewayKeys
from poeproto_openai.gateway.models import Models
from poeproto_openai.gateway.origins import AllowedOrigins
from poeproto_openai.gateway.upstream import UpstreamCall
from poeproto_openai.json_bytes import json_bytes
from poeproto_openai.reply_exchange import ReplyExchange
from poeproto_runtime import BotService, Channel, Hooks, Outbound, Route
from poeproto_runtime.context import RequestContext
from poeproto_runtime.hooks import Progress
from poeproto_runtime.reply.shutdown import ActiveReplies
from poeproto_runtime.reply.task import ReplyStream

__all__ = ["GatewayService"]

logger = logging.getLogger("poeproto")

# The clients repeat a request by themselves, and both together would multiply the attempts.
_ONE_ATTEMPT = RetryPolicy(attempts=1)
_BASE = "/v1"
_MODELS = "/models"
_SLASHES = re.compile("/+")


class _Placeholder(Bot):
    """The bot of a route that only holds the configuration of calls."""

    async def get_response(self, request: QueryRequest, context: Context) -> str:
        raise AssertionError("each request has a bot of its own")


class _GatewayReply(ReplyStream):
    """A reply whose exchange knows why the server cuts it short, so that the client gets the status for that."""

    def __init__(
        self, bot: Bot, exchange: ReplyExchange, channel: Channel, context: RequestContext, *more: Any
    ) -> None:
        super().__init__(bot, exchange, channel, context, *more)
        self._reply_exchange = exchange

    def stop(self) -> None:
        """End the reply now."""
        self._reply_exchange.cut_short_by = server_stopping
        super().stop()

    def end_at_time_limit(self) -> bytes:
        """The bytes that end a reply whose time limit has passed."""
        self._reply_exchange.cut_short_by = time_limit_passed
        return super().end_at_time_limit()


class GatewayService(BotService):
    """Answers requests in the form of OpenAI's API, behind any server that a `BotService` works behind.

    Args:
        models: the bots.
        keys: who may ask for them.
        origins: the web pages that may.
        options: how replies are written.
        limits: the bounds of every exchange.
        outbound: the configuration of calls: of upstream bots, and of the bots in this process.
        hooks: functions that are called for each request.
    """

    def __init__(
        self,
        models: Models,
        keys: GatewayKeys,
        origins: AllowedOrigins,
        options: ReplyOptions,
        limits: Limits,
        outbound: Outbound,
        hooks: Hooks,
    ) -> None:
        # One route stands in for all: requests name their bot in the body, not by the path.
        self._upstream_route = Route(_Placeholder(), allow_without_key=True)
        super().__init__({"/": self._upstream_route}, limits, outbound, hooks, sync_settings=False)
        self._models = models
        self._keys = keys
        self._origins = origins
        self._options = options
        self._outbound = outbound

    def paths_without_key(self) -> list[str]:
        """The base path, if requests without a key are answered."""
        return [_BASE] if self._keys.allow_without_key else []

    def accepts_key(self, key: str) -> bool:
        """Whether this is one of the gateway's own keys."""
        return self._keys.is_own(key.encode())

    def redirect_calls(self, endpoints: Endpoints) -> None:
        """Send all calls to these endpoints, and push no settings."""
        super().redirect_calls(endpoints)
        for route in self._models.routes.values():
            route.endpoints = endpoints

    async def handle(
        self, head: RequestHead, path: str, channel: Channel, active_replies: ActiveReplies | None = None
    ) -> None:
        """Answer one request. Arguments and errors as in `BotService.handle`."""
        with Progress(self.hooks, head, None, None) as progress:
            try:
                await self._route(head, path, channel, progress, active_replies or self._replies.here())
            except ApiError as exc:
                logger.warning("%s refused: %d %s", head.method, exc.status, exc.message)
                await self._respond(channel, exc.response(self._headers(head, progress)), progress)

    async def _route(
        self, head: RequestHead, path: str, channel: Channel, progress: Progress, replies: ActiveReplies
    ) -> None:
        path = path if path.startswith("/") else head.path
        # A base URL that ends in a slash makes two of one in many clients.
        path = _SLASHES.sub("/", path).removeprefix(_BASE).rstrip("/")
        preflight = self._origins.preflight(head)
        if preflight is not None:
            await self._respond(channel, preflight, progress)
            return
        if self._keys.allow_without_key:
            self._origins.check(head)
        if path == _MODELS or path.startswith(f"{_MODELS}/"):
            _check_method(head, "GET", "HEAD")
            self._keys.check(head)
            name = path[len(_MODELS) + 1 :]
            body = self._models.described(name) if name else self._models.listed()
            response = HttpResponse.of(200, "application/json", json_bytes(body), self._headers(head, progress))
            await self._respond(channel, response, progress)
            return
        read = FORMATS.get(path)
        if read is None:
            known = ", ".join(f"{_BASE}{each}" for each in FORMATS)
            message = f"there is nothing at the path {head.path[:200]!r}; there are {known} and {_BASE}{_MODELS}"
            raise ApiError(message, status=404, code="unknown_url")
        _check_method(head, "POST")
        key = self._keys.check(head)
        body = await self._body(head, channel)
        exchange = read(body, self._options, self.limits, progress.id, int(time.time()))
        await self._reply(head, exchange, key, channel, progress, replies)

    async def _reply(
        self,
        head: RequestHead,
        exchange: ReplyExchange,
        key: bytes | None,
        channel: Channel,
        progress: Progress,
        replies: ActiveReplies,
    ) -> None:
        progress.type = "query"
        exchange.headers += self._origins.headers(head)
        target = self._models.find(exchange.model)
        request = exchange.request
        if isinstance(target, Route):
            self._keys.for_own_bot(key)
            route, bot = target, target.bot
            if bot.attachment_templates is not None:
                request = insert_attachments(request, bot.attachment_templates)
        else:
            route = self._upstream_route
            upstream_key = target.access_key
            if not target.on_poe or upstream_key is not None:
                self._keys.for_own_bot(key)
            else:
                upstream_key = self._keys.for_poe(key)
            api = self._outbound.calls(route.poe(self._outbound.endpoints), self.limits, _ONE_ATTEMPT)
            bot = UpstreamCall(target, upstream_key, api, exchange)
        context = RequestContext(head, route, self.limits, self._outbound, request, exchange)
        held = HeldChannel(channel, exchange, progress)
        reply = _GatewayReply(bot, exchange, held, context, progress, replies.timers)
        replies.add(reply)
        self._outbound.transport.hold()
        try:
            await reply.run(request)
        finally:
            replies.discard(reply)
            await self._outbound.transport.release()

    def _headers(self, head: RequestHead, progress: Progress) -> list[tuple[str, str]]:
        return [("x-request-id", progress.id), *self._origins.headers(head)]

    async def _body(self, head: RequestHead, channel: Channel) -> bytes:
        limit = self.limits.request_body
        declared = head.get_all("content-length")
        if declared and declared[0].isdigit() and int(declared[0][:20]) > limit:
            raise _too_large(limit)
        body = bytearray()
        while (data := await channel.receive()) is not None:
            if len(body) + len(data) > limit:
                raise _too_large(limit)
            body += data
        return bytes(body)


def _check_method(head: RequestHead, *allowed: str) -> None:
    if head.method not in allowed:
        raise ApiError(
            f"the method {head.method[:20]!r} is not allowed here; expected {' or '.join(allowed)}",
            status=405,
            code="method_not_allowed",
            headers=[("allow", ", ".join(allowed))],
        )


def _too_large(limit: int) -> ApiError:
    message = f"the request's body is larger than {limit} bytes"
    return ApiError(message, status=413, type=INVALID_REQUEST, code="request_too_large")
