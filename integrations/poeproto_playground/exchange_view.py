"""Exchanges as JSON values for the page: summaries, reads, events and findings in place. Keys are masked."""

from __future__ import annotations

import base64
import re
from typing import Any

from poeproto.lint import RULES, SECTIONS, Finding
from poeproto_playground.event_splitter import EventSplitter, SplitEvent
from poeproto_playground.exchange_log import Exchange, Side
from poeproto_playground.masking import Masking

# The longest data of an event that is sent with others; the whole body can be downloaded.
_DATA_LENGTH = 100_000
_EVENT_PATH = re.compile(r"events\[(\d+)\]")


def summary(exchange: Exchange, masking: Masking) -> dict[str, Any]:
    """An exchange in the list."""
    start = exchange.request.at
    first = exchange.reads[0].at if exchange.reads else None
    end = exchange.end
    return {
        "id": exchange.id,
        "source": exchange.source,
        "direction": exchange.direction,
        "kind": exchange.kind,
        "bot": exchange.bot,
        "conversation": exchange.conversation,
        "message": exchange.message,
        "parent": exchange.parent,
        "method": exchange.request.method,
        "url": masking.url(exchange.request.url),
        "status": exchange.head.status if exchange.head else None,
        "started": exchange.started,
        "first_byte_ms": None if first is None else milliseconds(first - start),
        "duration_ms": None if end is None else milliseconds(end.at - start),
        "outcome": end.outcome.value if end else None,
        "detail": masking.text(end.detail) if end else "",
        "request_size": len(exchange.request.body),
        "response_size": exchange.size,
        "reads": len(exchange.reads),
        "events": exchange.events,
        "omitted": exchange.omitted,
        "findings": exchange.counts,
        "logs": exchange.logs,
        "resent_from": exchange.resent_from,
    }


def details(exchange: Exchange, masking: Masking) -> dict[str, Any]:
    """An exchange with its heads, the body of its request and its findings."""
    request = {
        "headers": masking.headers(exchange.request.headers),
        "body": data_to_json(masking.data(exchange.request.body), exchange.request.omitted),
    }
    response = {"headers": masking.headers(exchange.head.headers)} if exchange.head else None
    places = [event for event in split_body(exchange) if event.is_dispatched] if exchange.findings else []
    found = [finding_to_json(side, finding, places, masking) for side, finding in exchange.findings]
    return {**summary(exchange, masking), "request": request, "response": response, "findings_list": found}


def finding_to_json(side: Side, finding: Finding, places: list[SplitEvent], masking: Masking) -> dict[str, Any]:
    """A finding with the text of its rule, and its place in an event stream."""
    match = _EVENT_PATH.match(finding.path)
    number = int(match[1]) if match else None
    in_place = number is not None and number < len(places)
    return {
        **rule_to_json(finding.rule),
        "side": side,
        "path": masking.text(finding.path),
        "rule": finding.rule,
        "message": masking.text(finding.message),
        "event": number,
        "offset": places[number].offset if in_place and number is not None else None,
    }


def rule_to_json(rule_id: str) -> dict[str, Any]:
    """A rule of the table.

    Raises:
        KeyError: when no rule has that name.
    """
    rule = RULES[rule_id]
    return {
        "id": rule.id,
        "section": rule.section,
        "section_url": SECTIONS[rule.section],
        "level": rule.level.value,
        "text": rule.text,
        "why": rule.why,
        "fix": rule.fix,
    }


def reads(exchange: Exchange, start: int, limit: int, masking: Masking) -> dict[str, Any]:
    """Some of the reads of the body of the response."""
    body = masking.data(exchange.body())  # a key may be split between two reads
    shown: list[dict[str, Any]] = []
    offset, before = 0, exchange.request.at
    for index, read in enumerate(exchange.reads):
        end = offset + len(read.data)
        if start <= index < start + limit:
            times = {"at_ms": milliseconds(read.at - exchange.request.at), "gap_ms": milliseconds(read.at - before)}
            shown.append({"index": index, **times, "offset": offset, **data_to_json(body[offset:end], read.omitted)})
        offset, before = end, read.at
    return {"reads": shown, "total": len(exchange.reads)}


def events(exchange: Exchange, start: int, limit: int, masking: Masking) -> dict[str, Any]:
    """Some of the events of the response, with their times: that of the read in which an event ends."""
    shown: list[dict[str, Any]] = []
    total, before = 0, exchange.request.at
    for event, at in timed_events(exchange):
        if start <= total < start + limit:
            data = masking.text(event.data)  # before it is cut: the cut could be within a key
            entry = {
                "index": total,
                "event": event.event,
                "data": data[:_DATA_LENGTH],
                "at_ms": milliseconds(at - exchange.request.at),
                "gap_ms": milliseconds(at - before),
                "offset": event.offset,
                "size": event.size,
            }
            shown.append({**entry, "cut": True} if len(data) > _DATA_LENGTH else entry)
        total, before = total + 1, at
    return {"events": shown, "total": total}


def times(exchange: Exchange) -> dict[str, Any]:
    """The times of all events, for a plot."""
    return {"times": [milliseconds(at - exchange.request.at) for _, at in timed_events(exchange)]}


def timed_events(exchange: Exchange) -> list[tuple[SplitEvent, float]]:
    """The events of the response, each with the time of the read that completed it."""
    splitter = EventSplitter()
    return [(event, read.at) for read in exchange.reads for event in splitter.receive_data(read.data)]


def split_body(exchange: Exchange) -> list[SplitEvent]:
    """The events of the response."""
    return [event for event, _ in timed_events(exchange)]


def data_to_json(data: bytes, omitted: int = 0) -> dict[str, Any]:
    """Bytes: as text if they are UTF-8, and in Base64 otherwise."""
    shown: dict[str, Any] = {"size": len(data)}
    try:
        shown["text"] = data.decode("utf-8")
    except UnicodeDecodeError:
        shown["b64"] = base64.b64encode(data).decode("ascii")
    return {**shown, "omitted": omitted} if omitted else shown


def milliseconds(seconds: float) -> float:
    """A time or duration as the page gets it."""
    return round(seconds * 1000, 3)
