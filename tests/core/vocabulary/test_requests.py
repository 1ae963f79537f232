from __future__ import annotations

from typing import Any

import pytest

from poeproto import (
    Message,
    QueryRequest,
    ReportErrorRequest,
    ReportFeedbackRequest,
    ReportReactionRequest,
    SettingsRequest,
    UnknownRequest,
)
from poeproto.vocabulary.requests import PROTOCOL_VERSION

MESSAGES = "QueryRequest.query must be list[Message]"
WRITE = 'write [Message("user", text)]'


def test_the_defaults_of_a_query() -> None:
    query = [Message("user", "Hello")]
    assert QueryRequest(query) == QueryRequest(
        query=query,
        user_id="",
        conversation_id="",
        message_id="",
        metadata="",
        temperature=None,
        skip_system_prompt=False,
        logit_bias={},
        stop_sequences=[],
        language_code="en",
        adopt_current_bot_name=None,
        bot_query_id="",
        users=[],
        tools=None,
        tool_calls=None,
        tool_results=None,
        query_creation_time=None,
        extra_params=None,
        version="1.2",
        extra={},
    )


@pytest.mark.parametrize(
    "request_",
    [
        QueryRequest([]),
        SettingsRequest(),
        ReportFeedbackRequest(),
        ReportReactionRequest(),
        ReportErrorRequest(),
        UnknownRequest("poll"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_every_request_has_the_newest_version_and_only_a_query_has_required_fields(request_: Any) -> None:
    assert request_.version == PROTOCOL_VERSION == "1.2"


@pytest.mark.parametrize(
    ("cls", "arguments", "message"),
    [
        (QueryRequest, {"query": ()}, f"{MESSAGES}, got a value of type tuple; {WRITE}"),
        (QueryRequest, {"query": ["Hello"]}, f"{MESSAGES}, got a list with str in it; {WRITE}"),
        (QueryRequest, {"user_id": None}, "QueryRequest.user_id must be str, got None"),
        (
            QueryRequest,
            {"temperature": "hot"},
            "QueryRequest.temperature must be float | None, got a value of type str",
        ),
        (
            QueryRequest,
            {"temperature": True},
            "QueryRequest.temperature must be float | None, got a value of type bool",
        ),
        (
            QueryRequest,
            {"logit_bias": {"a": "b"}},
            "QueryRequest.logit_bias must be dict[str, float], got a value of type dict",
        ),
        (
            QueryRequest,
            {"stop_sequences": "x"},
            "QueryRequest.stop_sequences must be list[str], got a value of type str",
        ),
        (
            QueryRequest,
            {"tools": [{}]},
            "QueryRequest.tools must be list[ToolDefinition] | None, got a list with dict in it",
        ),
        (SettingsRequest, {"version": 1.2}, "SettingsRequest.version must be str, got a value of type float"),
        (
            ReportErrorRequest,
            {"metadata": "x"},
            "ReportErrorRequest.metadata must be dict[str, Any], got a value of type str",
        ),
        (UnknownRequest, {"type": None}, "UnknownRequest.type must be str, got None"),
    ],
)
def test_types_are_checked(cls: type[Any], arguments: dict[str, Any], message: str) -> None:
    required: dict[str, Any] = {"query": []} if cls is QueryRequest else {}
    with pytest.raises(TypeError) as caught:
        cls(**{**required, **arguments})
    assert str(caught.value) == message


def test_an_integer_is_a_temperature() -> None:
    assert QueryRequest([], temperature=1, logit_bias={"50256": -100}).temperature == 1
