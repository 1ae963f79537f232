"""Bots as an ASGI application, and ways to serve it with Hypercorn."""

from poeproto_asgi.app import BotApp
from poeproto_asgi.running import run
from poeproto_asgi.serving import serve
from poeproto_asgi.targets import TargetError, TargetFailed, load_app
from poeproto_runtime import FetchPolicy, Route

__all__ = ["BotApp", "FetchPolicy", "Route", "TargetError", "TargetFailed", "load_app", "run", "serve"]
