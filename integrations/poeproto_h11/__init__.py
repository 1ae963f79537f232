"""Bots over h11: a client on anyio, and a small embedded server."""

from poeproto_h11.client import Client, Reply
from poeproto_h11.server import serve
from poeproto_h11.timeouts import Timeouts

__all__ = ["Client", "Reply", "Timeouts", "serve"]
