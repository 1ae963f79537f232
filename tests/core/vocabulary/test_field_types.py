from __future__ import annotations

import copy
import pickle
from collections.abc import Callable, Mapping
from typing import Any, Optional, Union

import attrs
import pytest

import poeproto
from poeproto import (
    Attachment,
    CostItem,
    Data,
    Done,
    Endpoints,
    Error,
    Feedback,
    File,
    FunctionCall,
    FunctionDefinition,
    HttpRequest,
    HttpResponse,
    Json,
    Message,
    Meta,
    QueryRequest,
    Reaction,
    ReplaceResponse,
    ReportErrorRequest,
    ReportFeedbackRequest,
    ReportReactionRequest,
    RequestHead,
    ResponseHead,
    Sender,
    SettingsRequest,
    SettingsResponse,
    SuggestedReply,
    Text,
    ToolCall,
    ToolCallDelta,
    ToolDefinition,
    ToolResult,
    UnknownControl,
    UnknownEvent,
    UnknownRequest,
    User,
)
from poeproto.flows import FunctionCallDelta, UploadedFile
from poeproto.http import RateLimit, StreamedBody
from poeproto.testing import sample_query, sample_settings
from poeproto.vocabulary.field_types import NO_EXTRA, check_types, checked, type_name
from poeproto.wire.codec import walk_values


@checked
@attrs.frozen
class Everything:
    """One field of each kind of annotation the vocabulary uses."""

    anything: Any = None
    thing: object = None
    number: int = 0
    ratio: float = 0.0
    flag: bool = False
    word: str = ""
    names: list[str] = attrs.field(factory=list[str])
    table: dict[str, int] = attrs.field(factory=dict[str, int])
    mapping: Mapping[str, Any] = NO_EXTRA
    pairs: tuple[tuple[bytes, bytes], ...] = ()
    address: tuple[str, int] = ("", 0)
    maybe: int | None = None
    old_maybe: Optional[int] = None  # noqa: UP045 - both spellings exist in Python
    either: Union[int, list[str]] = 0  # noqa: UP007
    inner: Everything | None = None
    inners: list[Everything] | None = None


FITS: list[tuple[str, list[Any]]] = [
    ("anything", [None, 1, "x", object()]),
    ("thing", [None, 1, "x", object()]),
    ("number", [0, -1, 10**50]),
    ("ratio", [0.5, 1, float("nan")]),
    ("flag", [True, False]),
    ("word", ["", "x", "\ud83d"]),
    ("names", [[], ["x"]]),
    ("table", [{}, {"x": 1}]),
    ("mapping", [{}, {"x": None}, NO_EXTRA]),
    ("pairs", [(), ((b"a", b"b"), (b"c", b"d"))]),
    ("address", [("x", 1)]),
    ("maybe", [None, 1]),
    ("old_maybe", [None, 1]),
    ("either", [1, [], ["x"]]),
    ("inner", [None, Everything(), Everything(inner=Everything())]),
    ("inners", [None, [], [Everything(), Everything()]]),
]

UNFIT: list[tuple[str, Any, str]] = [
    ("number", True, "must be int, got a value of type bool"),
    ("number", 1.0, "must be int, got a value of type float"),
    ("number", "1", "must be int, got a value of type str"),
    ("number", None, "must be int, got None"),
    ("ratio", True, "must be float, got a value of type bool"),
    ("ratio", "1", "must be float, got a value of type str"),
    ("flag", 1, "must be bool, got a value of type int"),
    ("flag", None, "must be bool, got None"),
    ("word", b"x", "must be str, got a value of type bytes"),
    ("word", None, "must be str, got None"),
    ("names", ("x",), "must be list[str], got a value of type tuple"),
    ("names", "x", "must be list[str], got a value of type str"),
    ("names", ["x", 1, b"y"], "must be list[str], got a list with bytes, int, str in it"),
    ("names", None, "must be list[str], got None"),
    ("table", {"x": "1"}, "must be dict[str, int], got a value of type dict"),
    ("table", {"x": True}, "must be dict[str, int], got a value of type dict"),
    ("table", {1: 1}, "must be dict[str, int], got a value of type dict"),
    ("table", [], "must be dict[str, int], got a value of type list"),
    ("mapping", [], "must be Mapping[str, Any], got a value of type list"),
    ("mapping", {1: 1}, "must be Mapping[str, Any], got a value of type dict"),
    ("pairs", [], "must be tuple[tuple[bytes, bytes], ...], got a value of type list"),
    ("pairs", ((b"a", "b"),), "must be tuple[tuple[bytes, bytes], ...], got a value of type tuple"),
    ("pairs", ((b"a", b"b"), (b"c",)), "must be tuple[tuple[bytes, bytes], ...], got a value of type tuple"),
    ("pairs", ((b"a", b"b", b"c"),), "must be tuple[tuple[bytes, bytes], ...], got a value of type tuple"),
    ("address", ["x", 1], "must be tuple[str, int], got a list with int, str in it"),
    ("address", ("x",), "must be tuple[str, int], got a value of type tuple"),
    ("address", ("x", "1"), "must be tuple[str, int], got a value of type tuple"),
    ("pairs", ([b"a", b"b"],), "must be tuple[tuple[bytes, bytes], ...], got a value of type tuple"),
    ("maybe", True, "must be int | None, got a value of type bool"),
    ("maybe", "x", "must be int | None, got a value of type str"),
    ("old_maybe", "x", "must be int | None, got a value of type str"),
    ("either", [1], "must be int | list[str], got a list with int in it"),
    ("inner", {}, "must be Everything | None, got a value of type dict"),
    ("inner", Text("x"), "must be Everything | None, got a value of type Text"),
    ("inners", [None], "must be list[Everything] | None, got a list with NoneType in it"),
    ("inners", [{}], "must be list[Everything] | None, got a list with dict in it"),
]


@pytest.mark.parametrize(("field", "values"), FITS, ids=[field for field, _ in FITS])
def test_a_value_of_the_annotated_type_is_accepted_unchanged(field: str, values: list[Any]) -> None:
    for value in values:
        assert getattr(Everything(**{field: value}), field) is value


@pytest.mark.parametrize(("field", "value", "message"), UNFIT)
def test_another_type_is_refused_with_class_field_and_types(field: str, value: Any, message: str) -> None:
    with pytest.raises(TypeError) as caught:
        Everything(**{field: value})
    assert str(caught.value) == f"Everything.{field} {message}"


def test_a_secret_of_the_wrong_type_is_not_shown() -> None:
    wrong: Any = b"secret"
    with pytest.raises(TypeError) as caught:
        Everything(word=wrong)
    assert "secret" not in str(caught.value)


def test_the_type_errors_of_attrs_are_not_changed() -> None:
    construct: Any = Message
    with pytest.raises(TypeError, match="content"):
        construct("user")
    with pytest.raises(TypeError, match="nonsense"):
        construct("user", "x", nonsense=1)


def test_the_decorated_constructor_keeps_its_name_and_annotations() -> None:
    assert Everything.__init__.__annotations__["number"] in (int, "int")
    assert Everything.__init__.__name__ == "__init__"


def test_an_unchecked_value_can_be_checked_later() -> None:
    wrong: Any = 5
    event = Text(wrong)
    with pytest.raises(TypeError, match=r"^Text\.text must be str, got a value of type int$"):
        check_types(event)
    check_types(Text("x"))


@pytest.mark.parametrize(
    ("hint", "name"),
    [
        (int, "int"),
        (type(None), "None"),
        (Any, "Any"),
        (list[int], "list[int]"),
        (dict[str, Any], "dict[str, Any]"),
        (Mapping[str, int | None], "Mapping[str, int | None]"),
        (Optional[Message], "Message | None"),  # noqa: UP045
    ],
)
def test_a_type_is_named_without_modules(hint: Any, name: str) -> None:
    assert type_name(hint) == name


# --- properties of every value of the vocabulary

CONTROLS = sample_settings().parameter_controls
VALUES: list[Any] = [
    Attachment("u", "c", "n"),
    Sender("u"),
    User("u", "Ada"),
    Feedback("like"),
    Reaction("u", "heart"),
    sample_query().query[2],
    sample_query(),
    SettingsRequest(),
    ReportFeedbackRequest("m"),
    ReportReactionRequest("m", reaction="heart"),
    ReportErrorRequest("oh", {"a": [1]}),
    UnknownRequest("poll", extra={"a": 1}),
    SettingsResponse(allow_attachments=True),
    FunctionDefinition("f", parameters={"type": "object"}),
    ToolDefinition(FunctionDefinition("f")),
    FunctionCall("f", "{}"),
    ToolCall("t", FunctionCall("f")),
    ToolResult("t", "f", "1"),
    Meta(),
    Text("x", 1),
    ReplaceResponse("x"),
    SuggestedReply("x"),
    File("u", "n", "c"),
    Data("x", extra={"a": 1}),
    Json({"index": 1}),
    Error(text="x"),
    Done(),
    UnknownEvent("x", "y"),
    RequestHead("POST", "/", [("Accept", "*/*")]),
    ResponseHead(200),
    HttpRequest("POST", "https://x.invalid/", body=b"{}"),
    HttpResponse(200, [("a", "b")], b"{}"),
    Endpoints.at("http://127.0.0.1:8000"),
    RateLimit(limit=500),
    StreamedBody(b"<", None, 5, b">"),
    UploadedFile("u", "c", "n", 5),
    FunctionCallDelta("f", "{"),
    ToolCallDelta(0, "c"),
    UnknownControl("dial"),
    CostItem(5, "a picture"),
    CONTROLS,
    *(value for _, value in walk_values(CONTROLS) if value is not CONTROLS),
]
UNCHECKED = (Meta, Text, ReplaceResponse, SuggestedReply, File, Data, Json, Error, Done, UnknownEvent)
# Settings of poeproto, and records below the protocol.
NOT_ON_THE_WIRE = {poeproto.Limits, poeproto.RetryPolicy, poeproto.ServerSentEvent}
every_value = pytest.mark.parametrize("value", VALUES, ids=lambda value: type(value).__name__)


def test_the_list_of_values_is_complete() -> None:
    public = {getattr(poeproto, name) for name in poeproto.__all__}
    values = {item for item in public if isinstance(item, type) and attrs.has(item)}
    assert {type(value) for value in VALUES} >= values - NOT_ON_THE_WIRE


@every_value
def test_a_value_is_frozen_and_has_slots(value: Any) -> None:
    for field in attrs.fields(type(value)):
        with pytest.raises(attrs.exceptions.FrozenInstanceError):
            setattr(value, field.name, getattr(value, field.name))
        with pytest.raises(attrs.exceptions.FrozenInstanceError):
            delattr(value, field.name)
    with pytest.raises((attrs.exceptions.FrozenInstanceError, AttributeError)):
        value.nonsense = 1
    assert not hasattr(value, "__dict__")


@pytest.mark.parametrize("value", [sample_query(), Message("user", "x"), Text("x"), Json({}), SettingsResponse()])
def test_the_error_for_a_changed_field_says_how_to_make_a_changed_copy(value: Any) -> None:
    with pytest.raises(
        attrs.exceptions.FrozenInstanceError, match=r"\.extra .* with attrs\.evolve\(value, extra=\.{3}\)"
    ):
        value.extra = {}


ROUND_TRIPS: list[Callable[[Any], Any]] = [
    copy.copy,
    copy.deepcopy,
    attrs.evolve,
    *(lambda value, protocol=protocol: pickle.loads(pickle.dumps(value, protocol)) for protocol in range(2, 6)),
]


@every_value
@pytest.mark.parametrize("round_trip", ROUND_TRIPS)
def test_a_value_survives_copying_and_pickling(value: Any, round_trip: Callable[[Any], Any]) -> None:
    same = round_trip(value)
    assert type(same) is type(value)
    assert same == value
    assert repr(same) == repr(value)


@every_value
def test_extra_is_empty_unless_given_and_cannot_be_filled_by_accident(value: Any) -> None:
    if not hasattr(value, "extra") or value.extra:
        return
    for extra in (value.extra, copy.deepcopy(value).extra, pickle.loads(pickle.dumps(value)).extra):
        assert extra == {}
        assert not extra
        assert dict(extra) == {**extra} == {}
        for fill in (
            lambda extra=extra: extra.__setitem__("a", 1),
            lambda extra=extra: extra.update(a=1),
            lambda extra=extra: extra.setdefault("a", 1),
            lambda extra=extra: extra.__ior__({"a": 1}),
        ):
            with pytest.raises(TypeError, match=r"attrs\.evolve"):
                fill()
        assert extra == {}
    changed = attrs.evolve(value, extra={"a": 1})
    assert changed.extra == {"a": 1}
    assert changed != value
    assert attrs.evolve(changed, extra={}) == value


@every_value
def test_the_constructor_checks_types_unless_it_is_an_event(value: Any) -> None:
    wrong = object()
    for field in attrs.fields(type(value)):
        if not field.init or field.type in ("Any", Any) or field.converter is not None:
            continue
        if isinstance(value, UNCHECKED):
            changed = attrs.evolve(value, **{field.name: wrong})
            with pytest.raises(TypeError, match=rf"^{type(value).__name__}\.{field.name} must be .* type object(; |$)"):
                check_types(changed)
        else:
            with pytest.raises(TypeError, match=rf"^{type(value).__name__}\.{field.name} must be .* type object"):
                attrs.evolve(value, **{field.name: wrong})


def test_a_changed_copy_is_checked_too() -> None:
    query = sample_query()
    assert attrs.evolve(query, user_id="u").user_id == "u"
    assert attrs.evolve(query, user_id=query.user_id) == query
    with pytest.raises(TypeError, match=r"QueryRequest\.query must be list\[Message\], got a list with str in it"):
        attrs.evolve(query, query=["x"])


def test_defaults_that_can_be_changed_are_not_shared() -> None:
    for make in (lambda: Message("user", "x"), lambda: QueryRequest([]), ReportErrorRequest, SettingsResponse):
        one, other = make(), make()
        for field in attrs.fields(type(one)):
            if isinstance(getattr(one, field.name), list | dict) and field.name != "extra":
                assert getattr(one, field.name) is not getattr(other, field.name)


def test_an_unknown_field_is_answered_with_a_similar_one() -> None:
    with pytest.raises(
        TypeError, match=r"^SettingsResponse got an unexpected .*'allow_attachment'; did you mean allow"
    ):
        SettingsResponse(allow_attachment=True)  # pyright: ignore[reportCallIssue]
    with pytest.raises(TypeError, match=r"^Sender got an unexpected .*'colour'; its fields are id, name, extra$"):
        Sender(colour="red")  # pyright: ignore[reportCallIssue]
    for cls in (Sender, SettingsResponse):
        with pytest.raises(TypeError, match="positional argument"):
            cls(*"abcdefg")


def test_advice_follows_the_error_for_a_wrong_type() -> None:
    wrong: Any = "no dogs"
    with pytest.raises(
        TypeError, match=r"^Error\.allow_retry must be bool, .*; write Error\(text=\.\.\.\) for its text$"
    ):
        check_types(Error(wrong))
