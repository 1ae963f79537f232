"""fastapi_poe's types and poeproto_compat's on the same inputs: equal outcomes, but for the differences listed here."""

from __future__ import annotations

import copy
import decimal
import enum
import fractions
import inspect
import json
import pickle
from collections import OrderedDict, deque
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

import fastapi
import fastapi_poe.types as theirs
import httpx
import pydantic
import pytest

import poeproto_compat.types as ours

from ..support.compat_outcomes import outcome, plain
from ..support.compat_subclasses import HELD, USES, subclasses
from ..support.fastapi_poe_suite import fetch, outcomes
from ..support.model_samples import models_in, required, sample
from .compat.behaviour import surface

pytestmark = [
    # fastapi_poe's models are declared in pydantic 1's way, and programs call theirs and ours so.
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning:pydantic"),
]

# Without theirs that takes Starlette's request only.
MODELS = {name: model for name, model in surface.models().items() if name != "RequestContext"}


class Word(enum.Enum):
    LIKE = "like"


class StrWord(str, enum.Enum):  # noqa: UP042  # as programs define it
    LIKE = "like"


class Number(enum.IntEnum):
    ONE = 1


class OwnStr(str):
    __slots__ = ()


class Real:
    def __float__(self) -> float:
        return 1.0


class Whole:
    def __index__(self) -> int:
        return 1


STRINGS = ["", "text", "1", " 1 ", "1.5", "1.0", "1.", "1_0", "1__0", "+1", "-0", "1e3", "nan", "inf", "0x1", "\u0661"]
WORDS = ["true", " true", "yes", "ON", "t", "like", "user", "text/plain", "query", "eq", "2", "é\ud800", "9" * 30]
NUMBERS = [0, 1, 2, -1, 10**20, 2**63, True, False, 1.0, 1.5, 0.0, -1.0, 1e18, 1e20, float("nan"), 1j]
OTHER_NUMBERS = [decimal.Decimal(1), decimal.Decimal("1.5"), fractions.Fraction(1, 2), Real(), Whole(), Number.ONE]
BYTES = [b"bytes", b"1", b"true", b"\xff", bytearray(b"x")]
LISTS: list[Any] = [[], ["a"], [1], [["a", 1]], (), ("a",), {"a"}, frozenset({"a"}), deque(["a"]), range(2)]
DICTS: list[Any] = [{}, {"a": 1}, {"a": "1"}, {"a": "x"}, {1: 2}, {"a": None}, {"a": True}, {"a": 1.5}]
VIEWS = [OrderedDict(a=1), {"a": 1}.keys(), {"a": 1}.values()]
VALUES = [
    None,
    *STRINGS,
    *WORDS,
    *NUMBERS,
    *OTHER_NUMBERS,
    *BYTES,
    *LISTS,
    *DICTS,
    *VIEWS,
    object,
    OwnStr("own"),
    StrWord.LIKE,
]


def values_for(hint: Any) -> list[Any]:
    """The values to test a field of this type with, common ones and its own."""
    fitting = [sample(hint), [sample(hint)]]
    for model in models_in(hint):
        whole = required(model)
        fitting += [whole, [whole], {**whole, "unknown": 1}, {**whole, 1: 1}, [whole, 5, {}]]
    return [*VALUES, *fitting]


@pytest.mark.parametrize("name", MODELS)
def test_every_field_accepts_converts_and_refuses_the_same(name: str) -> None:
    their_class, our_class, whole = MODELS[name], getattr(ours, name), required(MODELS[name])
    different = {
        (field, repr(value)): (expected, found)
        for field, info in their_class.model_fields.items()
        for value in values_for(info.annotation)
        for expected, found in [
            (
                outcome(lambda: their_class(**{**whole, field: value})),  # noqa: B023
                outcome(lambda: our_class(**{**whole, field: value})),  # noqa: B023
            )
        ]
        if expected != found
    }
    assert different == {}


@pytest.mark.parametrize("name", MODELS)
def test_absent_fields_and_unknown_keys(name: str) -> None:
    their_class, our_class, whole = MODELS[name], getattr(ours, name), required(MODELS[name])
    # Old programs construct a MetaResponse without a text.
    inputs = [{}, whole, {**whole, "unknown": 1}, {"unknown": 1}, {**whole, "Unknown": None, "unknown": 2}]
    inputs += [{key: value for key, value in whole.items() if key != left_out} for left_out in whole]
    for values in inputs:
        if name != "MetaResponse" or "text" in values:
            assert outcome(lambda: our_class(**values)) == outcome(lambda: their_class(**values))  # noqa: B023
            for validate in ("model_validate", "parse_obj", "validate"):
                expected = outcome(lambda: getattr(their_class, validate)(values))  # noqa: B023
                assert outcome(lambda: getattr(our_class, validate)(values)) == expected  # noqa: B023


@pytest.mark.parametrize("name", MODELS)
def test_names_defaults_and_order_of_the_fields(name: str) -> None:
    their_class, our_class = MODELS[name], getattr(ours, name)
    assert list(our_class.model_fields) == list(their_class.model_fields)
    for field, info in their_class.model_fields.items():
        own = our_class.model_fields[field]
        assert own.alias == info.alias
        if (name, field) != ("MetaResponse", "text"):
            assert own.is_required() == info.is_required()
            assert info.is_required() or own.get_default() == info.get_default(call_default_factory=True)
    if name != "MetaResponse":
        their_parameters, our_parameters = (inspect.signature(each).parameters for each in (their_class, our_class))
        assert list(our_parameters) == list(their_class.model_fields)
        assert len(their_parameters) == len(our_parameters)


def test_a_meta_response_needs_no_text() -> None:
    assert ours.MetaResponse() == ours.MetaResponse(text="")
    with pytest.raises(ValueError, match="text"):
        theirs.MetaResponse()  # pyright: ignore[reportCallIssue]


# --- methods


def instances(of: Any) -> dict[str, Any]:
    """Objects of many shapes."""
    schema = {"type": "object", "properties": {"a": {"b": [1]}}}
    tool = {"type": "function", "function": {"name": "f", "description": "d", "parameters": schema}}
    slider = {"control": "slider", "label": "l", "parameter_name": "p", "min_value": 1, "max_value": 2.5, "step": 1}
    condition = {"comparator": "eq", "left": {"literal": 1}, "right": {"parameter_name": "p"}}
    conditional = {"control": "condition", "condition": condition, "controls": [{"control": "divider"}]}
    attachment = of.Attachment(url="u", content_type="c", name="n")
    delta = of.ToolCallDefinitionDelta(function=of.FunctionCallDefinitionDelta(arguments="{}"))
    ids = {"version": "1.0", "user_id": "u", "conversation_id": "c", "message_id": "m"}
    return {
        "plain": of.PartialResponse(text="a"),
        "whole": of.PartialResponse(
            text="a", data={"x": [1, (2, 3)], "y": None}, attachment=attachment, tool_calls=[delta], index=0
        ),
        "error": of.ErrorResponse(text="e", error_type="insufficient_fund"),
        "message": of.ProtocolMessage(
            role="user",
            content='é\u2028"<',
            parameters={"a": 1.0, "b": None, "c": [True]},
            sender=of.Sender(id="1"),
            referenced_message=of.ProtocolMessage(role="bot", content="x"),
            feedback=[of.MessageFeedback(type="like", reason=None)],
        ),
        "query": of.QueryRequest(
            type="query",
            query=[of.ProtocolMessage(role="user", content="hi")],
            logit_bias={"1": 1},
            tools=[tool],
            temperature=1,
            **ids,
        ),
        "infinite": of.QueryRequest(type="query", query=[], temperature=float("inf"), **ids),
        "settings": of.SettingsResponse(
            server_bot_dependencies={"a": 1},
            parameter_controls={"sections": [{"controls": [slider, conditional]}, {"tabs": [{"controls": []}]}]},
        ),
        "custom tool": of.CustomToolDefinition(name="x", format={"a": 1}),
        "custom tool by name": of.CustomToolDefinition(name="x", format_={"a": 1}),
        "custom call": of.CustomCallDefinition(name="x", input="i"),
        "cost": of.CostItem(amount_usd_milli_cents=1.2),
        "upload": of.AttachmentUploadResponse.from_dict({"url": "u", "content_type": "c", "inline_ref": "r"}),
        "from dict": of.ErrorResponse.from_dict({"text": "t", "allow_retry": 0, "error_type": "unknown"}),
        "text": of.PartialResponse.from_dict({"text": 5}),
    }


def first_field(made: Any) -> str:
    return next(iter(type(made).model_fields))


def set_and_look(made: Any, name: str) -> Any:
    setattr(made, name, 1)
    return sorted(made.model_fields_set), made.model_dump(), getattr(made, name), made == made.model_copy(), repr(made)


def delete_and_look(made: Any) -> Any:
    delattr(made, first_field(made))
    return made.__dict__, hasattr(made, first_field(made))


PARTS: dict[str, Any] = {
    "query": {0: {"role"}},
    "attachment": {"url"},
    "sender": True,
    "tool_calls": {"__all__": {"index"}},
}


def class_of(made: Any) -> Any:
    return type(made)


OPERATIONS: dict[str, Callable[[Any], Any]] = {
    **{
        f"{method}, options {number}": lambda made, method=method, options=options: getattr(made, method)(**options)
        for method in ("model_dump", "model_dump_json", "dict", "json")
        for number, options in enumerate(
            (
                {},
                {"by_alias": True},
                {"exclude_unset": True},
                {"exclude_defaults": True},
                {"exclude_none": True},
                {"exclude_none": True, "exclude_defaults": True, "by_alias": True},
                {"include": {"text", "content", "query", "name"}},
                {"exclude": {"text", "content", "query", "name"}},
                {"include": PARTS},
                {"exclude": PARTS},
                {"exclude": {"query": {-1}}},
                {"include": {"data": {"x": {1}}}},
            )
        )
    },
    "indented JSON": lambda made: made.model_dump_json(indent=2),
    "from what is dumped": lambda made: class_of(made).model_validate(made.model_dump()) == made,
    "by alias": lambda made: class_of(made).model_validate(made.model_dump(by_alias=True)) == made,
    "from JSON": lambda made: class_of(made).model_validate_json(made.model_dump_json()),
    "from bytes": lambda made: class_of(made).model_validate_json(made.model_dump_json().encode()),
    "from raw JSON": lambda made: class_of(made).parse_raw(made.model_dump_json()),
    "from itself": lambda made: class_of(made).model_validate(made) is made,
    "no JSON": lambda made: class_of(made).model_validate_json("{"),
    "a list": lambda made: class_of(made).model_validate_json("[]"),
    "null": lambda made: class_of(made).model_validate_json("null"),
    "None": lambda made: class_of(made).model_validate(None),
    "a string": lambda made: class_of(made).model_validate("x"),
    "an object": lambda made: class_of(made).model_validate(object()),
    "copy": lambda made: made.model_copy(),
    "copy shares": lambda made: [made.model_copy().__dict__[name] is value for name, value in made.__dict__.items()],
    "copy with an update": lambda made: made.model_copy(update={"text": 1, "more": 2}),
    "copy with an update, dumped": lambda made: made.model_copy(update={"more": 2}).model_dump(),
    "deep copy": lambda made: made.model_copy(deep=True),
    "old copy": lambda made: made.copy(update={"text": "z"}),
    "copy.copy": copy.copy,
    "copy.deepcopy": lambda made: (copy.deepcopy(made) == made, copy.deepcopy(made)),
    "pickle": lambda made: pickle.loads(pickle.dumps(made)),
    "repr": repr,
    "str": str,
    "iteration": lambda made: [*made],
    "dict()": dict,
    "set fields": lambda made: sorted(made.model_fields_set),
    "set fields, of old": lambda made: sorted(made.__fields_set__),
    "fields, of old": lambda made: sorted(class_of(made).__fields__),
    "equality": lambda made: (
        made == made.model_copy(),
        made == 1,
        made == made.model_dump(),
        made != made.model_copy(),
    ),
    "hash": hash,
    "set a field": lambda made: set_and_look(made, first_field(made)),
    "set an unknown name": lambda made: set_and_look(made, "unknown"),
    "set a private name": lambda made: set_and_look(made, "_private"),
    "delete a field": delete_and_look,
    "get an unknown name": lambda made: made.unknown,
    "hasattr": lambda made: (hasattr(made, "text"), hasattr(made, "unknown"), hasattr(class_of(made), "text")),
    "extra": lambda made: made.model_extra,
    "a positional argument": lambda made: class_of(made)("x"),
    "construct": lambda made: class_of(made).model_construct(**made.__dict__) == made,
    "construct from nothing": lambda made: class_of(made).model_construct(unknown=1).__dict__,
    "representation": lambda made: list(made.__repr_args__()),
    "rebuild": lambda made: class_of(made).model_rebuild(),
}


@pytest.mark.parametrize("name", OPERATIONS)
def test_every_method_does_the_same(name: str) -> None:
    their_made, our_made = instances(theirs), instances(ours)
    for shape, made in their_made.items():
        expected = outcome(lambda: OPERATIONS[name](made))  # noqa: B023
        assert outcome(lambda: OPERATIONS[name](our_made[shape])) == expected, shape  # noqa: B023


class Dated(pydantic.BaseModel):
    day: date = date(2024, 1, 1)


INSIDE: list[Any] = [
    Word.LIKE,
    StrWord.LIKE,
    datetime(2024, 1, 1, tzinfo=UTC),
    date(2024, 1, 1),
    time(1),
    decimal.Decimal("1.50"),
    UUID(int=1),
    b"x",
    bytearray(b"y"),
    (1, (2,)),
    {1},
    frozenset({1}),
    deque([1]),
    1j,
    {1: 2, None: 3, (1, 2): 4, 1.5: 6},
    {Word.LIKE: 1},
    {b"k": 1},
    {date(2024, 1, 1): 1},
    float("nan"),
    float("-inf"),
    Dated(),
    {"a": [Dated()]},
    object,
    range(2),
    len,
    pytest.raises,
]


def named(value: Any) -> dict[str, str]:
    return {"name": type(value).__name__}


DUMPS: list[tuple[str, dict[str, Any]]] = [
    ("model_dump", {}),
    ("model_dump", {"mode": "json"}),
    ("model_dump", {"mode": "json", "fallback": named}),
    ("model_dump_json", {}),
]


@pytest.mark.parametrize("inside", INSIDE, ids=lambda value: type(value).__name__)
def test_values_of_any_type_are_dumped_the_same(inside: Any) -> None:
    made = [each.PartialResponse(text="", data={"v": inside}) for each in (theirs, ours)]
    for name, options in DUMPS:
        expected, found = (outcome(lambda: getattr(each, name)(**options)) for each in made)  # noqa: B023
        assert found == expected


def test_durations_in_json_are_those_of_python() -> None:
    with pytest.raises(ValueError, match=r"datetime\.timedelta"):
        ours.PartialResponse(text="", data={"v": timedelta(1)}).model_dump_json()


def test_a_small_number_in_json_is_the_same_number() -> None:
    texts = [each.PartialResponse(text="", data={"v": 1e-7}).model_dump_json() for each in (theirs, ours)]
    assert texts[0] != texts[1]
    assert json.loads(texts[0]) == json.loads(texts[1])


def test_infinite_costs_are_refused() -> None:
    with pytest.raises(ValueError, match="whole number"):
        ours.CostItem(amount_usd_milli_cents=float("inf"))  # pyright: ignore[reportArgumentType]


# --- programs' own classes


@pytest.mark.parametrize("name", USES)
def test_programs_own_classes_do_the_same(name: str) -> None:
    expected = outcome(lambda: USES[name](subclasses(theirs)))
    assert outcome(lambda: USES[name](subclasses(ours))) == expected


@pytest.mark.parametrize("name", HELD)
def test_pydantics_models_and_adapters_hold_either_types(name: str) -> None:
    assert outcome(lambda: HELD[name](ours)) == outcome(lambda: HELD[name](theirs))


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_fastapis_routes_take_and_return_either_types() -> None:
    responses = [await answers_of_routes(types) for types in (theirs, ours)]
    assert responses[0] == responses[1]
    assert [status for status, _ in responses[0]] == [200, 422, 200]


async def answers_of_routes(types: Any) -> list[tuple[int, Any]]:
    """The answers of a FastAPI application whose route takes and returns a module's types."""

    async def sign(message: Any) -> Any:
        return {**message.model_dump(), "content": f"{message.content}, signed"}

    # FastAPI takes only pydantic's own models for bodies by themselves.
    message = Annotated[types.ProtocolMessage, fastapi.Body()]
    sign.__annotations__ = {"message": message, "return": types.ProtocolMessage}
    app = fastapi.FastAPI()
    app.post("/sign", response_model_exclude_none=True)(sign)
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://bots.invalid") as client:
        signed = await client.post("/sign", json={"role": "user", "content": "a", "timestamp": "5"})
        refused = await client.post("/sign", json={"role": "nobody", "content": "a"})
        described = await client.get("/openapi.json")
    [problem] = refused.json()["detail"]
    return [
        (signed.status_code, signed.json()),
        (refused.status_code, (problem["type"], problem["loc"])),
        (described.status_code, list(described.json()["paths"])),
    ]


def test_the_outcomes_distinguish_values() -> None:
    assert plain(ours.Sender(id="a")) != plain(ours.Sender(id="b"))
    assert plain([1]) != plain((1,))
    assert plain(1) != plain(True)
    assert outcome(lambda: ours.Sender(id=1)) != outcome(lambda: ours.Sender(name=1))  # pyright: ignore[reportArgumentType]


# --- fastapi_poe's own tests


def test_the_tests_of_fastapi_poe_pass_with_the_types_of_poeproto_compat(
    request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    cache = request.config.cache
    assert cache is not None
    found = outcomes(fetch(cache.mkdir("fastapi_poe")), "test_types.py", tmp_path)
    assert len(found) == 40
    assert set(found.values()) == {"passed"}, found
