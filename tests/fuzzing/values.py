"""Targets: bodies and payloads, decoded and encoded again."""

from __future__ import annotations

import contextlib
import math
from itertools import pairwise

import attrs

from poeproto import (
    HttpResponse,
    IncompleteReply,
    InsufficientFunds,
    Json,
    LimitExceeded,
    Limits,
    LocalProtocolError,
    QueryRequest,
    RemoteProtocolError,
    ReportReactionRequest,
    RequestHead,
    RequestRefused,
    ResponseHead,
    SSEDecoder,
    UnknownControl,
    UnknownEvent,
    decode_event,
    decode_request,
    decode_settings,
    encode_event,
    encode_request,
    encode_settings,
)
from poeproto.auth import bearer_key
from poeproto.conversation import alternate_roles, insert_attachments
from poeproto.flows import CostExchange, ToolCallAggregator, parse_arguments, read_settings_sync, read_upload
from poeproto.flows.tools import delta_text, prepare_call, says_nothing, tool_call_deltas
from poeproto.lint import lint_event, lint_request, lint_settings
from poeproto.reactions import reaction_change
from poeproto.vocabulary.rate_limits import rate_limit, retry_after_seconds
from poeproto.wire.codec import walk_values
from tests.fuzzing.inputs import chance_of, cuts, parsed

LIMITS = Limits(tool_calls=5, answer_size=2000, refusal_body=64, event_size=500)
KEY = "not-a-real-key-00000000000000000"


def requests(data: bytes) -> None:
    """A request: `RemoteProtocolError`, or a value that survives encoding and decoding."""
    lint_request(data)
    try:
        request = decode_request(data)
    except RemoteProtocolError as exc:
        str(exc).encode("utf-8", "surrogatepass")
        return
    wire = encode_request(request)
    again = decode_request(wire)
    assert encode_request(again) == wire
    if isinstance(request, QueryRequest) and isinstance(again, QueryRequest):
        # Definitions of tools are written with keys that readers require, whether or not they were there.
        assert attrs.evolve(again, tools=None) == attrs.evolve(request, tools=None)
    else:
        assert again == request
    repr(request)
    if isinstance(request, QueryRequest):
        alternating = alternate_roles(insert_attachments(request).query)
        assert all(one.role != next_one.role for one, next_one in pairwise(alternating))
        assert alternate_roles(alternating) == alternating
    if isinstance(request, ReportReactionRequest):
        reaction_change(request)


def events(data: bytes) -> None:
    """An event, a line with its name and its payload: `RemoteProtocolError`, or a value that survives a round trip.

    A name with CR or NUL is refused with `LocalProtocolError`, and so is data with a lone surrogate outside of JSON.
    """
    first, _, payload = data.partition(b"\n")
    name = first.decode("utf-8", "surrogateescape")
    lint_event(name, payload)
    try:
        event = decode_event(name, payload)
    except RemoteProtocolError:
        return
    try:
        wire = encode_event(event)
    except LocalProtocolError:
        assert isinstance(event, UnknownEvent)
        return
    (record,) = SSEDecoder().receive_data(wire)
    again = decode_event(record.event, record.data)
    assert again == event or isinstance(event, UnknownEvent)
    assert encode_event(again) == wire


def settings(data: bytes) -> None:
    """Settings: `RemoteProtocolError` when decoded; `LocalProtocolError` when encoded, for what Poe would refuse."""
    lint_settings(data)
    try:
        value = decode_settings(data)
    except RemoteProtocolError:
        return
    try:
        wire = encode_settings(value)
    except LocalProtocolError:
        controls = value.parameter_controls
        assert (
            any(each.extra for _, each in walk_values(value))
            or (controls is not None and controls.api_version != "2")
            or any(isinstance(each, UnknownControl) for _, each in (controls.walk() if controls else ()))
        )
        return
    assert decode_settings(wire) == value
    assert encode_settings(decode_settings(wire)) == wire


def tool_chunks(data: bytes) -> None:
    """Chunks, each a line: `RemoteProtocolError` or `LimitExceeded`; nothing exceeds the limits."""
    aggregator, chance = ToolCallAggregator(LIMITS), chance_of(data)
    for line in data.split(b"\n"):
        try:
            event = decode_event("json", line)
        except RemoteProtocolError:
            continue
        assert isinstance(event, Json)
        event = Json(event.data, chance.choice((None, None, 0, 1)))
        for read in (delta_text, says_nothing, tool_call_deltas):
            with contextlib.suppress(RemoteProtocolError):
                read(event)
        with contextlib.suppress(RemoteProtocolError):  # a `LimitExceeded` is one
            aggregator.add(event)
    calls = aggregator.calls
    assert calls == aggregator.calls
    assert len(calls) <= LIMITS.tool_calls
    for call in calls:
        with contextlib.suppress(RemoteProtocolError):
            parse_arguments(call)
        prepare_call({"f": None}, call)
    query = QueryRequest(query=[], tool_calls=calls)
    assert decode_request(encode_request(query)) == query


def answers(data: bytes) -> None:
    """Responses of Poe, whole or cut: the documented exceptions of each function that reads them."""
    first, headers, body = parsed(data)
    status = int(first[9:12]) if first[9:12].isascii() and first[9:12].isdigit() else 200
    response = HttpResponse(status, headers, body)
    with contextlib.suppress(RequestRefused, RemoteProtocolError):
        read_upload(response, name="n", access_key=KEY, limits=LIMITS)
    with contextlib.suppress(RequestRefused):
        read_settings_sync(response, access_key=KEY, limits=LIMITS)
    outcomes = [_cost(response, parts) for parts in ([body], cuts(body, chance_of(data)))]
    assert outcomes[0] == outcomes[1]
    reply_headers(ResponseHead(status, headers))


def _cost(response: HttpResponse, parts: list[bytes]) -> str:
    exchange = CostExchange(KEY, LIMITS)
    exchange.receive_head(ResponseHead(response.status, response.headers))
    try:
        for part in parts:
            exchange.receive_data(part)
        exchange.receive_eof()
    except (RequestRefused, InsufficientFunds, IncompleteReply, LimitExceeded, RemoteProtocolError) as exc:
        assert exc is exchange.error
        assert KEY not in str(exc)
        return f"{type(exc).__name__}: {exc}"
    return "granted"


def reply_headers(head: ResponseHead) -> None:
    """When to call again, from headers: a finite number or None. No exception."""
    limit = rate_limit(head)
    for seconds in (retry_after_seconds(head), limit and limit.reset_seconds):
        assert seconds is None or (math.isfinite(seconds) and seconds >= 0)
    assert head.media_type == head.media_type.strip()
    assert head.content_coding
    repr(head)


HEADERS = ("retry-after", "date", "x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset", "content-type")


def headers(data: bytes) -> None:
    """Values of headers, each a line, and the target of a request. No exception."""
    lines = data.split(b"\n")
    reply_headers(ResponseHead(429, list(zip(HEADERS, lines, strict=False))))
    bearer_key(lines[0])
    head = RequestHead("POST", lines[0].decode("latin-1"))
    assert head.path == "" or isinstance(head.query, dict)
    repr(head)
