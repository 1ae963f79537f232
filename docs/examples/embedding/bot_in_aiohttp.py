"""A `Bot`, with its calls of Poe, in an aiohttp application: the runtime behind a server of your own.

The runtime does the tasks that a server on the core alone must do by itself: heartbeats, timeouts, cancellation,
backpressure, settings, reports, error ids. It also makes the bot's calls. It needs a `Channel`: how to read and write
one request.

Run it: POE_ACCESS_KEY=... python docs/examples/embedding/bot_in_aiohttp.py
"""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Awaitable

from aiohttp import web

from poeproto import (
    Bot,
    Context,
    Endpoints,
    HttpResponse,
    Limits,
    QueryRequest,
    RequestHead,
    ResponseHead,
    SettingsRequest,
    SettingsResponse,
)
from poeproto.http import Headers
from poeproto_h11 import make_outbound
from poeproto_runtime import BotService, ClientDisconnected, Route


class RelayBot(Bot):
    async def get_settings(self, request: SettingsRequest, context: Context) -> SettingsResponse:
        return SettingsResponse(server_bot_dependencies={"Echo": 1})

    async def get_response(self, request: QueryRequest, context: Context) -> AsyncIterator[str]:
        if request.query[-1].content == "ask":
            yield await context.final_text("Echo", "hello")
        else:
            yield "Send me: ask"


class AiohttpChannel:
    """Reads one request of aiohttp, and writes its response. It is a `poeproto_runtime.Channel`."""

    def __init__(self, http: web.Request) -> None:
        self._http = http
        self._body = http.content.iter_any()
        self.response: web.StreamResponse | None = None

    async def receive(self) -> bytes | None:
        try:
            return await anext(self._body, None)
        except (OSError, web.RequestPayloadError) as exc:
            raise ClientDisconnected(str(exc)) from exc

    async def wait_disconnected(self) -> None:
        # aiohttp cancels the handler when the client disconnects; see `handler_cancellation` below.
        await asyncio.Event().wait()

    async def respond(self, response: HttpResponse) -> None:
        self.response = web.Response(status=response.status, headers=_strings(response.headers), body=response.body)

    async def start(self, head: ResponseHead) -> None:
        self.response = web.StreamResponse(status=head.status, headers=_strings(head.headers))
        await self.response.prepare(self._http)

    def send(self, data: bytes) -> Awaitable[None]:
        assert self.response is not None  # `start` comes first
        return self.response.write(data)

    async def finish(self, data: bytes) -> None:
        assert self.response is not None
        try:
            if data:
                await self.response.write(data)
            await self.response.write_eof()
        except OSError as exc:
            raise ClientDisconnected(str(exc)) from exc


def _strings(headers: Headers) -> list[tuple[str, str]]:
    return [(name.decode("latin-1"), value.decode("latin-1")) for name, value in headers]


async def main() -> None:
    limits = Limits()
    # The bot's calls go to Poe, or to a simulator.
    poe = os.environ.get("POE_ENDPOINT")
    outbound = make_outbound(limits, Endpoints.at(poe) if poe else None)
    route = Route(RelayBot(), access_key=os.environ["POE_ACCESS_KEY"])
    service = BotService({"/": route}, limits, outbound)

    async def handle(http: web.Request) -> web.StreamResponse:
        channel = AiohttpChannel(http)
        head = RequestHead(http.method, http.path_qs, http.raw_headers)
        await service.handle(head, http.path, channel)
        return channel.response or web.Response(status=500)

    app = web.Application()
    app.router.add_route("*", "/", handle)
    runner = web.AppRunner(app, handler_cancellation=True)
    await runner.setup()
    port = int(sys.argv[1]) if len(sys.argv) > 1 else 8080
    async with service.running():  # the timers of heartbeats and timeouts, and the connections of calls
        await web.TCPSite(runner, "127.0.0.1", port).start()
        print(f"http://127.0.0.1:{runner.addresses[0][1]}/", flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())
