"""A client of bots on httpx, with the core alone.

Run it: python docs/examples/clients/with_httpx.py http://127.0.0.1:8080/ "hello there"
"""

import asyncio
import os
import sys
from collections.abc import AsyncGenerator
from contextlib import aclosing

import httpx

from poeproto import (
    BotError,
    ConnectionLost,
    Done,
    Error,
    Event,
    Message,
    PoeExchange,
    QueryRequest,
    ResponseHead,
    Text,
)


async def query(client: httpx.AsyncClient, url: str, request: QueryRequest, access_key: str) -> AsyncGenerator[Event]:
    exchange = PoeExchange(access_key)
    sent = exchange.send(request, url)
    assert isinstance(sent.body, bytes)  # only uploads are streamed
    headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in sent.headers]
    async with client.stream(sent.method, sent.url, headers=headers, content=sent.body) as response:
        exchange.receive_head(ResponseHead(response.status_code, response.headers.raw))
        try:
            async for data in response.aiter_raw():
                for event in exchange.receive_data(data):
                    yield event
                    if isinstance(event, Done | Error):
                        return  # nothing after it counts, even if the bot keeps the connection open
                if exchange.error is not None:  # the events before it were good
                    raise exchange.error
        except httpx.TransportError as exc:
            raise ConnectionLost(f"the connection broke within the reply: {exc}") from exc
        for event in exchange.receive_eof():  # raises, since the reply has not ended, or was refused
            yield event
        if exchange.error is not None:  # it returned the half of a character first
            raise exchange.error


async def main(url: str, text: str) -> None:
    # A model may think for a minute before it sends something; the bot's heartbeats come every 15 seconds or so.
    timeout = httpx.Timeout(10, read=60)
    async with httpx.AsyncClient(timeout=timeout) as client:
        request = QueryRequest([Message("user", text)])
        async with aclosing(query(client, url, request, os.environ["POE_ACCESS_KEY"])) as events:
            async for event in events:
                if isinstance(event, Text):
                    print(event.text, end="", flush=True)
                elif isinstance(event, Error):
                    raise BotError(event)
    print()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
