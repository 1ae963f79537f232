"""A bot in a Starlette application that has pages of its own.

Serve it with: POE_ACCESS_KEY=... uvicorn --app-dir docs/examples --factory in_starlette:make_app
and give Poe the address that ends in /bots/greeting.
"""

import os
from collections.abc import AsyncIterator

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route

from poeproto import Bot, Context, QueryRequest
from poeproto_asgi import BotApp
from poeproto_asgi import Route as BotRoute


class GreetingBot(Bot):
    async def get_response(self, request: QueryRequest, context: Context) -> AsyncIterator[str]:
        yield f"Hello to {request.query[-1].content}!"


async def home(request: Request) -> PlainTextResponse:
    return PlainTextResponse("Nothing but a bot lives here.")


def make_app() -> Starlette:
    # Use a path below the mount: the path of the mount itself matches only with a slash at the end.
    bots = BotApp({"/greeting": BotRoute(GreetingBot(), access_key=os.environ["POE_ACCESS_KEY"])})
    # A mounted application receives no lifespan events, so the host's lifespan runs that of the bots.
    return Starlette(routes=[Route("/", home), Mount("/bots", bots)], lifespan=bots.lifespan)
