"""Calls: one CLIENT span each, their metrics and the header that continues the trace, by the hooks of calls."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from typing import Any

import attrs
from opentelemetry import propagate, trace
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, Tracer

from poeproto import LocalProtocolError
from poeproto_otel.conventions import (
    END,
    ERROR_TYPE,
    FIRST_EVENT,
    GEN_AI_OPERATION,
    GEN_AI_PROVIDER,
    GEN_AI_REQUEST_MODEL,
    HTTP_METHOD,
    HTTP_RESEND_COUNT,
    HTTP_STATUS,
    POE_EVENTS,
    POE_OPERATION,
    POE_OUTCOME,
    SERVER_ADDRESS,
    SERVER_PORT,
    URL_FULL,
    URL_SCHEME,
)
from poeproto_otel.error_types import error_type_of
from poeproto_otel.instruments import Instruments
from poeproto_runtime import CallHooks, CallObservation, Outcome
from poeproto_runtime.client.urls import split_url

logger = logging.getLogger("poeproto")

# A call whose reply is that of a bot, as a model.
_CHATS = frozenset({"query", "run_tools"})


@attrs.define
class _ActiveCall:
    """A call under way.

    Attributes:
        span: its span.
        attributes: those that its metrics share.
        gen_ai: those of the GenAI metrics; None for a call other than a query.
        started_at: when the call started, in nanoseconds of Unix time.
    """

    span: Span
    attributes: dict[str, Any]
    gen_ai: dict[str, Any] | None
    started_at: int


class ClientSpans:
    """The hooks that make a span for each call, with its retries and rounds of tools, and its metrics.

    The span is a child of the one that is current when the call starts: of a bot's call, that of the bot's request.

    Args:
        tracer: makes the spans.
        instruments: measure.
        chunk_interval: one of this number of intervals between chunks is measured.

    Attributes:
        hooks: to be added to a client, or to the calls of a service.
    """

    def __init__(self, tracer: Tracer, instruments: Instruments, chunk_interval: int) -> None:
        self.hooks = CallHooks(
            on_start=self._start, on_first_event=self._first_event, on_end=self._end, time_chunks=True
        )
        self._tracer = tracer
        self._instruments = instruments
        self._chunk_interval = chunk_interval
        self._intervals_to_skip = 0
        self._active: dict[str, _ActiveCall] = {}

    def headers(self, seen: CallObservation) -> dict[str, str]:
        """The headers that continue the trace in the server that is called."""
        headers: dict[str, str] = {}
        call = self._active.get(seen.id)
        if call is not None:
            try:
                propagate.inject(headers, trace.set_span_in_context(call.span))
            except Exception:
                logger.exception("call %s: the propagator failed, and the trace ends here", seen.id)
                return {}
        return headers

    def _start(self, seen: CallObservation) -> None:
        attributes: dict[str, Any] = {HTTP_METHOD: "GET" if seen.operation == "fetch_attachment" else "POST"}
        attributes |= _server_of(seen.url)
        name = attributes[HTTP_METHOD]
        of_span = attributes | {URL_FULL: seen.url, POE_OPERATION: seen.operation}
        gen_ai: dict[str, Any] | None = None
        if seen.operation in _CHATS:
            gen_ai = {GEN_AI_OPERATION: "chat", GEN_AI_PROVIDER: "poe"}
            name = "chat"
            if seen.bot_name is not None:
                gen_ai[GEN_AI_REQUEST_MODEL] = seen.bot_name
                name = f"chat {seen.bot_name}"
            of_span |= gen_ai
            gen_ai |= _server_of(seen.url, scheme=False)
        started_at = time.time_ns()
        span = self._tracer.start_span(name, None, SpanKind.CLIENT, of_span, start_time=started_at)
        self._active[seen.id] = _ActiveCall(span, attributes, gen_ai, started_at)

    def _first_event(self, seen: CallObservation) -> None:
        call = self._active[seen.id]
        call.span.add_event(FIRST_EVENT)
        if seen.first_event_seconds is not None and call.gen_ai is not None:
            self._instruments.time_to_first_chunk.record(seen.first_event_seconds, call.gen_ai)

    def _end(self, seen: CallObservation) -> None:
        call = self._active.pop(seen.id)
        # Not the time now: the end of a call that was dropped is observed later.
        ended_at = call.started_at + int(seen.seconds * 1e9)
        attributes, span, error_type = call.attributes, call.span, _error_type(seen)
        attributes[POE_OPERATION] = seen.operation
        if seen.status is not None:
            attributes[HTTP_STATUS] = seen.status
        if error_type is not None:
            attributes[ERROR_TYPE] = error_type
        # The span is not current here, so it is passed, for exemplars.
        context = trace.set_span_in_context(span)
        self._instruments.client_duration.record(seen.seconds, attributes, context)
        if call.gen_ai is not None:
            self._measure_chunks(seen.chunk_seconds, call.gen_ai)
            if error_type is not None:
                call.gen_ai[ERROR_TYPE] = error_type
            self._instruments.gen_ai_duration.record(seen.seconds, call.gen_ai, context)
        if span.is_recording():
            final = {name: attributes[name] for name in (HTTP_STATUS, ERROR_TYPE) if name in attributes}
            final[POE_OUTCOME] = str(seen.outcome)
            if call.gen_ai is not None:
                final[POE_EVENTS] = seen.events
            if seen.attempts > 1:
                final[HTTP_RESEND_COUNT] = seen.attempts - 1
            span.set_attributes(final)
            span.add_event(END, None, ended_at)
            if error_type is not None:
                span.set_status(Status(StatusCode.ERROR))
        span.end(ended_at)

    def _measure_chunks(self, times: Sequence[float], attributes: dict[str, Any]) -> None:
        """Measure the time between chunks: the first interval of all, and every `chunk_interval`-th after it.

        A measurement takes longer than a client needs for an event, so only a sample is taken. The count goes on from
        one reply to the next, so that long and short replies have their share.
        """
        number, last = self._intervals_to_skip + 1, len(times)
        while number < last:
            self._instruments.time_per_output_chunk.record(times[number] - times[number - 1], attributes)
            number += self._chunk_interval
        self._intervals_to_skip = number - max(last, 1)


def _server_of(url: str, *, scheme: bool = True) -> dict[str, Any]:
    try:
        origin, _ = split_url(url)
    except LocalProtocolError:
        return {}  # the call itself raises the error
    address: dict[str, Any] = {SERVER_ADDRESS: origin.host, SERVER_PORT: origin.port}
    return address | {URL_SCHEME: origin.scheme} if scheme else address


def _error_type(seen: CallObservation) -> str | None:
    """`error.type`; None for a call that did not fail."""
    if seen.outcome is Outcome.COMPLETE:
        return None
    if seen.outcome is Outcome.REFUSED and seen.status is not None and seen.status >= 400:
        return str(seen.status)
    return error_type_of(seen.outcome, seen.error_type)
