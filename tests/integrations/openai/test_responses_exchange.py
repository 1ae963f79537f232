"""A Poe reply as the events of a response, and as one response."""

from __future__ import annotations

import json
from typing import Any

import pytest

from poeproto import Done, Error, Event, File, Json, Limits, ReplaceResponse, SSEDecoder, SuggestedReply, Text
from poeproto_openai.chat.exchange import OnReplace, ReplyOptions
from poeproto_openai.chat.usage import UsageSource
from poeproto_openai.responses.exchange import ResponsesExchange
from poeproto_openai.responses.request import read_responses_request

CALLS = {
    "choices": [
        {
            "delta": {
                "tool_calls": [
                    {"index": 0, "id": "c1", "function": {"name": "read", "arguments": '{"path"'}},
                    {"index": 1, "id": "c2", "type": "custom", "custom": {"name": "say", "input": "hi"}},
                ]
            }
        }
    ]
}
REST = {"choices": [{"delta": {"tool_calls": [{"index": 0, "function": {"arguments": ': "a"}'}}]}}]}
LENGTH = {"choices": [{"delta": {}, "finish_reason": "length"}]}
USED = {
    "choices": [],
    "usage": {
        "prompt_tokens": 3,
        "completion_tokens": 4,
        "total_tokens": 7,
        "prompt_tokens_details": {"cached_tokens": 2},
        "completion_tokens_details": {"reasoning_tokens": 1},
    },
}


def exchange_of(
    *, stream: bool, on_replace: OnReplace = "append", usage: UsageSource = "none", **body: Any
) -> ResponsesExchange:
    request = read_responses_request(json.dumps({"model": "bot", "input": "hello", "stream": stream, **body}).encode())
    options = ReplyOptions(on_replace=on_replace, usage=usage)
    exchange = ResponsesExchange(request, options, Limits(), "1", 1700000000)
    exchange.begin()
    return exchange


def decoded(data: bytes) -> list[dict[str, Any]]:
    """The events of a stream; each one's name is its type."""
    records = SSEDecoder().receive_data(data)
    events = [json.loads(record.data) for record in records]
    assert [record.event for record in records] == [event["type"] for event in events]
    return events


def streamed(*events: Event, **options: Any) -> list[dict[str, Any]]:
    exchange = exchange_of(stream=True, **options)
    found = decoded(b"".join([exchange.send(event) for event in events]))
    assert exchange.response is None
    assert [event["sequence_number"] for event in found] == list(range(len(found)))
    return found


def whole(*events: Event, **options: Any) -> dict[str, Any]:
    exchange = exchange_of(stream=False, **options)
    assert not any(exchange.send(event) for event in events)
    assert exchange.response is not None
    return json.loads(exchange.response.body)


def kinds(events: list[dict[str, Any]]) -> list[str]:
    return [event["type"].removeprefix("response.") for event in events]


OPENING = ["created", "in_progress"]
MESSAGE = ["output_item.added", "content_part.added"]
MESSAGE_END = ["output_text.done", "content_part.done", "output_item.done"]


def test_text() -> None:
    events = streamed(Text("Hello"), Text(" there"), Done())
    deltas = ["output_text.delta"] * 2
    assert kinds(events) == [*OPENING, *MESSAGE, *deltas, *MESSAGE_END, "completed"]
    item = {
        "id": "msg_1_0",
        "type": "message",
        "role": "assistant",
        "status": "completed",
        "content": [{"type": "output_text", "text": "Hello there", "annotations": [], "logprobs": []}],
    }
    first, last = events[0]["response"], events[-1]["response"]
    assert (first["status"], first["output"], first["usage"]) == ("in_progress", [], None)
    assert (last["status"], last["output"], last["usage"], last["error"]) == ("completed", [item], None, None)
    assert {each["id"] for each in (first, last)} == {"resp_1"}
    assert [event["delta"] for event in events if "delta" in event] == ["Hello", " there"]
    assert events[-2]["item"] == item
    assert whole(Text("Hello"), Text(" there"), Done()) == last


def test_a_run_of_texts_is_written_like_single_texts() -> None:
    texts = ["a", 'b"\\\n', "naïve 🐈", "", "c"]
    run, single = exchange_of(stream=True), exchange_of(stream=True)
    data = run.send(Text("first")) + run.send_texts(texts) + run.send_text("x") + run.send(Done())
    assert data == b"".join(
        [single.send(Text("first")), *[single.send(Text(text)) for text in [*texts, "x"]], single.send(Done())]
    )
    assert decoded(data)[-1]["response"]["output"][0]["content"][0]["text"] == "first" + "".join(texts) + "x"


def test_tool_calls() -> None:
    events = streamed(Text("See."), Json(CALLS), Json(REST), Done())
    assert kinds(events)[5:11] == [
        "output_item.added",
        "function_call_arguments.delta",
        "output_item.added",
        "custom_tool_call_input.delta",
        "function_call_arguments.delta",
        "output_text.done",
    ]
    call = {
        "id": "fc_1_1",
        "type": "function_call",
        "call_id": "c1",
        "name": "read",
        "arguments": '{"path": "a"}',
        "status": "completed",
    }
    custom = {"id": "ctc_1_2", "type": "custom_tool_call", "call_id": "c2", "name": "say", "input": "hi"}
    last = events[-1]["response"]
    assert last["output"][1:] == [call, {**custom, "status": "completed"}]
    done = next(event for event in events if event["type"] == "response.function_call_arguments.done")
    assert (done["item_id"], done["output_index"], done["arguments"]) == ("fc_1_1", 1, '{"path": "a"}')
    assert whole(Text("See."), Json(CALLS), Json(REST), Done()) == last


def test_an_answer_of_nothing_is_an_empty_message() -> None:
    (item,) = whole(Text(""), Done())["output"]
    assert item["content"][0]["text"] == ""
    assert kinds(streamed(Json({"choices": []}), Done()))[2:4] == MESSAGE


@pytest.mark.parametrize(("finish", "reason"), [("length", "max_output_tokens"), ("content_filter", "content_filter")])
def test_an_answer_that_was_cut_short_is_incomplete(finish: str, reason: str) -> None:
    events = [Text("a"), Json({"choices": [{"delta": {}, "finish_reason": finish}]}), Done()]
    last = streamed(*events)[-1]
    assert last["type"] == "response.incomplete"
    assert last["response"]["incomplete_details"] == {"reason": reason}
    assert last["response"]["output"][0]["status"] == "incomplete"
    assert whole(*events) == last["response"]


def test_usage() -> None:
    usage = {
        "input_tokens": 3,
        "input_tokens_details": {"cached_tokens": 2, "cache_write_tokens": 0},
        "output_tokens": 4,
        "output_tokens_details": {"reasoning_tokens": 1},
        "total_tokens": 7,
    }
    assert whole(Text("a"), Json(USED), Done(), usage="bot")["usage"] == usage
    assert whole(Text("a"), Json(USED), Done())["usage"] is None


def test_an_early_error_is_a_status() -> None:
    exchange = exchange_of(stream=True)
    assert exchange.send(Error(text="No.", error_type="user_caused_error")) == b""
    assert exchange.response is not None
    assert exchange.response.status == 400
    assert json.loads(exchange.response.body)["error"]["message"] == "No."


def test_a_late_error_fails_the_response_and_is_raised() -> None:
    exchange = exchange_of(stream=True)
    data = exchange.send(Text("so far")) + exchange.send(Error(text="No.", allow_retry=False)) + exchange.send(Done())
    *_, failed, raised = decoded(data)
    assert (failed["type"], raised["type"]) == ("response.failed", "error")
    assert failed["response"]["status"] == "failed"
    assert failed["response"]["error"] == {"code": "server_error", "message": "No."}
    assert failed["response"]["output"][0]["content"][0]["text"] == "so far"
    assert (raised["message"], raised["code"], raised["param"]) == ("No.", "bot_error", None)
    assert raised["error"]["message"] == "No."


def test_keepalives_repeat_that_the_response_is_in_progress() -> None:
    exchange = exchange_of(stream=True)
    data = exchange.heartbeat() + exchange.heartbeat() + exchange.send(Text("a")) + exchange.heartbeat()
    assert kinds(decoded(data)) == [*OPENING, "in_progress", *MESSAGE, "output_text.delta", "in_progress"]
    assert exchange_of(stream=False).heartbeat() == b""


def test_replacements() -> None:
    events = [Text("one"), ReplaceResponse("two"), Text("!"), Done()]

    def text_of(response: dict[str, Any]) -> str:
        return response["output"][0]["content"][0]["text"]

    assert text_of(whole(*events)) == "two!"
    assert text_of(streamed(*events)[-1]["response"]) == "one\n\ntwo!"
    held = streamed(*events, on_replace="hold")
    assert [event["delta"] for event in held if event["type"].endswith("text.delta")] == ["two!"]
    assert text_of(held[-1]["response"]) == "two!"


def test_files_and_extras() -> None:
    events = [Text("a"), File("https://files.test/b.pdf", "b.pdf", "application/pdf"), SuggestedReply("More"), Done()]
    response = whole(*events)
    assert response["output"][0]["content"][0]["text"] == "a\n\n[b.pdf](https://files.test/b.pdf)"
    assert response["poe"]["suggested_replies"] == ["More"]
    assert response["poe"]["files"][0]["name"] == "b.pdf"
    assert streamed(*events)[-1]["response"] == response


def test_the_response_repeats_the_request() -> None:
    tool = {"type": "function", "name": "f", "parameters": {}, "strict": None}
    response = whole(Text("a"), Done(), instructions="Be kind.", tools=[tool], metadata={"a": "b"}, temperature=0.5)
    assert (response["instructions"], response["tools"], response["metadata"]) == ("Be kind.", [tool], {"a": "b"})
    assert (response["temperature"], response["store"], response["model"]) == (0.5, False, "bot")


def test_a_failing_bot() -> None:
    exchange = exchange_of(stream=True)
    data = exchange.send(Text("a"))
    rest = exchange.fail("e1")
    assert isinstance(rest, bytes)
    assert kinds(decoded(data + rest))[-2:] == ["failed", "error"]
