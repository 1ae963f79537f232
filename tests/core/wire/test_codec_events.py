from __future__ import annotations

import enum
import json
import math
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from poeproto import (
    Data,
    Done,
    Error,
    Event,
    File,
    Json,
    LocalProtocolError,
    Message,
    Meta,
    RemoteProtocolError,
    ReplaceResponse,
    SSEDecoder,
    SuggestedReply,
    Text,
    UnknownEvent,
    decode_event,
    encode_event,
)
from poeproto.schemas import event_payload
from poeproto.vocabulary.events import EVENT_CLASSES
from poeproto.wire.codec import encode_text, encode_texts
from poeproto.wire.fast_codec import fast_decoder
from poeproto.wire.structure import structure

TEXTS: list[tuple[str, type[Text | ReplaceResponse | SuggestedReply]]] = [
    ("text", Text),
    ("replace_response", ReplaceResponse),
    ("suggested_reply", SuggestedReply),
]
of_each_text = pytest.mark.parametrize(("name", "cls"), TEXTS, ids=[name for name, _ in TEXTS])
PARSED = [name for name in EVENT_CLASSES if name != "done"]

# The smallest payload of each name.
SMALLEST: dict[str, tuple[dict[str, Any], Event]] = {
    "meta": ({}, Meta()),
    "text": ({"text": "x"}, Text("x")),
    "replace_response": ({"text": ""}, ReplaceResponse("")),
    "suggested_reply": ({"text": "x"}, SuggestedReply("x")),
    "file": ({"url": "u", "name": "n", "content_type": "c"}, File("u", "n", "c")),
    "data": ({"metadata": "x"}, Data("x")),
    "json": ({}, Json({})),
    "error": ({}, Error()),
    "done": ({}, Done()),
}
of_each_name = pytest.mark.parametrize("name", EVENT_CLASSES)


def read(record: bytes) -> Event:
    """The event in these bytes, decoded as a server-sent event."""
    (found,) = SSEDecoder().receive_data(record)
    return decode_event(found.event, found.data)


# --- reading


@of_each_name
def test_the_smallest_payload_is_enough(name: str) -> None:
    wire, event = SMALLEST[name]
    assert decode_event(name, json.dumps(wire)) == decode_event(name, json.dumps(wire).encode()) == event


@pytest.mark.parametrize(
    ("name", "wire", "event"),
    [
        ("meta", {"content_type": "text/plain", "suggested_replies": True}, Meta("text/plain", suggested_replies=True)),
        ("meta", {"linkify": True, "refetch_settings": True}, Meta(linkify=True, refetch_settings=True)),
        ("meta", {"content_type": None, "suggested_replies": None, "linkify": None}, Meta()),
        ("file", {**SMALLEST["file"][0], "inline_ref": "a"}, File("u", "n", "c", inline_ref="a")),
        ("file", {**SMALLEST["file"][0], "inline_ref": None}, File("u", "n", "c")),
        ("error", {"allow_retry": None, "text": None, "raw_response": None, "error_type": None}, Error()),
        ("error", {"allow_retry": False, "raw_response": [1]}, Error(allow_retry=False, raw_response=[1])),
        ("error", {"text": "x", "error_type": "new_type"}, Error(text="x", error_type="new_type")),
        ("json", {"choices": [], "extra": 1}, Json({"choices": [], "extra": 1})),
        ("data", {"metadata": "x", "extra": 1}, Data("x", extra={"extra": 1})),
    ],
)
def test_optional_fields_are_read_and_nulls_are_defaults(name: str, wire: dict[str, Any], event: Event) -> None:
    assert decode_event(name, json.dumps(wire)) == event


@of_each_name
@pytest.mark.parametrize("index", [0, 1, -1, 2**53 - 1, 1 - 2**53])
def test_any_event_may_have_an_index(name: str, index: int) -> None:
    event = decode_event(name, json.dumps({**SMALLEST[name][0], "index": index}))
    assert event.index == index
    assert read(encode_event(event)) == event


@of_each_name
@pytest.mark.parametrize("index", [True, False, "1", 1.5, [1], {}, 2**53, -(2**53), 1e300, 2**61 - 1, 10**400])
@pytest.mark.parametrize("unknown", [{}, {"unknown": 1}], ids=["known keys", "an unknown key"])
def test_another_value_is_not_an_index_and_is_kept(name: str, index: object, unknown: dict[str, Any]) -> None:
    event = decode_event(name, json.dumps({**SMALLEST[name][0], "index": index, **unknown}))
    assert event.index is None
    kept = event.data if isinstance(event, Json) else event.extra if not isinstance(event, UnknownEvent) else {}
    assert kept == {"index": index, **unknown}
    assert type(kept["index"]) is type(index)
    assert read(encode_event(event)) == event


@of_each_name
@pytest.mark.parametrize("unknown", [{}, {"unknown": 1}], ids=["known keys", "an unknown key"])
def test_an_index_may_be_written_as_a_float(name: str, unknown: dict[str, Any]) -> None:
    event, as_integer = (
        decode_event(name, json.dumps({**SMALLEST[name][0], "index": index, **unknown})) for index in (2.0, 2)
    )
    assert event == as_integer
    assert type(event.index) is int


@of_each_name
def test_an_index_that_readers_cannot_represent_is_not_written(name: str) -> None:
    event = decode_event(name, json.dumps(SMALLEST[name][0]))
    for index in (2**53, -(2**53)):
        with pytest.raises(LocalProtocolError, match=rf"^{type(event).__name__}\.index is beyond 9007199254740991$"):
            encode_event(attrs.evolve(event, index=index))


class Answer(enum.IntEnum):
    SECOND = 1


@of_each_name
def test_an_index_may_be_a_member_of_an_enumeration(name: str) -> None:
    event = decode_event(name, json.dumps(SMALLEST[name][0]))
    written = encode_event(attrs.evolve(event, index=Answer.SECOND))
    assert written == encode_event(attrs.evolve(event, index=1))


@of_each_name
def test_a_null_index_is_an_absent_index(name: str) -> None:
    event = decode_event(name, json.dumps({**SMALLEST[name][0], "index": None}))
    assert event.index is None
    if not isinstance(event, Json):
        assert event == SMALLEST[name][1]


def test_an_invalid_index_does_not_hide_another_fault() -> None:
    with pytest.raises(RemoteProtocolError) as caught:
        decode_event("text", '{"text": 5, "index": "x"}')
    assert caught.value.path == "text"


@pytest.mark.parametrize(
    "data",
    [
        "",
        "{}",
        "[DONE]",
        "null",
        "garbage",
        "{",
        '{"a": NaN}',
        "[]",
        '{"index": "x"}',
        '{"index": [1',
        b"\xff",
        "\ud83d",
    ],
)
def test_the_data_of_done_is_ignored(data: str | bytes) -> None:
    event = decode_event("done", data)
    assert isinstance(event, Done)
    assert event.index is None


@pytest.mark.parametrize("name", PARSED)
@pytest.mark.parametrize("data", ["", " ", "[DONE]", "[]", '"x"', "5", "null", "true", "{", '{"text":NaN}', b"\xff"])
def test_any_other_payload_must_be_a_json_object(name: str, data: str | bytes) -> None:
    with pytest.raises(RemoteProtocolError, match=f"invalid '{name}' event: ") as caught:
        decode_event(name, data)
    assert caught.value.path == ""


@pytest.mark.parametrize(
    ("name", "wire", "path"),
    [
        *((name, {}, "text") for name, _ in TEXTS),
        *((name, {"text": None}, "text") for name, _ in TEXTS),
        *((name, {"text": 5, "index": 1}, "text") for name, _ in TEXTS),
        ("meta", {"content_type": 5}, "content_type"),
        ("meta", {"suggested_replies": 1}, "suggested_replies"),
        ("meta", {"linkify": "yes"}, "linkify"),
        ("file", {"url": "u", "name": "n"}, "content_type"),
        ("file", {"url": None, "name": "n", "content_type": "c"}, "url"),
        ("file", {"url": "u", "name": "n", "content_type": "c", "inline_ref": 5}, "inline_ref"),
        ("data", {}, "metadata"),
        ("data", {"metadata": {"a": 1}}, "metadata"),
        ("error", {"allow_retry": "no"}, "allow_retry"),
        ("error", {"text": 5}, "text"),
        ("error", {"error_type": 5}, "error_type"),
    ],
)
def test_a_fault_in_an_event_is_found_at_its_place(name: str, wire: dict[str, Any], path: str) -> None:
    for payload in (wire, {**wire, "unknown": 1}, {"index": "x", **wire}):
        with pytest.raises(RemoteProtocolError) as caught:
            decode_event(name, json.dumps(payload))
        assert caught.value.path == path
        assert str(caught.value).startswith(f"{path}: invalid {name!r} event: ")


@pytest.mark.parametrize("data", ["", "{}", "not JSON", '{"index": 1}', "[1,", "a\nb", "\ud83d"])
def test_an_unknown_event_keeps_its_payload_unread(data: str) -> None:
    assert decode_event("poll", data) == UnknownEvent("poll", data)


def test_the_payload_of_an_unknown_event_is_text_even_when_given_as_bytes() -> None:
    assert decode_event("poll", "é".encode()) == UnknownEvent("poll", "é")
    assert decode_event("poll", b"\xff") == UnknownEvent("poll", "�")


@pytest.mark.parametrize("name", ["Text", "text ", "", "message", "ping"])
def test_names_are_compared_exactly(name: str) -> None:
    assert isinstance(decode_event(name, '{"text": "x"}'), UnknownEvent)


# --- writing


@of_each_text
def test_a_text_is_one_record_in_utf_8(name: str, cls: type[Text]) -> None:
    assert encode_event(cls("naïve 🐈\u2028")) == f'event: {name}\ndata: {{"text":"naïve 🐈\u2028"}}\n\n'.encode()
    assert encode_event(cls("")) == f'event: {name}\ndata: {{"text":""}}\n\n'.encode()


@of_each_text
def test_line_breaks_in_a_text_do_not_break_its_line(name: str, cls: type[Text]) -> None:
    assert (
        encode_event(cls('a\nb\r\nc\0"\\'))
        == rf'event: {name}{chr(10)}data: {{"text":"a\nb\r\nc\u0000\"\\"}}'.encode() + b"\n\n"
    )


@of_each_text
def test_a_text_takes_the_general_path_for_further_keys_only(name: str, cls: type[Text]) -> None:
    assert encode_event(cls("é", 1)) == f'event: {name}\ndata: {{"text":"é","index":1}}\n\n'.encode()
    assert encode_event(cls("é", extra={"a": 1})) == f'event: {name}\ndata: {{"text":"é","a":1}}\n\n'.encode()


@of_each_text
def test_half_a_character_survives_as_an_escape(name: str, cls: type[Text]) -> None:
    record = encode_event(cls("é\ud83d"))
    assert record == f'event: {name}\ndata: {{"text":"é\\ud83d"}}\n\n'.encode()
    assert read(record) == cls("é\ud83d")
    assert read(encode_event(cls("\udc08", 1))) == cls("\udc08", 1)


class Markup(str):
    __slots__ = ()


@of_each_text
def test_a_subclass_of_str_is_a_text(name: str, cls: type[Text]) -> None:
    assert encode_event(cls(Markup("x"))) == encode_event(cls("x"))
    assert read(encode_event(cls(Markup("x"), 1))) == cls("x", 1)


@pytest.mark.parametrize(
    ("event", "record"),
    [
        (Meta(), b'event: meta\ndata: {"content_type":"text/markdown","suggested_replies":false}\n\n'),
        # Known readers require the null (`wire.reader_requirements`).
        (File("u", "n", "c"), b'event: file\ndata: {"url":"u","name":"n","content_type":"c","inline_ref":null}\n\n'),
        (Data("x"), b'event: data\ndata: {"metadata":"x"}\n\n'),
        (Json({"b": None, "a": "é\n"}), 'event: json\ndata: {"b":null,"a":"é\\n"}\n\n'.encode()),
        (Json({"a": 1}, 2), b'event: json\ndata: {"a":1,"index":2}\n\n'),
        (Error(), b'event: error\ndata: {"allow_retry":true}\n\n'),
        (Error(allow_retry=False, text="x"), b'event: error\ndata: {"allow_retry":false,"text":"x"}\n\n'),
        (Done(), b"event: done\ndata: {}\n\n"),
        (UnknownEvent("poll", "a\nb"), b"event: poll\ndata: a\ndata: b\n\n"),
    ],
)
def test_unset_fields_are_omitted(event: Event, record: bytes) -> None:
    assert encode_event(event) == record


def test_extra_does_not_override_a_field() -> None:
    assert read(encode_event(Text("x", extra={"text": "y", "a": 1}))) == Text("x", extra={"a": 1})


UNSENDABLE: list[tuple[type[Any], dict[str, Any], str]] = [
    *((cls, {"text": 5}, f"{cls.__name__}.text must be str, got a value of type int") for _, cls in TEXTS),
    (Text, {"text": None}, "Text.text must be str, got None"),
    (Text, {"text": b"x"}, "Text.text must be str"),
    (Text, {"text": "x", "index": True}, "Text.index must be int | None, got a value of type bool"),
    (Text, {"text": "x", "index": "1"}, "Text.index must be int | None, got a value of type str"),
    (Text, {"text": "x", "extra": [1]}, "Text.extra must be Mapping"),
    (Text, {"text": "x", "extra": {1: 1}}, "Text.extra must be Mapping"),
    (Text, {"text": "x", "extra": {"a": math.nan}}, "a: nan has no form in JSON"),
    (Meta, {"suggested_replies": 1}, "Meta.suggested_replies must be bool"),
    (File, {"url": "u", "name": "n", "content_type": None}, "File.content_type must be str, got None"),
    (Data, {"metadata": {}}, "Data.metadata must be str"),
    (Json, {"data": [1]}, "Json.data must be dict[str, Any]"),
    (Json, {"data": None, "index": 1}, "Json.data must be dict[str, Any], got None"),
    (Json, {"data": {}, "index": "1"}, "Json.index must be int | None"),
    (Json, {"data": {"a": [math.inf]}}, "a[0]: inf has no form in JSON"),
    (Json, {"data": {"a": {1: 1}}}, "a: the key 1 is not a string"),
    (Error, {"text": 5}, "Error.text must be str | None"),
    (Error, {"raw_response": {"a": b"x"}}, "raw_response.a: bytes has no form in JSON"),
    (Done, {"index": 1.5}, "Done.index must be int | None"),
    (UnknownEvent, {"event": "poll", "data": {}}, "UnknownEvent.data must be str"),
    (UnknownEvent, {"event": "a\nb", "data": ""}, "the event name"),
    (UnknownEvent, {"event": "", "data": ""}, "the event name is empty"),
    (UnknownEvent, {"event": "poll", "data": "\ud83d"}, "the 'poll' event contains a lone surrogate"),
]


@pytest.mark.parametrize(("cls", "arguments", "message"), UNSENDABLE, ids=[case[2] for case in UNSENDABLE])
def test_sending_makes_the_checks_that_constructing_did_not(
    cls: type[Any], arguments: dict[str, Any], message: str
) -> None:
    with pytest.raises(LocalProtocolError) as caught:
        encode_event(cls(**arguments))
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize("value", ["Hello", None, {"text": "x"}, Message("bot", "x"), Text])
def test_a_value_that_is_not_an_event_is_refused(value: Any) -> None:
    with pytest.raises(LocalProtocolError, match=f"^{type(value).__name__} is not an event"):
        encode_event(value)


def test_deep_nesting_is_refused() -> None:
    deep: Any = "x"
    for _ in range(100_000):
        deep = [deep]
    for event in (Json({"a": deep}), Error(raw_response=deep), Text("x", extra={"a": deep})):
        with pytest.raises(LocalProtocolError, match="nested too deeply"):
            encode_event(event)
    for data in ('{"text":"x","a":' + "[" * 100_000, '{"text":"x","a":' + "[" * 100_000 + "]" * 100_000 + "}"):
        with pytest.raises(RemoteProtocolError):
            decode_event("text", data)


FIELD_NAMES = ["text", "index", "url", "name", "content_type", "metadata", "allow_retry", "linkify", "extra", "new"]
FIELD_VALUES = ["a", "", "\ud83d", None, 0, 7, 10**40, 1.0, True, [], {"index": 1}, [["a"]]]


@given(
    st.sampled_from([cls for cls in EVENT_CLASSES.values() if cls is not Json]),
    st.dictionaries(st.sampled_from(FIELD_NAMES), st.sampled_from(FIELD_VALUES), max_size=4),
    st.booleans(),
)
def test_the_fast_decoder_agrees_with_the_general_path(cls: type[Event], wire: dict[str, Any], complete: bool) -> None:
    if complete:
        wire = {**SMALLEST[next(name for name in EVENT_CLASSES if EVENT_CLASSES[name] is cls)][0], **wire}
    data = json.dumps(wire)
    for form in (data, data.encode()):
        if (event := fast_decoder(cls)(form)) is not None:
            assert repr(event) == repr(structure(wire, cls))


@given(st.text(st.characters()), st.sampled_from([cls for _, cls in TEXTS]))
def test_the_fast_path_encodes_a_text_as_the_general_path_does(text: str, cls: type[Text]) -> None:
    short, long = encode_event(cls(text)), encode_event(cls(text, extra={"a": 1}))
    assert long == short.replace(b"}\n\n", b',"a":1}\n\n')
    assert short.count(b"\n") == 3
    assert b"\r" not in short


@given(st.lists(st.text(st.characters())))
def test_texts_without_anything_more_are_written_as_events_are(texts: list[str]) -> None:
    assert [encode_text(text) for text in texts] == [encode_event(Text(text)) for text in texts]
    assert encode_texts(texts) == b"".join(map(encode_text, texts))


@pytest.mark.parametrize(
    ("event", "payload"),
    [
        (Text("a", index=1), ("text", {"text": "a", "index": 1})),
        (Json({"a": None}), ("json", {"a": None})),
        (Done(), ("done", {})),
        (UnknownEvent("later", "{not JSON"), ("later", "{not JSON")),
        (UnknownEvent("no\0name", "{}"), ("no\0name", "{}")),
    ],
)
def test_an_event_in_the_wires_terms(event: Event, payload: tuple[str, Any]) -> None:
    assert event_payload(event) == payload
