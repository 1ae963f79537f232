"""The adapter: a `PoeBot` as a bot of the runtime.

Requests become fastapi_poe's, and the bot's events become poeproto's.
"""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Generator, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from contextvars import ContextVar
from functools import partial
from typing import Any, Protocol, cast

import poeproto
from poeproto import Bot, Context, Data, Done, Error, Event, Meta, SuggestedReply, Text
from poeproto_compat.call_hooks import calls_of_request
from poeproto_compat.closing import close
from poeproto_compat.errors import InsufficientFundError
from poeproto_compat.http_request import HttpRequest
from poeproto_compat.poe_of_request import poe_of_request
from poeproto_compat.query import AnswersQueries, is_default, pending_events, responses
from poeproto_compat.received_key import received_head
from poeproto_compat.server_sent_events import ServerSentEvent, events_of
from poeproto_compat.types import (
    NO_KEY,
    PartialResponse,
    QueryRequest,
    ReportErrorRequest,
    ReportFeedbackRequest,
    ReportReactionRequest,
    RequestContext,
    SettingsRequest,
)
from poeproto_runtime import BotService, Channel

logger = logging.getLogger("poeproto")

# Events after which a reply that ends has an answer. Poe accepts these two before one.
_NO_ANSWER = (Meta, Data, SuggestedReply)
# Events of poeproto itself, for a program that is half migrated.
_OWN_EVENTS = (Text, Meta, Data, SuggestedReply, Error, poeproto.File, poeproto.Json, poeproto.ReplaceResponse, Done)


class JsonResponse(Protocol):
    """The attributes of a response with a JSON body, such as Starlette's, that this module reads."""

    @property
    def body(self) -> Any:
        """The body, as bytes."""
        ...


class PoeBotMethods(AnswersQueries, Protocol):
    """The methods of a `PoeBot` that this module calls."""

    path: str
    access_key: str | None
    bot_name: str | None

    def handle_query(self, request: QueryRequest, context: RequestContext) -> AsyncIterable[Any]:
        """The records of the reply."""
        ...

    async def handle_settings(self, settings_request: SettingsRequest, context: RequestContext) -> JsonResponse:
        """The settings, as JSON."""
        ...

    async def handle_report_feedback(self, feedback_request: ReportFeedbackRequest, context: RequestContext) -> object:
        """Take a report."""
        ...

    async def handle_report_reaction(self, reaction_request: ReportReactionRequest, context: RequestContext) -> object:
        """Take a report."""
        ...

    async def handle_report_error(self, error_request: ReportErrorRequest, context: RequestContext) -> object:
        """Take a report."""
        ...


class ServedBot(Bot):
    """A `PoeBot` as a bot of the runtime. Make one with `serve_as`.

    Args:
        bot: the bot.
    """

    attachment_templates = None  # `responses` inserts the contents of attachments

    def __init__(self, bot: PoeBotMethods) -> None:
        self._bot = bot

    @classmethod
    def serve_as(cls, bot: PoeBotMethods) -> ServedBot:
        """The adapter of a bot, in a class with the name of the bot's, which the log shows."""
        named = type(type(bot).__name__, (cls,), {})
        return named(bot)

    async def get_response(self, request: poeproto.QueryRequest, context: Context) -> AsyncGenerator[Event | str, None]:
        """The bot's reply, with fastapi_poe's meaning of each response that it yields.

        A `Meta` that is not the first event is dropped, as Poe ignores it. A reply without an answer gets an empty one.
        A bot that has ended its reply runs on.
        """
        bot = self._bot
        theirs, their_context = self._query(context)
        message_id, pending = theirs.message_id, pending_events(bot)
        is_first, has_answer = True, False
        source = aiter(self._responses(theirs, their_context))
        try:
            async for response in source:
                # Fast path: nearly all responses are texts.
                if type(response) is PartialResponse and not pending:
                    fields = response._model_dict  # pyright: ignore[reportPrivateUsage]
                    if len(fields) == 1 or not (
                        fields["attachment"] or fields["is_suggested_reply"] or fields["is_replace_response"]
                    ):
                        is_first, has_answer = False, True
                        yield fields["text"]
                        continue
                for event in _events(response, pending.pop(message_id, ())):
                    if isinstance(event, Meta) and not is_first:
                        continue
                    if isinstance(event, Done) and not has_answer:
                        yield ""
                    is_first, has_answer = False, has_answer or not isinstance(event, _NO_ANSWER)
                    try:
                        yield event
                    except GeneratorExit:
                        if isinstance(event, Error | Done):
                            await _run_rest(source)
                        raise
            for event in _events(None, pending.pop(message_id, ())):
                has_answer = True
                yield event
            if not has_answer:
                yield ""
        except InsufficientFundError:
            yield Error(allow_retry=True, text="", error_type="insufficient_fund")
        finally:
            pending.pop(message_id, None)  # of a reply that was cut short
            await close(source)

    async def get_settings(self, request: poeproto.SettingsRequest, context: Context) -> poeproto.SettingsResponse:
        """The bot's settings."""
        body = _received.get() or b'{"version": "%s", "type": "settings"}' % request.version.encode()
        theirs = SettingsRequest.model_validate(poeproto.decode_object(body))
        with _refusals_kept():
            response = await self._bot.handle_settings(theirs, _context_of(context))
        settings = poeproto.decode_object(bytes(response.body))
        given = {name: value for name, value in settings.items() if value is not None}
        return poeproto.decode_settings(json.dumps(given))

    async def on_feedback(self, request: poeproto.ReportFeedbackRequest, context: Context) -> None:
        """Pass the report on."""
        theirs = ReportFeedbackRequest.model_validate(_payload())
        with _refusals_kept():
            await self._bot.handle_report_feedback(theirs, _context_of(context))

    async def on_reaction(self, request: poeproto.ReportReactionRequest, context: Context) -> None:
        """Pass the report on."""
        theirs = ReportReactionRequest.model_validate(_payload())
        with _refusals_kept():
            await self._bot.handle_report_reaction(theirs, _context_of(context))

    async def on_error(self, request: poeproto.ReportErrorRequest, context: Context) -> None:
        """Pass the report on."""
        theirs = ReportErrorRequest.model_validate(_payload())
        with _refusals_kept():
            await self._bot.handle_report_error(theirs, _context_of(context))

    def _responses(self, request: QueryRequest, context: RequestContext) -> AsyncIterable[Any]:
        bot = self._bot
        if is_default(bot.handle_query):
            return responses(bot, request, context)
        return bot.handle_query(request, context)

    def _query(self, context: Context) -> tuple[QueryRequest, RequestContext]:
        key = self._bot.access_key or NO_KEY
        theirs = QueryRequest.model_validate({**_payload(), "access_key": key, "api_key": key})
        return theirs, _context_of(context)


class BodyRecordingService(BotService):
    """A service that keeps the head and the body of a request while its bot runs.

    fastapi_poe's types are made from the body, and bots may read it: see `HttpRequest`. A bot without a key uploads
    files with that in the head: see `received_key`.
    """

    _is_lifespan_checked = False

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        """As `BotService.running`, which pushes the settings."""
        self._is_lifespan_checked = True
        async with super().running():
            yield

    async def handle(self, head: poeproto.RequestHead, path: str, channel: Channel, active_replies: Any = None) -> None:
        """Answer one request; see `BotService.handle`."""
        if not self._is_lifespan_checked:
            self._warn_of_missing_lifespan()
        received_head.set(head)
        _refusal.set(None)
        calls_before, poe_before = calls_of_request.get(), poe_of_request.get()
        calls_of_request.set(self.outbound)
        route = self.routes.get(path)
        if route is not None and self.outbound is not None:
            poe_of_request.set(partial(route.poe, self.outbound.endpoints))
        try:
            await super().handle(head, path, _RecordingChannel(channel), active_replies)
        finally:
            # The caller's task may go on without a request: a test calls an application in its own task.
            calls_of_request.set(calls_before)
            poe_of_request.set(poe_before)

    def _warn_of_missing_lifespan(self) -> None:
        self._is_lifespan_checked = True
        names = [repr(route.bot_name) for route in self.routes.values() if route.bot_name and route.access_key]
        if names:
            logger.warning(
                "the settings of %s were not pushed to Poe: the server has started no lifespan of this application."
                " If it is mounted in another one, pass that to make_app(bot, app=...), or enter `app.lifespan()` in"
                " its lifespan",
                " and ".join(names),
            )


# The body of the request that this task answers. None outside of a request: at a push of the settings.
_received: ContextVar[bytes | None] = ContextVar("the body of the request", default=None)
# The response of an exception with which the bot refuses the request.
_refusal: ContextVar[poeproto.HttpResponse | None] = ContextVar("the refusal of the request", default=None)


@contextmanager
def _refusals_kept() -> Generator[None]:
    """Keep the status of an HTTPException of Starlette's or FastAPI's, which bots raise from these methods.

    The runtime takes it for any failure of the bot: it logs it, and answers with status 500, which
    `_RecordingChannel.respond` replaces.
    """
    try:
        yield
    except Exception as exc:
        status: Any = getattr(exc, "status_code", None)
        if type(exc).__name__ == "HTTPException" and isinstance(status, int) and 400 <= status <= 599:
            body = json.dumps({"detail": getattr(exc, "detail", None)}, separators=(",", ":")).encode()
            headers: dict[str, str] = getattr(exc, "headers", None) or {}
            _refusal.set(poeproto.HttpResponse.of(status, "application/json", body, headers))
        raise


class _RecordingChannel:
    """A channel that records the received data, and is otherwise the given channel, with no call in between."""

    __slots__ = ("_channel", "_parts", "finish", "send", "start", "wait_disconnected")

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._parts: list[bytes] = []
        self.finish = channel.finish
        self.send = channel.send
        self.start = channel.start
        self.wait_disconnected = channel.wait_disconnected

    async def receive(self) -> bytes | None:
        data = await self._channel.receive()
        if data is None:
            _received.set(b"".join(self._parts))
        else:
            self._parts.append(data)
        return data

    async def respond(self, response: poeproto.HttpResponse) -> None:
        await self._channel.respond(_refusal.get() or response)


async def _run_rest(source: AsyncIterator[Any]) -> None:
    """Let the bot run on after it has ended its reply, as under fastapi_poe; its further output is dropped.

    The runtime bounds it by `Limits.cleanup_seconds`.
    """
    with suppress(InsufficientFundError):  # no error can be sent any more
        async for _ in source:
            pass


def _payload() -> dict[str, Any]:
    return poeproto.decode_object(_received.get() or b"{}")


def _context_of(context: Context) -> RequestContext:
    request = HttpRequest(context.http_request, _received.get() or b"")
    return RequestContext.model_construct(http_request=request)


def _events(response: object, posted: Iterable[ServerSentEvent]) -> Iterator[Event]:
    """The events that a response becomes, after those of the files posted before it."""
    found: list[object] = [*posted]
    if isinstance(response, _OWN_EVENTS):
        found.append(response)
    elif response is not None:
        found += events_of(response)
    for each in found:
        event = each if isinstance(each, _OWN_EVENTS) else _decoded(cast("ServerSentEvent", each))
        if event is not None:
            yield event


def _decoded(record: ServerSentEvent) -> Event | None:
    """The event in a record; None for one that Poe would ignore."""
    if record.event is None or record.data is None:
        return None
    event = poeproto.decode_event(record.event, str(record.data))
    if isinstance(event, poeproto.UnknownEvent):
        logger.warning("an event of the unknown name %r was not sent, since Poe would ignore it", record.event)
        return None
    return event
