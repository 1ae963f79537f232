"""The targets that the command serves for an endpoint: ``openai:URL#model``, or ``openai:URL#model,model``."""

from __future__ import annotations

import os
from collections.abc import Mapping

from poeproto import LocalProtocolError
from poeproto_openai.bot.openai_bot import OpenAIBot

__all__ = ["openai_target"]

KEY_VARIABLE = "OPENAI_API_KEY"
_EXPECTED = "expected openai:URL#model, as in openai:https://api.openai.com/v1#gpt-5"


def openai_target(name: str, environment: Mapping[str, str] = os.environ) -> OpenAIBot:
    """The bot for a target.

    The key is in the variable ``OPENAI_API_KEY``, not in the target: command lines are visible to every user of a
    machine. Without the variable no key is sent, as endpoints on one's own machine need none.

    Args:
        name: the target.
        environment: the variables.

    Raises:
        ValueError: for a target of another form. The message does not repeat it, as it may contain a key.
    """
    scheme, _, rest = name.partition(":")
    url, _, models = rest.partition("#")
    names = [model.strip() for model in models.split(",")]
    if scheme != "openai" or not url or not all(names):
        raise ValueError(f"this target names no endpoint or no model; {_EXPECTED}")
    try:
        return OpenAIBot(url, names, environment.get(KEY_VARIABLE, "").strip() or None)
    except LocalProtocolError as exc:
        raise ValueError(f"{exc}; {_EXPECTED}") from None
