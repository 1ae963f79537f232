"""Calls of several steps, driven by canned answers and a clock that only counts."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from poeproto import (
    ConnectFailed,
    ConnectionLost,
    CostItem,
    DeadlineExceeded,
    File,
    HttpRequest,
    HttpResponse,
    IncompleteReply,
    InsufficientFunds,
    LimitExceeded,
    Limits,
    PoeprotoError,
    RemoteProtocolError,
    RequestRefused,
    ResponseHead,
    RetryPolicy,
    UploadRefused,
)
from poeproto.exchange.refusals import refusal
from poeproto.flows import (
    Flow,
    UploadedFile,
    authorize_cost_request,
    call_flow,
    capture_cost_request,
    cost_flow,
    upload_by_url_request,
    upload_flow,
)
from poeproto.flows.calls import Attempts
from poeproto.http import StreamedBody
from poeproto.testing import TEST_ACCESS_KEY, FlowDriver, ResponseInParts, bytewise

URL = "http://poe.invalid/"
BUSY = HttpResponse(503, [(b"retry-after", b"3")], b"busy")
ALWAYS = RetryPolicy(attempts=3, failures=True, error_events=True, restart=True)


# --- when to try again


def test_a_failure_that_no_policy_covers_is_raised() -> None:
    assert ALWAYS.wait_before_retry(RemoteProtocolError("bad"), 1) is None
    assert ALWAYS.wait_before_retry(ConnectionLost("cut"), 3) is None
    assert ALWAYS.wait_before_retry(ConnectionLost("cut"), 2) == 0.5


@pytest.mark.parametrize("asked", ["99999999999", "Fri, 01 Jan 2099 00:00:00 GMT", "9" * 400, "soon", "61"])
def test_a_peer_with_an_unusable_retry_after_is_not_called_again(asked: str) -> None:
    response = HttpResponse(503, [("retry-after", asked)])
    driver = FlowDriver([response])
    assert driver.run(call_flow(HttpRequest("POST", URL))) == response
    assert driver.waits == []


def test_the_longest_wait_limits_the_retry_after_of_the_peer() -> None:
    assert RetryPolicy(delay=90).wait_before_retry(ConnectFailed("no"), 1) == 90
    for asked in (60.0, 61.0, 1e15):
        error = RequestRefused("busy", status=503, retry_after=str(asked), retry_after_seconds=asked)
        assert RetryPolicy().wait_before_retry(error, 1) == (asked if asked == 60 else None)
        assert RetryPolicy(longest_wait=math.inf).wait_before_retry(error, 1) == asked


@pytest.mark.parametrize(
    ("policy", "message"),
    [
        ({"attempts": 0}, "RetryPolicy.attempts must be at least 1, got 0"),
        ({"delay": -3}, "RetryPolicy.delay must be a time of at least 0 seconds, got -3"),
        ({"delay": math.nan}, "RetryPolicy.delay must be a time of at least 0 seconds, got nan"),
        ({"delay": math.inf}, "RetryPolicy.delay must be a time of at least 0 seconds, got inf"),
        ({"longest_wait": -0.5}, "RetryPolicy.longest_wait must be at least 0, got -0.5"),
    ],
)
def test_a_policy_that_makes_no_sense_is_refused(policy: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError) as caught:
        RetryPolicy(**policy)
    assert str(caught.value) == message


def test_a_policy_may_wait_for_nothing() -> None:
    policy = RetryPolicy(delay=0, longest_wait=0)
    assert policy.wait_before_retry(ConnectFailed("no"), 1) == 0


@pytest.mark.parametrize("policy", [{"attempts": "3"}, {"attempts": True}, {"delay": "1"}, {"failures": 1}])
def test_a_policy_of_other_types_is_refused(policy: dict[str, Any]) -> None:
    with pytest.raises(TypeError, match=r"^RetryPolicy\.\w+ must be "):
        RetryPolicy(**policy)


# --- calls answered whole


def test_a_call_is_answered_with_one_response() -> None:
    response = HttpResponse(200, [], json.dumps({"a": 1}).encode())
    driver = FlowDriver([BUSY, response])
    assert driver.run(call_flow(HttpRequest("POST", URL))) == response
    assert driver.waits == [3.0]


def test_a_refused_call_is_answered_too() -> None:
    refusal = HttpResponse(404, [], b"no such bot")
    assert FlowDriver([refusal]).run(call_flow(HttpRequest("POST", URL))) == refusal
    assert FlowDriver([BUSY, BUSY]).run(call_flow(HttpRequest("POST", URL))) == BUSY


def test_a_call_fails_with_its_connection() -> None:
    driver = FlowDriver([ConnectFailed("no"), ConnectFailed("no")])
    with pytest.raises(ConnectFailed):
        driver.run(call_flow(HttpRequest("POST", URL)))
    assert driver.waits == [0.5]
    with pytest.raises(ConnectionLost):
        FlowDriver([[ConnectionLost("cut")]]).run(call_flow(HttpRequest("POST", URL)))


@pytest.mark.parametrize("failure", [ConnectionLost("cut"), DeadlineExceeded("late"), RemoteProtocolError("no chunk")])
def test_a_refusal_is_recognised_by_its_head_even_if_its_body_fails(failure: PoeprotoError) -> None:
    cut = ResponseInParts(ResponseHead(503, [("retry-after", "3")]), [b"bu", failure])
    driver = FlowDriver([cut, HttpResponse(200, [], b"x")])
    assert driver.run(call_flow(HttpRequest("POST", URL))).body == b"x"
    assert (driver.waits, driver.closed) == ([3.0], 1)
    twice = FlowDriver([cut, cut]).run(call_flow(HttpRequest("POST", URL)))
    assert (twice.status, twice.get("retry-after"), twice.body) == (503, "3", b"bu")


def test_the_start_of_an_endless_refusal_is_read() -> None:
    limits = Limits(answer_size=10, refusal_body=20)
    request = HttpRequest("POST", URL, [("authorization", TEST_ACCESS_KEY)])
    for place in range(21):  # wherever the key stands, it is found and masked
        endless = ResponseInParts(
            ResponseHead(500), [b"x" * place, *bytewise(TEST_ACCESS_KEY.encode()), *[b"y"] * 1000]
        )
        driver = FlowDriver([endless])
        body = driver.run(call_flow(request, limits=limits)).body
        assert len(body) < 100
        refused = refusal(RequestRefused, "", HttpResponse(500), body, TEST_ACCESS_KEY.encode(), limits)
        assert refused.body_start == (b"x" * place + b"<hidden>")[:20]


def test_a_refusal_with_an_unread_rest_is_closed_before_a_retry() -> None:
    long = HttpResponse(503, [], b"x" * 5000)
    for first, closed in ((long, 1), (BUSY, 0)):
        driver = FlowDriver([first, HttpResponse(200)], lambda data: [data[:4000], data[4000:]])
        driver.run(call_flow(HttpRequest("POST", URL)))
        assert driver.closed == closed


def test_a_lost_connection_is_closed_before_a_retry() -> None:
    driver = FlowDriver([[ConnectionLost("cut")], HttpResponse(200)])
    driver.run(call_flow(HttpRequest("POST", URL), retry=ALWAYS))
    assert driver.closed == 1


def test_without_a_response_nothing_is_closed() -> None:
    for failures, closed in (([ConnectFailed("no")], 0), ([[ConnectionLost("cut")], ConnectFailed("no")], 1)):
        driver = FlowDriver([*failures, HttpResponse(200)])
        driver.run(call_flow(HttpRequest("POST", URL), retry=ALWAYS))
        assert driver.closed == closed


def test_only_the_start_of_a_refusal_is_read() -> None:
    def start_of_refusal() -> Flow[bytes]:
        attempts = Attempts(None)
        yield from attempts.send(HttpRequest("POST", URL))
        return (yield from attempts.receive_start(3))

    for parts in ([b"abc", b"d"], [b"ab", b"cd", b"e"]):
        left = iter(parts)
        assert FlowDriver([ResponseInParts(ResponseHead(500), left)]).run(start_of_refusal()) == b"abc"
        assert len(list(left)) == 1


@pytest.mark.parametrize("failure", [BUSY, ConnectFailed("no")])
def test_without_time_for_a_retry_the_first_failure_is_raised(failure: HttpResponse | PoeprotoError) -> None:
    driver = FlowDriver([failure, HttpResponse(200)], longest_wait=0.4)
    if isinstance(failure, HttpResponse):
        assert driver.run(call_flow(HttpRequest("POST", URL))) == failure
    else:
        with pytest.raises(ConnectFailed):
            driver.run(call_flow(HttpRequest("POST", URL)))
    assert (len(driver.requests), driver.waits) == (1, [])


def test_an_answer_has_a_bound() -> None:
    def answered(size: int) -> HttpResponse:
        flow = call_flow(HttpRequest("POST", URL), limits=Limits(answer_size=10))
        return FlowDriver([HttpResponse(200, [], b"x" * size)]).run(flow)

    assert answered(10).body == b"x" * 10
    with pytest.raises(LimitExceeded, match="10 bytes") as caught:
        answered(11)
    assert caught.value.limit == "answer_size"


@pytest.mark.parametrize(("repeatable", "tries"), [(True, 2), (False, 1)])
def test_a_file_that_was_read_is_sent_again_only_if_it_can_be(repeatable: bool, tries: int) -> None:
    body = StreamedBody(b"<", None, 3, b">", repeatable)
    driver = FlowDriver([BUSY, BUSY])
    assert driver.run(call_flow(HttpRequest("POST", URL, body=body))) == BUSY
    assert len(driver.requests) == tries
    unread = FlowDriver([ConnectFailed("no"), HttpResponse(200)])
    unread.run(call_flow(HttpRequest("POST", URL, body=body)))
    assert len(unread.requests) == 2


# --- uploads

UPLOAD = upload_by_url_request("https://files.invalid/a.png", access_key=TEST_ACCESS_KEY)
KEPT = HttpResponse(200, [], json.dumps({"attachment_url": "https://poe.invalid/a", "mime_type": "image/png"}).encode())


def test_an_upload_ends_in_the_event_that_shows_the_file() -> None:
    driver = FlowDriver([BUSY, KEPT], bytewise)
    uploaded = driver.run(upload_flow(UPLOAD, name="a.png", inline_ref="abc", access_key=TEST_ACCESS_KEY))
    assert uploaded == UploadedFile("https://poe.invalid/a", "image/png", "a.png")
    assert driver.events == [File("https://poe.invalid/a", "a.png", "image/png", "abc")]


def test_a_refused_upload_shows_nothing() -> None:
    driver = FlowDriver([HttpResponse(403, [], TEST_ACCESS_KEY.encode())])
    with pytest.raises(UploadRefused) as caught:
        driver.run(upload_flow(UPLOAD, name="a.png", access_key=TEST_ACCESS_KEY))
    assert caught.value.body_start == b"<hidden>"
    assert driver.events == []


# --- costs

STREAM = [("content-type", "text/event-stream")]
GRANTED = HttpResponse(200, STREAM, b'event: result\ndata: {"status": "success"}\n\n')
COST = authorize_cost_request(CostItem(5), bot_query_id="q", access_key=TEST_ACCESS_KEY)


@pytest.mark.parametrize("failure", [ConnectFailed("no"), BUSY])
def test_a_cost_call_is_retried_if_nothing_was_charged(failure: HttpResponse | PoeprotoError) -> None:
    driver = FlowDriver([failure, GRANTED], bytewise)
    driver.run(cost_flow(COST, access_key=TEST_ACCESS_KEY))
    assert driver.requests == [COST, COST]
    assert driver.waits == [3.0 if failure is BUSY else 0.5]


@pytest.mark.parametrize(
    "answer",
    [
        ResponseInParts(ResponseHead(503, [("retry-after", "3")]), [b"bu", ConnectionLost("cut")]),
        ResponseInParts(ResponseHead(503, [("retry-after", "3")]), [b"x"] * 10_000),
    ],
    ids=["cut", "endless"],
)
def test_a_refused_cost_is_recognised_by_its_head_even_if_its_body_fails(answer: ResponseInParts) -> None:
    driver = FlowDriver([answer, GRANTED])
    driver.run(cost_flow(COST, access_key=TEST_ACCESS_KEY))
    assert (driver.waits, driver.closed) == ([3.0], 1)
    with pytest.raises(RequestRefused) as caught:
        FlowDriver([answer, answer]).run(cost_flow(COST, access_key=TEST_ACCESS_KEY))
    assert (caught.value.status, caught.value.retry_after) == (503, "3")
    assert 0 < len(caught.value.body_start) <= 1024


@pytest.mark.parametrize(
    ("failure", "error"),
    [
        (HttpResponse(200, STREAM, b'event: result\ndata: {"status": "denied"}\n\n'), InsufficientFunds),
        (HttpResponse(200, STREAM, b": nothing\n\n"), IncompleteReply),
        ([ConnectionLost("cut")], ConnectionLost),
        (HttpResponse(500, [], b"oh"), RequestRefused),
    ],
)
def test_a_cost_call_that_may_have_charged_is_not_retried(
    failure: HttpResponse | list[PoeprotoError], error: type[Exception]
) -> None:
    driver = FlowDriver([failure])
    with pytest.raises(error):
        request = capture_cost_request(CostItem(5), bot_query_id="q", access_key=TEST_ACCESS_KEY)
        driver.run(cost_flow(request, access_key=TEST_ACCESS_KEY))
    assert driver.waits == []


# --- what each of them is given

EACH = pytest.mark.parametrize(
    "make",
    [partial(call_flow, UPLOAD), partial(upload_flow, UPLOAD, name="a.png", access_key=TEST_ACCESS_KEY),
     partial(cost_flow, COST, access_key=TEST_ACCESS_KEY)],
    ids=["call", "upload", "cost"],
)  # fmt: skip


@EACH
@pytest.mark.parametrize("attempts", [1, 3])
def test_a_call_is_attempted_as_often_as_the_policy_allows(make: Callable[..., Flow[object]], attempts: int) -> None:
    driver = FlowDriver([ConnectFailed("no")] * 3)
    with pytest.raises(ConnectFailed):
        driver.run(make(retry=RetryPolicy(attempts=attempts)))
    assert len(driver.requests) == attempts


@EACH
def test_the_limits_of_a_call_hold_for_its_answer(make: Callable[..., Flow[object]]) -> None:
    long = HttpResponse(200, STREAM, b"data: " + b"x" * 100)
    with pytest.raises(LimitExceeded):
        FlowDriver([long]).run(make(limits=Limits(answer_size=50, event_size=50)))


def test_of_a_refused_upload_or_cost_as_much_is_kept_as_the_limits_say() -> None:
    limits, refused = Limits(refusal_body=3), HttpResponse(500, [], b"x" * 100)
    for flow in (
        upload_flow(UPLOAD, name="a.png", access_key=TEST_ACCESS_KEY, limits=limits),
        cost_flow(COST, access_key=TEST_ACCESS_KEY, limits=limits),
    ):
        with pytest.raises(RequestRefused) as caught:
            FlowDriver([refused]).run(flow)
        assert caught.value.body_start == b"xxx"
