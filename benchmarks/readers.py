"""Clients under measurement: each reads replies as its users would. The last two show the limit.

A reader is an async context manager over the URL and the conversation. It yields a function that requests one reply and
returns the texts, or the parts of the body. Its connection stays open between replies.
"""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import aiohttp
import anyio
import attrs
import fastapi_poe as fp
import h11
import httpx
import httpx_sse
import msgspec

from benchmarks.processes import ACCESS_KEY
from poeproto import Message, QueryRequest, SSEDecoder, Text, encode_request
from poeproto_compat import types as pc
from poeproto_compat.client import stream_request
from poeproto_h11 import BlockingClient, Client, Origin
from poeproto_runtime.client.urls import split_url

Read = Callable[[], Awaitable[list[Any]]]
Reader = Callable[[str, list[Message]], AbstractAsyncContextManager[Read]]
HEADERS = {"authorization": f"Bearer {ACCESS_KEY}", "content-type": "application/json"}


@attrs.frozen
class BareText:
    text: str
    index: int | None = None


@asynccontextmanager
async def ours(url: str, messages: list[Message]) -> AsyncGenerator[Read]:
    request = QueryRequest(messages)
    async with Client(access_key=ACCESS_KEY) as client:

        async def read() -> list[Any]:
            texts: list[str] = []
            async with client.query(url, request) as reply:
                async for event in reply:
                    if isinstance(event, Text):
                        texts.append(event.text)
            return texts

        yield read


@asynccontextmanager
async def ours_blocking(url: str, messages: list[Message]) -> AsyncGenerator[Read]:
    """The blocking client, which also works inside a running event loop."""
    request = QueryRequest(messages)
    with BlockingClient(access_key=ACCESS_KEY) as client:

        async def read() -> list[Any]:
            texts: list[str] = []
            with client.query(url, request) as reply:
                for event in reply:
                    if isinstance(event, Text):
                        texts.append(event.text)
            return texts

        yield read


@asynccontextmanager
async def theirs(url: str, messages: list[Message]) -> AsyncGenerator[Read]:
    query = [fp.ProtocolMessage.model_validate({"role": each.role, "content": each.content}) for each in messages]
    request = fp.QueryRequest(version="1.2", type="query", query=query, user_id="", conversation_id="", message_id="")
    async with httpx.AsyncClient(timeout=60) as session:

        async def read() -> list[Any]:
            stream = fp.stream_request(  # pyright: ignore[reportUnknownMemberType]
                request, "", ACCESS_KEY, base_url=url, session=session
            )
            return [partial.text async for partial in stream]

        yield read


@asynccontextmanager
async def compat(url: str, messages: list[Message]) -> AsyncGenerator[Read]:
    """The layer for fastapi_poe's programs, over its shared connections."""
    query = [pc.ProtocolMessage.model_validate({"role": each.role, "content": each.content}) for each in messages]
    request = pc.QueryRequest(version="1.2", type="query", query=query, user_id="", conversation_id="", message_id="")

    async def read() -> list[Any]:
        return [partial.text async for partial in stream_request(request, "", ACCESS_KEY, base_url=url)]

    yield read


@asynccontextmanager
async def with_httpx_sse(url: str, messages: list[Message]) -> AsyncGenerator[Read]:
    body = encode_request(QueryRequest(messages))
    async with httpx.AsyncClient(timeout=60) as session:

        async def read() -> list[Any]:
            texts: list[str] = []
            async with httpx_sse.aconnect_sse(session, "POST", url, headers=HEADERS, content=body) as source:
                async for event in source.aiter_sse():
                    data = json.loads(event.data)
                    if event.event == "text":
                        texts.append(data["text"])
            return texts

        yield read


@asynccontextmanager
async def with_aiohttp(url: str, messages: list[Message]) -> AsyncGenerator[Read]:
    """aiohttp with a parser by hand, line by line, as is common."""
    body = encode_request(QueryRequest(messages))
    async with aiohttp.ClientSession(headers=HEADERS) as session:

        async def read() -> list[Any]:
            texts: list[str] = []
            name = ""
            async with session.post(url, data=body) as response:
                async for line in response.content:
                    if line.startswith(b"event:"):
                        name = line[6:].strip().decode()
                    elif line.startswith(b"data:"):
                        data = json.loads(line[5:])
                        if name == "text":
                            texts.append(data["text"])
            return texts

        yield read


@asynccontextmanager
async def raw(url: str, messages: list[Message]) -> AsyncGenerator[Read]:
    """The limit of an h11 client: the bytes of the body, not parsed."""
    origin, target = split_url(url)
    body = encode_request(QueryRequest(messages))
    async with await anyio.connect_tcp(origin.host, origin.port) as stream:
        connection = h11.Connection(h11.CLIENT)

        async def read() -> list[Any]:
            parts: list[bytes] = []
            await stream.send(written(connection, origin, target, body))
            while not isinstance(event := connection.next_event(), h11.EndOfMessage):
                if event is h11.NEED_DATA:
                    connection.receive_data(await stream.receive())
                elif isinstance(event, h11.Data):
                    parts.append(bytes(event.data))
            connection.start_next_cycle()
            return parts

        yield read


@asynccontextmanager
async def raw_typed(url: str, messages: list[Message]) -> AsyncGenerator[Read]:
    """The limit of the JSON parser in use: the body split on blank lines, and decoded into a plain class."""
    decode = msgspec.json.Decoder(BareText).decode
    async with raw(url, messages) as read_bytes:

        async def read() -> list[Any]:
            # It joins the whole body first, which a client that delivers events as they arrive cannot do.
            records = b"".join(await read_bytes()).split(b"\n\n")
            return [decode(record[18:]).text for record in records if record.startswith(b"event: text\ndata: ")]

        yield read


def texts_in(read: list[Any]) -> list[str]:
    """The texts in a reader's result."""
    if read and isinstance(read[0], bytes):
        records = SSEDecoder().receive_data(b"".join(read))
        return [json.loads(record.data)["text"] for record in records if record.event == "text"]
    return read


def written(connection: h11.Connection, origin: Origin, target: str, body: bytes) -> bytes:
    headers = [("host", origin.authority), *HEADERS.items(), ("content-length", str(len(body)))]
    events = (h11.Request(method="POST", target=target, headers=headers), h11.Data(data=body), h11.EndOfMessage())
    return b"".join(connection.send(event) or b"" for event in events)
