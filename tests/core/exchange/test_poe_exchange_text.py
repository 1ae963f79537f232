"""Lone surrogates: a bot written in JavaScript may cut a string inside a surrogate pair."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from poeproto import (
    Done,
    Error,
    Event,
    IncompleteReply,
    Limits,
    PoeExchange,
    PoeprotoError,
    QueryRequest,
    ReplaceResponse,
    ReplyFold,
    ResponseHead,
    SuggestedReply,
    Text,
    encode_event,
)
from poeproto.testing import bytewise, cut_at

HIGH, LOW = "\ud83d", "\udc08"  # the halves of a cat
CAT = "🐈"
DONE, ERROR = encode_event(Done()), encode_event(Error())
BAD = b"event: text\ndata: [not JSON\n\n"


def record(name: str, text: str, index: int | None = None) -> bytes:
    """A text event as JavaScript encodes it: a lone surrogate as an escape."""
    data = {"text": text} if index is None else {"text": text, "index": index}
    return f"event: {name}\ndata: {json.dumps(data)}\n\n".encode()


def whole(data: bytes) -> list[bytes]:
    return [data]


def open_exchange(limits: Limits | None = None) -> PoeExchange:
    exchange = PoeExchange(limits=limits)
    exchange.send(QueryRequest([]), "http://bot.invalid/")
    exchange.receive_head(ResponseHead(200, [("content-type", "text/event-stream")]))
    return exchange


def read(parts: list[bytes], limits: Limits | None = None) -> tuple[list[Event], PoeExchange]:
    exchange = open_exchange(limits)
    events: list[Event] = []
    with contextlib.suppress(PoeprotoError):
        for part in parts:
            events += exchange.receive_data(part)
        events += exchange.receive_eof()
    return events, exchange


def joined(pieces: list[str]) -> str:
    """The pieces as one UTF-16 string read as Unicode text, every lone half of a pair replaced."""
    text = "".join(pieces).encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")
    return re.sub("[\ud800-\udfff]", "\ufffd", text)


@pytest.mark.parametrize(
    ("records", "expected"),
    [
        pytest.param([record("text", HIGH + LOW)], [Text(CAT)], id="a pair"),
        pytest.param([record("text", "a" + HIGH), record("text", LOW + "b")], [Text("a"), Text(CAT + "b")], id="cut"),
        pytest.param([record("text", HIGH), record("text", LOW)], [Text(CAT)], id="nothing but halves"),
        pytest.param([record("text", HIGH), record("text", ""), record("text", LOW)], [Text(CAT)], id="empty between"),
        pytest.param([record("text", HIGH), record("text", "a")], [Text("\ufffda")], id="no low half"),
        pytest.param([record("text", "a"), record("text", LOW)], [Text("a"), Text("\ufffd")], id="no high half"),
        pytest.param([record("text", HIGH + HIGH), record("text", LOW)], [Text("\ufffd"), Text(CAT)], id="two high"),
        pytest.param([record("text", LOW + HIGH), record("text", "")], [Text("\ufffd"), Text("\ufffd")], id="reversed"),
        pytest.param(
            [
                record("text", "a" + HIGH, 0),
                record("text", HIGH, 1),
                record("text", LOW, 0),
                record("text", LOW + "b", 1),
            ],
            [Text("a", 0), Text(CAT, 0), Text(CAT + "b", 1)],
            id="interleaved",
        ),
        pytest.param(
            [record("text", HIGH, 0), record("text", LOW), record("text", "a", 1)],
            [Text("\ufffd"), Text("a", 1), Text("\ufffd", 0)],
            id="halves of different answers",
        ),
        pytest.param(
            [record("text", "a" + HIGH), record("replace_response", LOW + "b")],
            [Text("a"), ReplaceResponse("\ufffdb")],
            id="a replacement drops what waits",
        ),
        pytest.param(
            [record("text", HIGH, 0), record("replace_response", "a", 1), record("text", LOW, 0)],
            [ReplaceResponse("a", 1), Text(CAT, 0)],
            id="but only of its own answer",
        ),
        pytest.param(
            [record("replace_response", "a" + HIGH), record("text", LOW)],
            [ReplaceResponse("a"), Text(CAT)],
            id="a replacement is cut",
        ),
        pytest.param(
            [record("text", "a"), record("replace_response", HIGH), record("text", LOW)],
            [Text("a"), ReplaceResponse(""), Text(CAT)],
            id="a replacement by half a character still replaces",
        ),
        pytest.param(
            [record("text", HIGH), record("suggested_reply", "more"), record("text", LOW)],
            [SuggestedReply("more"), Text(CAT)],
            id="other events between",
        ),
    ],
)
@pytest.mark.parametrize("cut", [whole, bytewise])
def test_halves_are_joined_within_an_answer(
    cut: Callable[[bytes], list[bytes]], records: list[bytes], expected: list[Event]
) -> None:
    events, exchange = read(cut(b"".join(records) + DONE))
    assert events == [*expected, Done()]
    assert exchange.error is None


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ("\ud800", "\udc00", "\U00010000"),
        ("\udbff", "\udfff", "\U0010ffff"),
        ("\ud7ff", "\udc00", "\ud7ff\ufffd"),
        ("\ud800", "\ue000", "\ufffd\ue000"),
    ],
)
def test_the_outermost_halves_are_joined_and_their_neighbours_are_not(first: str, second: str, expected: str) -> None:
    _, exchange = read([record("text", first), record("text", second), DONE])
    assert exchange.fold.text == expected


@pytest.mark.parametrize("end", [DONE, ERROR, BAD, b""], ids=["done", "error", "bad event", "end of stream"])
def test_a_waiting_half_is_returned_before_the_end(end: bytes) -> None:
    for parts in [record("text", "a" + HIGH) + end], [record("text", "a" + HIGH), end]:
        events, exchange = read(parts)
        assert events[:2] == [Text("a"), Text("\ufffd")]
        assert exchange.fold.text == "a\ufffd"


def test_at_the_end_of_the_stream_the_half_is_returned_first_and_the_error_raised_next() -> None:
    exchange = open_exchange()
    assert exchange.receive_data(record("text", HIGH)) == []
    assert exchange.receive_eof() == [Text("\ufffd")]
    with pytest.raises(IncompleteReply) as caught:
        exchange.receive_eof()
    assert caught.value is exchange.error
    assert caught.value.partial is not None
    assert caught.value.partial.text == "\ufffd"


def test_a_joined_text_keeps_the_other_fields_of_its_event() -> None:
    data = json.dumps({"text": LOW + "b", "index": 2, "later": True})
    events, _ = read([record("text", HIGH, 2), f"event: text\ndata: {data}\n\n".encode(), DONE])
    assert events == [Text(CAT + "b", 2, extra={"later": True}), Done()]


@given(
    st.text(alphabet=[HIGH, LOW, CAT, "a", "é", "\n"]), st.lists(st.integers(0, 100)), st.lists(st.integers(0, 3000))
)
def test_a_string_cut_anywhere_arrives_as_it_was(text: str, cuts: list[int], places: list[int]) -> None:
    units = text.encode("utf-16-le", "surrogatepass")
    pieces = [part.decode("utf-16-le", "surrogatepass") for part in cut_at(units, [2 * cut for cut in cuts])]
    events, exchange = read(cut_at(b"".join(record("text", piece) for piece in pieces) + DONE, places))
    assert exchange.error is None
    assert "".join(event.text for event in events if isinstance(event, Text)) == joined([text])


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["text", "text", "text", "replace_response"]),
            st.text(alphabet=[HIGH, LOW, CAT, "a"], max_size=3),
            st.sampled_from([None, 0, 1]),
        )
    ),
    st.sampled_from([DONE, ERROR, BAD, b"", record("text", "a" * 500)]),
    st.lists(st.integers(0, 1000)),
)
def test_the_texts_are_the_same_whatever_the_events_the_end_and_the_cuts(
    writes: list[tuple[str, str, int | None]], end: bytes, places: list[int]
) -> None:
    pieces: dict[int | None, list[str]] = {}
    for name, text, index in writes:
        if name == "replace_response":
            pieces[index] = []
        pieces.setdefault(index, []).append(text)
    events, exchange = read(cut_at(b"".join(record(*write) for write in writes) + end, places), Limits(event_size=400))
    fold = ReplyFold()
    for event in events:
        fold.add(event)
    assert fold.texts == exchange.fold.texts == {index: joined(texts) for index, texts in pieces.items()}
