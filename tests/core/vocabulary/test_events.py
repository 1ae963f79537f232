from __future__ import annotations

import copy
import pickle
import typing
from typing import Any

import attrs
import pytest

from poeproto import (
    Data,
    Done,
    Error,
    Event,
    File,
    Json,
    Meta,
    ReplaceResponse,
    SuggestedReply,
    Text,
    UnknownEvent,
    decode_event,
)
from poeproto.vocabulary.events import EVENT_CLASSES


def test_every_event_but_the_unknown_has_one_name() -> None:
    names = "meta text replace_response suggested_reply file data json error done"
    assert sorted(EVENT_CLASSES) == sorted(names.split())
    assert {*EVENT_CLASSES.values(), UnknownEvent} == set(typing.get_args(Event))
    assert len(set(EVENT_CLASSES.values())) == len(EVENT_CLASSES)


def test_the_defaults_of_events() -> None:
    assert Meta() == Meta("text/markdown", suggested_replies=False, linkify=None, refetch_settings=None, index=None)
    assert File("u", "n", "c") == File(url="u", name="n", content_type="c", inline_ref=None, index=None, extra={})
    assert Error() == Error(allow_retry=True, text=None, raw_response=None, error_type=None, index=None)
    assert Done() == Done(index=None, extra={})


@pytest.mark.parametrize("cls", typing.get_args(Event), ids=lambda cls: cls.__name__)
def test_every_event_has_an_index(cls: type[Any]) -> None:
    field = attrs.fields_dict(cls)["index"]
    assert field.default is None


def test_events_of_different_names_are_different() -> None:
    events = [Text("x"), ReplaceResponse("x"), SuggestedReply("x"), Data("x")]
    assert all((one == other) is (one is other) for one in events for other in events)


@pytest.mark.parametrize(
    ("cls", "arguments"),
    [
        (Text, {"text": 5}),
        (Text, {"text": None, "index": "1"}),
        (Meta, {"suggested_replies": 1}),
        (File, {"url": None, "name": 1, "content_type": []}),
        (Data, {"metadata": {}}),
        (Error, {"text": 5}),
        (Json, {"data": None}),
        (Json, {"data": [1], "index": 1}),
        (Json, {"data": "x", "index": "x"}),
        (UnknownEvent, {"event": 5, "data": b""}),
    ],
)
def test_constructing_checks_nothing_because_sending_does(cls: type[Any], arguments: dict[str, Any]) -> None:
    event = cls(**arguments)
    assert {name: getattr(event, name) for name in arguments} == arguments


def test_the_index_of_a_json_event_and_the_one_inside_are_one() -> None:
    assert Json({"a": 1}) == Json({"a": 1}, None)
    assert Json({"a": 1}, 2) == Json({"a": 1, "index": 2})
    assert Json({"index": 2}).index == 2
    assert Json({"index": 0}).index == 0
    assert Json({"a": 1}, 2).data == {"a": 1, "index": 2}
    assert Json({"index": 1}, 2) == Json({"index": 2})


@pytest.mark.parametrize("inside", [True, "1", 1.5, None, [1], 2**53, -(2**53), 1e300])
def test_only_an_integer_inside_is_an_index(inside: object) -> None:
    event = Json({"index": inside})
    assert event.index is None
    assert event.data == {"index": inside}


def test_a_whole_float_inside_is_an_index() -> None:
    event = Json({"index": 2.0})
    assert (event.index, type(event.index)) == (2, int)


def test_a_json_event_does_not_change_its_argument() -> None:
    data: dict[str, Any] = {"a": 1}
    Json(data, 2)
    assert data == {"a": 1}


def test_an_unknown_event_has_no_index_of_its_own() -> None:
    assert UnknownEvent("poll", '{"index": 1}').index is None
    construct: Any = UnknownEvent
    with pytest.raises(TypeError):
        construct("poll", "{}", 1)


def test_flat_events_may_be_keys() -> None:
    assert len({Text("a"), Text("a"), Text("b"), Done(), Text("a", extra={"later": 1})}) == 4
    assert hash(Text("a")) == hash(Text("a", extra={"later": 1}))


def test_events_without_extra_keys_share_one_empty_mapping() -> None:
    read = decode_event("text", '{"text": "a"}')
    assert isinstance(read, Text)
    assert Text("a").extra is Text("b", index=1).extra is Done().extra is read.extra
    assert copy.deepcopy(read).extra is pickle.loads(pickle.dumps(read)).extra is read.extra
