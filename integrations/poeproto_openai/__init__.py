"""OpenAI's API in terms of the Poe protocol, both ways: any Poe bot as an OpenAI-compatible endpoint, and any such
endpoint as a Poe bot.

`poeproto_openai.mapping` is the table of the conversions, and `docs/openai.md` is generated from it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from poeproto.extras import missing_extra
from poeproto.name_hints import missing_name

if (_missing := missing_extra(__name__, "openai", ["anyio", "h11", "truststore"])) is not None:
    raise _missing

from poeproto_openai import bot, gateway, mapping
from poeproto_openai.bot import *
from poeproto_openai.gateway import *
from poeproto_openai.mapping import *

if not TYPE_CHECKING:  # a type checker finds missing names by itself

    def __getattr__(name: str) -> object:
        raise missing_name(__name__, name)


__all__: list[str] = []
__all__ += bot.__all__
__all__ += gateway.__all__
__all__ += mapping.__all__
