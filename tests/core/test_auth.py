from __future__ import annotations

from collections.abc import Iterable
from hmac import compare_digest
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from poeproto import auth
from poeproto.auth import access_key_set, bearer_key, key_matches

KEY = "abcdefghijklmnopqrstuvwxyz012345"


@pytest.mark.parametrize(
    ("keys", "accepted"),
    [
        (KEY, {KEY.encode()}),
        (KEY.encode(), {KEY.encode()}),
        ([KEY], {KEY.encode()}),
        ({"old", b"new"}, {b"old", b"new"}),
        (("same", b"same"), {b"same"}),
        ((key for key in ("a", "b")), {b"a", b"b"}),
        ("!~\"'\\", {b"!~\"'\\"}),
    ],
)
def test_keys_are_kept_as_the_bytes_of_a_header(
    keys: str | bytes | Iterable[str | bytes], accepted: set[bytes]
) -> None:
    assert access_key_set(keys) == accepted


@pytest.mark.parametrize("keys", [[], (), set[str](), iter(())])
def test_the_absence_of_a_key_does_not_allow_requests_without_a_key(keys: Iterable[str | bytes]) -> None:
    with pytest.raises(ValueError, match="no access key was given"):
        access_key_set(keys)


@pytest.mark.parametrize(
    "bad", ["", " ", "se cret", "secret\n", "\tsecret", "s\0ecret", "sécret", "secr\x7fet", b"", b"secr\xe9t"]
)
def test_a_key_that_a_header_cannot_carry_is_refused_without_being_shown(bad: str | bytes) -> None:
    for keys in (bad, [bad]):
        with pytest.raises(ValueError, match="access key number 1 ") as caught:
            access_key_set(keys)
        assert "ecr" not in str(caught.value)
    with pytest.raises(ValueError, match="access key number 2 "):
        access_key_set([KEY, bad])


@pytest.mark.parametrize("bad", [None, 5, ["abc"], bytearray(b"abc")])
def test_a_key_of_another_type_is_refused_without_being_shown(bad: Any) -> None:
    with pytest.raises(TypeError, match="access key number 2 must be str or bytes, got a value of type ") as caught:
        access_key_set([KEY, bad])
    assert "abc" not in str(caught.value)


@pytest.mark.parametrize(
    ("authorization", "key"),
    [
        (b"Bearer abc", b"abc"),
        (b"bearer abc", b"abc"),
        (b"BEARER abc", b"abc"),
        (b"  Bearer   abc  ", b"abc"),
        (b"Bearer a=b/c+d", b"a=b/c+d"),
        (b"Bearer a b", b"a b"),
        (b"Bearer abc\xff", b"abc\xff"),
        (b"\tBearer \tabc\t", b"abc"),
        (b"Bearer abc\x0b", b"abc\x0b"),
        (b"Bearer abc\0", b"abc\0"),
        (b"\nBearer abc", None),
        (b"Bearer\tabc", None),
        (b"Bearer\xa0abc", None),
        ("B\u0435arer abc".encode(), None),
        (b"Bearer", b""),
        (b"Bearer ", b""),
        (b"Basic abc", None),
        (b"Bearerabc", None),
        (b"abc", None),
        (b"", None),
    ],
)
def test_the_key_of_an_authorization_header(authorization: bytes, key: bytes | None) -> None:
    assert bearer_key(authorization) == key


@pytest.mark.parametrize(
    ("candidate", "matches"),
    [(b"one", True), (b"two", True), (b"", False), (b"on", False), (b"onee", False), (b"ONE", False), (b"\xff", False)],
)
def test_any_of_the_keys_will_do_and_nothing_else(candidate: bytes, matches: bool) -> None:
    assert key_matches(candidate, access_key_set(["one", "two"])) is matches


@pytest.mark.parametrize("candidate", [b"one", b"two", b"three", b"no"])
def test_every_key_is_compared_in_constant_time_even_after_a_match(
    candidate: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    compared: list[bytes] = []

    def spy(left: bytes, right: bytes) -> bool:
        assert left == candidate
        compared.append(right)
        return compare_digest(left, right)

    monkeypatch.setattr(auth, "compare_digest", spy)
    accepted = access_key_set(["one", "two", "three"])
    key_matches(candidate, accepted)
    assert sorted(compared) == sorted(accepted)


@given(
    st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1), st.sampled_from(["Bearer", "bEARER"])
)
def test_a_key_that_is_accepted_is_found_in_the_header_it_makes(key: str, scheme: str) -> None:
    found = bearer_key(f"{scheme} {key}".encode())
    assert found is not None
    assert key_matches(found, access_key_set(key))
