"""Requests that a server answers: one SERVER span each, and their metrics, by the hooks of requests."""

from __future__ import annotations

import time
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
_ERROR = Status(StatusCode.ERROR)
# How many different ends of requests are remembered for each start. A bot may make up types of errors.
_MOST_ENDS = 64


class _HeaderGetter(Getter[RequestHead]):
    """Reads the headers of a request, for propagators."""

    def get(self, carrier: RequestHead, key: str) -> list[str] | None:
        values = carrier.get_all(key)
        return [value.decode("latin-1") for value in values] or None

    def keys(self, carrier: RequestHead) -> list[str]:
        return [name.decode("latin-1") for name, _ in carrier.headers]


_getter = _HeaderGetter()


class _Start(NamedTuple):
    """The attributes from the head of a request.

    Attributes:
        name: of the span.
        route: the path of the bot; empty if there is none.
        attributes: those that spans and metrics share.
        of_span: those of the span.
        of_route: those of the time to the first event.
        ends: the attributes of `_End`s, by what they are made of: few, as the values of its parts are.
    """

    name: str
    route: str
    attributes: Mapping[str, Any]
    of_span: Mapping[str, Any]
    of_route: Mapping[str, Any]
    ends: dict[tuple[int | None, str | None, Outcome | None, str | None], _End]


class _End(NamedTuple):
    """The attributes from the end of a request.

    Attributes:
        error_type: `error.type`; None for a request that did not fail.
        of_metric: the attributes of the request's duration.
        of_span: those that the span has beside those of its start.
    """

    error_type: str | None
    of_metric: Mapping[str, Any]
    of_span: Mapping[str, Any]


class _Active(NamedTuple):
    """A request under way.

    Attributes:
        span: its span.
        token: restores the context that was current before it.
        start: the attributes read from its head.
        started_at: when its head was received, in nanoseconds of Unix time.
    """

    span: Span
    token: Token[Context]
    start: _Start
    started_at: int


# The requests of a bot have the same few heads. The target is not part of the result where no bot is.
@lru_cache(maxsize=256)
def _start_of(method: str, path: str | None, scheme: str, bot: str | None) -> _Start:
    attributes = {HTTP_METHOD: known_method(method), URL_SCHEME: scheme}
    name = "HTTP" if attributes[HTTP_METHOD] == "_OTHER" else method
    if path is None or bot is None:
        return _Start(name, "", attributes, attributes, {}, {})
    attributes[HTTP_ROUTE] = path
    of_span = attributes | {URL_PATH: path, POE_BOT: bot}
    return _Start(f"{name} {path}", path, attributes, of_span, {HTTP_ROUTE: path}, {})


class ServerSpans:
    """The hooks that make a span for each request, and its metrics.

    The span is current in the request's task from `on_start` to `on_end`, so that spans of the bot are its children.
    All else is recorded at the end, the first event too, with the times that are observed: a hook in between would only
    cost time.

    Args:
        tracer: makes the spans.
        instruments: measure.

    Attributes:
        hooks: to be added to a `BotService`.
    """

    def __init__(self, tracer: Tracer, instruments: Instruments) -> None:
        self.hooks = Hooks(on_start=self._start, on_end=self._end)
        self._tracer = tracer
        self._instruments = instruments
        self._active: dict[str, _Active] = {}  # by the id of the request

    def _start(self, seen: Observation) -> None:
        head = seen.http_request
        # A path without a bot may be anything, a key included.
        start = _start_of(head.method, head.path if seen.bot is not None else None, _scheme_of(head), seen.bot)
        # An empty context, so that a span that happens to be current where the server runs is not the parent.
        parent = propagate.extract(head, _NO_CONTEXT, _getter)
        started_at = time.time_ns() - int(seen.seconds * 1e9)
        span = self._tracer.start_span(start.name, parent, SpanKind.SERVER, start.of_span, start_time=started_at)
        token = otel_context.attach(trace.set_span_in_context(span, parent))
        self._active[seen.id] = _Active(span, token, start, started_at)

    def _end(self, seen: Observation) -> None:
        request = self._active.pop(seen.id)
        end = _end_of(request.start, seen)
        try:
            # While the span is current and has not ended, so that it may be the exemplar of the measurements.
            self._measure(request.start, end, seen)
            self._end_span(request, end, seen)
        finally:
            otel_context.detach(request.token)

    def _measure(self, start: _Start, end: _End, seen: Observation) -> None:
        if seen.first_event_seconds is not None:
            self._instruments.time_to_first_event.record(seen.first_event_seconds, start.of_route)
        self._instruments.server_duration.record(seen.seconds, end.of_metric)
        self._instruments.count_request(start.route, seen.events, disconnected=seen.outcome is Outcome.DISCONNECTED)

    def _end_span(self, request: _Active, end: _End, seen: Observation) -> None:
        span, ended_at = request.span, request.started_at + int(seen.seconds * 1e9)
        if span.is_recording():
            if seen.first_event_seconds is not None:
                span.add_event(FIRST_EVENT, None, request.started_at + int(seen.first_event_seconds * 1e9))
            span.set_attributes(end.of_span)
            if seen.type == "query":
                span.set_attribute(POE_EVENTS, seen.events)
            if seen.error_id is not None:
                span.set_attribute(POE_ERROR_ID, seen.error_id)
            span.add_event(END, None, ended_at)
            if end.error_type is not None:
                span.set_status(_ERROR)
        span.end(ended_at)


def _end_of(start: _Start, seen: Observation) -> _End:
    key = seen.status, seen.type, seen.outcome, seen.error_type
    end = start.ends.get(key)
    if end is not None:
        return end
    attributes: dict[str, Any] = {}
    if seen.status is not None:
        attributes[HTTP_STATUS] = seen.status
    if seen.type is not None:
        attributes[POE_REQUEST_TYPE] = seen.type
    error_type = _error_type(seen)
    if error_type is not None:
        attributes[ERROR_TYPE] = error_type
    outcome = seen.outcome.value if seen.outcome is not None else "_OTHER"
    end = _End(error_type, {**start.attributes, **attributes}, {**attributes, POE_OUTCOME: outcome})
    if len(start.ends) < _MOST_ENDS:
        start.ends[key] = end
    return end


def _scheme_of(head: RequestHead) -> str:
    return "https" if head.get("x-forwarded-proto") == "https" else "http"


def _error_type(seen: Observation) -> str | None:
    """`error.type`; None for a request that did not fail, or whose client is to blame for a status of 4xx."""
    if seen.outcome is Outcome.COMPLETE:
        return None
    if seen.outcome is Outcome.REFUSED:
        return str(seen.status) if seen.status is not None and seen.status >= 500 else None
    return error_type_of(seen.outcome, seen.error_type)
