"""The assertions on replies: what each accepts, and what it says when it fails."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from poeproto import BotError, Done, Error, Event, IncompleteReply, Json, LocalProtocolError, Meta, Text, encode_event
from poeproto.lint import Level
from poeproto_pytest import (
    ObservedReply,
    assert_calls,
    assert_charged,
    assert_duration,
    assert_events,
    assert_failed,
    assert_finding,
    assert_first_event_within,
    assert_gaps_within,
    assert_no_findings,
    assert_succeeded,
    assert_text,
)
from poeproto_record import End, RecordedData, RecordedEnd, RecordedExchange, RecordedHead, RecordedRequest

HEADERS = {
    "content-type": "text/event-stream",
    "cache-control": "no-cache, no-transform",
    "x-accel-buffering": "no",
}


def exchange(*events: tuple[float, Event | bytes], end: End = End.EOF, status: int = 200) -> RecordedExchange:
    """An exchange whose request is sent at 10 s, with these events at seconds since then."""
    data = [
        RecordedData(1, 10 + at, event if isinstance(event, bytes) else encode_event(event)) for at, event in events
    ]
    last = data[-1].at if data else 10.0
    return RecordedExchange(
        RecordedRequest(1, 10.0, "POST", "/", (), b'{"version":"1.2","type":"query","query":[]}'),
        (),
        RecordedHead(1, 10.0, status, HEADERS),
        tuple(data),
        RecordedEnd(1, last, end),
    )


GOOD = exchange((0.5, Text("me")), (3.0, Text("ow")), (3.5, Done()))
FAILED = exchange((0.5, Text("me")), (1.0, Error(text="no luck", error_type="user_caused_error")), (1.0, Done()))


def test_a_good_reply_passes() -> None:
    assert assert_succeeded(GOOD).text == "meow"
    assert assert_text(GOOD, "meow") == "meow"
    assert_text(GOOD, re.compile("^me"))
    assert_text(GOOD, str.islower)
    assert_events(GOOD, ["meow", Done()])
    assert_events(GOOD, ["me", "ow", Done], joined_texts=False)
    assert assert_first_event_within(GOOD, 0.5) == 0.5
    assert assert_gaps_within(GOOD, 2.5) == 2.5
    assert assert_duration(GOOD, at_least=3.5, at_most=3.5) == 3.5
    assert assert_no_findings(GOOD, level=Level.MAY) == []


def test_a_failed_reply_passes() -> None:
    assert isinstance(assert_failed(FAILED), BotError)
    assert_failed(FAILED, BotError, error_type="user_caused_error", text="no luck")
    assert_failed(FAILED, text=re.compile("luck"))
    assert_failed(exchange((0.5, Text("me"))), IncompleteReply)
    assert ObservedReply.of(exchange((0.5, Text("me")), end=End.RESET)).text == "me"


NO_LUCK = "the reply failed: BotError: the bot reported an error (user_caused_error): no luck"
TIMELINE = "the reply, 3 events in 3.500 s:\n     0.500 s  Text(text='me')\n     3.000 s  Text(text='ow')\n"


@pytest.mark.parametrize(
    ("check", "message"),
    [
        (lambda: assert_text(GOOD, "mew"), "the text is 'meow'\n   expected 'mew'\nthey differ at 2\n"),
        (lambda: assert_text(GOOD, re.compile("x")), "the text is 'meow', expected to find 'x' in it\n"),
        (lambda: assert_text(GOOD, str.isupper), "the text is 'meow', which isupper does not accept\n"),
        (lambda: assert_events(GOOD, ["mew", Done()]), "events[0] is Text(text='meow'), expected Text(text='mew')\n"),
        (lambda: assert_events(GOOD, ["meow"]), "events[1] is Done(), expected no more events\n"),
        (lambda: assert_events(GOOD, ["meow", Done, Meta]), "the reply ended before events[2], expected any Meta\n"),
        (lambda: assert_failed(GOOD), "the reply succeeded, and was expected to fail\n"),
        (lambda: assert_first_event_within(GOOD, 0.25), "was received after 0.500 s, expected within 0.25 s\n"),
        (lambda: assert_gaps_within(GOOD, 2), "events[1] was received 2.500 s after the event before it, expected"),
        (lambda: assert_duration(GOOD, at_most=3), "the reply took 3.500 s, expected at most 3 s\n"),
        (lambda: assert_duration(GOOD, at_least=4), "the reply took 3.500 s, expected at least 4 s\n"),
        (
            lambda: assert_finding(GOOD, "reply.done"),
            "the lint has no finding of reply.done, expected one\nfindings:\n",
        ),
        (lambda: assert_charged(ObservedReply.of(GOOD)), "nothing was charged, expected a charge\n"),
        (
            lambda: assert_charged(ObservedReply.of(GOOD), 5, times=1),
            "0 thousandths of a cent were charged, expected 5; there were 0 charges, expected 1\n",
        ),
        (
            lambda: assert_calls(ObservedReply.of(GOOD), {"Cat": 2}),
            "the bot called no other bot, expected Cat 2 times\n",
        ),
    ],
)
def test_a_message_has_the_found_value_and_the_events(check: Callable[[], Any], message: str) -> None:
    with pytest.raises(AssertionError) as failure:
        check()
    assert message in str(failure.value)
    assert TIMELINE in str(failure.value)


@pytest.mark.parametrize(
    ("check", "message"),
    [
        (lambda: assert_succeeded(FAILED), NO_LUCK),
        (lambda: assert_failed(FAILED, LocalProtocolError), "failed with BotError, expected LocalProtocolError"),
        (lambda: assert_failed(FAILED, error_type="x"), "the error_type is 'user_caused_error', expected 'x'"),
        (lambda: assert_failed(FAILED, text="some luck"), "the error is 'no luck'\n    expected 'some luck'"),
        (lambda: assert_events(FAILED, ["you"]), NO_LUCK),
        (lambda: assert_first_event_within(exchange(), 5), "no event was received, expected one within 5 s"),
        (lambda: assert_failed(exchange(status=500), error_type="x"), "no error event, but RequestRefused"),
    ],
)
def test_a_message_names_the_failure(check: Callable[[], Any], message: str) -> None:
    with pytest.raises(AssertionError) as failure:
        check()
    assert message in str(failure.value)


def test_findings_are_listed_with_their_rules() -> None:
    reply = exchange((0.0, Text("meow")))
    assert_finding(reply, "reply.done")
    with pytest.raises(AssertionError, match=r"1 finding of the lint, expected none\nfindings:\n  MUST reply\.done: "):
        assert_no_findings(reply)
    assert [each.rule for each in assert_no_findings(reply, ignore=["reply.done"])] == ["reply.done"]
    with pytest.raises(ValueError, match=r"'reply\.dome' is not the id of a rule"):
        assert_no_findings(reply, ignore=["reply.dome"])


def test_a_long_reply_is_shortened() -> None:
    reply = exchange(*[(0.0, Json({"n": "x" * 200})) for _ in range(100)], (0.0, Done()))
    with pytest.raises(AssertionError) as failure:
        assert_text(reply, "x")
    assert "... 61 more events" in str(failure.value)
    assert max(map(len, str(failure.value).splitlines())) < 200


def test_only_replies_are_judged() -> None:
    with pytest.raises(TypeError, match="expected an ObservedReply or a RecordedExchange, got str"):
        assert_text("meow", "meow")  # type: ignore[arg-type]
