"""A bot that queries another one, and whose server logs each call at its end and continues the trace of its request.

Poe, or a proxy before the server, may send a `traceparent` header (https://www.w3.org/TR/trace-context/). The calls
that the bot makes for that request then have spans of their own in the same trace. A tracing library has a propagator
that takes the place of `traceparent` below. A client takes the same hooks: `Client(on_end=..., headers=...)`.

Serve it with: BOT_KEY=... poeproto serve docs/examples/observing_calls.py:app
"""

import json
import logging
import os
from collections.abc import AsyncIterator
from contextvars import ContextVar

from poeproto import Bot, Context, Endpoints, Event, QueryRequest, SettingsRequest, SettingsResponse
from poeproto_asgi import BotApp, CallHooks, CallObservation, Observation

MODEL = "GPT-4o-Mini"
# POE_ENDPOINT replaces Poe's servers, for example by a simulator.
ENDPOINTS = Endpoints.at(os.environ["POE_ENDPOINT"]) if "POE_ENDPOINT" in os.environ else Endpoints()

logger = logging.getLogger("example.calls")
# Set for each request; the bot's task has the same context, and so have the hooks of the bot's calls.
trace: ContextVar[str] = ContextVar("trace")


class AskingBot(Bot):
    async def get_response(self, request: QueryRequest, context: Context) -> AsyncIterator[Event]:
        async for event in context.query_bot(MODEL, request):
            yield event

    async def get_settings(self, request: SettingsRequest, context: Context) -> SettingsResponse:
        return SettingsResponse(server_bot_dependencies={MODEL: 1})


def begin_trace(seen: Observation) -> None:
    parts = (seen.http_request.get("traceparent") or "").split("-")
    trace.set(parts[1] if len(parts) == 4 else seen.id * 2)


def traceparent(seen: CallObservation) -> dict[str, str]:
    # The server's push of the settings, when it starts, belongs to no request.
    return {"traceparent": f"00-{trace.get(seen.id * 2)}-{seen.id}-01"}


def log_call(seen: CallObservation) -> None:
    line = {
        "trace": trace.get(None),
        "span": seen.id,
        "operation": seen.operation,
        "bot": seen.bot_name,
        "outcome": seen.outcome,
        "error_type": seen.error_type,
        "exception": seen.exception_type,
        "attempts": seen.attempts,
        "events": seen.events,
        "milliseconds": round(seen.seconds * 1000),
        "milliseconds_to_first_event": None
        if seen.first_event_seconds is None
        else round(seen.first_event_seconds * 1000),
    }
    logger.info(json.dumps(line))


app = BotApp(
    AskingBot(),
    access_key=os.environ["BOT_KEY"],
    endpoints=ENDPOINTS,
    on_start=begin_trace,
    call_hooks=CallHooks(on_end=log_call),
    call_headers=traceparent,
)
