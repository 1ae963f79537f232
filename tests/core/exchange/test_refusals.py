from __future__ import annotations

import pytest

from poeproto import HttpResponse, Limits, RequestRefused
from poeproto.exchange.refusals import refusal, refusal_body_size, refusal_reason
from poeproto.testing import TEST_ACCESS_KEY

KEY = TEST_ACCESS_KEY.encode()


def test_the_start_of_the_body_is_kept_without_the_key() -> None:
    limits = Limits(refusal_body=40)
    for before in range(50):
        body = b"." * before + KEY + b"!" * 50
        kept = body[: refusal_body_size(limits, KEY)]
        shown = refusal(RequestRefused, "no", HttpResponse(500), kept, KEY, limits).body_start
        assert shown == body.replace(KEY, b"<hidden>")[: len(shown)]
        assert len(shown) <= 40


def test_the_retry_headers_are_kept() -> None:
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
def test_without_a_reason_the_message_has_none(body: bytes) -> None:
    assert message(body) == "no"


def test_the_reason_does_not_show_the_key() -> None:
    escaped = "".join(f"\\u{ord(character):04x}" for character in TEST_ACCESS_KEY).encode()
    for shown in (KEY, escaped):
        assert message(b'{"error": "wrong: ' + shown + b'!"}') == "no: wrong: <hidden>!"
    assert message(b'{"error": "' + b"x" * 190 + escaped + b'"}') == "no: " + "x" * 190 + "<hidden>"
    assert message(b'{"error": "' + b"x" * 195 + escaped + b'"}') == "no: " + "x" * 195 + "<hidd"


def test_a_word_at_the_end_of_a_whole_body_is_shown_though_it_begins_the_key() -> None:
    key, said = b"unauthorized-key-1", b"unauthorized"
    whole = refusal(RequestRefused, "no", HttpResponse.of(401, "text/plain", said), said, key, Limits())
    assert whole.body_start == said
    cut = refusal(RequestRefused, "no", HttpResponse.of(401, "text/plain", said + b"!"), said, key, Limits())
    assert cut.body_start == b"<hidden>"
    body = b'{"error": "unauthorized"}'
    assert str(refusal(RequestRefused, "no", HttpResponse(401), body, key, Limits())) == "no: unauthorized"


# --- the key, wherever a peer repeats it


@pytest.mark.parametrize("spelt", [TEST_ACCESS_KEY, TEST_ACCESS_KEY.upper(), TEST_ACCESS_KEY.lower()])
def test_a_key_repeated_in_headers_is_hidden_in_any_case(spelt: str) -> None:
    head = HttpResponse(200, [("content-type", f"text/{spelt}"), ("retry-after", spelt)])
    why = refusal_reason(head, "the bot", "a query", "text/event-stream")
    error = refusal(RequestRefused, why, head, spelt.encode(), KEY, Limits())
    assert "content type 'text/<hidden>'" in str(error)
    assert (error.retry_after, error.body_start) == ("<hidden>", b"<hidden>")
