"""The playground: talk to a bot in a browser, and see every byte that Poe and the bot exchange.

From the bottom up: `event_splitter` and `exchange_log` keep exchanges, which `bot_recorder` and `call_recorder` record;
`exchange_view`, `masking`, `snippets` and `exchange_export` show them; `conversations` has what the page shows of a
conversation; `bot_process` and `bot_runner` run a target, `played_bots` all bots, and `bot_log` has what they log;
`session` joins them to the simulated Poe, and `state_stream` says what has changed; `request_guard`, `static_files`,
`api` and `app` are the HTTP face.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from poeproto.extras import missing_extra
from poeproto.name_hints import missing_name

if (
    _missing := missing_extra(__name__, "playground", ["anyio", "h11", "truststore", "hypercorn", "python_multipart"])
) is not None:
    raise _missing

from poeproto_playground import app, played_bots
from poeproto_playground.app import *
from poeproto_playground.played_bots import *

if not TYPE_CHECKING:  # a type checker finds missing names by itself

    def __getattr__(name: str) -> object:
        raise missing_name(__name__, name)


__all__: list[str] = []
__all__ += app.__all__
__all__ += played_bots.__all__
