from __future__ import annotations

import pytest

from poeproto import Error, HttpResponse, Limits, RequestRefused
from poeproto.exchange.refusals import redact_error, refusal, refusal_body_size, refusal_reason
from poeproto.testing import TEST_ACCESS_KEY

KEY = TEST_ACCESS_KEY.encode()


def body_start(body: bytes, size: int, key: bytes = KEY) -> bytes:
    limits = Limits(refusal_body=size)
    kept = body[: refusal_body_size(limits, key)]
    return refusal(RequestRefused, "no", HttpResponse(500), kept, key, limits).body_start


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
    for length in range(4, len(spelt)):
        assert body_start(b"no: " + spelt[:length], 60, key) == b"no: <hidden>"


def test_the_rest_is_shown_up_to_the_bound() -> None:
    assert body_start(b"x" * 100, 40) == b"x" * 40
    assert body_start(b"no such bot", 40) == b"no such bot"
    assert body_start(b"", 40) == b""


def test_a_word_that_is_used_for_a_key_is_not_hidden() -> None:
    assert body_start(b"the word is secret", 40, b"secret") == b"the word is secret"
    assert body_start(b"x" * 100, 40, b"secret") == b"x" * 40
    assert body_start(b"x" * 100, 40, b"") == b"x" * 40


def test_what_the_headers_say_about_another_try_is_there() -> None:
    headers = [("retry-after", "7"), ("x-ratelimit-limit", "5")]
    error = refusal(RequestRefused, "busy", HttpResponse(429, headers), b"", b"", Limits())
    assert (error.status, error.retry_after, error.retry_after_seconds) == (429, "7", 7.0)
    assert error.rate_limit is not None
    assert error.rate_limit.limit == 5


def message(body: bytes, limits: Limits | None = None) -> str:
    return str(refusal(RequestRefused, "no", HttpResponse(500), body, KEY, limits or Limits()))


def test_the_reason_that_the_peer_gives_is_in_the_message() -> None:
    assert message(b'{"error": "the access key is missing or wrong"}') == "no: the access key is missing or wrong"
    assert message('{"error": "naïve 🐈", "more": 1}'.encode()) == "no: naïve 🐈"


def test_the_reason_is_one_short_line_that_no_terminal_obeys() -> None:
    assert message(b'{"error": "  one\\n\\ttwo\\u001b[2J\\ud83d "}') == "no: one two\ufffd[2J\ufffd"
    assert message(b'{"error": "' + b"x" * 500 + b'"}') == "no: " + "x" * 200


@pytest.mark.parametrize(
    "body",
    [b"", b"no such bot", b'{"error": "cut', b'["error"]', b"{}", b'{"error": ["a"]}', b'{"error": ""}', b"\xff"],
)
def test_where_no_reason_is_given_none_is_told(body: bytes) -> None:
    assert message(body) == "no"


def test_the_reason_does_not_show_the_key() -> None:
    escaped = "".join(f"\\u{ord(character):04x}" for character in TEST_ACCESS_KEY).encode()
    for shown in (KEY, escaped):
        assert message(b'{"error": "wrong: ' + shown + b'!"}') == "no: wrong: <hidden>!"
    assert message(b'{"error": "' + b"x" * 190 + escaped + b'"}') == "no: " + "x" * 190 + "<hidden>"
    assert message(b'{"error": "' + b"x" * 195 + escaped + b'"}') == "no: " + "x" * 195 + "<hidd"


# --- the key, wherever a peer repeats it


@pytest.mark.parametrize("spelt", [TEST_ACCESS_KEY, TEST_ACCESS_KEY.upper(), TEST_ACCESS_KEY.lower()])
def test_what_headers_repeat_does_not_show_the_key_in_any_case(spelt: str) -> None:
    head = HttpResponse(200, [("content-type", f"text/{spelt}"), ("retry-after", spelt)])
    why = refusal_reason(head, "the bot", "a query", "text/event-stream")
    error = refusal(RequestRefused, why, head, spelt.encode(), KEY, Limits())
    assert "content type 'text/<hidden>'" in str(error)
    assert (error.retry_after, error.body_start) == ("<hidden>", b"<hidden>")
    assert body_start(b"." * 30 + spelt.encode(), 40) == b"." * 30 + b"<hidden>"
    assert body_start(b"no: " + spelt.encode()[:9], 40) == b"no: <hidden>"


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
