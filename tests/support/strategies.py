"""Hypothesis strategies for requests, events and settings: every field may be set or left at its default."""

from __future__ import annotations

from typing import Any

import attrs
from hypothesis import strategies as st

from poeproto import (
    Attachment,
    Data,
    Done,
    Error,
    Event,
    Feedback,
    File,
    FunctionCall,
    FunctionDefinition,
    Json,
    Message,
    Meta,
    QueryRequest,
    Reaction,
    ReplaceResponse,
    ReportErrorRequest,
    ReportFeedbackRequest,
    ReportReactionRequest,
    Request,
    Sender,
    SettingsRequest,
    SettingsResponse,
    SuggestedReply,
    Text,
    ToolCall,
    ToolDefinition,
    ToolResult,
    UnknownEvent,
    UnknownRequest,
    User,
)
from poeproto.testing import sample_settings
from poeproto.vocabulary.tools import CustomCall, CustomToolDefinition
from poeproto.wire.reader_requirements import requirements_of

text = st.text(max_size=10)
integers = st.integers(-(10**40), 10**40)
floats = st.floats(allow_nan=False, allow_infinity=False)
json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | integers | floats | text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3),
    max_leaves=6,
)
json_objects = st.dictionaries(text, json_values, max_size=3)
extra = st.dictionaries(text.map("x-".__add__), json_values, max_size=2)
STRATEGIES: dict[Any, st.SearchStrategy[Any]] = {
    "str": text,
    "int": integers,
    "float": floats,
    "bool": st.booleans(),
    "Any": json_values,
    "None": st.none(),
    "dict[str, Any]": json_objects,
    "dict[str, float]": st.dictionaries(text, floats, max_size=3),
    "dict[str, int]": st.dictionaries(text, st.integers(0, 10**40), max_size=3),  # numbers of calls
    "list[str]": st.lists(text, max_size=3),
    "Mapping[str, Any]": extra,
}


def values(cls: type[Any]) -> st.SearchStrategy[Any]:
    """Values of a class, any field of which may be left at its default."""
    required: dict[str, st.SearchStrategy[Any]] = {}
    optional: dict[str, st.SearchStrategy[Any]] = {}
    for field in attrs.fields(cls):
        strategy = for_annotation(cls.__annotations__[field.name])
        if field.name == "index":
            strategy = st.none() | st.integers(1 - 2**53, 2**53 - 1)
        if strategy is not None and field.init:
            (required if field.default is attrs.NOTHING else optional)[field.name] = strategy
    return st.fixed_dictionaries(required, optional=optional).map(lambda arguments: cls(**arguments))


def for_annotation(annotation: str) -> st.SearchStrategy[Any] | None:
    strategies: list[st.SearchStrategy[Any]] = []
    for option in annotation.split(" | "):
        if option not in STRATEGIES:
            return None  # of a class that is added below
        strategies.append(STRATEGIES[option])
    return st.one_of(strategies)


def as_written(value: Any) -> Any:
    """The value with the defaults that are written for its unset fields: what another reader makes of it."""
    written = {name: each.written(getattr(value, name)) for name, each in requirements_of(type(value)).items()}
    return attrs.evolve(value, **written)


for leaf in (
    Attachment,
    Sender,
    User,
    Feedback,
    Reaction,
    FunctionDefinition,
    FunctionCall,
    CustomToolDefinition,
    CustomCall,
):
    STRATEGIES[leaf.__name__] = values(leaf).map(as_written)
    STRATEGIES[f"list[{leaf.__name__}]"] = st.lists(values(leaf), max_size=2)
for branch in (ToolDefinition, ToolCall, ToolResult):
    STRATEGIES[f"list[{branch.__name__}]"] = st.lists(values(branch), max_size=2)
STRATEGIES["Message"] = st.recursive(
    values(Message),
    lambda inner: st.builds(attrs.evolve, values(Message), referenced_message=inner),
    max_leaves=3,
)
STRATEGIES["list[Message]"] = st.lists(STRATEGIES["Message"], max_size=3)

REQUEST_CLASSES = [QueryRequest, SettingsRequest, ReportFeedbackRequest, ReportReactionRequest, ReportErrorRequest]
requests: st.SearchStrategy[Request] = st.one_of(
    *map(values, REQUEST_CLASSES),
    values(UnknownRequest).map(lambda request: attrs.evolve(request, type="x-" + request.type)),
)
# Their rules need strategies of their own, see control_strategies.
STRATEGIES["ParameterControls"] = st.just(sample_settings().parameter_controls)
settings_responses: st.SearchStrategy[SettingsResponse] = values(SettingsResponse)
line = st.text(st.characters(codec="utf-8", exclude_characters="\r\n\0"), max_size=10)
events: st.SearchStrategy[Event] = st.one_of(
    *map(values, [Meta, Text, ReplaceResponse, SuggestedReply, File, Data, Json, Error, Done]),
    st.builds(UnknownEvent, line.map("x-".__add__), st.text(st.characters(codec="utf-8", exclude_characters="\r"))),
)
