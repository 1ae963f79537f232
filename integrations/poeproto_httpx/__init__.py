"""Calls over httpx: poeproto's flows through an `httpx.AsyncClient` of the caller's, with its proxies and hooks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from poeproto.extras import missing_extra
from poeproto.name_hints import missing_name

if (_missing := missing_extra(__name__, "httpx", ["anyio"])) is not None:
    raise _missing

from poeproto_httpx import client, transport
from poeproto_httpx.client import *
from poeproto_httpx.transport import *
from poeproto_runtime.client import call_hooks
from poeproto_runtime.client.call_hooks import *
from poeproto_runtime.hooks import Outcome

if not TYPE_CHECKING:  # a type checker finds missing names by itself

    def __getattr__(name: str) -> object:
        raise missing_name(__name__, name)


__all__: list[str] = []
__all__ += call_hooks.__all__
__all__ += client.__all__
__all__ += transport.__all__
__all__ += ["Outcome"]
