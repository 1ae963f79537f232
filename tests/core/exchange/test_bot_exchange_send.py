"""Fast path of `send`: every rule holds as it does by the table."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from poeproto import (
    BotExchange,
    Data,
    Done,
    Error,
    Event,
    File,
    Limits,
    LocalProtocolError,
    Message,
    Meta,
    QueryRequest,
    ReplaceResponse,
    RequestHead,
    Text,
    UnknownEvent,
    encode_request,
)

from ...support.poe_exchanges import RecordByRecord, opened
from ...support.vectors import Case, cases, name_of, wire_of


class Shout(str):
    __slots__ = ()


class Louder(Text):
    """A subclass that a user has made."""


def begun(limits: Limits | None = None) -> BotExchange:
    exchange = BotExchange(None, limits)
    exchange.receive_head(RequestHead("POST", "/"))
    exchange.receive_data(encode_request(QueryRequest([Message("user", "hello")])))
    exchange.receive_eof()
    exchange.begin()
    return exchange


def outcomes(exchange: BotExchange, send: Callable[[Any], bytes], events: list[Any]) -> list[object]:
    """The bytes or the error for each event, and the exchange's count."""
    seen: list[object] = []
    for event in events:
        try:
            seen.append(send(event))
        except LocalProtocolError as exc:
            seen.append(str(exc))
        quota = exchange._quota
        seen.append((exchange.our_state, exchange.events, exchange.text_left, dict(quota._text_left_by_index)))
    return seen


def check(limits: Limits, events: list[Any]) -> None:
    fast, by_the_table = begun(limits), begun(limits)
    assert outcomes(fast, fast.send, events) == outcomes(by_the_table, by_the_table._send, events)


wrong: Any = 5
EVENTS: list[Any] = [
    *[Text(text) for text in ("", "a", "é🐈", '"\\\n', "\ud83d", Shout("a"), "x" * 30)] * 2,
    *(Text("a", index) for index in (0, 1, -1, True, wrong)),
    Text("a", index=wrong * 1.5),
    *(
        Text("a", extra={"new": 1}),
        Text("a", extra={}),
        Text(wrong),
        Text("a", extra={"text": float("nan")}),
        Louder("a"),
    ),
    *(ReplaceResponse("r"), ReplaceResponse("r", 1), Meta(), File("u", "n", "t"), Data("m"), Error(), Done()),
    *(UnknownEvent("a", "b"), None, "text"),
]


@settings(max_examples=500)
@given(
    st.builds(Limits, text_length=st.integers(1, 40), events=st.integers(1, 12), files=st.integers(1, 2)),
    st.lists(st.sampled_from(EVENTS), max_size=20),
)
def test_any_events_are_sent_as_by_the_table(limits: Limits, events: list[Any]) -> None:
    check(limits, events)


@pytest.mark.parametrize("case", [*cases("replies.json"), *cases("limits_reading.json")], ids=name_of)
def test_the_events_of_every_vector_are_sent_as_by_the_table(case: Case) -> None:
    events = opened(RecordByRecord()).receive_data(wire_of(case))
    check(Limits(), [Text("a"), *events])
    check(Limits(events=2, text_length=3), [Text("a"), *events])


def test_consecutive_texts_take_the_fast_path(monkeypatch: pytest.MonkeyPatch) -> None:
    exchange = begun()
    exchange.send(Text("1"))
    exchange.send(Text("2"))
    monkeypatch.setattr(exchange, "_send", None)
    assert exchange.send(Text("3")) == b'event: text\ndata: {"text":"3"}\n\n'


# --- several at once

A_RECORD = b'event: text\ndata: {"text":"a"}\n\n'
TEXTS: list[Any] = ["", "a", "é🐈", '"\\\n\r\u2028\0', "\ud83d", Shout("a"), "x" * 30]
AROUND: list[Any] = [Meta(), Text("a"), Text("a", 1), Data("m"), Error(), Done()]


def one_by_one(exchange: BotExchange, texts: list[Any]) -> bytes | None:
    """The bytes if each is sent by itself; None if one cannot be sent."""
    try:
        return b"".join([exchange.send(Text(text)) for text in texts])
    except LocalProtocolError:
        return None


def at_once(exchange: BotExchange, texts: list[Any]) -> bytes | None:
    before = exchange.our_state, exchange.events, exchange.text_left
    try:
        return exchange.send_texts(texts)
    except LocalProtocolError:
        assert before == (exchange.our_state, exchange.events, exchange.text_left), "nothing was written"
        return None


@settings(max_examples=500)
@given(
    st.builds(Limits, text_length=st.integers(1, 80), events=st.integers(1, 12)),
    st.sampled_from(AROUND),
    st.lists(st.one_of(st.sampled_from(TEXTS), st.text(max_size=10)), max_size=10),
    st.sampled_from(AROUND),
)
def test_texts_in_one_call_are_encoded_as_in_several(limits: Limits, before: Any, texts: list[Any], after: Any) -> None:
    both = begun(limits), begun(limits)
    check_alike(*both, before)
    sent = at_once(both[0], texts)
    assert sent == one_by_one(both[1], texts)
    if sent is not None:
        check_alike(*both, after)


@settings(max_examples=300)
@given(
    st.builds(Limits, text_length=st.integers(1, 40), events=st.integers(1, 6)),
    st.lists(st.sampled_from([*TEXTS, 5, None, b"a", *AROUND]), max_size=8),
)
def test_a_text_without_its_object_is_encoded_as_with_it(limits: Limits, steps: list[Any]) -> None:
    one, other = begun(limits), begun(limits)
    for step in steps:
        if isinstance(step, Text | Meta | Data | Error | Done):
            check_alike(one, other, step)
        else:
            assert outcomes(one, one.send_text, [step]) == outcomes(other, other.send, [Text(step)])


def check_alike(one: BotExchange, other: BotExchange, event: Any) -> None:
    assert outcomes(one, one.send, [event]) == outcomes(other, other.send, [event])


@pytest.mark.parametrize("wrong", [5, None, b"a", Text("a")])
def test_only_strings_are_texts(wrong: Any) -> None:
    exchange = begun()
    with pytest.raises(LocalProtocolError, match="only strings"):
        exchange.send_texts(["a", wrong])
    assert exchange.send_texts(["a"]) == A_RECORD


@pytest.mark.parametrize("end", [[], [Error()], [Text("a"), Done()]], ids=["not begun", "failed", "done"])
def test_texts_are_refused_where_one_would_be(end: list[Event]) -> None:
    exchange = begun() if end else BotExchange(None)
    for event in end:
        exchange.send(event)
    for send in (lambda: exchange.send(Text("a")), lambda: exchange.send_texts(["a", "b"])):
        with pytest.raises(LocalProtocolError, match="Text is out of order: " + exchange.our_state.value):
            send()


def test_the_remaining_quota_is_counted_down() -> None:
    exchange = begun(Limits(events=10, text_length=100))
    assert (exchange.events_left, exchange.text_left) == (10, 100)
    exchange.send(Meta())
    exchange.send(Text("abc"))
    exchange.send_texts(["d", "efg"])
    exchange.send(Text("another answer", 1))
    assert (exchange.events_left, exchange.text_left) == (5, 93)
