from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from poeproto import InvalidValue
from poeproto.identifiers import check_identifier, is_identifier, make_identifier

SOUND = "m-" + "a1=" * 10 + "zz"


@pytest.mark.parametrize("text", [SOUND, "abc-" + "0" * 32])
def test_identifiers_are_known(text: str) -> None:
    assert is_identifier(text)
    assert check_identifier(text) == text


@pytest.mark.parametrize(
    "text",
    ["", SOUND + "\n", SOUND + "a", SOUND[:-1], SOUND.upper(), "-" + "0" * 32, "abcd-" + "0" * 32, "m-" + "é" * 32],
)
def test_other_texts_are_refused_with_the_expected_form(text: str) -> None:
    assert not is_identifier(text)
    with pytest.raises(InvalidValue, match="32 characters"):
        check_identifier(text)


def test_a_tag_is_checked() -> None:
    assert is_identifier(SOUND, "m")
    assert not is_identifier(SOUND, "u")
    assert check_identifier(SOUND, "m") == SOUND
    with pytest.raises(InvalidValue, match="has the tag 'm', expected 'u'"):
        check_identifier(SOUND, "u")


@given(
    st.from_regex(r"[a-z]{1,3}", fullmatch=True),
    st.binary(min_size=20, max_size=20),
    st.binary(min_size=20, max_size=20),
)
def test_made_identifiers_are_sound_and_as_different_as_their_bytes(tag: str, one: bytes, other: bytes) -> None:
    assert check_identifier(make_identifier(tag, one), tag)
    assert (make_identifier(tag, one) == make_identifier(tag, other)) == (one == other)


@pytest.mark.parametrize("tag", ["", "M", "abcd", "m\n", "1"])
def test_a_tag_is_of_lower_case_letters(tag: str) -> None:
    with pytest.raises(InvalidValue, match="tag"):
        make_identifier(tag, bytes(20))


@pytest.mark.parametrize("length", [0, 19, 21])
def test_an_identifier_takes_twenty_bytes(length: int) -> None:
    with pytest.raises(InvalidValue, match=f"20 random bytes, got {length}"):
        make_identifier("m", bytes(length))
