"""Servers of recordings: a proxy that records, and one that replays. On anyio, for asyncio and trio."""

from __future__ import annotations

from poeproto.extras import missing_extra

if (_missing := missing_extra(__name__, "record", ["anyio", "h11", "truststore"])) is not None:
    raise _missing

from poeproto_record.server import proxy, replay_server
from poeproto_record.server.proxy import *
from poeproto_record.server.replay_server import *

__all__: list[str] = []
__all__ += proxy.__all__
__all__ += replay_server.__all__
