"""Bots that call others: served by the runtime, with a scripted Poe over loopback."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import attrs

from poeproto import (
    Bot,
    Context,
    Endpoints,
    Event,
    Limits,
    Message,
    PoeprotoError,
    QueryRequest,
    RequestHead,
    SettingsRequest,
    SettingsResponse,
    encode_request,
)
from poeproto_h11 import ExtraHeaders, HeadersOfCall
from poeproto_h11.client.outbound import SharedH11Transport, make_outbound
from poeproto_runtime import BotService, CallHooks, FetchPolicy, Hooks, Route

from .bots import BEARER, KEY, FunctionBot, Respond
from .memory_channel import MemoryChannel
from .scripted_peer import Script, ScriptedServer, scripted

QUERY = QueryRequest(
    [Message("user", "hello")],
    user_id="u-1",
    conversation_id="c-1",
    message_id="m-1",
    metadata="d-1",
    bot_query_id="q-1",
)


class CallingBot(FunctionBot):
    """A bot that may call others, each a given number of times."""

    def __init__(self, respond: Respond, **dependencies: int) -> None:
        super().__init__(respond)
        self.dependencies = dependencies
        self.asked = 0

    async def get_settings(self, request: SettingsRequest, context: Context) -> SettingsResponse:
        self.asked += 1
        return SettingsResponse(server_bot_dependencies=self.dependencies)


async def forwards(request: QueryRequest, context: Context) -> AsyncIterator[Event]:
    """A bot's answer: Cat's."""
    async for event in context.query_bot("Cat", request):
        yield event


def failing_with(kind: type[PoeprotoError], seen: list[PoeprotoError], bot_name: str = "Cat") -> Respond:
    """A bot's answer that fails like this where it asks another, and notes the error."""

    async def bot(request: QueryRequest, context: Context) -> AsyncIterator[str]:
        try:
            yield await context.final_text(bot_name, request)
        except kind as exc:
            seen.append(exc)
            raise

    return bot


@attrs.frozen
class Served:
    """A bot that is served, and the Poe it calls."""

    service: BotService
    poe: ScriptedServer

    async def answer(self, query: QueryRequest = QUERY, channel: MemoryChannel | None = None) -> list[Event]:
        """The events that the bot answers with."""
        channel = channel or MemoryChannel(encode_request(query))
        await self.service.handle(RequestHead("POST", "/", [("authorization", BEARER)]), "/", channel)
        return channel.events

    @property
    def opened(self) -> int:
        """How many connections to Poe were opened."""
        assert self.service.outbound is not None
        transport = self.service.outbound.transport
        assert isinstance(transport, SharedH11Transport)
        return transport.opened


def service_of(
    bot: Bot,
    root: str,
    limits: Limits | None = None,
    fetch_policy: FetchPolicy | None = None,
    access_key: str | None = KEY,
    *,
    sync_settings: bool = False,
    hooks: Hooks | None = None,
    call_hooks: CallHooks | None = None,
    call_headers: ExtraHeaders | HeadersOfCall | None = None,
    **more: Any,
) -> BotService:
    """A service with this bot, which finds Poe there."""
    route = Route(bot, access_key=access_key, allow_without_key=access_key is None, bot_name="Caller")
    limits = limits or Limits()
    more.update(hooks=call_hooks, headers=call_headers)
    outbound = make_outbound(limits, Endpoints.at(root), fetch_policy=fetch_policy, **more)
    return BotService({"/": route}, limits, outbound, hooks, sync_settings=sync_settings)


@asynccontextmanager
async def calling(bot: Bot, *scripts: Script, **more: Any) -> AsyncGenerator[Served]:
    """Serve the bot, with a Poe that follows these scripts; all connections must be closed by the end."""
    async with scripted(*scripts) as poe:
        service = service_of(bot, poe.address, **more)
        async with service.running():
            yield Served(service, poe)
        await poe.until_closed(poe.connections)
