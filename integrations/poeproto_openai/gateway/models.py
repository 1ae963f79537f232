"""The models that a gateway offers: the names that clients ask for, and the bots behind them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from poeproto import Bot, Endpoints
from poeproto_openai.api_error import INVALID_REQUEST, ApiError
from poeproto_openai.gateway.upstream import UpstreamBot
from poeproto_runtime import Route

__all__ = ["GatewayBot"]

GatewayBot = Bot | Route | UpstreamBot | str
"""A model of a gateway: a bot or route in this process, an upstream bot, or its URL or ``poe:NAME``."""

_POE = "poe:"


class Models:
    """The bots of a gateway by the names that clients ask for.

    Args:
        bots: the bots by name.
        any_on_poe: whether every other name is that of a bot on Poe.
        created: when the gateway was made, in seconds since the epoch; clients want a time for each model.

    Raises:
        TypeError, ValueError: for a bot or a name that cannot be used.
    """

    def __init__(self, bots: Mapping[str, GatewayBot], *, any_on_poe: bool, created: int) -> None:
        self._bots = {name: _checked_bot(name, bot) for name, bot in bots.items()}
        self._any_on_poe = any_on_poe
        self._created = created
        if not bots and not any_on_poe:
            raise ValueError("no bots: pass at least one name with its bot, or poe=True for those on Poe")

    @property
    def routes(self) -> dict[str, Route]:
        """The bots in this process."""
        return {name: bot for name, bot in self._bots.items() if isinstance(bot, Route)}

    @property
    def uses_poe(self) -> bool:
        """Whether a bot on Poe may be asked for."""
        return self._any_on_poe or any(isinstance(bot, UpstreamBot) and bot.on_poe for bot in self._bots.values())

    def find(self, name: str) -> Route | UpstreamBot:
        """The bot of that name.

        Raises:
            ApiError: with status 404, if there is none.
        """
        bot = self._bots.get(name)
        if bot is None and self._any_on_poe and _is_bot_name(name):
            bot = UpstreamBot(name)
        if bot is None:
            known = ", ".join(sorted(self._bots)[:20])
            raise ApiError(
                f"there is no model {name[:200]!r} here; the models are: {known or 'none by name'}",
                status=404,
                type=INVALID_REQUEST,
                code="model_not_found",
                param="model",
            )
        return bot

    def listed(self) -> dict[str, Any]:
        """The list of models, in OpenAI's form. Other bots on Poe are not in it."""
        return {"object": "list", "data": [self.described(name) for name in self._bots]}

    def described(self, name: str) -> dict[str, Any]:
        """One model, in OpenAI's form.

        Raises:
            ApiError: with status 404, if there is none.
        """
        bot = self.find(name)
        owner = "poe" if isinstance(bot, UpstreamBot) and bot.on_poe else "poeproto"
        return {"id": name, "object": "model", "created": self._created, "owned_by": owner}


def _is_bot_name(name: str) -> bool:
    """Whether a bot on Poe may have that name."""
    try:
        Endpoints().bot(name)
    except ValueError:
        return False
    return "://" not in name


def _checked_bot(name: str, bot: GatewayBot) -> Route | UpstreamBot:
    if not name:
        raise ValueError("the name of a bot is empty")
    if isinstance(bot, str):
        if "://" not in bot and not bot.startswith(_POE):
            raise ValueError(f"the bot {name!r} is neither a URL nor poe:NAME, but {bot!r}")
        if bot.startswith(_POE) and not _is_bot_name(bot.removeprefix(_POE)):
            raise ValueError(f"the bot {name!r} is {bot!r}, which names no bot on Poe; expected poe:NAME")
        return UpstreamBot(bot.removeprefix(_POE))
    if isinstance(bot, UpstreamBot | Route):
        return bot
    return Route(bot, allow_without_key=True)  # the gateway checks its own keys
