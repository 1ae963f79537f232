"""Bots over h11: a client on anyio, a blocking one, and a small embedded server."""

from poeproto_h11.blocking import BlockingClient, BlockingReply
from poeproto_h11.client import Client
from poeproto_h11.one_liners import (
    BotResponse,
    get_bot_response,
    get_bot_response_sync,
    get_final_response,
    get_final_response_sync,
)
from poeproto_h11.origins import Origin
from poeproto_h11.server import HasService, serve
from poeproto_h11.server_limits import ServerLimits
from poeproto_h11.streams import ByteStream, Connector
from poeproto_h11.timeouts import Timeouts
from poeproto_runtime import FetchPolicy, Observation
from poeproto_runtime.replies import Reply

__all__ = [
    "BlockingClient",
    "BlockingReply",
    "BotResponse",
    "ByteStream",
    "Client",
    "Connector",
    "FetchPolicy",
    "HasService",
    "Observation",
    "Origin",
    "Reply",
    "ServerLimits",
    "Timeouts",
    "get_bot_response",
    "get_bot_response_sync",
    "get_final_response",
    "get_final_response_sync",
    "serve",
]
