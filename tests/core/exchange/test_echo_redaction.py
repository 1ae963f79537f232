from __future__ import annotations

import pytest

from poeproto import Error, Limits
from poeproto.exchange.echo_redaction import redact_body, redact_error
from poeproto.http import longest_spelling
from poeproto.testing import TEST_ACCESS_KEY

KEY = TEST_ACCESS_KEY.encode()


def body_start(body: bytes, size: int, key: bytes = KEY) -> bytes:
    return redact_body(body[: size + longest_spelling(key)], key, Limits(refusal_body=size))


@pytest.mark.parametrize("before", range(50))
def test_no_part_of_the_key_is_shown_wherever_the_body_is_cut(before: int) -> None:
    for body in b"." * before + KEY + b"!" * 50, b"." * before + KEY + KEY + b"!", b"." * before + KEY:
        shown = body_start(body, 40)
        assert KEY[:1] not in shown.replace(b"<hidden>"[: max(40 - before, 0)], b"").replace(b"<hidden>", b"")
        assert shown == body.replace(KEY, b"<hidden>")[: len(shown)]
        assert len(shown) <= 40


def test_a_key_that_a_lost_connection_cut_is_not_shown_either() -> None:
    for length in range(4, len(KEY)):
        assert body_start(b"no: " + KEY[:length], 40) == b"no: <hidden>"
        assert body_start(KEY + KEY[:length], 40) == b"<hidden><hidden>"
    assert body_start(b"no: " + KEY[:3], 40) == b"no: " + KEY[:3]


@pytest.mark.parametrize(
    ("key", "spelt"),
    [
        (b"ab/+=" + b"x" * 27, b"ab%2F%2B%3D" + b"x" * 27),
        (b'ab"cd\\' + b"x" * 26, b'ab\\"cd\\\\' + b"x" * 26),
    ],
)
def test_the_key_as_a_url_or_json_spells_it_is_not_shown_either(key: bytes, spelt: bytes) -> None:
    for before in range(50):
        for form in (key, spelt):
            shown = body_start(b"." * before + form + b"!" * 60, 40, key)
            assert shown == (b"." * before + b"<hidden>" + b"!" * 60)[: len(shown)]
            assert len(shown) <= 40
    assert body_start(key + b" " + spelt, 40, key) == b"<hidden> <hidden>"
    for length in range(len("ab%2F%2B"), len(spelt)):  # four characters of the key
        assert body_start(b"no: " + spelt[:length], 60, key) == b"no: <hidden>"


def test_the_rest_is_shown_up_to_the_bound() -> None:
    assert body_start(b"x" * 100, 40) == b"x" * 40
    assert body_start(b"no such bot", 40) == b"no such bot"
    assert body_start(b"", 40) == b""


def test_a_word_that_is_used_for_a_key_is_not_hidden() -> None:
    assert body_start(b"the word is secret", 40, b"secret") == b"the word is secret"
    assert body_start(b"x" * 100, 40, b"secret") == b"x" * 40
    assert body_start(b"x" * 100, 40, b"") == b"x" * 40


@pytest.mark.parametrize("spelt", [KEY, KEY.upper(), KEY.lower()])
def test_the_key_is_not_shown_in_any_case(spelt: bytes) -> None:
    assert body_start(b"." * 30 + spelt, 40) == b"." * 30 + b"<hidden>"
    assert body_start(b"no: " + spelt[:9], 40) == b"no: <hidden>"


def test_the_error_of_a_bot_does_not_show_the_key() -> None:
    said = Error(
        text=f"wrong key {TEST_ACCESS_KEY} \ud83d",
        raw_response={"seen": [TEST_ACCESS_KEY.upper(), 5, None], TEST_ACCESS_KEY: True},
        error_type=TEST_ACCESS_KEY,
        extra={"more": f"Bearer {TEST_ACCESS_KEY}"},
    )
    shown = Error(
        text="wrong key <hidden> \ud83d",
        raw_response={"seen": ["<hidden>", 5, None], "<hidden>": True},
        error_type="<hidden>",
        extra={"more": "Bearer <hidden>"},
    )
    assert redact_error(said, KEY) == shown
    for plain in (Error(), Error(text="no", raw_response=[1], extra={"a": "b"})):
        assert redact_error(plain, KEY) is plain
    assert redact_error(said, b"") is said
    assert redact_error(Error(text="the word is secret"), b"secret") == Error(text="the word is secret")


def test_a_short_string_of_an_error_may_be_the_key() -> None:
    key = b"%41%42%43%44%45%46"  # its spelling in a decoded text has six characters
    assert redact_error(Error(raw_response=["ABCDEF", "ABCDE"]), key) == Error(raw_response=["<hidden>", "ABCDE"])


WORDS = [b"wrong-key-000001", b"wrongwrongwrong1", b"WRONG" + b"x" * 27, b"wrong%20key%20word"]


@pytest.mark.parametrize("key", WORDS)
def test_a_word_that_begins_a_key_is_not_hidden(key: bytes) -> None:
    said = b"the access key is missing or wrong"
    assert body_start(said, 40, key) == said
    assert redact_body(b"wrong", key, Limits(), is_whole=True) == b"wrong"
    assert body_start(b"no: " + key, 40, key) == b"no: <hidden>"
    assert body_start(b"no: " + key[:-1], 40, key) == b"no: <hidden>"


def test_only_a_whole_key_is_hidden_in_a_whole_body() -> None:
    for length in range(4, len(KEY)):
        assert redact_body(b"no: " + KEY[:length], KEY, Limits(), is_whole=True) == b"no: " + KEY[:length]
    assert redact_body(b"no: " + KEY, KEY, Limits(), is_whole=True) == b"no: <hidden>"
    assert redact_body(b"." * 30 + KEY, KEY, Limits(refusal_body=40), is_whole=True) == b"." * 30 + b"<hidden>"


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        (b"swrong", b"s<hidden>"),
        (b"9wrong", b"9<hidden>"),
        (b"no wrong-", b"no <hidden>"),
        (b"no wrong-key", b"no <hidden>"),
        (b"wrongkeyw", b"wrongkeyw"),
    ],
)
def test_only_a_short_word_of_its_own_is_shown(said: bytes, shown: bytes) -> None:
    assert body_start(said, 40, b"wrong-key-000001") == shown


def test_a_word_of_more_than_half_the_key_is_hidden() -> None:
    assert body_start(b"no: unauthorized", 40, b"unauthorized-key") == b"no: <hidden>"
