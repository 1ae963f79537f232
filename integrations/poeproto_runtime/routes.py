"""Which bot answers under which path, and with which keys."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping

from poeproto import Bot, Endpoints
from poeproto.auth import access_key_set
from poeproto_runtime.outbound import DeclaredCalls

logger = logging.getLogger("poeproto")


class AccessKeyMissing(ValueError):
    """A bot has neither a key nor the permission to answer anyone."""


class Route:
    """A bot and what the server must know to run it.

    Args:
        bot: the bot.
        access_key: the bot's key, or several while one is being rotated; the first is the one used for calls to Poe.
        allow_without_key: accept requests from anyone; for tests and for servers that check keys elsewhere.
        bot_name: the bot's name on Poe.
        endpoints: where Poe is for this bot, if elsewhere than for the server's others; or what tells at each request's
            first call, and raises a `PoeprotoError` where it cannot.

    Raises:
        TypeError: when `bot` is not a `Bot`.
        AccessKeyMissing: when there is neither a key nor the permission to do without.
        ValueError: when there are both, or a key is not usable.
    """

    def __init__(
        self,
        bot: Bot,
        *,
        access_key: str | Iterable[str] | None = None,
        allow_without_key: bool = False,
        bot_name: str | None = None,
        endpoints: Endpoints | Callable[[], Endpoints] | None = None,
    ) -> None:
        if not isinstance(bot, Bot):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise TypeError(f"a Bot is expected, got {bot!r}")
        if access_key is None and not allow_without_key:
            raise AccessKeyMissing("pass access_key, or allow_without_key=True to answer anyone")
        if access_key is not None and allow_without_key:
            raise ValueError("access_key and allow_without_key=True contradict each other")
        if type(bot).get_response is Bot.get_response:
            logger.warning("%s has no get_response: it answers every message with an error", type(bot).__name__)
        self.bot = bot
        self.bot_name = bot_name
        self.endpoints = endpoints
        self.declared = DeclaredCalls(bot)
        listed = [access_key] if isinstance(access_key, str) else list(access_key or ())
        self.access_key = listed[0] if listed else None
        self.accepted_keys = None if access_key is None else access_key_set(listed)

    def poe(self, otherwise: Endpoints) -> Endpoints:
        """Where Poe is for this bot; `otherwise` where the route does not say."""
        if self.endpoints is None:
            return otherwise
        return self.endpoints if isinstance(self.endpoints, Endpoints) else self.endpoints()

    def __repr__(self) -> str:
        key = "a key" if self.accepted_keys else "no key"
        return f"<Route to {type(self.bot).__name__} with {key}>"


def checked_routes(routes: Mapping[str, Route]) -> dict[str, Route]:
    """The routes by path, each path as it appears in a request.

    Raises:
        TypeError: when a value is not a `Route`.
        ValueError: when there is none, or a path does not start with a slash.
    """
    if not routes:
        raise ValueError("no route was given")
    for path, route in routes.items():
        if not path.startswith("/"):
            raise ValueError(f"the path {path!r} does not start with a slash")
        if not isinstance(route, Route):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise TypeError(f"a Route is expected at {path!r}, got {route!r}")
    return dict(routes)
