"""Several bots in one process, each at its own path and with its own key and name.

Serve it with: SHOUT_KEY=... WHISPER_KEY=... poeproto serve docs/examples/several_bots.py:app
and give Poe the addresses that end in /shout and /whisper. If all bots share one key, serve a
dict of bots by path with `--access-key`; you then need no application.
"""

import os
from collections.abc import AsyncIterator

from poeproto import Bot, Context, QueryRequest
from poeproto_asgi import BotApp, Route


class ShoutingBot(Bot):
    async def get_response(self, request: QueryRequest, context: Context) -> AsyncIterator[str]:
        yield request.query[-1].content.upper()


class WhisperingBot(Bot):
    async def get_response(self, request: QueryRequest, context: Context) -> AsyncIterator[str]:
        yield f"*{request.query[-1].content.lower()}*"


app = BotApp(
    {
        "/shout": Route(ShoutingBot(), access_key=os.environ["SHOUT_KEY"]),
        "/whisper": Route(WhisperingBot(), access_key=os.environ["WHISPER_KEY"]),
    }
)
