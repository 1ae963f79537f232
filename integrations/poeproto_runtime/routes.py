"""Routes: which bot answers at which path, and with which access keys."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping

from poeproto import Bot, Endpoints
from poeproto.auth import access_key_set
from poeproto_runtime.bot_mistakes import check_methods, unsent_settings
from poeproto_runtime.outbound import DeclaredCalls

__all__ = ["AccessKeyMissing", "Route"]

logger = logging.getLogger("poeproto")


# Poe's keys have 32 characters. One that is much shorter was not copied whole.
_KEY_LENGTH = 32
_SHORT_KEY = 16


class AccessKeyMissing(ValueError):
    """A bot has neither an access key nor the permission to answer without one."""


class Route:
    """A bot, and the server's configuration for it.

    Args:
        bot: the bot.
        access_key: the bot's key, or several while one is being rotated; the first is the one used for calls to Poe.
        allow_without_key: accept requests without a key; for tests, and where keys are checked elsewhere.
        bot_name: the bot's name on Poe.
        endpoints: Poe's hosts for this bot, if they are not the server's; or a function that returns them, called at
            the first outbound call of each request. It may raise a `PoeprotoError`.

    Raises:
        TypeError: when `bot` is not a `Bot`.
        AccessKeyMissing: when there is neither an access key nor `allow_without_key`.
        ValueError: when there are both, or a key is malformed.

    Attributes:
        bot: as above.
        bot_name: as above.
        endpoints: as above.
        access_key: the key that calls to Poe are made with; None without one.
        accepted_keys: the keys that requests may have; None accepts all requests.
        declared: how often the bot may call other bots, as its settings declare it.
        checked_values: the fields and values of sent events that were compared with those that Poe knows, so that each
            is logged once.
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
        check_bot(bot)
        if access_key is None and not allow_without_key:
            raise AccessKeyMissing("pass access_key, or allow_without_key=True to answer anyone")
        if access_key is not None and allow_without_key:
            raise ValueError("access_key and allow_without_key=True exclude each other; pass one of them")
        if type(bot).get_response is Bot.get_response:
            logger.warning(
                "%s does not override get_response, so it answers every message with an error", type(bot).__name__
            )
        for name in unsent_settings(bot):
            logger.warning(
                "%s.%s is not sent as a setting: %s does not override get_settings; return a SettingsResponse from"
                " `async def get_settings(self, request, context)`",
                type(bot).__name__,
                name,
                type(bot).__name__,
            )
        self.bot = bot
        self.bot_name = bot_name
        self.endpoints = endpoints
        self.declared = DeclaredCalls(bot)
        self.checked_values: set[tuple[str, str]] = set()
        listed = [access_key] if isinstance(access_key, str) else list(access_key or ())
        self.access_key = listed[0] if listed else None
        self.accepted_keys = None if access_key is None else access_key_set(listed)

    def poe(self, otherwise: Endpoints) -> Endpoints:
        """Poe's hosts for this bot; `otherwise` where the route has none."""
        if self.endpoints is None:
            return otherwise
        return self.endpoints if isinstance(self.endpoints, Endpoints) else self.endpoints()

    def warn_of_short_keys(self) -> None:
        """Log keys that are too short for Poe's."""
        for key in self.accepted_keys or ():
            if len(key) < _SHORT_KEY:
                message = (
                    "the access key of %s has %d characters; Poe's have %d: copy the whole key from the bot's page"
                )
                logger.warning(message, type(self.bot).__name__, len(key), _KEY_LENGTH)

    def __repr__(self) -> str:
        key = "a key" if self.accepted_keys else "no key"
        return f"<Route to {type(self.bot).__name__} with {key}>"


def check_bot(bot: object) -> None:
    """Check that this is a bot which can be called.

    Raises:
        TypeError: when it is something else, or a method of it takes other parameters; the message says which.
    """
    if isinstance(bot, Bot):
        check_methods(bot)
    elif isinstance(bot, type):
        hint = (
            f"; pass an instance: {bot.__name__}()" if issubclass(bot, Bot) else "; make it a subclass of poeproto.Bot"
        )
        raise TypeError(f"bot must be a Bot, got the class {bot.__name__}{hint}")
    else:
        raise TypeError(
            f"bot must be a Bot, or a dict of Routes by path, got {bot!r}; a bot's class is a subclass of poeproto.Bot"
        )


def make_routes(
    bots: Bot | Mapping[str, Route] | Mapping[str, Bot] | Mapping[str, Route | Bot],
    *,
    access_key: str | Iterable[str] | None = None,
    allow_without_key: bool = False,
    bot_name: str | None = None,
) -> dict[str, Route]:
    """The routes of a single bot, or of several by path.

    Args:
        bots: a bot, which answers at ``/``, or routes and bots by path.
        access_key: the key of each bot that is given without a route, or several that are valid at once.
        allow_without_key: accept requests without a key, for these bots.
        bot_name: the bot's name on Poe; for a single bot only.

    Raises:
        TypeError: when `bots` is something else, or an argument would have no effect.
        ValueError: as `Route` raises it.
    """
    keys = access_key if access_key is None or isinstance(access_key, str) else list(access_key)
    if isinstance(bots, Bot):
        return {"/": Route(bots, access_key=keys, allow_without_key=allow_without_key, bot_name=bot_name)}
    if not isinstance(bots, Mapping):  # pyright: ignore[reportUnnecessaryIsInstance]
        check_bot(bots)
    if bot_name is not None or (
        (keys is not None or allow_without_key) and not any(isinstance(bot, Bot) for bot in bots.values())
    ):
        raise TypeError(
            "access_key, allow_without_key and bot_name are for a single bot; pass them to each Route instead"
        )
    routes: dict[str, Route] = {}
    for path, bot in bots.items():
        if isinstance(bot, Bot):
            try:
                bot = Route(bot, access_key=keys, allow_without_key=allow_without_key)
            except AccessKeyMissing as exc:
                raise AccessKeyMissing(f"the bot at {path!r}: {exc}") from None
        routes[path] = bot
    return routes


def checked_routes(routes: Mapping[str, Route]) -> dict[str, Route]:
    """The routes by path, each path as it appears in a request. Paths that differ in a slash at their end are logged.

    Raises:
        TypeError: when a value is not a `Route`.
        ValueError: when there are no routes, or a path does not start with a slash.
    """
    if not routes:
        raise ValueError("no routes: pass at least one path with its Route")
    for path, route in routes.items():
        if not path.startswith("/"):
            raise ValueError(f"the path of a route must start with a slash, got {path!r}")
        if not isinstance(route, Route):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise TypeError(
                f"the bot at {path!r} must be given as a Route, got {route!r}; write Route(bot, access_key=...)"
            )
        similar = routes.get(path.rstrip("/"))
        if path.endswith("/") and similar is not None and similar.bot is not route.bot:
            message = "%s and %s differ in a slash only and have different bots, %s and %s; is one of them a mistake?"
            logger.warning(message, path.rstrip("/"), path, type(similar.bot).__name__, type(route.bot).__name__)
    return dict(routes)
