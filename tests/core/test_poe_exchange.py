"""Calling a bot; what a reader forgives is in `test_states`, split characters are in `test_poe_exchange_text`."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from poeproto import (
    Done,
    Error,
    Event,
    IncompleteReply,
    LimitExceeded,
    Limits,
    LocalProtocolError,
    Meta,
    PoeExchange,
    PoeprotoError,
    QueryRequest,
    RemoteProtocolError,
    ReplaceResponse,
    ReplyFold,
    ReportErrorRequest,
    ReportFeedbackRequest,
    ReportReactionRequest,
    Request,
    RequestRefused,
    ResponseHead,
    SettingsRequest,
    SettingsResponse,
    State,
    Text,
    UnknownEvent,
    UnknownRequest,
    decode_request,
    encode_event,
)
from poeproto.testing import TEST_ACCESS_KEY, bytewise, cut_at, sample_query, sample_reply, two_way_splits

URL = "http://bot.invalid/"
STREAM = ResponseHead(200, [("content-type", "text/event-stream; charset=utf-8")])
JSON = ResponseHead(200, [("content-type", "application/json")])
BAD = b'event: text\ndata: {"text": 3}\n\n'
REPLY = b"".join(map(encode_event, sample_reply()))
HELLO = encode_event(Text("hello"))
DONE = encode_event(Done())
# A little more than its payload, whatever that is exactly: nothing here depends on it.
KEPT_OF_HELLO = 90
META = encode_event(Meta())


def asked(
    request: Request | None = None, head: ResponseHead | None = None, limits: Limits | None = None
) -> PoeExchange:
    exchange = PoeExchange(limits=limits)
    exchange.send(request or sample_query(), URL)
    if head is not None:
        exchange.receive_head(head)
    return exchange


def outcome(exchange: PoeExchange, parts: Iterable[bytes]) -> tuple[list[Event], PoeprotoError | None]:
    """All events until the end of the body or an error, and the error."""
    events: list[Event] = []
    raised: PoeprotoError | None = None
    try:
        for part in parts:
            events += exchange.receive_data(part)
        events += exchange.receive_eof()
    except PoeprotoError as error:
        raised = error
    assert raised is exchange.error
    if exchange.error is not None:
        assert exchange.their_state is State.ERROR
        assert exchange.error.partial is exchange.fold
        calls: list[Callable[[], object]] = [
            lambda: exchange.receive_data(HELLO),
            exchange.receive_eof,
            lambda: exchange.receive_head(STREAM),
        ]
        for call in calls:
            with pytest.raises(type(exchange.error)) as caught:
                call()
            assert caught.value is exchange.error
    fold = ReplyFold()
    for event in events:
        fold.add(event)
    assert vars(fold) == vars(exchange.fold)
    return events, exchange.error


def same_however_cut(make: Callable[[], PoeExchange], body: bytes) -> tuple[list[Event], PoeprotoError | None]:
    """The outcome of the whole body, once it is known that cutting makes no difference."""
    events, error = outcome(make(), [body])
    for parts in [bytewise(body), *two_way_splits(body)]:
        events_cut, error_cut = outcome(make(), parts)
        assert events_cut == events
        assert (type(error_cut), str(error_cut)) == (type(error), str(error))
    return events, error


# --- the request


@pytest.mark.parametrize(
    ("request_", "accept"),
    [
        (sample_query(), "text/event-stream"),
        (SettingsRequest(), "application/json"),
        (ReportFeedbackRequest("m", "u", "c", "like"), "application/json"),
        (ReportReactionRequest("m", "u", "c", "heart"), "application/json"),
        (ReportErrorRequest("bad"), "application/json"),
    ],
)
def test_the_request_is_a_post_of_json_that_asks_for_an_unpacked_answer(request_: Request, accept: str) -> None:
    sent = PoeExchange().send(request_, URL)
    assert (sent.method, sent.url) == ("POST", URL)
    assert sent.get("content-type") == "application/json"
    assert sent.get("accept") == accept
    assert sent.get("accept-encoding") == "identity"
    assert sent.get("authorization") is None
    assert isinstance(sent.body, bytes)
    assert decode_request(sent.body) == request_


def test_the_key_travels_in_one_header_and_shows_nowhere_else() -> None:
    exchange = PoeExchange(TEST_ACCESS_KEY)
    sent = exchange.send(sample_query(), URL)
    assert sent.get_all("authorization") == [b"Bearer " + TEST_ACCESS_KEY.encode()]
    assert isinstance(sent.body, bytes)
    assert TEST_ACCESS_KEY.encode() not in sent.body
    exchange.receive_head(ResponseHead(401))
    with pytest.raises(RequestRefused) as caught:
        exchange.receive_eof()
    for shown in repr(exchange), repr(sent), str(sent), repr(caught.value), str(caught.value):
        assert TEST_ACCESS_KEY not in shown


@pytest.mark.parametrize("key", ["", "two words", "line\nbreak", "ключ"])
def test_a_key_that_cannot_travel_is_found_at_construction(key: str) -> None:
    with pytest.raises(ValueError) as caught:
        PoeExchange(key)
    assert not key or key not in str(caught.value)


@pytest.mark.parametrize("request_", [UnknownRequest("future"), QueryRequest([], temperature=math.nan)])
def test_a_request_that_cannot_be_sent_leaves_the_exchange_fresh(request_: Request) -> None:
    exchange = PoeExchange()
    with pytest.raises(LocalProtocolError):
        exchange.send(request_, URL)
    assert (exchange.our_state, exchange.their_state) == (State.IDLE, State.IDLE)
    assert exchange.send(SettingsRequest(), URL)


CALLS: dict[str, Callable[[PoeExchange], object]] = {
    "send": lambda exchange: exchange.send(SettingsRequest(), URL),
    "receive_head": lambda exchange: exchange.receive_head(STREAM),
    "receive_data": lambda exchange: exchange.receive_data(b""),
    "receive_eof": lambda exchange: exchange.receive_eof(),
}


@pytest.mark.parametrize(
    ("make", "illegal"),
    [
        pytest.param(PoeExchange, ["receive_head", "receive_data", "receive_eof"], id="nothing sent"),
        pytest.param(asked, ["send", "receive_data", "receive_eof"], id="query sent"),
        pytest.param(lambda: asked(SettingsRequest()), ["send", "receive_data", "receive_eof"], id="call sent"),
        pytest.param(lambda: asked(head=STREAM), ["send", "receive_head"], id="stream open"),
        pytest.param(lambda: asked(SettingsRequest(), JSON), ["send", "receive_head"], id="answer begun"),
        pytest.param(lambda: asked(head=ResponseHead(500)), ["send", "receive_head"], id="refused"),
    ],
)
def test_a_call_out_of_order_is_our_fault_and_changes_nothing(
    make: Callable[[], PoeExchange], illegal: list[str]
) -> None:
    exchange = make()
    states = exchange.our_state, exchange.their_state
    for call in illegal:
        with pytest.raises(LocalProtocolError):
            CALLS[call](exchange)
        assert (exchange.our_state, exchange.their_state) == states
    assert exchange.error is None
    for call in "send", "receive_head", "receive_data":
        if call not in illegal:
            CALLS[call](exchange)
            break


# --- refusals


@pytest.mark.parametrize("status", [201, 204, 301, 400, 401, 404, 429, 500, 503])
@pytest.mark.parametrize("request_", [sample_query(), SettingsRequest(), ReportErrorRequest()])
@pytest.mark.parametrize("body", [b"", b"Go away", HELLO + DONE, b'{"response_version": 2}'])
def test_another_status_than_200_is_an_error_whatever_the_body(request_: Request, status: int, body: bytes) -> None:
    head = ResponseHead(status, [("content-type", "text/event-stream"), ("retry-after", "120")])
    exchange = asked(request_, head)
    events, error = outcome(exchange, [body])
    assert events == []
    assert isinstance(error, RequestRefused)
    assert (error.status, error.retry_after, error.body_start) == (status, "120", body)
    assert str(status) in str(error)
    assert exchange.settings is None


@pytest.mark.parametrize("size", [0, 9, 10, 11, 1000])
def test_of_a_refusal_only_the_start_is_kept(size: int) -> None:
    body = b"0123456789" * (size // 10) + b"0123456789"[: size % 10]
    for parts in [body], bytewise(body), cut_at(body, [7, 15]):
        _, error = outcome(asked(head=ResponseHead(500), limits=Limits(refusal_body=10)), parts)
        assert isinstance(error, RequestRefused)
        assert error.body_start == body[:10]


@pytest.mark.parametrize("last", [1, 100])
def test_an_endless_refusal_ends_when_its_start_was_read(last: int) -> None:
    exchange = asked(head=ResponseHead(500), limits=Limits(refusal_body=10))
    # Such a response is no stream, so nothing more is due from the bot.
    assert exchange.their_state is State.DONE
    assert exchange.receive_data(b"x" * 9) == []
    assert exchange.error is None
    assert exchange.receive_data(b"x" * last) == []
    assert isinstance(exchange.error, RequestRefused)


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [("content-type", "")],
        [("content-type", "text/html; charset=utf-8")],
        [("content-type", "application/json")],
        [("content-type", "text/event-streams")],
        [("content-type", "text/event-stream"), ("content-encoding", "gzip")],
        [("content-type", "text/event-stream"), ("content-encoding", "br")],
    ],
)
def test_an_answer_that_is_no_plain_stream_is_a_refusal(headers: list[tuple[str, str]]) -> None:
    events, error = outcome(asked(head=ResponseHead(200, headers)), [HELLO + DONE])
    assert events == []
    assert isinstance(error, RequestRefused)
    assert (error.status, error.body_start, error.retry_after) == (200, HELLO + DONE, None)


def test_settings_that_were_packed_are_a_refusal() -> None:
    head = ResponseHead(200, [("content-type", "application/json"), ("content-encoding", "gzip")])
    assert isinstance(outcome(asked(SettingsRequest(), head), [b"\x1f\x8b"])[1], RequestRefused)


@pytest.mark.parametrize(
    "headers",
    [
        [("Content-Type", "TEXT/Event-Stream;charset=UTF-8")],
        [("content-type", "text/event-stream"), ("content-encoding", "Identity")],
        [("content-type", " text/event-stream "), ("content-encoding", "")],
    ],
)
def test_a_plain_stream_may_be_spelt_in_many_ways(headers: list[tuple[str, str]]) -> None:
    assert outcome(asked(head=ResponseHead(200, headers)), [HELLO + DONE]) == ([Text("hello"), Done()], None)


# --- the stream


def test_a_reply_is_read_the_same_however_it_is_cut() -> None:
    assert same_however_cut(lambda: asked(head=STREAM), REPLY) == (sample_reply(), None)


@given(st.lists(st.integers(0, len(REPLY)), max_size=20))
def test_a_reply_is_read_the_same_at_random_cuts(places: list[int]) -> None:
    assert outcome(asked(head=STREAM), cut_at(REPLY, places)) == (sample_reply(), None)


def test_each_event_comes_out_with_its_last_byte() -> None:
    exchange = asked(head=STREAM)
    assert exchange.receive_data(HELLO[:-1]) == []
    assert exchange.receive_data(HELLO[-1:]) == [Text("hello")]


@pytest.mark.parametrize(
    "bad",
    [
        BAD,
        b"event: text\ndata: {}\n\n",
        b"event: text\ndata: [not JSON\n\n",
        b"event: text\ndata: []\n\n",
        b"event: json\ndata: 3\n\n",
        b"event: file\ndata: {}\n\n",
        b"event: error\ndata: oops\n\n",
    ],
)
def test_what_was_good_before_a_bad_event_is_delivered(bad: bytes) -> None:
    events, error = same_however_cut(lambda: asked(head=STREAM), HELLO + bad + HELLO + DONE)
    assert events == [Text("hello")]
    assert type(error) is RemoteProtocolError
    assert error.partial is not None
    assert error.partial.text == "hello"


def test_the_call_that_meets_a_bad_event_returns_the_good_ones_and_sets_the_error() -> None:
    exchange = asked(head=STREAM)
    assert exchange.receive_data(HELLO + BAD) == [Text("hello")]
    assert isinstance(exchange.error, RemoteProtocolError)
    assert exchange.error.path == "text"


def test_an_unknown_event_is_delivered_as_it_came() -> None:
    body = b"event: future\ndata: not\ndata: JSON\n\n" + HELLO + DONE
    events, _ = same_however_cut(lambda: asked(head=STREAM), body)
    assert events == [UnknownEvent("future", "not\nJSON"), Text("hello"), Done()]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b": comment\n\nevent: ping\ndata: [not JSON\n\n" + META + DONE, [Meta(), Done()]),
        (HELLO + META + b"event: meta\ndata: [not JSON\n\n" + DONE, [Text("hello"), Done()]),
        (HELLO + b"event: done\n\n", [Text("hello"), Done()]),
        (HELLO + b"event: done\ndata: [DONE]\n\n", [Text("hello"), Done()]),
    ],
    ids=["comment and ping", "late meta", "done without data", "done with other data"],
)
def test_what_a_reader_must_tolerate(body: bytes, expected: list[Event]) -> None:
    assert same_however_cut(lambda: asked(head=STREAM), body) == (expected, None)


def test_a_done_without_an_answer_is_delivered_and_shows_in_the_fold() -> None:
    exchange = asked(head=STREAM)
    assert outcome(exchange, [META + DONE]) == ([Meta(), Done()], None)
    with pytest.raises(IncompleteReply):
        exchange.fold.final_text()


@pytest.mark.parametrize("body", [b"", b": comment\n\n", HELLO, HELLO + DONE[:-1], b"event: future\ndata: x\n\n"])
def test_a_stream_without_an_end_is_an_incomplete_reply(body: bytes) -> None:
    _, error = same_however_cut(lambda: asked(head=STREAM), body)
    assert isinstance(error, IncompleteReply)
    assert error.partial is not None
    assert error.partial.text == ("hello" if HELLO in body else "")


def test_an_error_event_ends_the_reply_and_is_no_exception() -> None:
    failure = Error(allow_retry=False, text="no", index=3)
    body = HELLO + encode_event(failure) + HELLO + DONE
    assert same_however_cut(lambda: asked(head=STREAM), body) == ([Text("hello"), failure], None)


@pytest.mark.parametrize("end", [DONE, encode_event(Error())])
@pytest.mark.parametrize("rest", [BAD, HELLO * 20, b"x" * 400, b"event: done\ndata: " + b"x" * 200])
def test_what_follows_the_end_is_passed_over_and_breaks_no_limit(end: bytes, rest: bytes) -> None:
    limits = Limits(event_size=60, answer_size=200)
    events, error = same_however_cut(lambda: asked(head=STREAM, limits=limits), HELLO + end + rest)
    assert len(events) == 2
    assert error is None


@pytest.mark.parametrize(
    ("limits", "limit"),
    [
        (Limits(event_size=len(HELLO) + 20), "event_size"),
        (Limits(answer_size=2 * KEPT_OF_HELLO), "answer_size"),
    ],
)
def test_more_than_a_limit_is_an_error_after_what_was_good(limits: Limits, limit: str) -> None:
    body = HELLO * 2 + encode_event(Text("x" * 100)) + DONE
    events, error = same_however_cut(lambda: asked(head=STREAM, limits=limits), body)
    assert events == [Text("hello")] * 2
    assert isinstance(error, LimitExceeded)
    assert error.limit == limit


def test_a_reply_at_the_limit_is_read_with_its_end() -> None:
    limits = Limits(answer_size=2 * KEPT_OF_HELLO)
    events, error = same_however_cut(lambda: asked(head=STREAM, limits=limits), HELLO * 2 + DONE)
    assert (events, error) == ([Text("hello"), Text("hello"), Done()], None)


def test_text_that_was_replaced_does_not_count() -> None:
    limits = Limits(answer_size=3 * KEPT_OF_HELLO)
    replies = [ReplaceResponse("hello"), Text("hello"), ReplaceResponse("again", index=1)] * 20
    body = b"".join(map(encode_event, [*replies, Done()]))
    events, error = same_however_cut(lambda: asked(head=STREAM, limits=limits), body)
    assert error is None
    assert len(events) == 61


def test_text_of_another_answer_does_count() -> None:
    limits = Limits(answer_size=3 * KEPT_OF_HELLO)
    body = b"".join(encode_event(ReplaceResponse("hello", index=index)) for index in range(4))
    _, error = same_however_cut(lambda: asked(head=STREAM, limits=limits), body)
    assert isinstance(error, LimitExceeded)


# --- calls


def test_settings_are_there_once_the_answer_has_ended() -> None:
    body = b'{"response_version": 2, "allow_attachments": true}'
    for parts in [[body], bytewise(body), *two_way_splits(body)]:
        exchange = asked(SettingsRequest(), JSON)
        for part in parts:
            assert exchange.receive_data(part) == []
        assert exchange.settings is None
        assert exchange.receive_eof() == []
        assert exchange.settings == SettingsResponse(allow_attachments=True)
        assert exchange.error is None


@pytest.mark.parametrize(
    ("body", "path"),
    [(b"", ""), (b"[]", ""), (b"{", ""), (b'{"allow_attachments": "yes"}', "allow_attachments")],
)
def test_settings_that_make_no_sense_are_the_peers_fault(body: bytes, path: str) -> None:
    _, error = same_however_cut(lambda: asked(SettingsRequest(), JSON), body)
    assert type(error) is RemoteProtocolError
    assert error.path == path


def test_an_answer_over_the_limit_is_an_error() -> None:
    body = b'{"response_version": 2}'
    assert same_however_cut(lambda: asked(SettingsRequest(), JSON, Limits(answer_size=len(body))), body)[1] is None
    _, error = same_however_cut(lambda: asked(SettingsRequest(), JSON, Limits(answer_size=len(body) - 1)), body)
    assert isinstance(error, LimitExceeded)
    assert error.limit == "answer_size"


@pytest.mark.parametrize("body", [b"", b"{}", b"thank you", b"null"])
@pytest.mark.parametrize("report", [ReportFeedbackRequest(), ReportReactionRequest(), ReportErrorRequest()])
def test_what_a_bot_answers_to_a_report_is_ignored(report: Request, body: bytes) -> None:
    exchange = asked(report, ResponseHead(200))
    assert outcome(exchange, [body]) == ([], None)
    assert exchange.settings is None


@pytest.mark.parametrize("cut", [0, 9, 40])
def test_a_refusal_that_repeats_our_key_does_not_bring_it_into_the_error(cut: int) -> None:
    exchange = PoeExchange(TEST_ACCESS_KEY)
    exchange.send(sample_query(), URL)
    exchange.receive_head(ResponseHead(401))
    body = f"no such key: {TEST_ACCESS_KEY}!".encode()
    for part in cut_at(body, [cut]):
        exchange.receive_data(part)
    with pytest.raises(RequestRefused) as caught:
        exchange.receive_eof()
    assert caught.value.body_start == b"no such key: <hidden>!"
