"""Bots over h11: a client on anyio, and a small embedded server."""

from poeproto_h11.client import Client
from poeproto_h11.origins import Origin
from poeproto_h11.server import HasService, serve
from poeproto_h11.streams import ByteStream, Connector
from poeproto_h11.timeouts import Timeouts
from poeproto_runtime import FetchPolicy, Observation
from poeproto_runtime.replies import Reply

__all__ = [
    "ByteStream",
    "Client",
    "Connector",
    "FetchPolicy",
    "HasService",
    "Observation",
    "Origin",
    "Reply",
    "Timeouts",
    "serve",
]
