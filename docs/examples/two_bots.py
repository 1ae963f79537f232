"""A bot that queries two others at once, and sends one answer after the other.

Serve it with: poeproto serve docs/examples/two_bots.py:bot --access-key ...
"""

from collections.abc import AsyncIterator

import anyio

from poeproto import Bot, Context, Event, QueryRequest, SettingsRequest, SettingsResponse

FIRST, SECOND = "GPT-4o-Mini", "Claude-Haiku-3.5"


class ComparingBot(Bot):
    async def get_response(self, request: QueryRequest, context: Context) -> AsyncIterator[Event | str]:
        first, second = context.query_bot(FIRST, request), context.query_bot(SECOND, request)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(second.text)  # buffered while the first answer is sent
            yield f"**{FIRST}**\n\n"
            async for event in first:
                yield event
        # The task group has waited for the second. If one fails, the group cancels the other, and the reply ends.
        yield f"\n\n**{SECOND}**\n\n{second.fold.text}"

    async def get_settings(self, request: SettingsRequest, context: Context) -> SettingsResponse:
        return SettingsResponse(server_bot_dependencies={FIRST: 1, SECOND: 1})


bot = ComparingBot()
