from __future__ import annotations

from collections.abc import Iterable

import pytest

from poeproto import (
    Event,
    IncompleteReply,
    LimitExceeded,
    Limits,
    PoeExchange,
    PoeprotoError,
    QueryRequest,
    RemoteProtocolError,
    ResponseHead,
)
from poeproto.schemas import event_payload

from ...support.vectors import Case, cases, name_of, ways_to_cut, wire_of

QUERY = QueryRequest([])
STREAM = ResponseHead(200, [("content-type", "text/event-stream")])
ERRORS: dict[str, type[PoeprotoError]] = {
    "incomplete": IncompleteReply,
    "protocol": RemoteProtocolError,
    "limit": LimitExceeded,
}


def read(parts: Iterable[bytes], limits: Limits) -> tuple[list[Event], PoeExchange]:
    exchange = PoeExchange(limits=limits)
    exchange.send(QUERY, "http://bot.invalid/")
    exchange.receive_head(STREAM)
    events: list[Event] = []
    try:
        for part in parts:
            events += exchange.receive_data(part)
        events += exchange.receive_eof()
        if exchange.error is not None:
            exchange.receive_eof()
    except PoeprotoError:
        assert exchange.error is not None
    return events, exchange


@pytest.mark.parametrize("case", [*cases("replies.json"), *cases("limits_reading.json")], ids=name_of)
def test_events(case: Case) -> None:
    limits = Limits(**case.get("limits", {}))
    wire = wire_of(case)
    expected, exchange = read([wire], limits)
    assert [list(event_payload(event)) for event in expected] == case["events"]
    if "indexes" in case:
        assert [event.index for event in expected] == case["indexes"]
    kind, path, limit = None, "", None
    if case["error"] is not None:
        kind, path = ERRORS[case["error"]["type"]], case["error"].get("path", "")
        limit = case["error"].get("limit")
        for call in exchange.receive_eof, lambda: exchange.receive_data(b""):
            with pytest.raises(PoeprotoError) as again:
                call()
            assert again.value is exchange.error
    for parts in ways_to_cut(wire):
        events, exchange = read(parts, limits)
        assert events == expected, parts
        error = exchange.error
        assert (type(error) if error else None) is kind, parts
        assert (getattr(error, "path", ""), getattr(error, "limit", None)) == (path, limit), parts
