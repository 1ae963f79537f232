"""Bots and Poe over h11: a client on anyio, a client that blocks, and a small embedded server."""

from __future__ import annotations

from typing import TYPE_CHECKING

from poeproto.extras import missing_extra
from poeproto.name_hints import missing_name

if (_missing := missing_extra(__name__, "h11", ["anyio", "h11", "truststore"])) is not None:
    raise _missing

from poeproto_h11 import client, server
from poeproto_h11.client import *
from poeproto_h11.server import *
from poeproto_runtime import fetch_policy, hooks
from poeproto_runtime.client import call_hooks, extra_headers, reply, urls
from poeproto_runtime.client.call_hooks import *
from poeproto_runtime.client.extra_headers import *
from poeproto_runtime.client.reply import *
from poeproto_runtime.client.urls import *
from poeproto_runtime.fetch_policy import *
from poeproto_runtime.hooks import *

if not TYPE_CHECKING:  # a type checker finds missing names by itself

    def __getattr__(name: str) -> object:
        raise missing_name(__name__, name)


__all__: list[str] = []
__all__ += call_hooks.__all__
__all__ += client.__all__
__all__ += extra_headers.__all__
__all__ += fetch_policy.__all__
__all__ += hooks.__all__
__all__ += reply.__all__
__all__ += server.__all__
__all__ += urls.__all__
