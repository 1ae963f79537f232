"""Requests that a server answers: one SERVER span each, and their metrics, by the hooks of requests."""

from __future__ import annotations

from collections.abc import Mapping
from contextvars import Token
from functools import lru_cache
from typing import Any, NamedTuple

from opentelemetry import context as otel_context
from opentelemetry import propagate, trace
from opentelemetry.context import Context
from opentelemetry.propagators.textmap import Getter
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, Tracer

from poeproto import RequestHead
from poeproto_otel.conventions import (
    END,
    ERROR_TYPE,
    FIRST_EVENT,
    HTTP_METHOD,
    HTTP_ROUTE,
    HTTP_STATUS,
    POE_BOT,
    POE_ERROR_ID,
    POE_EVENTS,
    POE_OUTCOME,
    POE_REQUEST_TYPE,
    URL_PATH,
    URL_SCHEME,
)
from poeproto_otel.error_types import error_type_of, known_method
from poeproto_otel.instruments import Instruments
from poeproto_runtime import Hooks, Observation, Outcome

_NO_CONTEXT = Context()


class _HeaderGetter(Getter[RequestHead]):
    """Reads the headers of a request, for propagators."""

    def get(self, carrier: RequestHead, key: str) -> list[str] | None:
        values = carrier.get_all(key)
        return [value.decode("latin-1") for value in values] or None

    def keys(self, carrier: RequestHead) -> list[str]:
        return [name.decode("latin-1") for name, _ in carrier.headers]


_getter = _HeaderGetter()


class _Start(NamedTuple):
    """What the head of a request says.

    Attributes:
        name: of the span.
        route: the path of the bot; empty if there is none.
        attributes: those that spans and metrics share.
        of_span: those of the span.
    """

    name: str
    route: str
    attributes: Mapping[str, Any]
    of_span: Mapping[str, Any]


# The requests of a bot have the same few heads. The target is not part of the result where no bot is.
@lru_cache(maxsize=256)
def _start_of(method: str, path: str | None, scheme: str, bot: str | None) -> _Start:
    attributes = {HTTP_METHOD: known_method(method), URL_SCHEME: scheme}
    name = "HTTP" if attributes[HTTP_METHOD] == "_OTHER" else method
    if path is None or bot is None:
        return _Start(name, "", attributes, attributes)
    attributes[HTTP_ROUTE] = path
    return _Start(f"{name} {path}", path, attributes, attributes | {URL_PATH: path, POE_BOT: bot})


class ServerSpans:
    """The hooks that make a span for each request, and its metrics.

    The span is current in the request's task from `on_start` to `on_end`, so that what the bot does is within it.

    Args:
        tracer: makes the spans.
        instruments: measure.

    Attributes:
        hooks: to be added to a `BotService`.
    """

    def __init__(self, tracer: Tracer, instruments: Instruments) -> None:
        self.hooks = Hooks(on_start=self._start, on_first_event=self._first_event, on_end=self._end)
        self._tracer = tracer
        self._instruments = instruments
        self._active: dict[str, tuple[Span, Token[Context], _Start]] = {}  # by the id of the request

    def _start(self, seen: Observation) -> None:
        head = seen.http_request
        # A path without a bot may be anything, a key included.
        start = _start_of(head.method, head.path if seen.bot is not None else None, _scheme_of(head), seen.bot)
        # An empty context, so that a span that happens to be current where the server runs is not the parent.
        parent = propagate.extract(head, _NO_CONTEXT, _getter)
        span = self._tracer.start_span(start.name, parent, SpanKind.SERVER, start.of_span)
        token = otel_context.attach(trace.set_span_in_context(span, parent))
        self._active[seen.id] = span, token, start

    def _first_event(self, seen: Observation) -> None:
        span, _, start = self._active[seen.id]
        span.add_event(FIRST_EVENT)
        if seen.first_event_seconds is not None:
            self._instruments.time_to_first_event.record(seen.first_event_seconds, {HTTP_ROUTE: start.route})

    def _end(self, seen: Observation) -> None:
        span, token, start = self._active.pop(seen.id)
        try:
            self._end_span(span, start, seen)
        finally:
            otel_context.detach(token)

    def _end_span(self, span: Span, start: _Start, seen: Observation) -> None:
        known_at_end: dict[str, Any] = {}
        if seen.status is not None:
            known_at_end[HTTP_STATUS] = seen.status
        if seen.type is not None:
            known_at_end[POE_REQUEST_TYPE] = seen.type
        error_type = _error_type(seen)
        if error_type is not None:
            known_at_end[ERROR_TYPE] = error_type
        # Before the span ends, so that it may be the exemplar of the measurement.
        self._instruments.server_duration.record(seen.seconds, {**start.attributes, **known_at_end})
        self._instruments.count_request(start.route, seen.events, disconnected=seen.outcome is Outcome.DISCONNECTED)
        if span.is_recording():
            known_at_end[POE_OUTCOME] = seen.outcome.value if seen.outcome is not None else "_OTHER"
            if seen.type == "query":
                known_at_end[POE_EVENTS] = seen.events
            if seen.error_id is not None:
                known_at_end[POE_ERROR_ID] = seen.error_id
            span.set_attributes(known_at_end)
            span.add_event(END)
            if error_type is not None:
                span.set_status(Status(StatusCode.ERROR))
        span.end()


def _scheme_of(head: RequestHead) -> str:
    return "https" if head.get("x-forwarded-proto") == "https" else "http"


def _error_type(seen: Observation) -> str | None:
    """`error.type`; None for a request that did not fail, or whose client is to blame for a status of 4xx."""
    if seen.outcome is Outcome.COMPLETE:
        return None
    if seen.outcome is Outcome.REFUSED:
        return str(seen.status) if seen.status is not None and seen.status >= 500 else None
    return error_type_of(seen.outcome, seen.error_type)
