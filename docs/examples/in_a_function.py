"""A bot behind a server of your own, which is neither ASGI nor h11: here a function that is called for each request.

A server needs a `BotService`, and a `Channel` for each request. `make_outbound` lets the bot make calls. A function has
no disconnect and no stream: its response is returned as a whole.

Call it with: POE_ACCESS_KEY=... python docs/examples/in_a_function.py < request.json
"""

import os
import sys
from collections.abc import AsyncIterator

import anyio

from poeproto import (
    Bot,
    Context,
    Endpoints,
    Event,
    HttpResponse,
    Limits,
    QueryRequest,
    RequestHead,
    ResponseHead,
    SettingsRequest,
    SettingsResponse,
)
from poeproto_h11 import make_outbound
from poeproto_runtime import BotService, Route


class ForwardingBot(Bot):
    async def get_settings(self, request: SettingsRequest, context: Context) -> SettingsResponse:
        return SettingsResponse(server_bot_dependencies={"Claude-Haiku-4.5": 1})

    async def get_response(self, request: QueryRequest, context: Context) -> AsyncIterator[Event]:
        async for event in context.query_bot("Claude-Haiku-4.5", request):
            yield event


class FunctionChannel:
    """A `poeproto_runtime.Channel` that keeps the response."""

    def __init__(self, body: bytes) -> None:
        self.status = 500
        self.headers: dict[str, str] = {}
        self.body = b""
        self._unread: bytes | None = body

    async def receive(self) -> bytes | None:
        body, self._unread = self._unread, None
        return body

    async def wait_disconnected(self) -> None:
        await anyio.sleep_forever()

    async def respond(self, response: HttpResponse) -> None:
        await self.start(ResponseHead(response.status, response.headers))
        await self.finish(response.body)

    async def start(self, head: ResponseHead) -> None:
        self.status = head.status
        self.headers = {name.decode(): value.decode() for name, value in head.headers}

    async def send(self, data: bytes) -> None:
        self.body += data

    async def finish(self, data: bytes) -> None:
        self.body += data


def make_service(access_key: str, endpoints: Endpoints | None = None) -> BotService:
    """The service of the bot; make it once for all requests."""
    limits = Limits()
    route = Route(ForwardingBot(), access_key=access_key)
    return BotService({"/": route}, limits, make_outbound(limits, endpoints))


async def handle(service: BotService, headers: dict[str, str], body: bytes) -> FunctionChannel:
    """Answer one POST request."""
    channel = FunctionChannel(body)
    await service.handle(RequestHead("POST", "/", headers), "/", channel)
    return channel


async def main() -> None:
    key = os.environ["POE_ACCESS_KEY"]
    response = await handle(make_service(key), {"authorization": f"Bearer {key}"}, sys.stdin.buffer.read())
    print(response.body.decode())


if __name__ == "__main__":
    anyio.run(main)
