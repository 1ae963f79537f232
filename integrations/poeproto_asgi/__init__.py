"""Bots as an ASGI application, and ways to serve it with Hypercorn."""

from poeproto_asgi.app import BotApp
from poeproto_asgi.server import LifespanFailed, serve
from poeproto_asgi.targets import AppOptions, TargetError, TargetFailed, load_app
from poeproto_asgi.workers import run
from poeproto_runtime import FetchPolicy, Observation, Route

__all__ = [
    "AppOptions",
    "BotApp",
    "FetchPolicy",
    "LifespanFailed",
    "Observation",
    "Route",
    "TargetError",
    "TargetFailed",
    "load_app",
    "run",
    "serve",
]
