"""A bot in an aiohttp application, with the core alone.

Run it: POE_ACCESS_KEY=... python docs/examples/embedding/in_aiohttp.py
"""

import asyncio
import os
import sys
import uuid
from collections.abc import AsyncGenerator
from contextlib import aclosing

from aiohttp import web

from poeproto import (
    BotExchange,
    Done,
    HttpResponse,
    QueryRequest,
    RemoteProtocolError,
    RequestHead,
    SettingsRequest,
    SettingsResponse,
    Text,
)

KEYS = {os.environ["POE_ACCESS_KEY"]}


async def answer(request: QueryRequest) -> AsyncGenerator[str]:
    for word in request.query[-1].content.split():
        yield f"{word.upper()} "
    yield "!"


async def handle(http: web.Request) -> web.StreamResponse:
    exchange = BotExchange(KEYS)
    try:
        exchange.receive_head(RequestHead(http.method, http.path_qs, http.raw_headers))
        async for data in http.content.iter_any():
            exchange.receive_data(data)
        request = exchange.receive_eof()
    except RemoteProtocolError as exc:
        assert exc.response is not None
        return as_aiohttp(exc.response)
    if isinstance(request, QueryRequest):
        return await stream(http, exchange, request)
    return as_aiohttp(exchange.answer(SettingsResponse() if isinstance(request, SettingsRequest) else None))


def as_aiohttp(response: HttpResponse) -> web.Response:
    headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in response.headers]
    return web.Response(status=response.status, headers=headers, body=response.body)


async def stream(http: web.Request, exchange: BotExchange, request: QueryRequest) -> web.StreamResponse:
    head = exchange.begin()
    headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in head.headers]
    response = web.StreamResponse(status=head.status, headers=headers)
    await response.prepare(http)
    beating = asyncio.create_task(send_heartbeats(response, exchange))
    try:
        async with aclosing(answer(request)) as texts:
            async for text in texts:
                await response.write(exchange.send(Text(text)))  # waits while the client does not read
        await response.write(exchange.send(Done()))
    except ConnectionResetError:
        pass  # the client has disconnected
    except Exception as exc:
        error_id = uuid.uuid4().hex
        print(f"the bot failed, error {error_id}: {exc!r}", file=sys.stderr)
        data = exchange.fail(error_id)
        assert isinstance(data, bytes)  # the stream was begun
        await response.write(data)
    finally:
        beating.cancel()
    return response


async def send_heartbeats(response: web.StreamResponse, exchange: BotExchange) -> None:
    while True:
        await asyncio.sleep(15)
        await response.write(exchange.heartbeat())


async def index(http: web.Request) -> web.Response:
    return web.Response(text="A Poe bot answers here.\n")


def make_app() -> web.Application:
    app = web.Application()
    app.router.add_get("/", index)
    app.router.add_route("*", "/", handle)
    return app


async def main() -> None:
    # A client that disconnects cancels the handler, and so the bot.
    runner = web.AppRunner(make_app(), handler_cancellation=True)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", int(sys.argv[1]) if len(sys.argv) > 1 else 8080)
    await site.start()
    print(f"http://127.0.0.1:{runner.addresses[0][1]}/", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())
