"""A bot on asyncio's streams, with the core and h11.

`poeproto_h11.serve` is also a server on asyncio, with limits and a graceful stop. This example shows the tasks that an
integration of your own has.

Run it: POE_ACCESS_KEY=... python docs/examples/embedding/on_asyncio.py
"""

import asyncio
import os
import sys
import uuid
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

import h11

from poeproto import (
    BotExchange,
    Done,
    HttpResponse,
    QueryRequest,
    RemoteProtocolError,
    Request,
    RequestHead,
    SettingsRequest,
    SettingsResponse,
    Text,
)

KEYS = {os.environ["POE_ACCESS_KEY"]}
INDEX = HttpResponse(200, [("content-type", "text/plain")], b"A Poe bot answers here.\n")


async def answer(request: QueryRequest) -> AsyncGenerator[str]:
    for word in request.query[-1].content.split():
        yield f"{word.upper()} "
    yield "!"


class Connection:
    """One connection. `send` may be called by the task of the heartbeats too: each call writes whole events."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer  # asyncio sets TCP_NODELAY
        self.h11 = h11.Connection(h11.SERVER)

    async def send(self, *events: h11.Event) -> None:
        self.writer.write(b"".join(self.h11.send(event) or b"" for event in events))
        await self.writer.drain()

    async def next_event(self) -> h11.Event | type[h11.NEED_DATA] | type[h11.PAUSED]:
        while (event := self.h11.next_event()) is h11.NEED_DATA:
            self.h11.receive_data(await self.reader.read(65536))
        return event

    async def respond(self, response: HttpResponse, *, has_body: bool = True) -> None:
        headers = [(name, value) for name, value in response.headers if name != b"content-length"]
        headers.append((b"content-length", b"%d" % len(response.body)))
        head = h11.Response(status_code=response.status, headers=headers)
        body = [h11.Data(data=response.body)] if has_body else []
        await self.send(head, *body, h11.EndOfMessage())


async def serve_connection(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    connection = Connection(reader, writer)
    try:
        while connection.h11.our_state is h11.IDLE:
            await serve_request(connection)
            if connection.h11.our_state is connection.h11.their_state is h11.DONE:
                connection.h11.start_next_cycle()
    except (OSError, h11.RemoteProtocolError) as exc:  # a timeout is an OSError
        print(f"a connection ended: {exc!r}", file=sys.stderr)
    finally:
        writer.close()


async def serve_request(connection: Connection) -> None:
    async with asyncio.timeout(20):
        head = await connection.next_event()
    if not isinstance(head, h11.Request):
        connection.h11.send(h11.ConnectionClosed())  # the client has closed the connection
        return
    if head.method in (b"GET", b"HEAD"):
        while not isinstance(await connection.next_event(), h11.EndOfMessage):
            pass
        await connection.respond(INDEX, has_body=head.method == b"GET")
        return
    exchange = BotExchange(KEYS)
    try:
        async with asyncio.timeout(20):
            request = await receive_request(connection, exchange, head)
    except RemoteProtocolError as exc:
        assert exc.response is not None
        await connection.respond(exc.response)
        return
    if isinstance(request, QueryRequest):
        await stream_reply(connection, exchange, request)
    else:
        is_settings = isinstance(request, SettingsRequest)
        await connection.respond(exchange.answer(SettingsResponse() if is_settings else None))


async def receive_request(connection: Connection, exchange: BotExchange, head: h11.Request) -> Request:
    exchange.receive_head(RequestHead(head.method.decode("ascii"), head.target.decode("latin-1"), list(head.headers)))
    if connection.h11.they_are_waiting_for_100_continue:
        await connection.send(h11.InformationalResponse(status_code=100, headers=[]))
    while isinstance(event := await connection.next_event(), h11.Data):
        exchange.receive_data(bytes(event.data))
    return exchange.receive_eof()


async def stream_reply(connection: Connection, exchange: BotExchange, request: QueryRequest) -> None:
    head = exchange.begin()
    await connection.send(h11.Response(status_code=head.status, headers=list(head.headers)))
    reply = asyncio.create_task(send_reply(connection, exchange, request))
    heartbeats = asyncio.create_task(send_heartbeats(connection, exchange))
    # Poe sends nothing while it reads a reply, and nobody else may pipeline a request here.
    disconnect = asyncio.create_task(connection.reader.read(1))
    tasks: list[asyncio.Task[Any]] = [reply, heartbeats, disconnect]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        if not reply.done():
            raise ConnectionResetError("the client has disconnected")
    finally:
        for task in tasks:
            task.cancel()  # the bot too, unless it has ended
        await asyncio.wait(tasks)
    reply.result()


async def send_reply(connection: Connection, exchange: BotExchange, request: QueryRequest) -> None:
    try:
        async with aclosing(answer(request)) as texts:
            async for text in texts:
                await connection.send(h11.Data(data=exchange.send(Text(text))))  # waits for a slow client
        data = exchange.send(Done())
    except ConnectionError:
        raise  # the client has disconnected
    except Exception as exc:
        error_id = uuid.uuid4().hex
        print(f"the bot failed, error {error_id}: {exc!r}", file=sys.stderr)
        failed = exchange.fail(error_id)
        assert isinstance(failed, bytes)  # the stream was begun
        data = failed
    await connection.send(h11.Data(data=data), h11.EndOfMessage())


async def send_heartbeats(connection: Connection, exchange: BotExchange) -> None:
    while True:
        await asyncio.sleep(15)
        await connection.send(h11.Data(data=exchange.heartbeat()))


async def main() -> None:
    port = int(sys.argv[1]) if len(sys.argv) > 1 else 8080
    server = await asyncio.start_server(serve_connection, "127.0.0.1", port)
    print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/", flush=True)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
