"""A bot that queries two others and shows both answers side by side: it sends each event at once, with its index.

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


async def forward(reply: BotReply, index: int, events: MemoryObjectSendStream[Event]) -> None:
    """Forward the events of a reply, with the index of its answer."""
    async with events:
        try:
            async for event in reply:
                if not isinstance(event, Meta):  # a `meta` event is valid only as the first event of the reply
                    await events.send(attrs.evolve(event, index=index))
        except BotError:  # an `error` event ends both answers
            await events.send(Text("\n\n*(This bot has failed.)*", index))


class SideBySideBot(Bot):
    async def get_response(self, request: QueryRequest, context: Context) -> AsyncIterator[Event]:
        # The stream has no buffer: backpressure reaches both bots.
        sending, events = anyio.create_memory_object_stream[Event]()
        async with events, anyio.create_task_group() as tasks:
            async with sending:  # the stream ends when the last clone is closed
                for index, model in enumerate(MODELS):
                    tasks.start_soon(forward, context.query_bot(model, request), index, sending.clone())
            async for event in events:
                yield event

    async def get_settings(self, request: SettingsRequest, context: Context) -> SettingsResponse:
        return SettingsResponse(server_bot_dependencies=dict.fromkeys(MODELS, 1))


bot = SideBySideBot()
