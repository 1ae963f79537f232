"""Runs a bot behind any HTTP server, on asyncio and on trio.

An integration gives `BotService.handle` the head of a request and a `Channel` to read the rest from and answer on.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from poeproto.extras import missing_extra
from poeproto.name_hints import missing_name

if (_missing := missing_extra(__name__, "h11", ["anyio"])) is not None:
    raise _missing

from poeproto_runtime import channel, fetch_policy, garbage_collection, hooks, outbound, routes, service
from poeproto_runtime.channel import *
from poeproto_runtime.client import call_hooks
from poeproto_runtime.client.call_hooks import *
from poeproto_runtime.fetch_policy import *
from poeproto_runtime.garbage_collection import *
from poeproto_runtime.hooks import *
from poeproto_runtime.outbound import *
from poeproto_runtime.printable import PrintableRecords
from poeproto_runtime.reply import shutdown
from poeproto_runtime.reply.shutdown import *
from poeproto_runtime.routes import *
from poeproto_runtime.service import *

if not TYPE_CHECKING:  # a type checker finds missing names by itself

    def __getattr__(name: str) -> object:
        raise missing_name(__name__, name)


__all__: list[str] = []
__all__ += call_hooks.__all__
__all__ += channel.__all__
__all__ += fetch_policy.__all__
__all__ += garbage_collection.__all__
__all__ += hooks.__all__
__all__ += outbound.__all__
__all__ += shutdown.__all__
__all__ += routes.__all__
__all__ += service.__all__

# All packages log as "poeproto". A program may handle the records in any way, so they are made printable before.
logging.getLogger("poeproto").addFilter(PrintableRecords())
