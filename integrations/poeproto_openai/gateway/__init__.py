"""The gateway: Poe bots as an OpenAI-compatible endpoint, an ASGI application.

Theory of operation
===================

`OpenAIGateway` is a `poeproto_asgi.BotApp` whose service is a `GatewayService`. For each request:

1. The service checks the key, reads the body, and has the API of the path make a `ReplyExchange` of it
   (`poeproto_openai.gateway.formats`). The exchange knows the query, and writes the reply.
2. The model's name says which bot answers: one in this process, or an `UpstreamCall`, which forwards the reply of
   another server's.
3. `poeproto_runtime.reply.ReplyStream` runs the bot, as for a query of Poe. Tasks, bursts, backpressure, heartbeats,
   timeouts, disconnects and shutdown are the runtime's; see `docs/runtime.md`. It calls the exchange for each event or
   run of texts, and the bytes that come back are chunks instead of Poe's events.
4. The `HeldChannel` sends the head with the first bytes of the body. Where the exchange has a whole response instead
   (an early error, or a reply that is not streamed), it sends that.
"""

from __future__ import annotations

from poeproto_openai.gateway import app, models, upstream
from poeproto_openai.gateway.app import *
from poeproto_openai.gateway.models import *
from poeproto_openai.gateway.upstream import *

__all__: list[str] = []
__all__ += app.__all__
__all__ += models.__all__
__all__ += upstream.__all__
