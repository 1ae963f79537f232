from __future__ import annotations

import inspect
import json
import math
import sys
from typing import Any

import attrs
import pytest

from poeproto import (
    Attachment,
    Control,
    Divider,
    LocalProtocolError,
    Message,
    ParameterControls,
    QueryRequest,
    RemoteProtocolError,
    ReportErrorRequest,
    ReportFeedbackRequest,
    ReportReactionRequest,
    Request,
    Section,
    SettingsRequest,
    SettingsResponse,
    Slider,
    UnknownRequest,
    User,
    decode_request,
    decode_settings,
    encode_request,
    encode_settings,
)
from poeproto.wire.json import loads
from poeproto.wire.reader_requirements import REQUIREMENTS
from poeproto.wire.structure import structure

MESSAGE: dict[str, Any] = {"role": "user", "content": "Hello"}
ATTACHMENT = {"url": "https://files.invalid/a", "content_type": "text/plain", "name": "a"}
OF_EACH_TYPE: dict[str, dict[str, Any]] = {
    "query": {"query": [MESSAGE]},
    "settings": {},
    "report_feedback": {},
    "report_reaction": {},
    "report_error": {},
    "poll": {},
}
of_each_type = pytest.mark.parametrize("kind", OF_EACH_TYPE)


def body(kind: str = "query", /, **fields: Any) -> bytes:
    return json.dumps({"version": "1.2", "type": kind, **OF_EACH_TYPE.get(kind, {}), **fields}).encode()


def query(**fields: Any) -> QueryRequest:
    request = decode_request(body(**fields))
    assert isinstance(request, QueryRequest)
    return request


# --- reading requests


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("query", QueryRequest([Message("user", "Hello")])),
        ("settings", SettingsRequest()),
        ("report_feedback", ReportFeedbackRequest()),
        ("report_reaction", ReportReactionRequest()),
        ("report_error", ReportErrorRequest()),
        ("poll", UnknownRequest("poll")),
    ],
)
def test_everything_but_the_query_may_be_absent(kind: str, expected: Request) -> None:
    assert decode_request(body(kind)) == decode_request(body(kind).decode()) == expected
    without_version = json.dumps({"type": kind, **OF_EACH_TYPE[kind]})
    assert decode_request(without_version) == expected


@of_each_type
@pytest.mark.parametrize("version", ["1.0", "1.1", "2.0", ""])
def test_any_version_is_accepted_and_kept(kind: str, version: str) -> None:
    assert decode_request(body(kind, version=version)).version == version


def test_the_sample_of_the_specification_is_understood() -> None:
    request = query(user="u-1", conversation="c-1")
    assert (request.user_id, request.conversation_id, request.message_id) == ("u-1", "c-1", "")
    assert request.extra == {}


def test_the_new_names_of_identifiers_win() -> None:
    request = query(user="old", user_id="new", conversation_id="new", conversation="old")
    assert (request.user_id, request.conversation_id) == ("new", "new")


@pytest.mark.parametrize("kind", ["report_feedback", "report_reaction"])
def test_the_old_names_are_those_of_a_query_alone(kind: str) -> None:
    assert decode_request(body(kind, user="u-1")).extra == {"user": "u-1"}


@pytest.mark.parametrize("identifier", ["", "m-1", "m-" + "0" * 32, "x" * 1000, "🐈", "\ud83d"])
def test_no_identifier_is_judged_on_receipt(identifier: str) -> None:
    request = query(user_id=identifier, message_id=identifier, query=[{**MESSAGE, "message_id": identifier}])
    assert request.user_id == request.message_id == request.query[0].message_id == identifier


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"temperature": "\ud83d"}, "temperature"),
        ({"skip_system_prompt": "\udc08"}, "skip_system_prompt"),
        ({"query": "\ud83d"}, "query"),
        ({"user_id": "\ud83d", "query": [{**MESSAGE, "timestamp": "\ud83d"}]}, "query[0].timestamp"),
        ({"\ud83d": 1, "logit_bias": {"\ud83d": "\ud83d"}}, "logit_bias"),
    ],
)
def test_half_a_character_where_no_string_belongs_is_found_at_its_place(fields: dict[str, Any], path: str) -> None:
    with pytest.raises(RemoteProtocolError, match="expected") as caught:
        query(**fields)
    assert caught.value.path == path


def test_absent_identifiers_within_a_query_are_empty() -> None:
    request = query(users=[{"name": "Ada"}], query=[{**MESSAGE, "reactions": [{"reaction": "heart"}]}])
    assert request.users == [User("", "Ada")]
    assert request.query[0].reactions[0].user_id == ""


@pytest.mark.parametrize("name", ["developer", "assistant", "🐈", ""])
def test_unknown_roles_and_kinds_are_kept(name: str) -> None:
    message = {"role": name, "content": "", "content_type": name, "message_type": name}
    decoded = query(query=[{**message, "feedback": [{"type": name}]}]).query[0]
    assert (decoded.role, decoded.content_type, decoded.message_type, decoded.feedback[0].type) == (name,) * 4
    reaction = decode_request(body("report_reaction", reaction=name))
    assert isinstance(reaction, ReportReactionRequest)
    assert reaction.reaction == name


@of_each_type
@pytest.mark.parametrize("key", ["access_key", "api_key"])
def test_keys_in_a_body_are_dropped(kind: str, key: str) -> None:
    request = decode_request(body(kind, **{key: "not-a-real-key", "other": 1}))
    assert request.extra == {"other": 1}
    assert "not-a-real-key" not in repr(request)
    assert b"not-a-real-key" not in encode_request(request)


@of_each_type
@pytest.mark.parametrize("key", ["access_key", "api_key"])
def test_keys_are_not_forwarded(kind: str, key: str) -> None:
    request = attrs.evolve(decode_request(body(kind)), extra={key: "not-a-real-key", "other": 1})
    assert decode_request(encode_request(request)).extra == {"other": 1}
    assert b"not-a-real-key" not in encode_request(request)


def test_text_of_a_user_is_not_a_key() -> None:
    assert query(extra_params={"api_key": "x"}).extra_params == {"api_key": "x"}


@of_each_type
def test_a_key_called_extra_is_unknown_like_any_other(kind: str) -> None:
    for value in (5, None, {"a": 1}):
        request = decode_request(body(kind, extra=value))
        assert request.extra == {"extra": value}
        assert decode_request(encode_request(request)) == request


def test_an_unknown_request_keeps_everything() -> None:
    request = decode_request(body("poll", version="9", question={"text": "?"}, query=5))
    assert request == UnknownRequest("poll", "9", extra={"question": {"text": "?"}, "query": 5})
    assert json.loads(encode_request(request)) == {
        "type": "poll",
        "version": "9",
        "question": {"text": "?"},
        "query": 5,
    }


@pytest.mark.parametrize("document", ["{}", '{"type": null}', '{"type": 5}', '{"type": ["query"]}', '{"query": []}'])
def test_a_request_without_a_type_is_refused(document: str) -> None:
    with pytest.raises(RemoteProtocolError, match="missing") as caught:
        decode_request(document)
    assert caught.value.path == "type"


@pytest.mark.parametrize("document", [b"", b"[]", b"null", b"{", b'"query"', b"\xff"])
def test_a_body_that_is_not_a_json_object_is_refused(document: bytes) -> None:
    for decode in (decode_request, decode_settings):
        with pytest.raises(RemoteProtocolError) as caught:
            decode(document)
        assert caught.value.path == ""


def in_message(**fields: Any) -> dict[str, Any]:
    return {"query": [MESSAGE, {**MESSAGE, **fields}]}


FAULTS: list[tuple[dict[str, Any], str]] = [
    ({"query": None}, "query"),
    ({"query": {}}, "query"),
    ({"query": "Hello"}, "query"),
    ({"query": ["Hello"]}, "query[0]"),
    ({"query": [None]}, "query[0]"),
    ({"query": [MESSAGE, {"role": "user"}]}, "query[1].content"),
    ({"query": [{"content": ""}]}, "query[0].role"),
    (in_message(role=None), "query[1].role"),
    (in_message(content=None), "query[1].content"),
    (in_message(content=["Hello"]), "query[1].content"),
    (in_message(content_type=5), "query[1].content_type"),
    (in_message(timestamp="now"), "query[1].timestamp"),
    (in_message(timestamp=1.5), "query[1].timestamp"),
    (in_message(timestamp=True), "query[1].timestamp"),
    (in_message(parameters=[]), "query[1].parameters"),
    (in_message(metadata={}), "query[1].metadata"),
    (in_message(sender="u-1"), "query[1].sender"),
    (in_message(sender={"id": 5}), "query[1].sender.id"),
    (in_message(feedback=[{"reason": "x"}]), "query[1].feedback[0].type"),
    (in_message(reactions=[{"reaction": 5}]), "query[1].reactions[0].reaction"),
    (in_message(attachments={}), "query[1].attachments"),
    (in_message(attachments=[ATTACHMENT, None]), "query[1].attachments[1]"),
    (in_message(attachments=[ATTACHMENT, {**ATTACHMENT, "url": 5}]), "query[1].attachments[1].url"),
    (in_message(attachments=[ATTACHMENT, {**ATTACHMENT, "url": None}]), "query[1].attachments[1].url"),
    (in_message(attachments=[{"url": "", "name": ""}]), "query[1].attachments[0].content_type"),
    (in_message(referenced_message="m-1"), "query[1].referenced_message"),
    (in_message(referenced_message={"role": "user"}), "query[1].referenced_message.content"),
    (
        in_message(referenced_message={**MESSAGE, "referenced_message": {**MESSAGE, "attachments": [5]}}),
        "query[1].referenced_message.referenced_message.attachments[0]",
    ),
    ({"user_id": 5}, "user_id"),
    ({"user": 5}, "user_id"),
    ({"version": 1.2}, "version"),
    ({"temperature": "hot"}, "temperature"),
    ({"temperature": True}, "temperature"),
    ({"temperature": 10**400}, "temperature"),
    ({"skip_system_prompt": 1}, "skip_system_prompt"),
    ({"logit_bias": []}, "logit_bias"),
    ({"logit_bias": {"50256": "much"}}, "logit_bias"),
    ({"stop_sequences": "x"}, "stop_sequences"),
    ({"stop_sequences": ["x", 5]}, "stop_sequences[1]"),
    ({"users": [{"id": 5}]}, "users[0].id"),
    ({"tools": [{"function": {}}]}, "tools[0].function.name"),
    ({"tool_calls": [{"id": "t", "function": {"name": "f", "arguments": {}}}]}, "tool_calls[0].function.arguments"),
    ({"tool_results": [{"tool_call_id": "t", "name": "f"}]}, "tool_results[0].content"),
    ({"query_creation_time": "now"}, "query_creation_time"),
    ({"extra_params": []}, "extra_params"),
]


@pytest.mark.parametrize("unknown", [{}, {"unknown": 1}], ids=["known keys", "an unknown key"])
@pytest.mark.parametrize(("fields", "path"), FAULTS, ids=[path for _, path in FAULTS])
def test_a_fault_is_found_at_its_place(fields: dict[str, Any], path: str, unknown: dict[str, Any]) -> None:
    with pytest.raises(RemoteProtocolError) as caught:
        decode_request(body(**fields, **unknown))
    assert caught.value.path == path
    assert str(caught.value).startswith(f"{path}: ")


def test_a_fault_says_what_is_wrong_in_words() -> None:
    for fields, message in (
        ({"query": [{"content": ""}]}, "query[0].role: missing"),
        ({"user_id": 5}, "user_id: expected str, got int"),
        ({"query": None}, "query: expected array, got null"),
    ):
        with pytest.raises(RemoteProtocolError) as caught:
            decode_request(body(**fields))
        assert str(caught.value) == message


def test_a_query_without_messages_is_for_the_bot_to_judge() -> None:
    assert query(query=[]).query == []
    with pytest.raises(RemoteProtocolError, match=r"^query: missing$"):
        decode_request('{"type": "query"}')


def test_an_integer_that_python_can_hold_is_held() -> None:
    assert query(query=[{**MESSAGE, "timestamp": 2**80}]).query[0].timestamp == 2**80
    assert query(temperature=1).temperature == 1.0


def test_lone_surrogates_survive_in_values_and_keys() -> None:
    message = {"role": "user", "content": "\ud83d", "\udc08": 1, "parameters": {"\ud83d": "\udc08"}}
    unknown: dict[str, Any] = {"\ud83d": "\udc08"}
    request = query(query=[message], **unknown)
    assert request.query[0].content == "\ud83d"
    assert request.query[0].parameters == {"\ud83d": "\udc08"}
    assert request.query[0].extra == {"\udc08": 1}
    assert request.extra == {"\ud83d": "\udc08"}
    assert decode_request(encode_request(request)) == request


# --- depth


def test_messages_that_refer_to_messages_need_some_stack() -> None:
    message = '{"role":"user","content":"","new":0,"referenced_message":' * 150 + "null" + "}" * 150
    body = f'{{"type":"query","query":[{message}]}}'
    assert decode_request(encode_request(decode_request(body))) == decode_request(body)
    wire = loads(body)
    limit = sys.getrecursionlimit()
    for read in (lambda: decode_request(body), lambda: structure(wire, QueryRequest)):
        try:
            sys.setrecursionlimit(len(inspect.stack(0)) + 120)
            with pytest.raises(RemoteProtocolError, match="nested too deeply"):
                read()
        finally:
            sys.setrecursionlimit(limit)


def test_messages_that_refer_to_messages_without_end_are_refused_both_ways() -> None:
    nested = '{"role":"user","content":"","referenced_message":' * 700 + "null" + "}" * 700
    with pytest.raises(RemoteProtocolError, match="nested too deeply"):
        decode_request(f'{{"type":"query","query":[{nested}]}}')
    with pytest.raises(RemoteProtocolError, match="nested too deeply"):
        decode_request(b'{"type":"settings","a":' + b"[" * 100_000 + b"]" * 100_000 + b"}")
    message = Message("user", "")
    for _ in range(700):
        message = Message("user", "", referenced_message=message)
    with pytest.raises(LocalProtocolError, match="nested too deeply"):
        encode_request(QueryRequest([message]))


# --- writing requests


def test_unset_fields_are_omitted() -> None:
    assert json.loads(encode_request(SettingsRequest())) == {"version": "1.2", "type": "settings"}
    wire = json.loads(encode_request(QueryRequest([Message("user", "Hello", attachments=[Attachment("u", "c", "n")])])))
    assert wire["type"] == "query"
    assert "temperature" not in wire
    assert "tools" not in wire
    assert wire["query"][0].keys().isdisjoint({"message_type", "sender", "metadata", "referenced_message", "extra"})
    assert wire["query"][0]["attachments"] == [{"url": "u", "content_type": "c", "name": "n"}]


def test_extra_does_not_override_a_field_or_the_type() -> None:
    request = SettingsRequest("1.0", extra={"version": "2.0", "type": "query", "other": 1})
    assert json.loads(encode_request(request)) == {"version": "1.0", "type": "settings", "other": 1}


@pytest.mark.parametrize(
    ("value", "place"),
    [({"a": [math.nan]}, "extra_params.a[0]"), ({"a": b"x"}, "extra_params.a"), ({"a": {1: 2}}, "extra_params.a")],
)
def test_a_value_without_a_json_form_is_refused_with_its_place(value: dict[str, Any], place: str) -> None:
    with pytest.raises(LocalProtocolError) as caught:
        encode_request(QueryRequest([], extra_params=value))
    assert str(caught.value).startswith(f"{place}: ")


def test_a_class_outside_the_protocol_is_refused_by_its_name() -> None:
    @attrs.frozen
    class MyQuery(QueryRequest):
        pass

    @attrs.frozen(kw_only=True)
    class MySlider(Slider):
        pass

    with pytest.raises(LocalProtocolError, match="MyQuery is not a request"):
        encode_request(MyQuery([]))
    mine = MySlider(label="x", parameter_name="x", min_value=0, max_value=1, step=1)
    for control, name in ((mine, "MySlider"), (Control(), "Control")):
        controls = ParameterControls([Section(controls=[Divider(), control])])
        with pytest.raises(LocalProtocolError, match=rf"sections\[0\]\.controls\[1\]: {name} is not a control"):
            encode_settings(SettingsResponse(parameter_controls=controls))


# --- what known readers require


@pytest.mark.parametrize(
    ("schema", "written"),
    [
        (None, {"type": "object", "properties": {}}),
        ({}, {"type": "object", "properties": {}}),
        ({"type": None, "properties": None}, {"type": "object", "properties": {}}),
        ({"type": "object"}, {"type": "object", "properties": {}}),
        ({"properties": {"a": {}}}, {"type": "object", "properties": {"a": {}}}),
        ({"type": "string", "properties": {}, "x": 1}, {"type": "string", "properties": {}, "x": 1}),
    ],
)
def test_the_keys_of_a_tool_that_readers_require_are_written(schema: Any, written: dict[str, Any]) -> None:
    for description in (None, "", "does"):
        request = query(tools=[{"function": {"name": "f", "description": description, "parameters": schema}}])
        (tool,) = json.loads(encode_request(request))["tools"]
        assert tool["function"] == {"name": "f", "description": description or "", "parameters": written}


def test_the_reason_of_feedback_is_written_as_a_null() -> None:
    request = query(query=[{"role": "user", "content": "x", "feedback": [{"type": "like"}]}])
    (message,) = json.loads(encode_request(request))["query"]
    assert message["feedback"] == [{"type": "like", "reason": None}]
    assert decode_request(encode_request(request)) == request


def test_each_requirement_names_a_field_and_its_source() -> None:
    for (cls, name), requirement in REQUIREMENTS.items():
        assert name in attrs.fields_dict(cls)
        assert requirement.source.startswith("fastapi_poe.")
