"""The bot's side: a model behind an OpenAI-compatible endpoint, as a bot on Poe."""

from __future__ import annotations

from poeproto_openai.bot import openai_bot, rate_card, target
from poeproto_openai.bot.openai_bot import *
from poeproto_openai.bot.rate_card import *
from poeproto_openai.bot.target import *

__all__: list[str] = []
__all__ += openai_bot.__all__
__all__ += rate_card.__all__
__all__ += target.__all__
