"""What the playground keeps: events in place, keys masked, and a bound of memory."""

from __future__ import annotations

import pytest

from poeproto_playground.event_splitter import EventSplitter
from poeproto_playground.exchange_log import Exchange, ExchangeLog
from poeproto_playground.exchange_view import details, events, reads
from poeproto_playground.masking import Masking
from poeproto_record import End

STREAM = (
    b"event: meta\r\ndata: {}\r\n\r\n: a comment\n\nevent: text\ndata: {\ndata: }\n\nevent: ping\n\n\rdata: x\r\r"
    b"event: done\n\nevent: cut"
)
EVENTS = [("meta", "{}"), ("text", "{\n}"), ("ping", ""), ("message", "x"), ("done", "")]


@pytest.mark.parametrize("size", [1, 2, 3, 7, len(STREAM)])
def test_events_have_their_offsets_whatever_the_reads(size: int) -> None:
    splitter = EventSplitter()
    parts = [STREAM[start : start + size] for start in range(0, len(STREAM), size)]
    found = [event for part in parts for event in splitter.receive_data(part)]
    assert [(event.event, event.data) for event in found] == EVENTS
    for event in found:
        assert STREAM[event.offset : event.offset + event.size].strip().startswith((b"event", b"data", b":"))


class Kept:
    """A log, and what it notified."""

    def __init__(self, **options: int) -> None:
        self.changes = 0
        self.drops = 0
        self.log = ExchangeLog(self.change, self.drop, memory=options.get("memory", 64 * 1024 * 1024))
        self.masking = Masking(lambda: ["a-key-of-the-bot", None])

    def change(self, exchange: Exchange) -> None:
        self.changes += 1

    def drop(self) -> None:
        self.drops += 1

    def query(self, *data: bytes) -> Exchange:
        headers = {"authorization": "Bearer a-key", "content-type": "application/json"}
        exchange = self.log.begin("to-bot", "query", "POST", "http://bot.test/", headers, b'{"type": "query"}')
        self.log.head(exchange, 200, {"content-type": "text/event-stream"})
        for each in data:
            self.log.data(exchange, each)
        self.log.end(exchange, End.EOF)
        return exchange


def test_findings_are_in_place() -> None:
    kept = Kept()
    exchange = kept.query(b"event: meta\ndata: {}\n\n", b': x\n\nevent: text\ndata: {"text": 1}\n\n')
    shown = details(exchange, kept.masking)
    [finding] = [each for each in shown["findings_list"] if each["path"] == "events[1].text"]
    assert (finding["level"], finding["event"], finding["offset"]) == ("MUST", 1, 27)
    assert finding["section"]
    assert finding["fix"]
    assert shown["findings"]["MUST"] >= 2  # the query lacks its fields, too


def test_a_key_between_two_reads_is_masked() -> None:
    kept = Kept()
    exchange = kept.query(b"data: a-key-of", b"-the-bot\n\n")
    shown = reads(exchange, 0, 10, kept.masking)["reads"]
    assert [each["text"] for each in shown] == ["data: ********", "********\n\n"]
    assert events(exchange, 0, 10, kept.masking)["events"][0]["data"] == "*" * 16
    assert ["authorization", "Bearer *****"] in details(exchange, kept.masking)["request"]["headers"]


def test_the_oldest_exchanges_are_dropped_and_counted() -> None:
    kept = Kept()
    for _ in range(1005):
        kept.query()
    assert (len(list(kept.log)), kept.log.dropped) == (1000, 5)
    assert kept.log.find("1") is None
    assert kept.drops == 5


def test_the_reads_of_an_exchange_are_bounded() -> None:
    part = b"x" * 1024 * 1024  # one line
    exchange = Kept().query(*[part] * 17)
    assert exchange.omitted == 2 * len(part)
    assert exchange.size == 17 * len(part)


def test_the_memory_of_all_exchanges_is_bounded() -> None:
    kept = Kept(memory=100_000)
    for _ in range(10):
        kept.query(b"data: " + b"x" * 30_000 + b"\n\n")
    assert kept.log.dropped == 7
    assert sum(len(read.data) for each in kept.log for read in each.reads) < 100_000
