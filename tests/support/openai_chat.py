"""Runs a case of `tests/vectors/openai_chat.json` through a `ChatExchange`."""

from __future__ import annotations

import json
from typing import Any

from poeproto import HttpResponse, Limits, SSEDecoder, Text, decode_event
from poeproto_openai.chat.exchange import ChatExchange, ReplyOptions
from poeproto_openai.chat.request import read_chat_request

_REQUEST_KEYS = ("include_reasoning",)


def exchange_of(case: dict[str, Any], *, stream: bool) -> ChatExchange:
    """The exchange of a request with the options of a case."""
    options: dict[str, Any] = dict(case.get("options", {}))
    body: dict[str, Any] = {
        "model": "bot",
        "messages": [{"role": "user", "content": "one question"}],
        "stream": stream,
        "stream_options": {"include_usage": options.pop("include_usage", False)},
        **{key: options.pop(key) for key in _REQUEST_KEYS if key in options},
    }
    replies = ReplyOptions(**options, count_tokens=lambda text: len(text.split()))
    exchange = ChatExchange(read_chat_request(json.dumps(body).encode()), replies, Limits(), "1", 0)
    exchange.begin()
    return exchange


def run_case(case: dict[str, Any], *, stream: bool, at_once: bool = False) -> Any:
    """The response that a client gets: a list of chunks without their envelopes, or the whole response.

    Args:
        case: the case.
        stream: whether the client asks for a stream.
        at_once: whether texts in succession are sent in one call.
    """
    exchange = exchange_of(case, stream=stream)
    data = b""
    run: list[str] = []
    for step in [*case["events"], None]:
        if at_once and step is not None and step[0] == "text" and set(step[1]) == {"text"}:
            run.append(step[1]["text"])
            continue
        if run:
            data += exchange.send_texts(run)
            run = []
        if step is not None:
            data += _sent(exchange, step)
    if exchange.response is not None:
        assert not data
        return _response(exchange.response)
    return [_chunk(record.data) for record in SSEDecoder().receive_data(data)]


def _sent(exchange: ChatExchange, step: Any) -> bytes:
    if step == "heartbeat":
        return exchange.heartbeat()
    if step == "fail":
        failed = exchange.fail("e1")
        assert isinstance(failed, bytes)
        return failed
    event = decode_event(step[0], json.dumps(step[1]))
    if type(event) is Text and event.index is None:
        return exchange.send_text(event.text)
    return exchange.send(event)


def _chunk(data: str) -> Any:
    if data == "[DONE]":
        return data
    chunk: dict[str, Any] = json.loads(data)
    if "error" in chunk:
        return chunk
    envelope = {key: chunk.pop(key) for key in ("id", "object", "created", "model")}
    assert envelope == {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 0, "model": "bot"}
    for choice in chunk["choices"]:
        assert choice.pop("logprobs") is None
    return chunk


def _response(response: HttpResponse) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(response.body)
    headers = {name.decode(): value.decode() for name, value in response.headers}
    assert headers["x-request-id"] == "1"
    shown: dict[str, Any] = {"status": response.status}
    if "x-should-retry" in headers:
        shown["x-should-retry"] = headers["x-should-retry"]
    if "error" not in body:
        envelope = {key: body.pop(key) for key in ("id", "object", "created", "model")}
        assert envelope == {"id": "chatcmpl-1", "object": "chat.completion", "created": 0, "model": "bot"}
        for choice in body["choices"]:
            assert choice.pop("logprobs") is None
            assert choice["message"].pop("refusal") is None
    return shown | body
