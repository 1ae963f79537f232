"""The defaults of a bot that overrides nothing, driven by hand: the core has no event loop."""

from __future__ import annotations

from collections.abc import AsyncIterator, Coroutine
from typing import Any, TypeVar

import pytest

from poeproto import (
    Bot,
    Context,
    Error,
    Event,
    Limits,
    QueryRequest,
    ReportErrorRequest,
    ReportFeedbackRequest,
    ReportReactionRequest,
    RequestHead,
    SettingsRequest,
    SettingsResponse,
    Text,
)
from poeproto.conversation import AttachmentTemplates
from poeproto.testing import ExchangePair, sample_query

T = TypeVar("T")


class ContextOfATest:
    """All that a context must have."""

    http_request = RequestHead("POST", "/")
    access_key = None
    bot_name = "Test"
    limits = Limits()

    @property
    def calls_left(self) -> dict[str, int]:
        return {}

    def _unused(self, *args: Any, **kwargs: Any) -> Any:
        raise AssertionError("no bot here uses it")

    query_bot = run_tools = on_close = _unused

    async def _never_awaited(self, *args: Any, **kwargs: Any) -> Any:
        raise AssertionError("no bot here awaits it")

    final_text = post_attachment = fetch_attachment = authorize_cost = capture_cost = _never_awaited


CONTEXT: Context = ContextOfATest()


def run(coroutine: Coroutine[Any, Any, T]) -> T:
    """The result of a coroutine that waits for nothing."""
    with pytest.raises(StopIteration) as caught:
        coroutine.send(None)
    return caught.value.value


def events_of(bot: Bot) -> list[Event | str]:
    response = bot.get_response(sample_query(), CONTEXT)
    assert isinstance(response, AsyncIterator)

    async def collect() -> list[Event | str]:
        return [event async for event in response]

    return run(collect())


def test_a_bot_that_overrides_nothing_says_so_in_a_legal_reply() -> None:
    (event,) = events_of(Bot())
    assert isinstance(event, Error)
    assert event.text
    # A retry would not help.
    assert not event.allow_retry
    pair = ExchangePair()
    pair.request(sample_query())
    pair.begin()
    assert pair.send(event) == [event]


def test_a_bot_that_overrides_nothing_has_the_default_settings() -> None:
    assert run(Bot().get_settings(SettingsRequest(), CONTEXT)) == SettingsResponse()


def test_attachments_become_text_unless_a_bot_declines() -> None:
    class Plain(Bot):
        attachment_templates = None

    assert Bot.attachment_templates == AttachmentTemplates()
    assert Plain().attachment_templates is None


def test_a_bot_that_overrides_nothing_accepts_every_report() -> None:
    bot = Bot()
    assert run(bot.on_feedback(ReportFeedbackRequest(), CONTEXT)) is None
    assert run(bot.on_reaction(ReportReactionRequest(), CONTEXT)) is None
    assert run(bot.on_error(ReportErrorRequest(), CONTEXT)) is None


class GeneratorBot(Bot):
    async def get_response(self, request: QueryRequest, context: Context) -> AsyncIterator[Event | str]:
        yield Text(request.query[-1].content)
        yield context.bot_name or ""


class CoroutineBot(Bot):
    async def get_response(self, request: QueryRequest, context: Context) -> str:
        return request.query[-1].content


def test_a_bot_may_answer_with_an_async_generator() -> None:
    assert events_of(GeneratorBot()) == [Text("Hello, bot"), "Test"]


def test_a_bot_may_answer_with_a_coroutine() -> None:
    assert run(CoroutineBot().get_response(sample_query(), CONTEXT)) == "Hello, bot"
