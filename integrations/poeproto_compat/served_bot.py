"""The adapter: a `PoeBot` as a bot of the runtime.

Requests become fastapi_poe's, and what the bot yields becomes poeproto's events.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager, suppress
from contextvars import ContextVar
from typing import Any, Protocol, cast

import poeproto
from poeproto import Bot, Context, Data, Done, Error, Event, Meta, SuggestedReply, Text
from poeproto_compat.closing import close
from poeproto_compat.errors import InsufficientFundError
from poeproto_compat.http_request import HttpRequest
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
    SettingsResponse,
)
from poeproto_runtime import BotService, Channel

logger = logging.getLogger("poeproto")

# Events after which a reply that ends has an answer. Poe accepts these two before one.
_NO_ANSWER = (Meta, Data, SuggestedReply)
# Events of poeproto itself, for a program that is half migrated.
_OWN_EVENTS = (Text, Meta, Data, SuggestedReply, Error, poeproto.File, poeproto.Json, poeproto.ReplaceResponse, Done)


class PoeBotMethods(AnswersQueries, Protocol):
    """What is used here of a `PoeBot`."""

    path: str
    access_key: str | None
    bot_name: str | None

    def handle_query(self, request: QueryRequest, context: RequestContext) -> AsyncIterable[Any]:
        """The records of the reply."""
        ...

    async def get_settings_with_context(self, setting: SettingsRequest, context: RequestContext) -> SettingsResponse:
        """The settings."""
        ...

    async def on_feedback_with_context(
        self, feedback_request: ReportFeedbackRequest, context: RequestContext
    ) -> None: ...

    async def on_reaction_with_context(
        self, reaction_request: ReportReactionRequest, context: RequestContext
    ) -> None: ...

    async def on_error_with_context(self, error_request: ReportErrorRequest, context: RequestContext) -> None: ...


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
        settings = await self._bot.get_settings_with_context(theirs, _context_of(context))
        return poeproto.decode_settings(settings.model_dump_json(exclude_none=True))

    async def on_feedback(self, request: poeproto.ReportFeedbackRequest, context: Context) -> None:
        """Pass the report on."""
        theirs = ReportFeedbackRequest.model_validate(_payload())
        await self._bot.on_feedback_with_context(theirs, _context_of(context))

    async def on_reaction(self, request: poeproto.ReportReactionRequest, context: Context) -> None:
        """Pass the report on."""
        theirs = ReportReactionRequest.model_validate(_payload())
        await self._bot.on_reaction_with_context(theirs, _context_of(context))

    async def on_error(self, request: poeproto.ReportErrorRequest, context: Context) -> None:
        """Pass the report on."""
        theirs = ReportErrorRequest.model_validate(_payload())
        await self._bot.on_error_with_context(theirs, _context_of(context))

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
        await super().handle(head, path, _RecordingChannel(channel), active_replies)

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


class _RecordingChannel:
    """A channel that records what it receives, and is otherwise the given one, with no call in between."""

    __slots__ = ("_channel", "_parts", "finish", "respond", "send", "start", "wait_disconnected")

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._parts: list[bytes] = []
        self.finish = channel.finish
        self.respond = channel.respond
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


async def _run_rest(source: AsyncIterator[Any]) -> None:
    """Let the bot run on after it has ended its reply, as under fastapi_poe; what it yields is dropped.

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
