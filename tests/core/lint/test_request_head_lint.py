"""Findings in the head of a request."""

from __future__ import annotations

import pytest

from poeproto import PoeExchange, RequestHead
from poeproto.lint import lint_request_head
from poeproto.testing import TEST_ACCESS_KEY, sample_query


def test_the_head_of_our_requests_has_no_finding() -> None:
    sent = PoeExchange(TEST_ACCESS_KEY).send(sample_query(), "http://bot.invalid/")
    assert lint_request_head(RequestHead(sent.method, "/", sent.headers)) == []


@pytest.mark.parametrize("authorization", [TEST_ACCESS_KEY, f"Basic {TEST_ACCESS_KEY}", f"Bearer{TEST_ACCESS_KEY}"])
def test_no_finding_shows_a_key(authorization: str) -> None:
    head = RequestHead("GET", "/", {"authorization": authorization})
    found = lint_request_head(head)
    assert [each.path for each in found] == ["method", "content-type", "authorization"]
    assert TEST_ACCESS_KEY not in str(found)
