from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from poeproto import (
    BotError,
    Data,
    Done,
    Error,
    Event,
    File,
    IncompleteReply,
    Json,
    Meta,
    ReplaceResponse,
    ReplyFold,
    SuggestedReply,
    Text,
    UnknownEvent,
)
from poeproto.flows import Answer
from poeproto.testing import sample_reply

FILE = File("https://files.invalid/a", "a", "text/plain")
ASIDES: list[Event] = [Meta(), SuggestedReply("more"), Data("kept"), UnknownEvent("future", "text")]


def fold(*events: Event) -> ReplyFold:
    reply = ReplyFold()
    for event in events:
        reply.add(event)
    return reply


@pytest.mark.parametrize(
    ("events", "text"),
    [
        ([Text("a"), Text("b")], "ab"),
        ([Text("a"), ReplaceResponse("b"), Text("c")], "bc"),
        ([Text("a"), ReplaceResponse("")], ""),
        ([ReplaceResponse("a"), ReplaceResponse("b")], "b"),
        ([Text("")], ""),
        ([FILE], ""),
        ([Json({"choices": []})], ""),
        ([Text("a"), FILE, Json({}), *ASIDES, Text("b")], "ab"),
        ([Text("a", index=1), Text("b", index=0), Text("c", index=1)], "acb"),
        ([Text("a", index=0), Text("b", index=1), ReplaceResponse("c", index=0)], "cb"),
        ([Text("a"), ReplaceResponse("b", index=0)], "ab"),
    ],
)
def test_the_text_of_a_success_is_folded_from_texts_and_replacements(events: list[Event], text: str) -> None:
    reply = fold(*events, Done())
    assert reply.final_text() == text
    assert reply.text == text


def test_each_answer_has_its_own_text_in_order_of_appearance() -> None:
    reply = fold(Text("a", 1), Text("b"), Text("c", 1), ReplaceResponse("d"), Text("e", 0))
    assert list(reply.texts.items()) == [(1, "ac"), (None, "d"), (0, "e")]


@given(st.lists(st.tuples(st.booleans(), st.text(max_size=3), st.sampled_from([None, 0, 1]))))
def test_a_replacement_clears_the_earlier_text_of_its_answer_only(writes: list[tuple[bool, str, int | None]]) -> None:
    reply = fold(*(ReplaceResponse(text, index) if replace else Text(text, index) for replace, text, index in writes))
    for index in None, 0, 1:
        own = [(replace, text) for replace, text, whose in writes if whose == index]
        last = max((place for place, (replace, _) in enumerate(own) if replace), default=0)
        assert reply.texts.get(index, "") == "".join(text for _, text in own[last:])


READINGS: list[Callable[[ReplyFold], object]] = [
    lambda reply: reply.meta,
    lambda reply: list(reply.files),
    lambda reply: list(reply.suggested_replies),
    lambda reply: list(reply.json),
    lambda reply: reply.metadata,
    lambda reply: reply.error,
    lambda reply: reply.ending,
    lambda reply: reply.text,
    lambda reply: reply.texts,
    lambda reply: reply.answers,
    lambda reply: reply.answer(),
    repr,
]


@pytest.mark.parametrize("read", READINGS)
@pytest.mark.parametrize("ending", [Done(), Error(text="oh")])
def test_pending_events_count_once_they_were_read(read: Callable[[ReplyFold], object], ending: Event) -> None:
    events = [*sample_reply()[:-1], UnknownEvent("future", "x"), Text("more"), ending]
    left = iter(events)
    reply, expected = ReplyFold(), ReplyFold()
    reply.add_as_taken(events, left)
    assert read(reply) == read(expected)
    for event in left:
        expected.add(event)
        assert read(reply) == read(expected)


def test_pending_events_are_folded_when_the_reply_is_inspected() -> None:
    events: list[Event] = [Text(str(number)) for number in range(10)]
    left = iter(events)
    reply = ReplyFold()
    reply.add_as_taken(events, left)
    for _ in range(3):
        next(left)
    assert reply.text == "012"
    for _ in range(3):
        next(left)
    reply.add(Text("!"))
    reply.add_texts("?!")
    assert reply.text == "012345!?!"
    next(left)
    more: list[Event] = [Text("x"), Text("y")]
    reply.add_as_taken(more, iter(more))
    assert reply.text == "012345!?!6", "what was left of the former did not come"
    reply.add_rest()
    assert reply.text == "012345!?!6xy"
    reply.add_rest()
    assert reply.text == "012345!?!6xy"


class Interrupting:
    """Stands for an event at which Ctrl-C is pressed."""

    @property
    def __class__(self) -> type:  # pyright: ignore[reportIncompatibleMethodOverride]
        raise KeyboardInterrupt


def test_an_interruption_of_an_inspection_folds_no_event_twice() -> None:
    events: list[Any] = [Text("a"), Text("b"), Interrupting(), Text("c")]
    left = iter(events)
    reply = ReplyFold()
    reply.add_as_taken(events, left)
    for _ in left:
        pass
    with pytest.raises(KeyboardInterrupt):
        repr(reply.text)
    assert reply.text == "abc"


def test_a_complete_reply_is_final() -> None:
    events: list[Event] = [Text("a"), Done()]
    left = iter(events)
    reply = ReplyFold()
    reply.add_as_taken(events, left)
    with pytest.raises(IncompleteReply):
        reply.final_text()
    assert list(left) == events
    assert reply.final_text() == "a"


def test_all_of_a_reply_is_kept() -> None:
    events = sample_reply()
    reply = fold(*events)
    assert reply.meta in events
    assert reply.files == [event for event in events if isinstance(event, File)]
    assert reply.json == [event for event in events if isinstance(event, Json)]
    assert reply.suggested_replies == ["And then?"]
    assert reply.metadata == '{"seen": 2}'
    assert reply.texts == {None: "Good day", 0: ", naïve 🐈"}
    assert (reply.ending, reply.error) == (Done(), None)


def test_a_reply_that_has_not_begun_has_nothing() -> None:
    reply = ReplyFold()
    assert (reply.meta, reply.metadata, reply.error) == (None, None, None)
    assert reply.ending is None
    assert "not ended" in repr(reply)
    assert (reply.files, reply.json, reply.suggested_replies, reply.texts) == ([], [], [], {})


@pytest.mark.parametrize("after", [[], [Done()]], ids=["error", "error and done"])
def test_a_reply_that_failed_has_ended(after: list[Event]) -> None:
    error = Error(text="no dogs")
    reply = fold(Text("a"), error, *after)
    assert reply.ending is reply.error is error
    assert "ended by Error" in repr(reply)


def test_texts_by_the_run_are_the_texts_of_the_answer_without_an_index() -> None:
    reply = ReplyFold()
    reply.add_texts(["a", "b"])
    reply.add(Text("x", 1))
    reply.add_texts(["c"])
    assert reply.texts == {None: "abc", 1: "x"}


def test_a_replacement_leaves_files_and_suggestions() -> None:
    reply = fold(Text("a"), FILE, SuggestedReply("more"), ReplaceResponse("b"))
    assert (reply.files, reply.suggested_replies) == ([FILE], ["more"])


def test_the_last_metadata_wins() -> None:
    assert fold(Data("a"), Data("b", index=0), Text("x")).metadata == "b"


@pytest.mark.parametrize("event", [*ASIDES, None], ids=repr)
def test_a_reply_without_an_answer_is_incomplete(event: Event | None) -> None:
    reply = fold(*([event] if event else []), Done())
    with pytest.raises(IncompleteReply, match="without any answer") as caught:
        reply.final_text()
    assert caught.value.partial is reply


@pytest.mark.parametrize("events", [[], [Text("a")], [FILE], ASIDES])
def test_a_reply_that_has_not_ended_is_incomplete(events: list[Event]) -> None:
    reply = fold(*events)
    with pytest.raises(IncompleteReply, match="not ended") as caught:
        reply.final_text()
    assert caught.value.partial is reply


@pytest.mark.parametrize("index", [None, 0, 7])
@pytest.mark.parametrize("before", [[], [Text("a")], [Text("a", 0), FILE]])
@pytest.mark.parametrize("after", [[], [Done()]])
def test_an_error_fails_the_whole_reply_whatever_its_index(
    before: list[Event], index: int | None, after: list[Event]
) -> None:
    failure = Error(text="no", error_type="user_caused_error", index=index)
    reply = fold(*before, failure, *after)
    with pytest.raises(BotError) as caught:
        reply.final_text()
    assert caught.value.event is failure
    assert caught.value.partial is reply
    assert reply.error is failure


def test_a_repr_counts_but_does_not_quote() -> None:
    shown = repr(fold(Text("secret"), FILE))
    assert "6 characters" in shown
    assert "1 files" in shown
    assert "secret" not in shown


def test_each_answer_is_there_with_all_of_its_own() -> None:
    reply = fold(
        Text("a", 1), Text("b"), FILE, File("u", "n", "c", index=2), SuggestedReply("more", index=1), Json({"x": 1}),
        Data("first", 1), Data("last", 1), Text("c", 1), *ASIDES,
    )  # fmt: skip
    assert reply.answers == {
        1: Answer(1, "ac", suggested_replies=("more",), metadata="last"),
        None: Answer(None, "b", (FILE,), ("more",), ({"x": 1},), "kept"),
        2: Answer(2, files=(File("u", "n", "c", index=2),)),
    }
    assert reply.answer() == reply.answers[None]
    assert reply.answer(7) == Answer(7)


def test_a_reading_does_not_change_later() -> None:
    reply = fold(Text("a"))
    before = reply.answer()
    assert reply.answer() == before
    reply.add(Text("b"))
    assert (before.text, reply.answer().text, reply.text) == ("a", "ab", "ab")


@given(st.lists(st.tuples(st.booleans(), st.text(max_size=3), st.sampled_from([None, 0]))))
def test_reading_in_between_changes_nothing(writes: list[tuple[bool, str, int | None]]) -> None:
    events = [ReplaceResponse(text, index) if replace else Text(text, index) for replace, text, index in writes]
    read = ReplyFold()
    for event in events:
        read.add(event)
        assert read.answers[event.index].text == read.texts[event.index]
    assert read.texts == fold(*events).texts
