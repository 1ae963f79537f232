"""A bot whose server logs a line of JSON at the end of each request.

It answers anyone, with a key or without. Replace `allow_without_key=True` by `access_key=...` before you publish it.
`poeproto serve` rejects `--access-key` for this target, because an application sets the keys of its bots itself.

Serve it with: poeproto serve docs/examples/logging_hooks.py:app
"""

import json
import logging
from collections.abc import AsyncIterator

from poeproto import Bot, Context, QueryRequest
from poeproto_asgi import BotApp, Observation

logger = logging.getLogger("example.requests")


class EchoBot(Bot):
    async def get_response(self, request: QueryRequest, context: Context) -> AsyncIterator[str]:
        yield request.query[-1].content


def log_end(seen: Observation) -> None:
    line = {
        "id": seen.id,
        "path": seen.http_request.path,
        "bot": seen.bot,
        "type": seen.type,
        "status": seen.status,
        "events": seen.events,
        "bytes": seen.bytes,
        "milliseconds": round(seen.seconds * 1000),
        "failed": seen.error_id is not None,
        "outcome": seen.outcome,
    }
    logger.info(json.dumps(line))


app = BotApp(EchoBot(), allow_without_key=True, on_end=log_end)
