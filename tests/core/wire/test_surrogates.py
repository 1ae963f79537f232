from __future__ import annotations

import pytest

from poeproto import Event, ReplaceResponse, Text
from poeproto.wire.surrogates import SurrogateJoiner

CAT = "\U0001f408"
HIGH, LOW = "\ud83d", "\udc08"


def joined(*events: Text | ReplaceResponse) -> list[Event]:
    joiner = SurrogateJoiner()
    return [*filter(None, map(joiner.join, events)), *joiner.flush()]


def test_text_without_surrogates_is_unchanged() -> None:
    whole = Text(f"caf\u00e9 {CAT}", extra={"a": 1})
    assert SurrogateJoiner().join(whole) is whole


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        ([HIGH, LOW], [CAT]),
        (["a" + HIGH, LOW + "b"], ["a", CAT + "b"]),
        ([HIGH + LOW], [CAT]),
        ([HIGH, "", LOW], [CAT]),
        ([HIGH, "x"], ["\ufffdx"]),
        ([HIGH, HIGH, LOW], ["\ufffd", CAT]),
        ([LOW, "x" + HIGH], ["\ufffd", "x", "\ufffd"]),
    ],
)
def test_halves_of_a_character_find_each_other(texts: list[str], expected: list[str]) -> None:
    assert joined(*map(Text, texts)) == list(map(Text, expected))


def test_each_index_has_its_own_halves() -> None:
    assert joined(Text(HIGH, 1), Text("x"), Text(LOW, 1)) == [Text("x"), Text(CAT, 1)]
    assert joined(Text(HIGH, 1), Text(HIGH)) == [Text("\ufffd", 1), Text("\ufffd")]


def test_a_half_is_dropped_with_the_replaced_text() -> None:
    assert joined(Text("a" + HIGH), ReplaceResponse("x"), Text("y")) == [Text("a"), ReplaceResponse("x"), Text("y")]
    assert joined(ReplaceResponse(HIGH), Text(LOW)) == [ReplaceResponse(""), Text(CAT)]


def test_flushed_text_is_not_flushed_again() -> None:
    joiner = SurrogateJoiner()
    assert joiner.join(Text(HIGH)) is None
    assert joiner.flush() == [Text("\ufffd")]
    assert joiner.flush() == []
    assert joiner.join(Text(LOW)) == Text("\ufffd")
