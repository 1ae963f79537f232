"""What a bot author writes, and what a bot is given."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Protocol

from poeproto.events import Error, Event
from poeproto.http import RequestHead
from poeproto.limits import Limits
from poeproto.requests import (
    QueryRequest,
    ReportErrorRequest,
    ReportFeedbackRequest,
    ReportReactionRequest,
    SettingsRequest,
)
from poeproto.settings import SettingsResponse


class Context(Protocol):
    """What surrounds one request. The runtime makes it; a test may make its own."""

    @property
    def http_request(self) -> RequestHead:
        """The HTTP request's method, target and headers."""
        ...

    @property
    def access_key(self) -> str | None:
        """A key of this bot, for calls to Poe in its name; None where the server runs without. Hidden in reprs."""
        ...

    @property
    def bot_name(self) -> str | None:
        """The bot's name on Poe, where the server was told."""
        ...

    @property
    def limits(self) -> Limits:
        """The bounds of this exchange."""
        ...

    def on_close(self, async_fn: Callable[[], Awaitable[object]]) -> None:
        """Call this function when the request is over, however it ends; the last registered is called first.

        The place for cleanup that awaits: it runs under a shield with `Limits.cleanup_seconds` as its deadline. A bot's
        own `finally` must not await, because after a cancellation its first await fails again.
        """
        ...


class Bot:
    """A bot: override what it does, and serve it with an integration.

    One instance answers many requests at once, so what belongs to a request belongs into local variables.
    """

    def get_response(
        self, request: QueryRequest, context: Context
    ) -> AsyncIterator[Event | str] | Awaitable[str | None]:
        """The answer to a query: an async generator of events, where a string is short for `Text`.

        A coroutine function that returns a string (or None, for an empty answer) will do as well. `Done` is sent by the
        server when the generator ends. An exception becomes an `error` event with a neutral text.
        """
        return _nothing_to_say()

    async def get_settings(self, request: SettingsRequest, context: Context) -> SettingsResponse:
        """How Poe is to treat the bot."""
        return SettingsResponse()

    async def on_feedback(self, request: ReportFeedbackRequest, context: Context) -> None:
        """A user liked or disliked a reply."""

    async def on_reaction(self, request: ReportReactionRequest, context: Context) -> None:
        """A user reacted to a reply."""

    async def on_error(self, request: ReportErrorRequest, context: Context) -> None:
        """Poe found something wrong with an earlier answer."""


async def _nothing_to_say() -> AsyncIterator[Event | str]:
    yield Error(allow_retry=False, text="This bot does not answer messages.")
