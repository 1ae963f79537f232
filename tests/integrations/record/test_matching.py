"""The recorded exchange that answers a request, and the message if there is none."""

from __future__ import annotations

import json
from typing import Any

import attrs
import pytest

from poeproto_record import NoRecordedExchange, RecordedExchange, RecordedReplies, ReplayMatch

from ...support.canary import CANARY, assert_hidden
from ...support.recording_servers import tape_writer

KEY = "k" * 32


def query(*texts: str, **fields: Any) -> bytes:
    messages = [{"role": "user", "content": text} for text in texts]
    return json.dumps({"type": "query", "query": messages, **fields}).encode()


def recorded(*requests: tuple[str, str, bytes]) -> tuple[RecordedExchange, ...]:
    writer, tape = tape_writer()
    for method, url, body in requests:
        number = writer.request(method, url, {}, body)
        writer.head(number, 200)
        writer.end(number)
    return tape.recording().exchanges


def replies(*requests: tuple[str, str, bytes] | bytes, **options: Any) -> RecordedReplies:
    return RecordedReplies(
        recorded(*(("POST", "/", each) if isinstance(each, bytes) else each for each in requests)), **options
    )


def find(found: RecordedReplies, body: bytes = b"", method: str = "POST", target: str = "/") -> int:
    return found.find(method, target, [("authorization", f"Bearer {KEY}")], body).number


def failure(found: RecordedReplies, body: bytes = b"", method: str = "POST", target: str = "/") -> NoRecordedExchange:
    with pytest.raises(NoRecordedExchange) as caught:
        find(found, body, method, target)
    return caught.value


def test_the_last_message_decides() -> None:
    found = replies(query("a", "hello"), query("bye"), b'{"type": "settings"}')
    assert find(found, query("hello", message_id="m-1")) == 1
    assert find(found, query("x", "y", "bye")) == 2
    assert find(found, b'{"version": "1.2", "type": "settings"}') == 3
    assert failure(found, query("hello!")).differences == ("last message: recorded 'hello', received 'hello!'",)
    reported = failure(found, b'{"type": "report_error"}')
    assert (reported.nearest, reported.differences) == (3, ("type: recorded 'settings', received 'report_error'",))


def test_equal_requests_get_the_exchanges_in_turn_and_then_the_last() -> None:
    found = replies(query("hi"), query("other"), query("hi"))
    assert [find(found, query("hi")) for _ in range(4)] == [1, 3, 3, 3]


def test_the_path_and_the_method_decide_too() -> None:
    found = replies(
        ("POST", "/a?x=1", query("hi")), ("POST", "http://h.test/b", query("hi")), ("GET", "http://h.test", b"")
    )
    assert find(found, query("hi"), target="/b") == 2
    assert find(found, query("hi"), target="/a?x=2") == 1
    assert find(found, method="GET") == 3
    assert failure(found, query("hi"), target="/c").differences == ("path: recorded '/a', received '/c'",)
    assert find(RecordedReplies(recorded(("POST", "/a", query("hi"))), compares_path=False), query("hi")) == 1


def test_redacted_text_matches_any_text() -> None:
    found = replies(
        ("POST", "/fetch_settings/bot/REDACTED-1/1.1", query("my key is REDACTED-1, and REDACTED-2!", n="REDACTED-3")),
        match=ReplayMatch.EXACT,
    )
    target = f"/fetch_settings/bot/{KEY}/1.1"
    assert find(found, query("my key is a, b, and c!", n=12), target=target) == 1
    assert failure(found, query("my key is a, b, and c", n=12), target=target).nearest == 1
    assert failure(found, query("your key is a, and c!", n=12), target=target).nearest == 1
    assert failure(found, query("my key is a", n=12), target=target).nearest == 1


def test_exact_compares_all_values_of_the_body() -> None:
    body = {"type": "query", "query": [{"content": "hi", "n": 1}], "more": None}
    found = replies(json.dumps(body).encode(), match=ReplayMatch.EXACT)
    assert find(found, json.dumps(dict(reversed(body.items())), indent=3).encode()) == 1
    changed = {"type": "query", "query": [{"content": "ho", "n": True}], "other": 1}
    assert failure(found, json.dumps(changed).encode()).differences == (
        "more: only in the recording",
        "other: not in the recording",
        "query[0].content: recorded 'hi', received 'ho'",
        "query[0].n: recorded 1, received true",
    )
    assert failure(found, b'{"type": "query", "query": [], "more": []}').differences == (
        "query: recorded 1 items, received 0",
        "more: recorded null, received an array",
    )
    assert failure(found, json.dumps(body).encode(), target="/?a=b").differences == ("the query strings of the URLs",)
    assert failure(found, b"\xff").differences[0].startswith("type: ")
    assert find(replies(b"\xff\x00", match=ReplayMatch.EXACT), b"\xff\x00") == 1
    assert failure(replies(b"plain text", match=ReplayMatch.EXACT), b"plain words").differences == (
        "body: recorded 'plain text', received 'plain words'",
    )


def test_order_compares_no_fields() -> None:
    found = replies(b"1", b"2", match=ReplayMatch.ORDER)
    assert [find(found, b"x"), find(found, method="GET", target="/z")] == [1, 2]
    assert str(failure(found)) == "all 2 exchanges of the recording have been replayed"


def test_an_empty_recording() -> None:
    assert str(failure(RecordedReplies([]))) == "the recording has no exchange"


def test_long_texts_are_quoted_from_where_they_differ() -> None:
    found = replies(query("x" * 1000 + "a" + "y" * 1000))
    [difference] = failure(found, query("x" * 1000 + "b" + "y" * 1000)).differences
    assert difference == (f"last message: recorded '…{'x' * 20}a{'y' * 38}…', received '…{'x' * 20}b{'y' * 38}…'")


def test_no_secret_is_quoted() -> None:
    escaped = CANARY.replace('"', '\\"')
    body = f'{{"type": "query", "access_key": "{escaped}", "query": [{{"content": "it is {escaped}"}}]}}'.encode()
    other = b'{"type": "query", "access_key": "another", "query": [{"content": "it was"}]}'
    for match in (ReplayMatch.EXACT, ReplayMatch.LAST_MESSAGE):
        found = replies(other, match=match)
        with pytest.raises(NoRecordedExchange) as caught:
            found.find("POST", f"/?token={CANARY}", [("authorization", f"Bearer {CANARY}")], body)
        assert_hidden(str(caught.value), caught.value.differences)


def test_a_response_that_was_not_recorded_is_not_replayed() -> None:
    writer, tape = tape_writer()
    number = writer.request("POST", "/", {}, b"x")
    writer.head(number, 200, {"content-encoding": "gzip"})
    writer.data(number, b"\x1f\x8b")
    writer.end(number)
    [exchange] = tape.recording().exchanges
    [read] = exchange.data
    omitted = attrs.evolve(exchange, data=(attrs.evolve(read, data=b"", omitted=2),))
    assert "2 bytes of its response were not recorded" in str(failure(RecordedReplies([omitted]), b"x"))


def test_hostile_bodies() -> None:
    deep = b"[" * 100_000 + b"]" * 100_000
    many = query("REDACTED-1" + "aREDACTED-1" * 3000)
    for match in (ReplayMatch.EXACT, ReplayMatch.LAST_MESSAGE):
        found = replies(deep, many, b'{"type": [], "query": {}}', b'{"query": [7]}', match=match)
        assert find(found, deep) in (1, 3, 4)
        assert failure(found, query("a" * 2000 + "b"), method="PUT").nearest is not None
