"""Outbound calls of a server's bots: how they are made, and which calls each bot declares."""

from __future__ import annotations

from contextvars import ContextVar

import attrs

from poeproto import (
    Bot,
    Context,
    Endpoints,
    Limits,
    LocalProtocolError,
    RetryPolicy,
    SettingsRequest,
    SettingsResponse,
)
from poeproto_runtime.bot_mistakes import call_method
from poeproto_runtime.client.api import ApiCalls
from poeproto_runtime.client.call_hooks import CallHooks
from poeproto_runtime.client.extra_headers import HeadersOfCall, RequestHeaders
from poeproto_runtime.client.transport import SharedTransport
from poeproto_runtime.client.uploads import InThread
from poeproto_runtime.fetch_policy import FetchPolicy

__all__ = ["Outbound"]

# Whether get_settings is running, in this task or in one that started it.
_asking: ContextVar[bool] = ContextVar("get_settings is being asked for the dependencies", default=False)


@attrs.frozen(kw_only=True)
class Outbound:
    """The configuration of a server's outbound calls, which all its requests share.

    Attributes:
        transport: for calls of Poe.
        fetching: for files at URLs that users brought. It connects only to addresses that `fetch_policy` allows.
        in_thread: calls functions that may block.
        endpoints: the URLs of Poe.
        fetch_policy: which URLs may be fetched for bots; None forbids all.
        retry: when a call is retried; by default once, and only if nothing can have been done.
        hooks: are called for each call, files that are fetched included.
        headers: extra headers of each request to Poe; files that are fetched get none.
    """

    transport: SharedTransport
    fetching: SharedTransport
    in_thread: InThread
    endpoints: Endpoints = attrs.field(factory=Endpoints)
    fetch_policy: FetchPolicy | None = None
    retry: RetryPolicy | None = None
    hooks: tuple[CallHooks, ...] = ()
    headers: RequestHeaders = attrs.field(factory=RequestHeaders)

    def with_hooks(self, hooks: CallHooks, headers: HeadersOfCall | None = None) -> Outbound:
        """The same, with more hooks and headers, after those that are there."""
        return attrs.evolve(self, hooks=(*self.hooks, hooks), headers=self.headers.with_source(headers))

    def without_hooks(self, hooks: CallHooks, headers: HeadersOfCall | None = None) -> Outbound:
        """The same, without these hooks and headers."""
        rest = tuple(each for each in self.hooks if each is not hooks)
        return attrs.evolve(self, hooks=rest, headers=self.headers.without_source(headers))

    def calls(self, endpoints: Endpoints, limits: Limits, retry: RetryPolicy | None = None) -> ApiCalls:
        """The calls of Poe over `transport`.

        Args:
            endpoints: the URLs of Poe for this bot.
            limits: the bounds of every exchange.
            retry: when a call is retried, instead of `retry` above.
        """
        retry = retry or self.retry
        return ApiCalls(self.transport, self.in_thread, endpoints, limits, retry, self.hooks, self.headers)


class DeclaredCalls:
    """The `server_bot_dependencies` that a bot has declared last.

    Poe, too, uses the settings that it fetched last, so asking the bot for every message would only cost time. The bot
    is asked at its first message, unless Poe has asked before, and again when its declaration does not allow a call.

    Args:
        bot: the bot.

    Attributes:
        known: the dependencies; None before the bot was asked.
    """

    def __init__(self, bot: Bot) -> None:
        # A bot that does not override get_settings declares none.
        self.known: dict[str, int] | None = {} if type(bot).get_settings is Bot.get_settings else None
        self._bot = bot

    async def ask(self, context: Context) -> dict[str, int]:
        """Ask the bot, and return the dependencies that it declares now."""
        token = _asking.set(True)
        try:
            return self.update(await call_method(self._bot.get_settings, SettingsRequest(), context))
        finally:
            _asking.reset(token)

    def check_not_asking(self) -> None:
        """Check that the caller is not `get_settings`: its call would wait for the result of `get_settings`.

        Raises:
            LocalProtocolError: when it is.
        """
        if _asking.get():
            raise LocalProtocolError("get_settings cannot call other bots: its result declares which may be called")

    def update(self, settings: SettingsResponse) -> dict[str, int]:
        """Use the dependencies of these settings from now on.

        Raises:
            TypeError: when it is not a `SettingsResponse`.
        """
        # Without this check, a forgotten return would send Poe empty settings of the oldest version.
        if not isinstance(settings, SettingsResponse):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise TypeError(f"get_settings must return a SettingsResponse; it returned {settings!r}")
        self.known = dict(settings.server_bot_dependencies)
        return self.known
