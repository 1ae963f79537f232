"""The access key of the request that a task answers. Poe sends the bot's own, also to a bot that was not given it."""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from poeproto import RequestHead

__all__ = ["received_head", "received_key"]

# None outside of a request.
received_head: ContextVar[RequestHead | None] = ContextVar("the head of the request", default=None)


def received_key() -> str | None:
    """The key of the request that this task answers; None without one, and outside of a request."""
    head = received_head.get()
    if head is None:
        return None
    from poeproto.auth import bearer_key

    values = head.get_all("authorization")
    key = bearer_key(values[0]) if len(values) == 1 else None
    return key.decode("latin-1") if key else None
