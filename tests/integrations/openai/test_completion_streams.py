"""`OpenAIBot` reads an endpoint's stream: every dialect, however the bytes are cut, and wherever the stream ends."""

from __future__ import annotations

import json
import random
from itertools import islice
from typing import Any

import pytest

from poeproto import Error, Event, Json, Limits, Text, decode_event, encode_event
from poeproto.testing import bytewise, two_way_splits
from poeproto_openai.bot import completion_stream
from poeproto_openai.bot.completion_stream import CUT_OFF, CompletionStream

from ...support.vectors import RANDOM_CUTS, Case, cases, name_of, wire_of

VECTORS = cases("openai_streams.json")
# Bytewise comes to every place at which a stream can be cut; where more time is allowed, each is cut alone, too.
EVERY_CUT = 1 if RANDOM_CUTS > 500 else 41
COMPLETE = [case for case in VECTORS if "finish_reason" in case and case["wire"].startswith("data:")]


def stream_of(case: Case) -> CompletionStream:
    return CompletionStream(show_reasoning=case.get("show_reasoning", False), new_call_id=lambda: "call_new")


def read(completion: CompletionStream, parts: list[bytes]) -> list[Event]:
    return [event for part in parts for event in completion.receive_data(part)] + completion.receive_eof()


def expected_events(case: Case) -> list[Event]:
    return [decode_event(each["event"], json.dumps(each["data"])) for each in case["events"]]


def texts_and_others(events: list[Event]) -> tuple[str, list[Event]]:
    return "".join(each.text for each in events if isinstance(each, Text)), [
        each for each in events if not isinstance(each, Text)
    ]


@pytest.mark.parametrize("case", VECTORS, ids=name_of)
def test_a_dialect_however_it_is_cut(case: Case) -> None:
    expected = texts_and_others(expected_events(case))
    wire = wire_of(case)
    for parts in [[wire], bytewise(wire), *islice(two_way_splits(wire), 1, None, EVERY_CUT)]:
        completion = stream_of(case)
        assert texts_and_others(read(completion, parts)) == expected, parts
        usage = completion.usage
        assert (usage and [usage.input, usage.output, usage.cached]) == case.get("usage"), parts
        assert (completion.error is None) == ("finish_reason" in case)
        if completion.error is None:
            assert completion.finish_reason == case["finish_reason"]


@pytest.mark.parametrize("case", VECTORS, ids=name_of)
def test_the_fast_path_gives_the_same_events(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    events = read(stream_of(case), [wire_of(case)])
    monkeypatch.setattr(completion_stream, "plain_text", lambda body: None)  # pyright: ignore[reportUnknownLambdaType]
    assert read(stream_of(case), [wire_of(case)]) == events


@pytest.mark.parametrize("case", VECTORS, ids=name_of)
def test_every_event_of_a_vector_can_be_sent(case: Case) -> None:
    for event in read(stream_of(case), [wire_of(case)]):
        assert encode_event(event)


ODD_VALUES: list[Any] = [
    None,
    True,
    0,
    -1,
    1.5,
    "",
    "x",
    [],
    {},
    [[]],
    [{}],
    ["a"],
    {"a": 1},
    "²²²",
    "9" * 5000,
    10**30,
]


def mutated(value: Any, chance: random.Random) -> Any:
    """The value with some of its parts replaced, at any depth."""
    if chance.random() < 0.15:
        return chance.choice(ODD_VALUES)
    if isinstance(value, dict):
        fields: dict[str, Any] = value
        return {key: mutated(field, chance) if chance.random() < 0.3 else field for key, field in fields.items()}
    if isinstance(value, list):
        items: list[Any] = value
        return [mutated(item, chance) if chance.random() < 0.4 else item for item in items]
    return value


@pytest.mark.parametrize("case", [case for case in COMPLETE if "\ndata:  " not in case["wire"]], ids=name_of)
def test_mutations_of_a_dialect_raise_nothing(case: Case) -> None:
    chance = random.Random(case["name"])
    records = [record.removeprefix("data: ") for record in case["wire"].split("\n\n")]
    for _ in range(RANDOM_CUTS // 50):
        odd = [json.dumps(mutated(json.loads(each), chance)) if each.startswith("{") else each for each in records[:-2]]
        wire = "".join(f"data: {each}\n\n" for each in odd).encode()
        completion = stream_of(case)
        events = read(completion, [wire])
        assert [event for event in events if isinstance(event, Error)] == (
            [completion.error] if completion.error else []
        )
        assert all(map(encode_event, events))


@pytest.mark.parametrize("case", COMPLETE, ids=name_of)
def test_a_stream_that_ends_before_its_finish_reason_is_an_error(case: Case) -> None:
    records = wire_of(case).replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n\n")
    for count in range(len(records)):
        completion = stream_of(case)
        events = read(completion, [b"".join(record + b"\n\n" for record in records[:count])])
        if completion.finish_reason is not None and completion.error is None:
            break  # from here on it has ended
        assert events[-1] == Error(allow_retry=True, text=CUT_OFF), records[count]
        assert not [event for event in events if isinstance(event, Json)]  # no half of a call


@pytest.mark.parametrize("case", COMPLETE, ids=name_of)
def test_a_lost_connection_is_an_error_at_every_byte(case: Case) -> None:
    wire = wire_of(case)
    for size in range(0, len(wire), 7):
        completion = stream_of(case)
        events = completion.receive_data(wire[:size])
        if completion.is_over:
            break
        events += completion.receive_failure("the peer closed the connection")
        assert events[-1] == Error(text=CUT_OFF, raw_response={"reason": "the peer closed the connection"})
        assert completion.receive_data(b"data: x\n\n") == completion.receive_eof() == []


def test_data_after_the_end_is_ignored() -> None:
    completion = CompletionStream()
    read(completion, [b'data: {"choices":[{"delta":{"content":"a"},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'])
    assert completion.receive_data(b"data: {\n\n") == []
    assert completion.receive_failure("reset") == []


def test_an_answer_of_more_chunks_than_a_reply_may_have_events() -> None:
    limits = Limits(events=100, text_length=10_000)
    chunk = b'data: {"choices":[{"delta":{"content":"abcde"}}]}\n\n'
    completion = CompletionStream(limits)
    end = b'data: {"choices":[{"delta":{},"finish_reason":"stop"}]}\n\n'
    events = read(completion, [chunk] * 1999 + [end])
    assert len(events) <= 100
    assert texts_and_others(events)[0] == "abcde" * 1999


def test_text_that_was_held_back_is_sent_before_the_error() -> None:
    completion = CompletionStream(Limits(events=2))
    chunk = b'data: {"choices":[{"delta":{"content":"a"}}]}\n\n'
    events = read(completion, [chunk, chunk, chunk])
    assert texts_and_others(events)[0] == "aaa"
    assert isinstance(events[-1], Error)


@pytest.mark.parametrize("body", [b"data: " + b"x" * 2000, b"{" + b" " * 2000, b" " * 2000])
def test_a_body_that_is_too_large(body: bytes) -> None:
    completion = CompletionStream(Limits(event_size=1000))
    [event] = read(completion, [body, b"\n"])
    assert isinstance(event, Error)
    assert "larger than 1000 bytes" in event.raw_response["reason"]


def test_an_answer_that_is_too_long() -> None:
    completion = CompletionStream(Limits(answer_size=10))
    chunk = b'data: {"choices":[{"delta":{"content":"abcdef"}}]}\n\n'
    *_, error = read(completion, [chunk, chunk])
    assert isinstance(error, Error)
    assert error.raw_response == {"reason": "the answer is longer than 10 characters"}


def test_an_answer_that_is_too_long_with_text_held_back() -> None:
    completion = CompletionStream(Limits(answer_size=3))
    *_, error = read(completion, [b'data: {"choices":[{"delta":{"content":"<thi"},"finish_reason":"stop"}]}\n\n'])
    assert isinstance(error, Error)
    assert error.raw_response == {"reason": "the answer is longer than 3 characters"}


def test_more_calls_than_the_limits_allow() -> None:
    call: dict[str, Any] = {"function": {"name": "f", "arguments": "{}"}}
    body = {"choices": [{"delta": {"tool_calls": [{"id": str(n), "index": n, **call} for n in range(3)]}}]}
    completion = CompletionStream(Limits(tool_calls=2))
    [error] = read(completion, [b"data: %b\n\n" % json.dumps(body).encode()])
    assert isinstance(error, Error)
    assert "more than 2 tool calls" in error.raw_response["reason"]


def test_a_new_id_for_each_call_without_one() -> None:
    calls = [{"index": n, "function": {"name": "f", "arguments": "{}"}} for n in range(2)]
    body = {"choices": [{"delta": {"tool_calls": calls}, "finish_reason": "stop"}]}
    events = read(CompletionStream(), [b"data: %b\n\n" % json.dumps(body).encode()])
    ids = [event.data["choices"][0]["delta"]["tool_calls"][0]["id"] for event in events[:2] if isinstance(event, Json)]
    assert len(set(ids)) == 2
    assert all(each.startswith("call_") for each in ids)
