"""What a server offers its bots for calls of their own, and what each of them declares to need."""

from __future__ import annotations

from contextvars import ContextVar

import attrs

from poeproto import Bot, Context, Endpoints, LocalProtocolError, RetryPolicy, SettingsRequest, SettingsResponse
from poeproto_runtime.client.transport import SharedTransport
from poeproto_runtime.client.uploads import InThread
from poeproto_runtime.fetch_policy import FetchPolicy

# Tasks that get_settings starts inherit it.
_asking: ContextVar[bool] = ContextVar("whether a bot is being asked what it declares", default=False)


@attrs.frozen(kw_only=True)
class Outbound:
    """The ways out of a server, which all its requests share.

    Attributes:
        transport: for calls of Poe.
        fetching: for files at addresses that users brought, which it connects to only as `fetch_policy` allows.
        in_thread: calls functions that may block.
        endpoints: where Poe is.
        fetch_policy: which URLs may be fetched; None for none.
        retry: when a call is made again; by default once, and only where nothing can have been done.
    """

    transport: SharedTransport
    fetching: SharedTransport
    in_thread: InThread
    endpoints: Endpoints = attrs.field(factory=Endpoints)
    fetch_policy: FetchPolicy | None = None
    retry: RetryPolicy | None = None


class DeclaredCalls:
    """The `server_bot_dependencies` of a bot, as it said last.

    Poe, too, goes by what it was told last, so to ask the bot for every message would cost time and make nothing truer.
    It is asked at its first message, unless Poe asked before, and again where what is known does not cover a call.

    Args:
        bot: the bot.

    Attributes:
        known: what it declares; None before it was asked.
    """

    def __init__(self, bot: Bot) -> None:
        # A bot that does not say anything about its settings need not be asked.
        self.known: dict[str, int] | None = {} if type(bot).get_settings is Bot.get_settings else None
        self._bot = bot

    async def ask(self, context: Context) -> dict[str, int]:
        """What the bot says now."""
        token = _asking.set(True)
        try:
            return self.take(await self._bot.get_settings(SettingsRequest(), context))
        finally:
            _asking.reset(token)

    def check_not_asking(self) -> None:
        """Refuse a call of another bot by get_settings, before it waits for what get_settings itself is to say.

        Raises:
            LocalProtocolError: when that is what this is.
        """
        if _asking.get():
            raise LocalProtocolError("get_settings cannot call other bots: what it returns says which may be called")

    def take(self, settings: SettingsResponse) -> dict[str, int]:
        """Go by these settings from now on.

        Raises:
            TypeError: when they are none.
        """
        # A forgotten return would be answered like a report: with settings that say nothing, of the oldest version.
        if not isinstance(settings, SettingsResponse):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise TypeError(f"get_settings must return a SettingsResponse; it returned {settings!r}")
        self.known = dict(settings.server_bot_dependencies)
        return self.known
