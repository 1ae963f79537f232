"""The examples of docs/examples: loaded as modules, or served beside a simulated Poe over loopback HTTP."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import attrs

from poeproto import Bot, Endpoints, Limits, SettingsResponse
from poeproto_asgi import BotApp, load_app
from poeproto_runtime import FetchPolicy
from poeproto_simulator import ReceivedReply, Simulator

from .bots import KEY
from .hypercorn_servers import serving

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"
NAME = "Example"


def load_example(name: str) -> ModuleType:
    """A new module made from docs/examples/NAME.py, for examples that are more than a bot."""
    spec = importlib.util.spec_from_file_location(f"example_{name}", EXAMPLES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@attrs.frozen
class Stage:
    """A bot that is served, and the simulated Poe that it calls.

    Attributes:
        poe: the simulated Poe; `poe.register` adds the bots that the example calls.
        app: the application that serves the bot.
        url: where it is served.
        module: the bot's module, for a test that replaces something in it.
    """

    poe: Simulator
    app: BotApp
    url: str
    module: ModuleType

    async def say(self, text: str, **details: Any) -> ReceivedReply:
        """Let a user write to the bot; `details` as in `Simulator.say`."""
        return await self.poe.say(NAME, text, **details)


@asynccontextmanager
async def playing(example: str, others: Mapping[str, Bot] | None = None, **app_arguments: Any) -> AsyncGenerator[Stage]:
    """Serve the `bot` of docs/examples/EXAMPLE.py on Hypercorn, with a simulated Poe to call and to be called by.

    Args:
        example: the file's name, without its suffix.
        others: other bots that Poe knows, by their names.
        app_arguments: more arguments of the `BotApp`.
    """
    loaded = load_app(f"{EXAMPLES / example}.py:bot", access_key=KEY)
    async with playing_bot(loaded.service.routes["/"].bot, others, **app_arguments) as stage:
        yield stage


@asynccontextmanager
async def playing_bot(
    bot: Bot,
    others: Mapping[str, Bot] | None = None,
    *,
    poe: Simulator | None = None,
    limits: Limits | None = None,
    bot_limits: Limits | None = None,
    keys: Sequence[str] = (KEY,),
    **app_arguments: Any,
) -> AsyncGenerator[Stage]:
    """Serve a bot of the test, with a simulated Poe to call and to be called by.

    Args:
        bot: the bot.
        others: as in `playing`.
        poe: the simulated Poe; by default a new one.
        limits: those of the new simulated Poe.
        bot_limits: those of the bot's server.
        keys: the access keys that the bot's server accepts; it makes its calls with the first.
        app_arguments: as in `playing`.
    """
    poe = poe or Simulator(limits=limits)
    async with poe.serving() as address:
        for name, other in (others or {}).items():
            poe.register(name, other)
        arguments: dict[str, Any] = {
            "bot_name": NAME,
            "limits": bot_limits,
            "endpoints": Endpoints.at(address),
            "fetch_policy": FetchPolicy(origins={address}),
            **app_arguments,
        }
        app = BotApp(bot, access_key=keys, **arguments)
        async with serving(app) as url:
            poe.register(NAME, url, access_key=KEY)
            yield Stage(poe, app, url, sys.modules[type(bot).__module__])


async def settings_of(stage: Stage) -> SettingsResponse:
    """The settings with which the bot answers."""
    return await stage.poe.fetch_settings(NAME)
