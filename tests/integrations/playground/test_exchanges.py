"""The exchanges that the playground keeps: events in place, keys masked, and a bound of memory."""

from __future__ import annotations

import io
import json

import pytest

from poeproto_playground.event_splitter import EventSplitter
from poeproto_playground.exchange_export import export
from poeproto_playground.exchange_log import Exchange, ExchangeLog
from poeproto_playground.exchange_view import details, events, reads
from poeproto_playground.masking import Masking
from poeproto_playground.snippets import snippet
from poeproto_record import End, RecordingReader, read_exchanges

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
    """A log, and its notifications."""

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


KEY = "a-key-of-the-bot"
SPELLINGS = [
    KEY,
    r"\u0061-key-of-the-bot",
    r"a-key-of-the-bo\u0074",
    "".join(rf"\u{ord(each):04X}" for each in KEY),
    "".join(rf"\\\\u{ord(each):04x}" for each in KEY),
    "a%2Dkey%2dof-the-bot",
]


@pytest.mark.parametrize("spelled", SPELLINGS)
def test_a_key_is_masked_however_it_is_spelled(spelled: str) -> None:
    kept = Kept()
    data = f'event: text\ndata: {{"text": "é {spelled}!"}}\n\n'.encode()
    exchange = kept.query(*[data[start : start + 1] for start in range(len(data))])
    whole = f'event: text\ndata: {{"text": "é {"*" * len(spelled)}!"}}\n\n'
    assert kept.masking.data(data).decode() == whole
    assert kept.masking.text(f"\ud800 {spelled}") == "\ud800 " + "*" * len(spelled)
    shown = reads(exchange, 0, 1000, kept.masking)["reads"]
    assert "".join(each.get("text", "") for each in shown) == whole.replace("é", "")  # its bytes are shown apart
    [event] = events(exchange, 0, 10, kept.masking)["events"]
    assert event["data"] == f'{{"text": "é {"*" * len(spelled)}!"}}'
    exported = export("recording", [exchange], 0, kept.masking)
    [read_again] = read_exchanges(RecordingReader(io.BytesIO(exported)))
    assert read_again.response_body.decode().startswith('event: text\ndata: {"text": "é ')
    assert spelled not in read_again.response_body.decode()
    assert KEY not in json.loads(read_again.response_body.decode().partition("data: ")[2])["text"]


def test_a_key_with_characters_that_json_escapes_is_masked() -> None:
    key = 'q/w"e\\rty'
    masking = Masking(lambda: [key, "a/slash/"])
    for spelled in (json.dumps(key)[1:-1], json.dumps(json.dumps(key))[3:-3], r"a\/slash\/", r"a\\\/slash\u002f"):
        assert masking.text(f"<{spelled}>") == f"<{'*' * len(spelled)}>"
    assert masking.text(r"a\nslash") == r"a\nslash"


def test_a_key_that_the_cut_of_a_long_event_would_split_is_masked() -> None:
    kept = Kept()
    exchange = kept.query(b"data: " + b"x" * 99_990 + KEY.encode() + b"\n\n")
    [event] = events(exchange, 0, 10, kept.masking)["events"]
    assert event["data"] == "x" * 99_990 + "*" * 10
    assert event["cut"]


def test_keys_in_findings_and_copies_are_masked() -> None:
    kept = Kept()
    exchange = kept.query(f'event: text\ndata: {{"text": "x", "{KEY}": 1}}\n\nevent: {KEY}\ndata: x\n\n'.encode())
    assert KEY not in json.dumps(details(exchange, kept.masking))
    url = f"http://poe.test/bot/update_settings/Cat/{KEY}/1"
    call = kept.log.begin("from-bot", "update_settings", "POST", url, {}, b"{}")
    for form in ("curl", "python", "pytest"):
        assert KEY not in snippet(call, form, None, kept.masking)
        assert url in snippet(call, form, KEY, kept.masking)
