"""A bot in a Tornado application, with the core alone.

Run it: POE_ACCESS_KEY=... python docs/examples/embedding/in_tornado.py
"""
# pyright: reportUnknownMemberType=false

import asyncio
import os
import sys
import uuid
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

from tornado.httpserver import HTTPServer
from tornado.iostream import StreamClosedError
from tornado.netutil import bind_sockets
from tornado.web import Application, RequestHandler

from poeproto import (
    BotExchange,
    Done,
    HttpResponse,
    QueryRequest,
    RemoteProtocolError,
    RequestHead,
    ResponseHead,
    SettingsRequest,
    SettingsResponse,
    Text,
)

KEYS = {os.environ["POE_ACCESS_KEY"]}


async def answer(request: QueryRequest) -> AsyncGenerator[str]:
    for word in request.query[-1].content.split():
        yield f"{word.upper()} "
    yield "!"


class PoeHandler(RequestHandler):
    _streaming: asyncio.Task[Any] | None = None

    async def post(self) -> None:
        exchange = BotExchange(KEYS)
        try:
            exchange.receive_head(
                RequestHead(str(self.request.method), str(self.request.uri), self.request.headers.get_all())
            )
            exchange.receive_data(self.request.body)
            request = exchange.receive_eof()
        except RemoteProtocolError as exc:
            assert exc.response is not None
            self.respond(exc.response)
            return
        if isinstance(request, QueryRequest):
            await self.stream(exchange, request)
        else:
            is_settings = isinstance(request, SettingsRequest)
            self.respond(exchange.answer(SettingsResponse() if is_settings else None))

    put = patch = delete = post  # the exchange answers them with 405

    def get(self) -> None:
        self.finish("A Poe bot answers here.\n")

    def set_status_and_headers(self, head: ResponseHead | HttpResponse) -> None:
        self.set_status(head.status)
        for name, value in head.headers:
            self.set_header(name.decode("latin-1"), value)

    def respond(self, response: HttpResponse) -> None:
        self.set_status_and_headers(response)
        self.finish(response.body)

    async def stream(self, exchange: BotExchange, request: QueryRequest) -> None:
        self.set_status_and_headers(exchange.begin())
        self._streaming = asyncio.current_task()
        beating = asyncio.create_task(self.send_heartbeats(exchange))
        try:
            await self.flush()  # sends the head before the first event
            async with aclosing(answer(request)) as texts:
                async for text in texts:
                    self.write(exchange.send(Text(text)))
                    await self.flush()  # waits while the client does not read
            self.write(exchange.send(Done()))
        except (StreamClosedError, asyncio.CancelledError):
            return  # the client has disconnected
        except Exception as exc:
            error_id = uuid.uuid4().hex
            print(f"the bot failed, error {error_id}: {exc!r}", file=sys.stderr)
            data = exchange.fail(error_id)
            assert isinstance(data, bytes)  # the stream was begun
            self.write(data)
        finally:
            self._streaming = None
            beating.cancel()
        await self.finish()

    def on_connection_close(self) -> None:
        if self._streaming is not None:
            self._streaming.cancel()  # which also cancels the bot

    async def send_heartbeats(self, exchange: BotExchange) -> None:
        while True:
            await asyncio.sleep(15)
            self.write(exchange.heartbeat())
            await self.flush()


def make_app(**settings: Any) -> Application:
    return Application([("/", PoeHandler)], **settings)


async def main() -> None:
    port = int(sys.argv[1]) if len(sys.argv) > 1 else 8080
    [listener] = bind_sockets(port, "127.0.0.1")
    HTTPServer(make_app(), max_body_size=16 * 1024 * 1024).add_sockets([listener])
    print(f"http://127.0.0.1:{listener.getsockname()[1]}/", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())
