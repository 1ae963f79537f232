"""Runs tests/vectors/openai_chat.json: what a client of OpenAI's gets for the events of a reply."""

from __future__ import annotations

import json
from typing import Any

import pytest

from poeproto import Json, Limits
from poeproto_openai.chat.tool_calls import ToolCallNormalizer

from ...support.openai_chat import exchange_of, run_case
from ...support.vectors import Case, cases, name_of

CASES = cases("openai_chat.json")


@pytest.mark.parametrize("case", CASES, ids=name_of)
@pytest.mark.parametrize("at_once", [False, True])
def test_a_stream(case: Case, at_once: bool) -> None:
    got, want = run_case(case, stream=True, at_once=at_once), case["stream"]
    if at_once and case.get("options", {}).get("on_replace") == "hold":
        # Held texts become keepalives, fewer for several texts at once.
        want = [chunk for chunk in want if not is_empty(chunk)]
        got = [chunk for chunk in got if not is_empty(chunk)]
    assert got == want


@pytest.mark.parametrize("case", CASES, ids=name_of)
def test_a_response(case: Case) -> None:
    assert run_case(case, stream=False) == case["response"]


@pytest.mark.parametrize("case", CASES, ids=name_of)
def test_a_stream_and_a_response_have_the_same_content(case: Case) -> None:
    chunks, response = case["stream"], case["response"]
    if isinstance(chunks, dict) or "error" in response:
        assert "[DONE]" not in chunks
        return
    message = response["choices"][0]["message"]
    assert calls_of(chunks) == message.get("tool_calls", [])
    if not case["name"].startswith("replace-differs") and case["name"] != "replace-by-nothing":
        assert text_of(chunks) == (message["content"] or "")
    finishes = [choice["finish_reason"] for choice in choices(chunks) if choice["finish_reason"] is not None]
    assert finishes == [response["choices"][0]["finish_reason"]]
    assert chunks[-1] == "[DONE]"


def test_each_record_is_one_line_of_data() -> None:
    exchange = exchange_of({"options": {}}, stream=True)
    data = exchange.send_text("a") + exchange.send_texts(["b\n", "c\r\n", '"}\n\n']) + exchange.heartbeat()
    records = data.split(b"\n\n")
    assert records.pop() == b""
    assert all(record.startswith(b"data: {") and b"\n" not in record and b"\r" not in record for record in records)
    assert [json.loads(record[6:])["choices"][0]["delta"].get("content") for record in records] == [
        *("a", "b\n", "c\r\n", '"}\n\n', None)
    ]


@pytest.mark.parametrize("case", cases("tool_chunks.json"), ids=name_of)
def test_calls_of_any_dialect_are_openais(case: Case) -> None:
    normalizer = ToolCallNormalizer("x", Limits())
    parts = [part for data in case["chunks"] for part in normalizer.add(Json(data))] + normalizer.rest()
    begun: dict[int, dict[str, Any]] = {}
    for part in parts:
        index = part["index"]
        assert type(index) is int
        if index in begun:
            assert part.keys() <= {"index", "function", "custom"}
            assert "name" not in part.get("function", part.get("custom", {}))
        else:
            assert index == len(begun)
            assert part["id"]
            begun[index] = part
    calls = assembled(parts)
    assert calls == normalizer.whole()
    wanted = [without_id(call) for call in case["calls"]]
    assert sorted(map(repr, map(without_id, calls))) == sorted(map(repr, wanted))


def without_id(call: dict[str, Any]) -> dict[str, Any]:
    return {key: call[key] for key in sorted(call) if key != "id"}


def assembled(parts: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The calls as a simple client assembles them: by index, strings appended."""
    calls: dict[int, dict[str, Any]] = {}
    for part in parts:
        known = calls.get(part["index"])
        if known is None:
            calls[part["index"]] = {key: dict(v) if isinstance(v, dict) else v for key, v in part.items()}
            del calls[part["index"]]["index"]
            continue
        kind = known["type"]
        for key, text in part[kind].items():
            known[kind][key] += text
    return list(calls.values())


def is_empty(chunk: Any) -> bool:
    return chunk != "[DONE]" and any(
        choice["delta"] in ({}, {"role": "assistant", "content": ""}) and choice["finish_reason"] is None
        for choice in chunk["choices"]
    )


def choices(chunks: list[Any]) -> list[dict[str, Any]]:
    """The choices number 0 of a stream."""
    found = [choice for chunk in chunks if chunk != "[DONE]" for choice in chunk["choices"]]
    return [choice for choice in found if choice["index"] == 0]


def text_of(chunks: list[Any]) -> str:
    return "".join(choice["delta"].get("content") or "" for choice in choices(chunks))


def calls_of(chunks: list[Any]) -> list[dict[str, Any]]:
    return assembled([part for choice in choices(chunks) for part in choice["delta"].get("tool_calls", [])])
