"""A query to a `PoeBot`: from the call of its methods to the records of its reply."""

from __future__ import annotations

import logging
import warnings
from collections.abc import AsyncGenerator, AsyncIterable, Callable, Coroutine
from typing import Any, Protocol, TypeVar, cast

from poeproto_compat.closing import close
from poeproto_compat.errors import InsufficientFundError
from poeproto_compat.server_sent_events import ServerSentEvent, done_event, error_event, events_of
from poeproto_compat.types import QueryRequest, RequestContext

logger = logging.getLogger("poeproto")

AnyFunction = TypeVar("AnyFunction", bound=Callable[..., Any])

_DEFAULT = "_is_default_of_poe_bot"
_PENDING = "_file_events_to_yield"  # fastapi_poe's name for it, which tests of bots read
_FAILED = "Something went wrong in this bot."


class AnswersQueries(Protocol):
    """The methods of a `PoeBot` that this module calls."""

    should_insert_attachment_messages: bool
    concat_attachments_to_message: bool

    def insert_attachment_messages(self, query_request: QueryRequest) -> QueryRequest:
        """The query with the contents of attachments as messages."""
        ...

    def concat_attachment_content_to_message_body(self, query_request: QueryRequest) -> QueryRequest:
        """The query with the contents of attachments in its last message."""
        ...

    def get_response(self, request: QueryRequest) -> AsyncIterable[Any]:
        """The reply."""
        ...

    def get_response_with_context(self, request: QueryRequest, context: RequestContext) -> AsyncIterable[Any]:
        """The reply."""
        ...


def default(method: AnyFunction) -> AnyFunction:
    """Mark a method of `PoeBot` itself, which is skipped in favour of the method that it calls; see `is_default`."""
    setattr(method, _DEFAULT, method)
    return method


def is_default(method: object) -> bool:
    """Whether a bot's method is that of `PoeBot` itself, neither overridden nor replaced."""
    function = getattr(method, "__func__", None)
    return function is not None and getattr(function, _DEFAULT, None) is function


def pending_events(bot: object) -> dict[str, list[ServerSentEvent]]:
    """The `file` events of a bot that were posted and not sent, by the id of the message they belong to.

    Made when first used, since a bot's own `__init__` need not call that of `PoeBot`.
    """
    return vars(bot).setdefault(_PENDING, {})


def responses(bot: AnswersQueries, request: QueryRequest, context: RequestContext) -> AsyncIterable[Any]:
    """The responses that a bot yields to a query into which the contents of attachments were inserted.

    Raises:
        TypeError: if the bot's method is none that yields.
    """
    if bot.should_insert_attachment_messages:
        request = bot.insert_attachment_messages(request)
    elif bot.concat_attachments_to_message:
        warnings.warn(
            "concat_attachments_to_message is deprecated; use should_insert_attachment_messages",
            DeprecationWarning,
            stacklevel=2,
        )
        request = bot.concat_attachment_content_to_message_body(request)
    if is_default(bot.get_response_with_context):
        return _checked(bot.get_response(request), "get_response")
    return _checked(bot.get_response_with_context(request, context), "get_response_with_context")


def _checked(source: object, method: str) -> AsyncIterable[Any]:
    if isinstance(source, AsyncIterable):
        return cast("AsyncIterable[Any]", source)
    if isinstance(source, Coroutine):
        source.close()  # else Python warns that it was never awaited
    raise TypeError(f"{method} must be an async generator: `async def` with `yield` in it; it returned {source!r:.100}")


async def records(
    bot: AnswersQueries, request: QueryRequest, context: RequestContext
) -> AsyncGenerator[ServerSentEvent, None]:
    """The records of a reply: the bot's events, each after the files posted before it, and `done`.

    An exception becomes an `error` event. Its text is for the log only.
    """
    pending = pending_events(bot)
    try:
        source = responses(bot, request, context)
        try:
            async for response in source:
                for event in (*pending.pop(request.message_id, ()), *events_of(response)):
                    yield event
        finally:
            await close(source)
        for event in pending.pop(request.message_id, ()):
            yield event
    except InsufficientFundError:
        yield error_event("", error_type="insufficient_fund")
    except Exception:
        logger.exception("%s: the bot failed", type(bot).__name__)
        yield error_event(_FAILED, allow_retry=False)
    finally:
        pending.pop(request.message_id, None)  # of a reply that was cut short
    yield done_event()
