"""A simulator of Poe's servers, which is a real server itself: for tests of bots and clients, and to try bots out.

From the bottom up: `records` and `state` hold the state of the simulated Poe; `callers`, `ledger` and `engine` are its
rules, without I/O; `files`, `uploads`, `bot_directory`, `database` and `faults` do one kind of I/O each; `simulation`
combines them into the actions of a user; `control` and `request_handler` are the HTTP face; `simulator` is the ASGI
application.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from poeproto.extras import missing_extra
from poeproto.name_hints import missing_name

if (
    _missing := missing_extra(__name__, "simulator", ["anyio", "h11", "truststore", "hypercorn", "python_multipart"])
) is not None:
    raise _missing

from poeproto_simulator import engine, faults, records, reply, responses, scripted_bots, simulator
from poeproto_simulator.engine import *
from poeproto_simulator.faults import *
from poeproto_simulator.records import *
from poeproto_simulator.reply import *
from poeproto_simulator.responses import *
from poeproto_simulator.scripted_bots import *
from poeproto_simulator.simulator import *

if not TYPE_CHECKING:  # a type checker finds missing names by itself

    def __getattr__(name: str) -> object:
        raise missing_name(__name__, name)


__all__: list[str] = []
__all__ += engine.__all__
__all__ += faults.__all__
__all__ += records.__all__
__all__ += reply.__all__
__all__ += responses.__all__
__all__ += scripted_bots.__all__
__all__ += simulator.__all__
