"""The bots as the simulator finds and reaches them."""

from __future__ import annotations

import logging
from collections.abc import Callable

from poeproto import Endpoints, Limits, PoeprotoError, RemoteProtocolError, SettingsResponse
from poeproto_h11 import Client
from poeproto_runtime import BotService, Route
from poeproto_simulator.bot_servers import BotServer, Forwarding, LocalBot, RemoteBot
from poeproto_simulator.callers import same_key
from poeproto_simulator.engine import Poe
from poeproto_simulator.records import RegisteredBot
from poeproto_simulator.refusals import Refused

logger = logging.getLogger("poeproto")


class Directory:
    """Finds bots by their names.

    Args:
        engine: which knows them.
        service: which answers for them.
        client: makes what calls those that have a URL, where it is needed.
        limits: the bounds of every exchange.
        endpoints: tells those that run here where they find Poe.
    """

    def __init__(
        self,
        engine: Poe,
        service: BotService,
        client: Callable[[], Client],
        limits: Limits,
        endpoints: Callable[[], Endpoints],
    ) -> None:
        self._engine = engine
        self._service = service
        self._client = client
        self._limits = limits
        self._endpoints = endpoints
        self._routed: dict[str, tuple[object, ...]] = {}

    def find(self, name: str) -> RegisteredBot:
        """The bot of that name; where there is none, and the simulator is not strict, an `Echo` that is made up.

        Raises:
            Refused: with status 404.
        """
        if name and name not in self._engine.bots and not self._engine.strict:
            self._engine.make_up(name)
        return self._engine.bot(name)

    def find_with_key(self, name: str, access_key: str) -> RegisteredBot:
        """The bot of that name, for a call in its name. One without a key has this one from now on.

        Raises:
            Refused: with status 404, 401 for a wrong key (strict only), or 400 for what cannot be a key.
        """
        bot = self.find(name)
        if self._engine.strict and not same_key(bot.access_key, access_key):
            raise Refused(401, f"this is not the access key of {name}")
        try:
            return bot if bot.access_key else self._engine.give_key(name, access_key)
        except ValueError as exc:
            raise Refused(400, "this cannot be an access key") from exc

    def server_of(self, bot: RegisteredBot) -> BotServer:
        """How to reach a bot."""
        if bot.url is not None:
            return RemoteBot(bot.url, bot.access_key, self._client())
        return LocalBot(self._service, self.path_of(bot), bot.access_key, self._limits)

    def path_of(self, bot: RegisteredBot) -> str:
        """Where the service has the bot, or from now on has it."""
        path = f"/{bot.name}"
        wanted = (bot.bot, bot.url, bot.access_key)
        if self._routed.get(path) != wanted:
            self._routed[path] = wanted
            self._service.routes[path] = Route(
                bot.bot or Forwarding(bot, self._client),
                access_key=bot.access_key,
                allow_without_key=bot.access_key is None,
                bot_name=bot.name,
                endpoints=self._endpoints,
            )
        return path

    async def fetch_settings(self, bot_name: str) -> SettingsResponse:
        """Ask a bot for its settings, and take them over.

        Raises:
            PoeprotoError: when the bot does not answer, or with settings that Poe refuses.
            Refused: for an unknown bot (strict only).
        """
        bot = self.find(bot_name)
        settings = await self.server_of(bot).settings()
        try:
            self._engine.change_settings(bot.name, settings)
        except Refused as exc:
            raise RemoteProtocolError(str(exc)) from None
        return settings

    async def with_settings(self, bot: RegisteredBot) -> RegisteredBot:
        """The bot with its settings, fetched if they are not known; as it was where it does not tell."""
        if bot.settings is None:
            try:
                await self.fetch_settings(bot.name)
            except PoeprotoError as exc:
                logger.warning("the settings of %s could not be fetched: %s", bot.name, exc)
        return self._engine.bot(bot.name)
