"""Asking a bot for its settings, and reporting to it, driven by canned answers."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest

from poeproto import (
    HttpResponse,
    LimitExceeded,
    Limits,
    RemoteProtocolError,
    ReportErrorRequest,
    ReportReactionRequest,
    RequestRefused,
    ResponseHead,
    RetryPolicy,
    SettingsRequest,
    decode_request,
    encode_settings,
)
from poeproto.flows import Flow, report_flow, settings_flow
from poeproto.testing import TEST_ACCESS_KEY, FlowDriver, ResponseInParts, bytewise, sample_settings

from ...support.poe_exchanges import URL, body_of

BUSY = HttpResponse(503, [(b"retry-after", b"3")], b"busy")


def test_settings_are_asked_for() -> None:
    response = HttpResponse(200, [], encode_settings(sample_settings()))
    driver = FlowDriver([BUSY, response], bytewise)
    assert driver.run(settings_flow(URL, access_key=TEST_ACCESS_KEY)) == sample_settings()
    assert [decode_request(body_of(request)) for request in driver.requests] == [SettingsRequest()] * 2
    assert driver.requests[0].get("authorization") == f"Bearer {TEST_ACCESS_KEY}"


def test_a_report_is_delivered() -> None:
    report = ReportReactionRequest("m", "u", "c", "heart")
    driver = FlowDriver([HttpResponse(200, [], b"whatever")])
    driver.run(report_flow(report, URL))
    assert [decode_request(body_of(request)) for request in driver.requests] == [report]


each_call = pytest.mark.parametrize(
    "make", [settings_flow, partial(report_flow, ReportErrorRequest("oh"))], ids=["settings", "report"]
)


@each_call
@pytest.mark.parametrize("size", [1024, 10])
def test_a_refusal_is_raised(make: Callable[..., Flow[object]], size: int) -> None:
    with pytest.raises(RequestRefused) as caught:
        FlowDriver([HttpResponse(404, [], b"x" * 5000)]).run(make(URL, limits=Limits(refusal_body=size)))
    assert (caught.value.status, len(caught.value.body_start)) == (404, size)


@each_call
def test_a_call_uses_the_given_key_limits_and_retry_policy(make: Callable[..., Flow[object]]) -> None:
    driver = FlowDriver([BUSY])
    with pytest.raises(RequestRefused):
        driver.run(make(URL, access_key=TEST_ACCESS_KEY, retry=RetryPolicy(attempts=1)))
    assert [request.get("authorization") for request in driver.requests] == [f"Bearer {TEST_ACCESS_KEY}"]
    parts = iter([b"{}", b" " * 9, b"not read"])
    with pytest.raises(LimitExceeded) as caught:
        FlowDriver([ResponseInParts(ResponseHead(200), parts)]).run(make(URL, limits=Limits(answer_size=10)))
    assert (caught.value.limit, list(parts)) == ("answer_size", [b"not read"])


def test_malformed_settings_are_reported_as_invalid_json() -> None:
    with pytest.raises(RemoteProtocolError, match="not valid JSON"):
        FlowDriver([HttpResponse(200, [], b"<html>")]).run(settings_flow(URL))
