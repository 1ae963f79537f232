"""A bot that asks two others, and shows two answers side by side: events go out as they come, each with its index.

Serve it with: poeproto serve docs/examples/two_answers.py:bot --access-key ...
"""

from collections.abc import AsyncIterator

import anyio
import attrs
from anyio.streams.memory import MemoryObjectSendStream

from poeproto import (
    Bot,
    BotError,
    BotReply,
    Context,
    Event,
    Meta,
    QueryRequest,
    SettingsRequest,
    SettingsResponse,
    Text,
)

MODELS = ["GPT-4o-Mini", "Claude-Haiku-3.5"]


async def pass_on(reply: BotReply, index: int, events: MemoryObjectSendStream[Event]) -> None:
    """Send the events of a reply on, as those of the answer with that index."""
    async with events:
        try:
            async for event in reply:
                if not isinstance(event, Meta):  # it would have to come before all events of both
                    await events.send(attrs.evolve(event, index=index))
        except BotError:  # an `error` event would end both answers
            await events.send(Text("\n\n*(This bot has failed.)*", index))


class SideBySideBot(Bot):
    async def get_response(self, request: QueryRequest, context: Context) -> AsyncIterator[Event]:
        # Without a buffer: the bots wait until this one's reader has taken what they said.
        sending, events = anyio.create_memory_object_stream[Event]()
        async with events, anyio.create_task_group() as tasks:
            async with sending:  # there are no more events when the last clone is closed
                for index, model in enumerate(MODELS):
                    tasks.start_soon(pass_on, context.query_bot(model, request), index, sending.clone())
            async for event in events:
                yield event

    async def get_settings(self, request: SettingsRequest, context: Context) -> SettingsResponse:
        return SettingsResponse(server_bot_dependencies=dict.fromkeys(MODELS, 1))


bot = SideBySideBot()
