from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from poeproto import (
    BotExchange,
    Data,
    Done,
    Error,
    Event,
    File,
    Limits,
    LocalProtocolError,
    Meta,
    QueryRequest,
    ReplaceResponse,
    RequestHead,
    Text,
    TooManyFiles,
    UnknownEvent,
    encode_request,
)
from poeproto.lint import ReplyQuota

FILE = File("https://files.invalid/a", "a", "text/plain")


def exceeded(limits: Limits, *events: Event) -> list[list[str]]:
    """The limits that each event exceeds, after those before it were counted."""
    quota, seen = ReplyQuota(limits), list[list[str]]()
    for event in events:
        seen.append(quota.exceeded_by(event))
        quota.count(event)
    return seen


@pytest.mark.parametrize(
    ("events", "last"),
    [
        ([Text("abc")], []),
        ([Text("abcd")], ["text_length"]),
        ([Text("ab"), Text("cd")], ["text_length"]),
        ([Text("abcd"), Text("e")], []),  # it was exceeded before
        ([Text("abcd"), ReplaceResponse("abc")], []),
        ([Text("abcd"), ReplaceResponse("abcd")], ["text_length"]),
        ([Text("abcd"), ReplaceResponse("ab"), Text("cd")], ["text_length"]),
        ([Text("abc"), Text("abc", 1), Text("abc", 0)], []),
        ([Text("abc", 1), Text("a", 0), Text("d", 1)], ["text_length"]),
        ([Text("abcd", 1), ReplaceResponse("a", 1), Text("bc", 1)], []),
        ([FILE, FILE], []),
        ([FILE, FILE, FILE], ["files"]),
        ([FILE, FILE, FILE, FILE], []),
        ([Data("m")] * 5, []),
        ([UnknownEvent("a", "b")] * 6, ["events"]),
        ([Data("m")] * 7, []),
        ([Data("m")] * 5 + [Text("abcd")], ["events", "text_length"]),
        ([FILE] * 2 + [Data("m")] * 3 + [FILE], ["events", "files"]),
        ([Meta(), *[Data("m")] * 4, Error()], []),
        ([Meta(), *[Data("m")] * 4, Error(), Done()], []),
        ([Error(), Done(), *[Data("m")] * 5], []),
    ],
)
def test_events_over_a_limit(events: list[Event], last: list[str]) -> None:
    assert exceeded(Limits(events=5, files=2, text_length=3), *events)[-1] == last


def test_a_description_names_the_field() -> None:
    quota = ReplyQuota(Limits(events=5, files=2, text_length=3))
    assert [quota.describe(limit) for limit in ("events", "files", "text_length")] == [
        "more than 5 events (Limits.events)",
        "more than 2 files (Limits.files)",
        "more than 3 characters of text in one answer (Limits.text_length)",
    ]


EVENTS = [Text("a"), Text("bcd"), Text("e", 1), ReplaceResponse("f"), ReplaceResponse("gh", 1), FILE, Data("m")]


@given(
    st.builds(Limits, text_length=st.integers(1, 5), events=st.integers(1, 8), files=st.integers(1, 2)),
    st.lists(st.sampled_from(EVENTS), max_size=10),
)
def test_a_bot_sends_events_within_the_quota_only(limits: Limits, events: list[Event]) -> None:
    exchange, quota = BotExchange(None, limits), ReplyQuota(limits)
    exchange.receive_head(RequestHead("POST", "/"))
    exchange.receive_data(encode_request(QueryRequest([])))
    exchange.receive_eof()
    exchange.begin()
    for event in events:
        if limit := quota.exceeded_by(event)[:1]:
            with pytest.raises(LocalProtocolError) as caught:
                exchange.send(event)
            assert str(caught.value) == f"the reply would have {quota.describe(limit[0])}"
            assert isinstance(caught.value, TooManyFiles) == (limit == ["files"])
        else:
            exchange.send(event)
            quota.count(event)
        assert exchange.events == limits.events - quota.events_left
        assert exchange.files == limits.files - quota.files_left
        assert exchange.text_left == quota.text_left


@pytest.mark.parametrize("end", [Done(), Error()])
def test_an_end_never_exceeds_the_number_of_events(end: Event) -> None:
    quota = ReplyQuota(Limits(events=1))
    quota.count(Text("a"))
    assert quota.events_left == 0
    assert quota.exceeded_by(end) == []
    quota.count(end)
    assert quota.events_left == 0
    assert quota.exceeded_by(Text("b")) == ["events"]
