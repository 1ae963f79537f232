"""Bots over h11: a client on anyio, a blocking one, and a small embedded server."""

from poeproto_h11.client.blocking import BlockingClient, BlockingReply
from poeproto_h11.client.client import Client
from poeproto_h11.client.shortcuts import (
    BotResponse,
    get_bot_response,
    get_bot_response_sync,
    get_final_response,
    get_final_response_sync,
)
from poeproto_h11.client.streams import ByteStream, Connector
from poeproto_h11.client.timeouts import Timeouts
from poeproto_h11.client.urls import Origin
from poeproto_h11.server.limits import ServerLimits
from poeproto_h11.server.server import HasService, serve
from poeproto_runtime import FetchPolicy, Observation
from poeproto_runtime.client.reply import Reply

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
