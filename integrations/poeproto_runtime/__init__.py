"""Runs a bot behind any HTTP server, on asyncio and on trio.

An integration gives `BotService.handle` the head of a request and a `Channel` to read the rest from and answer on.
"""

from poeproto_runtime.channel import Channel, ClientDisconnected
from poeproto_runtime.fetch_policy import FetchPolicy
from poeproto_runtime.hooks import Hook, Hooks, Observation
from poeproto_runtime.routes import AccessKeyMissing, Route
from poeproto_runtime.service import BotService

__all__ = [
    "AccessKeyMissing",
    "BotService",
    "Channel",
    "FetchPolicy",
    "Hook",
    "Hooks",
    "Observation",
    "ClientDisconnected",
    "Route",
]
