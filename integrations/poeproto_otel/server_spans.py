"""Requests that a server answers: one SERVER span each, and their metrics, by the hooks of requests."""

from __future__ import annotations

from collections.abc import Mapping
from contextvars import Token
from typing import Any

import attrs
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


@attrs.define
class _ActiveRequest:
    """A request under way.

    Attributes:
        span: its span.
        token: restores the context that was current before.
        attributes: those that its metrics share.
        route: the path of its bot; empty if there is none.
    """

    span: Span
    token: Token[Context]
    attributes: dict[str, Any]
    route: str


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
        self._active: dict[str, _ActiveRequest] = {}

    def _start(self, seen: Observation) -> None:
        head = seen.http_request
        attributes: dict[str, Any] = {HTTP_METHOD: known_method(head.method), URL_SCHEME: _scheme_of(head)}
        route = ""
        name = attributes[HTTP_METHOD] if attributes[HTTP_METHOD] != "_OTHER" else "HTTP"
        of_span: Mapping[str, Any] = attributes
        if seen.bot is not None:
            attributes[HTTP_ROUTE] = route = head.path
            # A path without a bot may be anything, a key included.
            of_span = attributes | {URL_PATH: route, POE_BOT: seen.bot}
            name = f"{name} {route}"
        # An empty context, so that a span that happens to be current where the server runs is not the parent.
        parent = propagate.extract(head, _NO_CONTEXT, _getter)
        span = self._tracer.start_span(name, parent, SpanKind.SERVER, of_span)
        token = otel_context.attach(trace.set_span_in_context(span, parent))
        self._active[seen.id] = _ActiveRequest(span, token, attributes, route)

    def _first_event(self, seen: Observation) -> None:
        request = self._active[seen.id]
        request.span.add_event(FIRST_EVENT)
        if seen.first_event_seconds is not None:
            route = {HTTP_ROUTE: request.route}
            self._instruments.time_to_first_event.record(seen.first_event_seconds, route)

    def _end(self, seen: Observation) -> None:
        # A request that had started before the application was instrumented calls no hook of ours.
        request = self._active.pop(seen.id)
        try:
            self._end_span(request, seen)
        finally:
            otel_context.detach(request.token)

    def _end_span(self, request: _ActiveRequest, seen: Observation) -> None:
        attributes, span, error_type = request.attributes, request.span, _error_type(seen)
        if seen.status is not None:
            attributes[HTTP_STATUS] = seen.status
        if seen.type is not None:
            attributes[POE_REQUEST_TYPE] = seen.type
        if error_type is not None:
            attributes[ERROR_TYPE] = error_type
        # Before the span ends, so that it may be the exemplar of the measurement.
        self._instruments.server_duration.record(seen.seconds, attributes)
        self._instruments.count_request(request.route, seen.events, disconnected=seen.outcome is Outcome.DISCONNECTED)
        if span.is_recording():
            final = {name: attributes[name] for name in _FINAL if name in attributes}
            final[POE_OUTCOME] = str(seen.outcome)
            if seen.type == "query":
                final[POE_EVENTS] = seen.events
            if seen.error_id is not None:
                final[POE_ERROR_ID] = seen.error_id
            span.set_attributes(final)
            span.add_event(END)
            if error_type is not None:
                span.set_status(Status(StatusCode.ERROR))
        span.end()


# What is known only at the end of a request.
_FINAL = (HTTP_STATUS, POE_REQUEST_TYPE, ERROR_TYPE)


def _scheme_of(head: RequestHead) -> str:
    return "https" if head.get("x-forwarded-proto") == "https" else "http"


def _error_type(seen: Observation) -> str | None:
    """`error.type`; None for a request that did not fail, or whose client is to blame for a status of 4xx."""
    if seen.outcome is Outcome.COMPLETE:
        return None
    if seen.outcome is Outcome.REFUSED:
        return str(seen.status) if seen.status is not None and seen.status >= 500 else None
    return error_type_of(seen.outcome, seen.error_type)
