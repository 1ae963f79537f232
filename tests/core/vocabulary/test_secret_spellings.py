"""A secret is found however it is spelled, and its span is that of the spelling."""

from __future__ import annotations

import json
import re
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from poeproto.http import SearchedText, SecretSpellings, cut_occurrence

from ...support.canary import CANARY, escaped_spellings

SECRET = SecretSpellings.of(CANARY.encode())


def spans(text: bytes, secret: SecretSpellings = SECRET) -> set[bytes]:
    searched = SearchedText(text)
    return {text[start:end] for start, end in secret.find(searched)}


@pytest.mark.parametrize("name", escaped_spellings())
def test_the_span_is_that_of_the_spelling(name: str) -> None:
    spelt = escaped_spellings()[name].encode()
    for before, after in [(b"", b""), (b'{"\\u00e9": "the key ', b' is wrong\\n"}'), (b"%41%", b"\\"), (b"\\n", b"%4")]:
        found = spans(before + spelt + after)
        if "base64" in name:
            [part] = found
            assert part in spelt
            assert len(spelt) - len(part) <= 8
        else:
            assert spelt in found


@pytest.mark.parametrize("name", escaped_spellings())
def test_a_cut_spelling_is_held_from_its_beginning(name: str) -> None:
    spelt = escaped_spellings()[name].encode()
    [whole, *_] = sorted(spans(spelt), key=len, reverse=True)
    first = spelt.find(whole)
    for end in range(first + 1, first + len(whole)):
        text = b"the key \\n " + spelt[:end]
        assert SECRET.beginning(SearchedText(text)) <= len(b"the key \\n ") + first
    assert SECRET.beginning(SearchedText(b"the key")) == len(b"the key")
    assert SECRET.beginning(SearchedText(b"the Kf7"), 4) == len(b"the Kf7")
    assert SECRET.beginning(SearchedText(b"the \\u004bf7"), 3) == len(b"the ")
    assert SECRET.beginning(SearchedText(b"the Kf7"), 3) == len(b"the ")


@pytest.mark.parametrize("escape", [b"\\", b"\\u", b"\\u00", b"\\x4", b"%", b"%25", b"%4", b"&", b"&#x4", b"&quo"])
def test_an_escape_that_is_cut_may_be_the_first_character(escape: bytes) -> None:
    assert SECRET.beginning(SearchedText(b"the " + escape)) == 4
    assert SECRET.beginning(SearchedText(b"the " + escape), 4) == 4 + len(escape)


def test_an_entity_whose_ampersand_json_escapes() -> None:
    text = b"the \\u0026quo"
    assert SECRET.beginning(SearchedText(text)) == 4


def test_characters_beyond_ascii() -> None:
    secret = SecretSpellings.of("é🐈 and a cat".encode())
    for spelt in (
        "é🐈 and a cat",
        r"\u00e9\ud83d\udc08 and a cat",
        "%C3%A9%f0%9f%90%88 and a cat",
        "&#233;&#x1F408; and a cat",
    ):
        assert spans(f"<{spelt}>".encode(), secret) == {spelt.encode()}
    assert spans(b"\\ud83d &#9999999; &#x110000;") == set()


def test_characters_that_json_escapes_by_a_letter() -> None:
    key = "-----BEGIN-----\nabc\tdef\n"
    secret = SecretSpellings.of(key.encode())
    assert spans(json.dumps(key).encode(), secret) == {json.dumps(key)[1:-1].encode()}
    assert spans(key.encode(), secret) == {key.encode()}


def test_a_backslash_is_replaced_with_its_character() -> None:
    secret = SecretSpellings.of(b"/a/slash/")
    assert spans(rb'"\/a\/slash\/"', secret) == {rb"\/a\/slash\/"}
    assert spans(rb'"\\\/a\/slash\/"', secret) == {rb"\\\/a\/slash\/"}
    assert spans(rb"\n/a/slash/", secret) == {rb"/a/slash/"}


def test_a_secret_that_looks_like_an_escape() -> None:
    for key in (b"a%41b&amp;c", b"u0041-and-more", b"ends-in-%4", b"ends-in-\\"):
        secret = SecretSpellings.of(key)
        for spelt in (key, json.dumps(key.decode())[1:-1].encode(), b"".join(b"\\u%04x" % byte for byte in key)):
            # A backslash at the end may be the server's own, so it is not part of what is found.
            assert any(
                spelt.startswith(found) and len(spelt) - len(found) <= 6 for found in spans(b"<" + spelt + b">", secret)
            )


def test_what_is_ignored_is_within_the_span() -> None:
    text = b"3\r\nKf7\r\n1d\r\n" + CANARY[3:].encode() + b"\r\n0\r\n"
    searched = SearchedText(text, ignored=re.compile(rb"\r\n[0-9a-f]+\r\n"))
    [(start, end)] = set(SECRET.find(searched))
    assert text[start:end] == b"Kf7\r\n1d\r\n" + CANARY[3:].encode()


def test_ignored_bytes_may_be_matched_with_groups() -> None:
    text = b"Kf7\r\n1d\r\n" + CANARY[3:].encode()
    searched = SearchedText(text, ignored=re.compile(rb"\r\n([0-9a-f]+)\r\n"))
    assert set(SECRET.find(searched)) == {(0, len(text))}


@pytest.mark.parametrize("name", escaped_spellings())
def test_no_shorter_text_contains_the_secret(name: str) -> None:
    assert all(len(each) >= SECRET.shortest for each in spans(escaped_spellings()[name].encode()))
    assert SecretSpellings.of(b"%41%42").shortest == 2
    assert spans(b"aB", SecretSpellings.of(b"%41%42")) == {b"aB"}


def test_a_short_secret_is_not_searched_for_in_base64() -> None:
    assert SecretSpellings.of(b"short").decoded == (b"short",)


def test_only_backslashes_leave_nothing_to_search_for() -> None:
    secret = SecretSpellings.of(b"\\\\")
    assert spans(b"a\\\\b", secret) == {b"\\\\"}
    assert secret.beginning(SearchedText(b"a\\")) == 1


def test_an_empty_secret_is_refused() -> None:
    with pytest.raises(ValueError, match="cannot be empty"):
        SecretSpellings.of(b"")


def test_the_repr_shows_no_secret() -> None:
    assert "kf7" not in repr(SECRET).lower()


def test_where_an_occurrence_is_cut() -> None:
    assert cut_occurrence(b"aab", b"abc") == 1
    assert cut_occurrence(b"aaB", b"abc") == 1
    assert cut_occurrence(b"abc", b"abc") == 3
    assert cut_occurrence(b"ab", b"abc", 3) == 2
    assert cut_occurrence(b"a-a", b"a-b") == 2


@given(
    st.binary(min_size=8, max_size=12),
    st.lists(st.sampled_from(["plain", "u", "U", "x", "%", "&"]), min_size=12, max_size=12),
)
def test_each_character_may_be_escaped_its_own_way(key: bytes, ways: list[str]) -> None:
    secret = bytes(65 + byte % 26 for byte in key)
    forms = {"plain": "{}", "u": "\\u{:04x}", "U": "\\\\u{:04X}", "x": "\\x{:02x}", "%": "%{:02x}", "&": "&#{};"}
    spelt = "".join(
        chr(byte) if way == "plain" else forms[way].format(byte) for byte, way in zip(secret, ways, strict=False)
    ).encode()
    assert spelt in spans(b"<" + spelt + b">", SecretSpellings.of(secret))


@pytest.mark.parametrize("text", [b"\\", b"%25", b"&amp;", b"\\u0041", b"&#x41;", b"%", b"&#", b"\\ud83d"])
def test_a_text_of_escapes_alone_takes_linear_time(text: bytes) -> None:
    searched = SearchedText(text * 20_000)
    assert list(SECRET.find(searched)) == []
    assert SECRET.beginning(searched) >= len(text) * 20_000 - 48


@pytest.mark.parametrize("escape", [b"\\", b"%41", b'\\"', b"&#65;"])
def test_a_text_of_escapes_alone_takes_a_bounded_multiple_of_its_size(escape: bytes) -> None:
    text = escape * (60_000 // len(escape))
    tracemalloc.start()
    try:
        searched = SearchedText(text)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(searched.lowered) == len(text)
    assert peak < 50 * len(text)
