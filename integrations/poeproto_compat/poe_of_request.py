"""Where Poe is for the calls under fastapi_poe's names: within a request, where the server's calls go.

A call whose `base_url` is Poe's own, which is the default, goes to the endpoints of the bot that makes it. They are
another address than Poe's where a tool runs the bot without Poe, such as `poeproto play`. Any other `base_url` is kept.
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar

from poeproto import Endpoints

__all__ = ["base_url_in_request", "poe_of_request"]

# Returns the endpoints of the bot whose request this task answers. None outside of a request.
poe_of_request: ContextVar[Callable[[], Endpoints] | None] = ContextVar("Poe for the request", default=None)
_POE = Endpoints()


def base_url_in_request(base_url: str) -> str:
    """The URL that a call uses in place of this `base_url`; the same outside of a request, and for other hosts."""
    endpoints_of_bot = poe_of_request.get()
    if endpoints_of_bot is None:
        return base_url
    endpoints = endpoints_of_bot()
    for poe, root in ((_POE.api, endpoints.api), (_POE.files, endpoints.files)):
        if base_url == poe or base_url.startswith(f"{poe}/"):
            return root + base_url[len(poe) :]
    return base_url
