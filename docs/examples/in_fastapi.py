"""A bot in a FastAPI application that has a lifespan of its own.

Serve it with: POE_ACCESS_KEY=... uvicorn --app-dir docs/examples --factory in_fastapi:make_app
and give Poe the address that ends in /bots/guestbook.
"""

import os
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager

from fastapi import APIRouter, FastAPI, Request

from poeproto import Bot, Context, Endpoints, QueryRequest, SettingsRequest, SettingsResponse
from poeproto_asgi import BotApp, Route

MODEL = "GPT-4o-Mini"

router = APIRouter()


@router.get("/guests")
async def guests(request: Request) -> list[str]:
    return request.app.state.guests


class GuestbookBot(Bot):
    """Adds the user to the application's guestbook, and asks a model for words of welcome."""

    def __init__(self, guests: list[str]) -> None:
        self._guests = guests

    async def get_response(self, request: QueryRequest, context: Context) -> AsyncIterator[str]:
        name = request.query[-1].content
        self._guests.append(name)
        yield await context.final_text(MODEL, f"Welcome {name} in a few words.")

    async def get_settings(self, request: SettingsRequest, context: Context) -> SettingsResponse:
        return SettingsResponse(server_bot_dependencies={MODEL: 1})


def make_app(endpoints: Endpoints | None = None) -> FastAPI:
    """The application. `endpoints` replaces Poe's servers, for example by a simulator."""
    book: list[str] = []
    route = Route(GuestbookBot(book), access_key=os.environ["POE_ACCESS_KEY"], bot_name="Guestbook")
    bots = BotApp({"/guestbook": route}, endpoints=endpoints)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncGenerator[None]:
        app.state.guests = book  # the application's own set-up
        # On entering, it sends the settings of bots with a name to Poe. Until it exits, bots reuse connections to Poe.
        async with bots.lifespan():
            yield

    app = FastAPI(lifespan=lifespan)
    app.include_router(router)
    app.mount("/bots", bots)
    return app
