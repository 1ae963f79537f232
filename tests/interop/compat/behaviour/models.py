"""Cases: the types, field by field and method by method."""

# The arguments of both libraries, many of them wrong, in lambdas without annotations.
# pyright: basic, reportArgumentType=false, reportInvalidTypeForm=false

from __future__ import annotations

import copy
import decimal
import enum
import json
import pickle
from collections.abc import Callable, Iterator
from typing import Annotated, Any

import fastapi
import pydantic

from ....support.model_samples import models_in, required, sample
from . import surface
from .cases import Case, Side, each_case, shown
from .peer import call

STRINGS = ["", "text", "1", " 1.5 ", "true", "ON", "like", "user", "text/plain", "query", "eq", "naïve 🐈\u2028\ud800"]
NUMBERS = [0, 1, -1, 2**63, True, False, 1.0, 1.5, 1e20, float("nan"), 1j, decimal.Decimal("1.5")]
OTHERS = [
    b"bytes",
    b"\xff",
    [],
    ["a"],
    [1],
    [None],
    ("a",),
    {"a"},
    {},
    {"a": 1},
    {"a": None},
    {1: 2},
    {"a": "x"},
    object,
]
VALUES: list[Any] = [None, *STRINGS, *NUMBERS, *OTHERS]


class Word(str):
    __slots__ = ()


def values_for(hint: Any) -> list[Any]:
    fitting = [sample(hint), [sample(hint)]]
    for model in models_in(hint):
        fitting += [required(model), {**required(model), "unknown": 1}, [required(model), 5]]
    return [*VALUES, Word("own"), *fitting]


def make(side: Side, name: str, values: dict[str, Any]) -> Any:
    return getattr(side.types, name)(**values)


def set_and_get(made: Any, name: str, value: Any) -> Any:
    setattr(made, name, value)
    return getattr(made, name), sorted(made.model_fields_set)


def cases() -> Iterator[Case]:
    for name, model in surface.models().items():
        if name == "RequestContext":
            yield from request_context()
            continue
        whole = required(model)
        yield from constructor_cases(name, whole)
        for field, info in model.model_fields.items():
            yield from field_cases(name, field, whole, values_for(info.annotation))
    yield from from_dict_cases()
    changing = dict.fromkeys(("incomplete tools", "None", "whether the dict is changed"), "bugs")
    yield from each_case("QueryRequest.from_dict()", QUERIES, changing)
    yield from method_cases()
    yield from pydantic_cases()


def constructor_cases(name: str, whole: dict[str, Any]) -> Iterator[Case]:
    inputs: list[dict[str, Any]] = [{}, whole, {**whole, "unknown": 1}, {**whole, "": None}]
    inputs += [{key: value for key, value in whole.items() if key != left_out} for left_out in whole]
    for values in inputs:
        without_text = name == "MetaResponse" and "text" not in values
        yield Case(
            f"{name}()",
            shown(values),
            lambda side, values=values: make(side, name, values),
            "accepted" if without_text else None,
        )
    yield Case(f"{name}()", "a positional argument", lambda side: getattr(side.types, name)("x"))
    yield Case(f"{name}()", "derived", lambda side: type("Own", (getattr(side.types, name),), {})(**whole))


def field_cases(name: str, field: str, whole: dict[str, Any], values: list[Any]) -> Iterator[Case]:
    row = f"{name}.{field}"
    for value in values:
        yield Case(row, shown(value), lambda side, value=value: make(side, name, {**whole, field: value}))
    info = surface.models()[name].model_fields[field]
    yield Case(
        row,
        "the default",
        lambda side: default_of(getattr(side.types, name).model_fields[field]),
        "accepted" if row == "MetaResponse.text" else None,
    )
    for value in (5, None, [object]):
        yield Case(
            row, f"set to {shown(value)}", lambda side, value=value: set_and_get(make(side, name, whole), field, value)
        )
    yield Case(row, "deleted", lambda side: delattr(make(side, name, whole), field))
    if info.alias:
        yield Case(row, "the alias", lambda side: getattr(side.types, name).model_fields[field].alias)
        yield Case(
            row,
            "by its alias",
            lambda side: make(
                side, name, {**{k: v for k, v in whole.items() if k != field}, info.alias: sample(info.annotation)}
            ),
        )


def default_of(info: Any) -> Any:
    return "required" if info.is_required() else info.get_default(call_default_factory=True)


def request_context() -> Iterator[Case]:
    yield Case("RequestContext()", "nothing", lambda side: side.types.RequestContext())
    yield Case("RequestContext()", "fields", lambda side: list(side.types.RequestContext.model_fields))
    yield Case(
        "RequestContext.http_request",
        "any object",
        lambda side: side.types.RequestContext(http_request=1),
        "accepted",
    )
    yield Case(
        "RequestContext.http_request",
        "model_construct",
        lambda side: side.types.RequestContext.model_construct(http_request=1).http_request,
    )


FROM_DICT: list[dict[str, Any]] = [
    {},
    {"text": "a"},
    {"text": None},
    {"text": 5},
    {"url": "u", "content_type": "c", "name": "n", "inline_ref": "r"},
    {"url": 1},
    {"allow_retry": 0, "error_type": "unknown"},
    {"allow_retry": None, "error_type": "insufficient_fund", "text": "x"},
    {"error_type": ["a"]},
    {"content_type": "text/plain", "linkify": False},
]


def from_dict_cases() -> Iterator[Case]:
    for name in ("PartialResponse", "ErrorResponse", "MetaResponse", "AttachmentUploadResponse"):
        for values in FROM_DICT:
            yield Case(
                f"{name}.from_dict()",
                shown(values),
                lambda side, name=name, values=values: getattr(side.types, name).from_dict(dict(values)),
            )
    yield Case("PartialResponse.from_dict()", "None", lambda side: side.types.PartialResponse.from_dict(None))


TOOL = {
    "type": "function",
    "function": {"name": "f", "description": "d", "parameters": {"type": "object", "properties": {}}},
}
CALL = {"id": "i", "type": "function", "function": {"name": "f", "arguments": "{}"}}
TOOL_RESULT = {"role": "tool", "name": "f", "tool_call_id": "i", "content": "1"}
IDS = {"version": "1.2", "type": "query", "query": [], "user_id": "u", "conversation_id": "c", "message_id": "m"}


def changed(side: Side) -> Any:
    given: dict[str, Any] = {**IDS, "tools": [copy.deepcopy(TOOL)]}
    side.types.QueryRequest.from_dict(given)
    return type(given["tools"][0]).__name__


QUERIES: dict[str, Callable[[Side], Any]] = {
    "a query": lambda side: side.types.QueryRequest.from_dict(dict(IDS)),
    "tools": lambda side: side.types.QueryRequest.from_dict({**IDS, "tools": [TOOL], "tool_calls": [CALL]}),
    "tool results": lambda side: side.types.QueryRequest.from_dict({**IDS, "tool_results": [TOOL_RESULT]}),
    "tools that are objects": lambda side: side.types.QueryRequest.from_dict(
        {**IDS, "tools": [side.types.ToolDefinition(**TOOL)]}
    ),
    "no tools": lambda side: side.types.QueryRequest.from_dict({**IDS, "tools": None, "tool_calls": []}),
    "wrong tools": lambda side: side.types.QueryRequest.from_dict({**IDS, "tools": [5]}),
    "incomplete tools": lambda side: side.types.QueryRequest.from_dict({**IDS, "tools": [{"type": "function"}]}),
    "nothing": lambda side: side.types.QueryRequest.from_dict({}),
    "None": lambda side: side.types.QueryRequest.from_dict(None),
    "whether the dict is changed": changed,
}


def instances(side: Side) -> list[Any]:
    """Objects of many shapes."""
    of = side.types
    attachment = of.Attachment(url="u", content_type="c", name="n")
    delta = of.ToolCallDefinitionDelta(function=of.FunctionCallDefinitionDelta(arguments="{}"))
    slider = {"control": "slider", "label": "l", "parameter_name": "p", "min_value": 1, "max_value": 2.5, "step": 1}
    condition = {"comparator": "eq", "left": {"literal": 1}, "right": {"parameter_name": "p"}}
    conditional = {"control": "condition", "condition": condition, "controls": [{"control": "divider"}]}
    return [
        of.PartialResponse(text="a"),
        of.PartialResponse(text="a", data={"x": [1, (2, 3)]}, attachment=attachment, tool_calls=[delta], index=0),
        of.ErrorResponse(text="e", error_type="insufficient_fund"),
        of.ProtocolMessage(
            role="user",
            content='é\u2028"<',
            parameters={"a": 1.0, "b": None},
            sender=of.Sender(id="1"),
            referenced_message=of.ProtocolMessage(role="bot", content="x"),
            feedback=[of.MessageFeedback(type="like", reason=None)],
        ),
        of.QueryRequest(**{**IDS, "query": [{"role": "user", "content": "hi"}]}, tools=[TOOL], temperature=1),
        of.SettingsResponse(
            server_bot_dependencies={"a": 1},
            parameter_controls={"sections": [{"controls": [slider, conditional]}, {"tabs": [{"controls": []}]}]},
        ),
        of.CustomToolDefinition(name="x", format={"a": 1}),
        of.CostItem(amount_usd_milli_cents=1.2),
    ]


def each(do: Callable[[Any], Any]) -> Callable[[Side], Any]:
    """Does something with objects of many shapes; gives the results, and the exceptions."""

    def call(side: Side) -> Any:
        return [attempt(do, made) for made in instances(side)]

    return call


def attempt(do: Callable[[Any], Any], made: Any) -> Any:
    try:
        return do(made)
    except Exception as exc:  # noqa: BLE001  # any exception is an outcome
        return exc


def cls(made: Any) -> Any:
    return type(made)


def names_of(schema: Any) -> Any:
    """The constraints of a schema on values: types, properties, requirements and choices."""
    if isinstance(schema, dict):
        kept = ("type", "properties", "required", "enum", "const", "anyOf", "items", "default", "$defs", "$ref")
        return {key: names_of(item) for key, item in schema.items() if key in kept or isinstance(item, dict)}
    return [names_of(item) for item in schema] if isinstance(schema, list) else schema


OPTIONS: list[dict[str, Any]] = [
    {},
    {"by_alias": True},
    {"exclude_unset": True},
    {"exclude_defaults": True},
    {"exclude_none": True},
    {"include": {"text", "content", "query", "name"}},
    {"exclude": {"text", "content", "query", "name"}},
    {"exclude": {"query": {0: {"role"}}, "attachment": {"url"}}},
]
METHODS: dict[str, dict[str, Callable[[Any], Any]]] = {
    name: {
        shown(options): lambda made, name=name, options=options: getattr(made, name)(**options) for options in OPTIONS
    }
    for name in ("model_dump", "model_dump_json", "dict", "json")
}
METHODS["model_dump"] |= {
    "mode='json'": lambda made: made.model_dump(mode="json"),
    "mode='python'": lambda made: made.model_dump(mode="python"),
    "warnings=False": lambda made: made.model_dump(warnings=False, round_trip=True, serialize_as_any=False),
    "an unknown option": lambda made: made.model_dump(unknown=True),
}
METHODS["model_dump_json"] |= {"indent=2": lambda made: made.model_dump_json(indent=2)}
METHODS["json"] |= {"indent=2": lambda made: json.loads(made.json(indent=2))}
METHODS.update(
    {
        "model_validate": {
            "what is dumped": lambda made: cls(made).model_validate(made.model_dump()) == made,
            "itself": lambda made: cls(made).model_validate(made) is made,
            "None": lambda made: cls(made).model_validate(None),
            "a string": lambda made: cls(made).model_validate("x"),
            "a list of pairs": lambda made: cls(made).model_validate([("text", "x")]),
            "{}": lambda made: cls(made).model_validate({}),
            "a key that is not a string": lambda made: cls(made).model_validate({**made.model_dump(), 1: 1}),
        },
        "parse_obj": {
            "what is dumped": lambda made: cls(made).parse_obj(made.model_dump()) == made,
            "None": lambda made: cls(made).parse_obj(None),
            "a list of pairs": lambda made: cls(made).parse_obj([("text", "x")]),
        },
        "validate": {"what is dumped": lambda made: cls(made).validate(made.model_dump()) == made},
        "model_validate_json": {
            "what is dumped": lambda made: cls(made).model_validate_json(made.model_dump_json()),
            "bytes": lambda made: cls(made).model_validate_json(made.model_dump_json().encode()),
            "{": lambda made: cls(made).model_validate_json("{"),
            "null": lambda made: cls(made).model_validate_json("null"),
            "None": lambda made: cls(made).model_validate_json(None),
        },
        "parse_raw": {
            "what is dumped": lambda made: cls(made).parse_raw(made.model_dump_json()),
            "{": lambda made: cls(made).parse_raw("{"),
        },
        "model_validate_strings": {
            "strings": lambda made: cls(made).model_validate_strings({"text": "a", "name": "n"})
        },
        "from_orm": {"an object": lambda made: cls(made).from_orm(made)},
        "parse_file": {"no file": lambda made: cls(made).parse_file("/nowhere/at/all")},
        "model_copy": {
            "nothing": lambda made: (made.model_copy() == made, made.model_copy() is made),
            "update": lambda made: made.model_copy(update={"text": 1, "more": 2}),
            "update=None": lambda made: made.model_copy(update=None),
            "deep=True": lambda made: made.model_copy(deep=True),
            "shares": lambda made: [made.model_copy().__dict__[name] is value for name, value in made.__dict__.items()],
        },
        "copy": {
            "nothing": lambda made: made.copy() == made,
            "update": lambda made: made.copy(update={"text": "z"}),
            "include": lambda made: made.copy(include={"text"}),
            "exclude": lambda made: made.copy(exclude={"text"}),
            "deep=True": lambda made: made.copy(deep=True),
        },
        "model_construct": {
            "its fields": lambda made: cls(made).model_construct(**made.__dict__) == made,
            "nothing": lambda made: cls(made).model_construct().__dict__,
            "unknown": lambda made: cls(made).model_construct(unknown=1).__dict__,
            "_fields_set": lambda made: sorted(
                cls(made).model_construct(_fields_set={"text"}, text=1).model_fields_set
            ),
        },
        "construct": {"its fields": lambda made: cls(made).construct(**made.__dict__) == made},
        "model_fields": {
            "names": lambda made: list(cls(made).model_fields),
            "annotations": lambda made: [info.is_required() for info in cls(made).model_fields.values()],
        },
        "model_computed_fields": {"names": lambda made: list(cls(made).model_computed_fields)},
        "model_config": {"extra": lambda made: cls(made).model_config.get("extra")},
        "model_fields_set": {"names": lambda made: sorted(made.model_fields_set)},
        "model_extra": {"value": lambda made: made.model_extra},
        "model_json_schema": {"schema": lambda made: names_of(cls(made).model_json_schema())},
        "schema": {"schema": lambda made: names_of(cls(made).schema())},
        "schema_json": {"schema": lambda made: names_of(json.loads(cls(made).schema_json()))},
        "model_rebuild": {"nothing": lambda made: cls(made).model_rebuild()},
        "update_forward_refs": {"nothing": lambda made: cls(made).update_forward_refs()},
        "model_post_init": {"None": lambda made: made.model_post_init(None)},
        "model_parametrized_name": {"a type": lambda made: cls(made).model_parametrized_name((int,))},
        "of Python": {
            "repr": repr,
            "str": str,
            "iteration": lambda made: [*made],
            "dict()": dict,
            "vars()": vars,
            "hash": hash,
            "bool": bool,
            "len": len,
            "equality": lambda made: (made == made.model_copy(), made == 1, made == made.model_dump()),
            "copy.copy": copy.copy,
            "copy.deepcopy": copy.deepcopy,
            "pickle": lambda made: pickle.loads(pickle.dumps(made)),
            "an unknown attribute": lambda made: made.unknown,
            "setting an unknown attribute": lambda made: set_and_get(made, "unknown", 1),
            "setting a private attribute": lambda made: set_and_get(made, "_private", 1),
            "an item": lambda made: made["text"],
            "match": lambda made: type(made).__match_args__,
        },
        "as pydantic's": {"isinstance": lambda made: isinstance(made, pydantic.BaseModel)},
        "in pydantic's": {
            "TypeAdapter": lambda made: pydantic.TypeAdapter(cls(made)).validate_python(made.model_dump()) == made,
            "TypeAdapter of a list": lambda made: (
                pydantic.TypeAdapter(list[cls(made)]).validate_python([made])[0] is made
            ),
            "a field": lambda made: pydantic.create_model("Own", it=(cls(made), ...))(it=made).model_dump(),
        },
    }
)
DIFFERENT = {
    ("as pydantic's", "isinstance"): "not pydantic",
    ("json", "indent=2"): "accepted",
    ("model_json_schema", "schema"): "rarely used",
    ("schema", "schema"): "rarely used",
    ("schema_json", "schema"): "rarely used",
    ("model_validate_strings", "strings"): "rarely used",
    ("from_orm", "an object"): "rarely used",
    ("parse_file", "no file"): "rarely used",
    ("model_parametrized_name", "a type"): "rarely used",
}


def method_cases() -> Iterator[Case]:
    for name, inputs in METHODS.items():
        for given, do in inputs.items():
            yield Case(f"any type: {name}", given, each(do), DIFFERENT.get((name, given)))


def validating(side: Side) -> Any:
    class Own(side.types.PartialResponse):
        @pydantic.field_validator("text")
        @classmethod
        def upper(cls, text: str) -> str:
            return text.upper()

    return Own(text="a").text


async def routed(side: Side, body: Any) -> Any:
    """The answer of a route that takes a message."""

    async def sign(message: Any) -> Any:
        return message.content

    sign.__annotations__ = {"message": body}
    app = fastapi.FastAPI()
    app.post("/")(sign)
    answer = await call(app, {"role": "user", "content": "a"}, headers=[("content-type", "application/json")])
    return answer.status, answer.body


async def annotated(side: Side) -> Any:
    return await routed(side, Annotated[side.types.ProtocolMessage, fastapi.Body()])


def derived_in_field(side: Side) -> Any:
    class Named(side.types.Sender):
        nick: str = "n"

    return side.types.ProtocolMessage(role="user", content="", sender=Named(nick="m")).model_dump()["sender"]


def duration(side: Side) -> Any:
    import datetime

    return side.types.PartialResponse(text="", data={"v": datetime.timedelta(1)}).model_dump_json()


class Plain(enum.Enum):
    TEXT = "1"


def pydantic_cases() -> Iterator[Case]:
    row = "any type: in pydantic's"
    yield Case(row, "a validator in a derived class", validating, "not pydantic")
    yield Case(
        row, "the body of a FastAPI route", lambda side: routed(side, side.types.ProtocolMessage), "not pydantic"
    )
    yield Case(row, "the annotated body of a FastAPI route", annotated)
    yield Case(row, "a derived type in a field", derived_in_field, "rarely used")
    yield Case(row, "a duration in JSON", duration, "rarely used")
    yield Case(
        row,
        "1e-7 in JSON",
        lambda side: side.types.PartialResponse(text="", data={"v": 1e-7}).model_dump_json(),
        "rarely used",
    )
    yield Case(
        row,
        "a member of an enumeration as an integer",
        lambda side: side.types.ProtocolMessage(role="user", content="", timestamp=Plain.TEXT),
        "rarely used",
    )
    yield Case(
        row,
        "strict=True",
        lambda side: (
            side.types.ProtocolMessage.model_validate(
                {"role": "user", "content": "", "timestamp": "1"}, strict=True
            ).timestamp
        ),
        "rarely used",
    )
    yield Case(
        "any type: model_dump",
        "exclude_defaults=True, of MetaResponse",
        lambda side: side.types.MetaResponse(text="").model_dump(exclude_defaults=True),
        "accepted",
    )
    yield Case(
        "CostItem.amount_usd_milli_cents",
        "inf",
        lambda side: side.types.CostItem(amount_usd_milli_cents=float("inf")),
        "wrong arguments",
    )
