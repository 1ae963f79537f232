"""A bot whose server logs lines of JSON, each with the request that it belongs to.

All packages of poeproto log as "poeproto". Each line that they and the bot log while a request is answered gets the
request's id, which is also the id of an error that the user is shown; and its trace, if the server is instrumented with
`poeproto_otel`. Neither messages of users nor keys are logged.

It answers anyone, with a key or without. Replace `allow_without_key=True` by `access_key=...` before you publish it.

Serve it with: python docs/examples/json_logging.py
"""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import AsyncIterator
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any

from poeproto import Bot, Context, QueryRequest
from poeproto_asgi import BotApp, Observation, run

logger = logging.getLogger("example.bot")
# Set for each request; the bot's task, and those that it starts, have the same context.
request_id: ContextVar[str | None] = ContextVar("request_id", default=None)


def trace_of_request() -> dict[str, str]:
    """The ids of the current span; empty without OpenTelemetry."""
    trace: Any = sys.modules.get("opentelemetry.trace")  # whoever makes spans has imported it
    span = None if trace is None else trace.get_current_span().get_span_context()
    if span is None or not span.is_valid:
        return {}
    return {"trace_id": f"{span.trace_id:032x}", "span_id": f"{span.span_id:016x}"}


class JsonFormatter(logging.Formatter):
    """Formats a record as a line of JSON. Values passed as `extra={"fields": {...}}` are keys of their own."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            "request": request_id.get(),
            **trace_of_request(),
            **getattr(record, "fields", {}),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)


class EchoBot(Bot):
    async def get_response(self, request: QueryRequest, context: Context) -> AsyncIterator[str]:
        logger.info("answering a conversation", extra={"fields": {"messages": len(request.query)}})
        yield request.query[-1].content


def on_start(seen: Observation) -> None:
    request_id.set(seen.id)


def on_end(seen: Observation) -> None:
    fields = {
        "bot": seen.bot,
        "type": seen.type,
        "status": seen.status,
        "outcome": seen.outcome,
        "events": seen.events,
        "seconds": round(seen.seconds, 6),
        "first_event_seconds": seen.first_event_seconds and round(seen.first_event_seconds, 6),
    }
    logger.info("request ended", extra={"fields": fields})


app = BotApp(EchoBot(), allow_without_key=True, on_start=on_start, on_end=on_end)


def main() -> None:
    handler = logging.StreamHandler()
    handler.setFormatter(JsonFormatter())
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    run(app)


if __name__ == "__main__":
    main()
