"""The bots of a playground: starts them, registers them at the simulated Poe, and stores the page's state."""

from __future__ import annotations

import itertools
import logging
import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import anyio
import attrs

from poeproto import PoeprotoError, RequestRefused
from poeproto.schemas import settings_payload
from poeproto_playground.bot_runner import BotProcess, BotRunner
from poeproto_playground.exchange_log import ExchangeLog
from poeproto_playground.exchange_view import finding_to_json
from poeproto_playground.masking import Masking
from poeproto_runtime.printable import indented
from poeproto_simulator import HTTPError, Simulator

__all__ = ["PlayedBot"]

logger = logging.getLogger("poeproto")

_UNAUTHORISED = (401, 403)


@attrs.frozen(kw_only=True, eq=False)
class PlayedBot:
    """A bot to try out: a target, which the playground starts, or the URL of a running one.

    Two are equal only if they are the same object: a target may be played twice, under two names.

    Attributes:
        target: as for `poeproto serve`.
        url: where a running bot is.
        name: its name; by default what the bot says, or the name of its class.
        access_key: its key; by default a target gets a random one.
    """

    target: str | None = None
    url: str | None = None
    name: str | None = None
    access_key: str | None = attrs.field(default=None, repr=False)

    def __attrs_post_init__(self) -> None:
        if (self.target is None) == (self.url is None):
            raise ValueError("a bot to play with needs either a target or a URL")


@attrs.define(eq=False, kw_only=True)
class ShownBot:
    """A bot as the page shows it."""

    name: str
    kind: str
    played: PlayedBot
    status: str = "starting"
    error: str | None = None
    generation: int = 0
    settings_error: str | None = None


class PlayedBots:
    """The bots of a playground.

    Args:
        played: the bots to start with.
        poe: the simulated Poe, where they are registered.
        exchanges: the exchanges, with the findings of the bots' settings.
        masking: masks keys in what is shown.
        mark: marks what a key of `StateStream` names as changed.
        on_log: called with each line that a bot of a target logs.
        is_idle: whether no reply is under way, so that a process that was replaced may be ended.
        poll: how often the files of a target are checked, in seconds.

    Attributes:
        played: as above.
        runners: the processes of the targets.
    """

    def __init__(
        self,
        played: Iterable[PlayedBot],
        poe: Simulator,
        exchanges: ExchangeLog,
        masking: Masking,
        *,
        mark: Callable[..., object],
        on_log: Callable[[Mapping[str, Any]], object],
        is_idle: Callable[[], bool],
        poll: float,
    ) -> None:
        self.played = list(played)
        self.runners: dict[PlayedBot, BotRunner] = {}
        self._poe = poe
        self._exchanges = exchanges
        self._masking = masking
        self._mark = mark
        self._on_log = on_log
        self._is_idle = is_idle
        self._poll = poll
        self._bots: dict[str, ShownBot] = {}
        # The names of the bots of targets, by target and path: a bot that is started again keeps its name.
        self._own_names: dict[tuple[PlayedBot, str], str] = {}

    def __iter__(self) -> Iterator[ShownBot]:
        """The bots: first those of the start in the order given, then those that were added."""
        order = {played: place for place, played in enumerate(self.played)}
        return iter(sorted(self._bots.values(), key=lambda bot: order.get(bot.played, len(order))))

    async def run(self) -> None:
        """Start all, and run those of targets, until cancelled. The address of the simulated Poe must be known."""
        async with anyio.create_task_group() as tasks:
            for played in self.played:
                if played.target is not None:
                    tasks.start_soon(self._runner_of(played, played.target).run)
                else:
                    tasks.start_soon(self._add_url, self._free_name(played.name or "Bot", played), played)

    def _runner_of(self, played: PlayedBot, target: str) -> BotRunner:
        runner = BotRunner(
            target,
            played.access_key or secrets.token_hex(16),
            self._poe.address,
            on_log=self._on_log,
            on_started=lambda process: self._on_started(played, process),
            on_failed=lambda error, old_goes_on: self._on_failed(played, error, old_goes_on),
            is_idle=self._is_idle,
            poll=self._poll,
        )
        self.runners[played] = runner
        if (name := played.name) is not None:
            self._bots[name] = ShownBot(name=name, kind="target", played=played)
        return runner

    async def _on_started(self, played: PlayedBot, process: BotProcess) -> None:
        names: list[str] = []
        for route in process.bots:
            name = self._name_of(played, process, route)
            if name in self._bots:
                self._mark("bot", name)
            else:
                self._mark("bots")  # it may be the default one now
            bot = self._bots.setdefault(name, ShownBot(name=name, kind="target", played=played))
            bot.status, bot.error = "running", None
            bot.generation += 1
            self._poe.register(name, process.address.rstrip("/") + route["path"], access_key=route["access_key"])
            names.append(name)
            again = "" if bot.generation == 1 else " again"
            logger.info("%s runs%s, from %s", name, again, played.target)
        failed = [bot for bot in self._bots.values() if bot.kind == "failed-target" and bot.played is played]
        for placeholder in failed:
            del self._bots[placeholder.name]
        for name in names:
            await self.refetch_settings(name)

    def _name_of(self, played: PlayedBot, process: BotProcess, route: Mapping[str, Any]) -> str:
        key = played, str(route["path"])
        if key not in self._own_names:
            only = len(process.bots) == 1
            wanted = (played.name if only else None) or route["name"] or route["path"].strip("/") or route["class"]
            self._own_names[key] = self._free_name(wanted, played)
        return self._own_names[key]

    def _free_name(self, wanted: str, played: PlayedBot) -> str:
        """The name, or that name with a number, if it is another bot's."""
        names = itertools.chain([wanted], (f"{wanted}-{number}" for number in itertools.count(2)))
        return next(
            name
            for name in names
            if (bot := self._bots.get(name)) is None or (bot.played is played and name not in self._own_names.values())
        )

    def _on_failed(self, played: PlayedBot, error: str, old_goes_on: bool) -> None:
        error = self._masking.text(error.strip())
        bots = [bot for bot in self._bots.values() if bot.played is played]
        if not bots:
            self._mark("bots")
            name = self._free_name(played.name or str(played.target), played)
            bots = [ShownBot(name=name, kind="failed-target", played=played)]
            self._bots[name] = bots[0]
        for bot in bots:
            bot.error = error
            bot.status = "running" if old_goes_on else "failed"
            self._mark("bot", bot.name)
        what = "is broken, so its last version goes on" if old_goes_on else "does not run"
        _log_error(f"{played.target} {what}; it is started again when its file changes", error)

    async def add_url(self, name: str, url: str, access_key: str | None) -> None:
        """Add a running bot.

        Raises:
            ValueError: for an invalid URL or key.
        """
        await self._add_url(name, PlayedBot(url=url, access_key=access_key))

    async def _add_url(self, name: str, played: PlayedBot) -> None:
        # Poe sends every bot a key, and a bot that checks none may still expect one.
        self._poe.register(name, played.url or "", access_key=played.access_key or secrets.token_hex(16))
        self._bots[name] = ShownBot(name=name, kind="url", played=played, status="running", generation=1)
        self._mark("bots")  # it may be the default one now
        await self.refetch_settings(name)

    async def refetch_settings(self, name: str) -> None:
        """Fetch the settings of a bot; a failure is shown with the bot."""
        bot = self.find(name)
        try:
            await self._poe.fetch_settings(name)
            bot.settings_error = None
        except PoeprotoError as exc:
            bot.settings_error = self._masking.text(self.explain(bot, exc))
            logger.warning("the settings of %s could not be fetched: %s", name, bot.settings_error)
        self._mark("bot", name)

    def explain(self, bot: ShownBot, failure: PoeprotoError) -> str:
        """Why a call of a bot failed. A bot that was given no key may refuse that of the playground."""
        is_unauthorised = isinstance(failure, RequestRefused) and failure.status in _UNAUTHORISED
        if not is_unauthorised or bot.played.access_key is not None or bot.kind != "url":
            return str(failure)
        return f"{failure}. The playground was given no key of {bot.name}: use --access-key or POE_ACCESS_KEY"

    def request_reload(self, name: str) -> None:
        """Start a target again.

        Raises:
            HTTPError: with status 404 or 409, for a bot that was not started here.
        """
        runner = self.runners.get(self.find(name).played)
        if runner is None:
            raise HTTPError(409, f"{name} was not started by the playground, so it cannot be started again")
        runner.request_reload()

    @property
    def default(self) -> str | None:
        """The name of the first bot."""
        return next((bot.name for bot in self), None)

    def get(self, name: str) -> ShownBot | None:
        """The bot of that name; None if there is none."""
        return self._bots.get(name)

    def find(self, name: str) -> ShownBot:
        """The bot of that name.

        Raises:
            HTTPError: with status 404.
        """
        found = self._bots.get(name)
        if found is None:
            raise HTTPError(404, f"there is no bot called {name!r}")
        return found

    def as_json(self, bot: ShownBot) -> dict[str, Any]:
        """A bot as the page gets it."""
        registered = self._poe.engine.bots.get(bot.name)
        settings = registered.settings if registered else None
        asked = [each for each in self._exchanges if each.kind == "settings" and each.bot == bot.name]
        findings = (
            [finding_to_json(side, each, [], self._masking) for side, each in asked[-1].findings] if asked else []
        )
        return {
            **attrs.asdict(bot, filter=attrs.filters.exclude("played")),
            "kind": bot.kind.removeprefix("failed-"),
            "target": bot.played.target,
            "url": self._masking.url(registered.url) if registered and registered.url else None,
            "settings": settings_payload(settings) if settings else None,
            "settings_findings": findings,
        }

    def at(self, url: str) -> tuple[str | None, bool]:
        """The name of the bot at a URL, and whether its process was started here."""
        for bot in self._poe.engine.bots.values():
            if bot.url == url:
                return bot.name, bot.name in self._own_names.values()
        return None, False

    def with_key(self, key: str) -> list[str]:
        """The names of the bots with a key."""
        return [bot.name for bot in self._poe.engine.bots.values() if key and bot.access_key == key]


def _log_error(message: str, text: str) -> None:
    """Log an error with the text of another process, line by line, as logging shows tracebacks."""
    if logger.isEnabledFor(logging.ERROR):
        record = logger.makeRecord(logger.name, logging.ERROR, __file__, 0, message, (), None)
        record.exc_text = indented(text)
        logger.handle(record)
