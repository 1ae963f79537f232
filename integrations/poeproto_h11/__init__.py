"""Bots and Poe over h11: a client on anyio, a client that blocks, and a small embedded server."""

from poeproto_h11.client.backend import ByteStream, Connector, failure_reason
from poeproto_h11.client.blocking import BlockingClient, BlockingReply
from poeproto_h11.client.client import Client
from poeproto_h11.client.connection import h11_reason
from poeproto_h11.client.outbound import make_outbound
from poeproto_h11.client.shortcuts import (
    BotResponse,
    get_bot_response,
    get_bot_response_sync,
    get_final_response,
    get_final_response_sync,
)
from poeproto_h11.client.timeouts import Timeouts
from poeproto_h11.server.limits import ServerLimits
from poeproto_h11.server.server import HasService, serve
from poeproto_runtime import FetchPolicy, Observation
from poeproto_runtime.client.reply import Reply
from poeproto_runtime.client.urls import Origin, split_url

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
    "failure_reason",
    "get_bot_response",
    "get_bot_response_sync",
    "get_final_response",
    "get_final_response_sync",
    "h11_reason",
    "make_outbound",
    "serve",
    "split_url",
]
