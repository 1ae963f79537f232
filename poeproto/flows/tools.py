"""Tool calls: read from the chunks of a stream, prepared for running, and their results made.

`json` events contain OpenAI's chat completion chunks, in many dialects: a last chunk without a delta, nulls for missing
keys, no choices but a token count, whole calls without an index. All of them are understood here. An integration runs
the tools.

https://platform.openai.com/docs/guides/function-calling
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar, cast

import attrs

from poeproto.limits import Limits
from poeproto.vocabulary.errors import InvalidValue, LimitExceeded, LocalProtocolError, RemoteProtocolError
from poeproto.vocabulary.events import LARGEST_INDEX, Json, is_index
from poeproto.vocabulary.tools import (
    FunctionCall,
    FunctionCallDelta,
    ToolCall,
    ToolCallDelta,
    ToolDefinition,
    ToolResult,
)
from poeproto.wire.json import dumps, join_paths, json_type, loads
from poeproto.wire.structure import structure, unstructure

__all__ = [
    "FunctionCallDelta",
    "ToolCallAggregator",
    "ToolFunctions",
    "as_tool_call",
    "as_tool_definition",
    "delta_text",
    "parse_arguments",
    "prepare_call",
    "tool_as_dict",
    "tool_call_deltas",
    "tool_content",
    "tool_error",
    "tool_result",
    "tools_by_name",
]

F = TypeVar("F")
T = TypeVar("T")

# The functions that a model may call, synchronous or asynchronous: under their own names, or as a dict of names.
ToolFunctions = Iterable[Callable[..., Any]] | Mapping[str, Callable[..., Any]]


def tool_call_deltas(event: Json) -> list[ToolCallDelta]:
    """The tool-call deltas of one chunk; empty for an object that is not a chunk.

    Raises:
        RemoteProtocolError: for a field of another type than OpenAI's; `path` names it.
    """
    path, delta = _delta(event)
    pieces: list[Any] = _optional(delta, "tool_calls", list, path) or []
    found: list[ToolCallDelta] = []
    for number, piece in enumerate(pieces):
        place = f"{path}.tool_calls[{number}]"
        if not isinstance(piece, dict):
            raise RemoteProtocolError(f"expected an object, got {json_type(piece)}", path=place)
        try:
            found.append(structure(cast("dict[str, Any]", piece), ToolCallDelta))
        except RemoteProtocolError as exc:
            raise RemoteProtocolError(exc.args[0], path=join_paths(place, exc.path)) from exc
        if found[-1].index is not None and not is_index(found[-1].index):
            raise RemoteProtocolError(f"beyond {LARGEST_INDEX}", path=f"{place}.index")
    return found


def delta_text(event: Json) -> str:
    """The text in one chunk; empty if it has none.

    Raises:
        RemoteProtocolError: for a text that is not a string; `path` names it.
    """
    path, delta = _delta(event)
    return _optional(delta, "content", str, path) or ""


def says_nothing(event: Json) -> bool:
    """Whether a chunk has no content: it only opens a message, or ends one that called tools.

    Raises:
        RemoteProtocolError: for a chunk of another form than OpenAI's; `path` names the place.
    """
    choice, delta = _choice(event), _delta(event)[1]
    if not choice or event.data.get("usage") or choice.get("finish_reason") not in (None, "tool_calls"):
        return False
    return not any(value for key, value in delta.items() if key != "role")


def _choice(event: Json) -> dict[str, Any]:
    choices = _optional(event.data, "choices", list, "")
    if not choices:
        return {}
    if not isinstance(choices[0], dict):
        raise RemoteProtocolError(f"expected an object, got {json_type(choices[0])}", path="choices[0]")
    return cast("dict[str, Any]", choices[0])


def _delta(event: Json) -> tuple[str, dict[str, Any]]:
    return "choices[0].delta", _optional(_choice(event), "delta", dict, "choices[0]") or {}


def _optional(wire: dict[str, Any], key: str, cls: type, path: str) -> Any:
    value = wire.get(key)
    if value is not None and not isinstance(value, cls):
        names = {list: "an array", dict: "an object", str: "a string"}
        raise RemoteProtocolError(f"expected {names[cls]}, got {json_type(value)}", path=join_paths(path, key))
    return value


@attrs.define
class _CallParts:
    """One call, as far as it was received."""

    position: tuple[int, ...]  # among the others
    id: str = ""
    type: str = ""
    name: str = ""
    arguments: list[str] = attrs.field(factory=list[str])
    extra: dict[str, Any] = attrs.field(factory=dict[str, Any])

    def add(self, delta: ToolCallDelta) -> None:
        # Some peers repeat the first value, others send null or an empty string after it.
        self.id = self.id or delta.id or ""
        self.type = self.type or delta.type or ""
        self.extra |= delta.extra
        if delta.function is not None:
            self.name = self.name or delta.function.name or ""
            self.arguments.append(delta.function.arguments or "")

    def call(self) -> ToolCall:
        kind = self.type or "function"
        function = FunctionCall(self.name, "".join(self.arguments)) if kind == "function" or self.name else None
        return ToolCall(self.id, function, kind, extra=dict(self.extra))


class ToolCallAggregator:
    """Assembles the tool calls of a reply from its `json` events.

    Parts of one call have the same index. Without an index they have the same id; without both, each is a call of its
    own. The event's own index tells the answers of a reply apart. Two dialects: some peers always send index 0, so an
    index with a new id and a function's name begins a new call; others send a new id, without a name, with each part.

    Args:
        limits: `Limits.tool_calls` limits the number of calls, `Limits.answer_size` the characters of all arguments.

    Attributes:
        finish_reason: why the model stopped; None before it said so.
    """

    def __init__(self, limits: Limits | None = None) -> None:
        self.finish_reason: str | None = None
        self._limits = limits or Limits()
        self._calls: list[_CallParts] = []
        self._by_id: dict[tuple[int | None, int | None, str], _CallParts] = {}
        self._latest: dict[tuple[int | None, int], _CallParts] = {}
        self._characters = 0

    def add(self, event: Json) -> list[ToolCallDelta]:
        """Add a `json` event, and return the parts of tool calls in it.

        Raises:
            RemoteProtocolError: for a chunk of another form than OpenAI's; `path` names the place.
            LimitExceeded: for more calls, or longer arguments, than the limits allow.
        """
        deltas = tool_call_deltas(event)
        self.finish_reason = _optional(_choice(event), "finish_reason", str, "choices[0]") or self.finish_reason
        for delta in deltas:
            call = self._call_of(event.index, delta)
            if call is None and len(self._calls) >= self._limits.tool_calls:
                raise LimitExceeded(f"the reply has more than {self._limits.tool_calls} tool calls", limit="tool_calls")
            if delta.function is not None:
                self._characters += len(delta.function.arguments or "")
            if self._characters > self._limits.answer_size:
                raise LimitExceeded(
                    f"the arguments of tool calls are longer than {self._limits.answer_size} characters",
                    limit="answer_size",
                )
            if call is None:
                call = _CallParts((1,) if delta.index is None else (0, event.index or 0, delta.index))
                self._calls.append(call)
            call.add(delta)
            if delta.index is not None:
                self._latest[event.index, delta.index] = call
            if delta.id and delta.id == call.id:
                self._by_id[event.index, delta.index, delta.id] = call
        return deltas

    def _call_of(self, index: int | None, delta: ToolCallDelta) -> _CallParts | None:
        """The call that this part belongs to; None if it begins a new one."""
        named = self._by_id.get((index, delta.index, delta.id)) if delta.id else None
        latest = self._latest.get((index, delta.index)) if delta.index is not None else None
        if named is not None or latest is None:
            return named
        begins = delta.id and latest.id and delta.function is not None and delta.function.name
        return None if begins else latest

    @property
    def calls(self) -> list[ToolCall]:
        """The calls as far as they were received: ordered by index, calls without an index last.

        A missing name or id is empty. `prepare_call` makes an error result of a call without a name; a model that sends
        no ids expects none.
        """
        return [call.call() for call in sorted(self._calls, key=lambda call: call.position)]


def parse_arguments(call: ToolCall) -> dict[str, Any]:
    """The arguments of a call; an empty string means no arguments.

    Raises:
        RemoteProtocolError: for arguments that are not a JSON object.
    """
    written = call.function.arguments if call.function is not None else ""
    if not written.strip():
        return {}
    try:
        return loads(written)
    except RemoteProtocolError as exc:
        raise RemoteProtocolError(exc.args[0], path=join_paths("arguments", exc.path)) from exc


def tools_by_name(functions: Iterable[F] | Mapping[str, F]) -> dict[str, F]:
    """Functions by the names that a model calls them by: their own, or those of a mapping.

    Raises:
        ValueError: for two functions of one name, and for a function without a name, such as a lambda.
    """
    if isinstance(functions, Mapping):
        return dict(cast("Mapping[str, F]", functions))
    named: dict[str, F] = {}
    for function in functions:
        name = getattr(function, "__name__", "")
        if not name.isidentifier():
            raise ValueError(
                f"{function!r} has no name that a model can call it by; pass a dict of names and functions"
            )
        if name in named:
            raise ValueError(f"two tools are called {name!r}")
        named[name] = function
    return named


def prepare_call(tools: Mapping[str, F], call: ToolCall) -> tuple[F, dict[str, Any]] | ToolResult:
    """The function to call and its arguments; or the error result for the model, if the call is invalid."""
    if call.type != "function" or call.function is None:
        return tool_error(call, f"tools of the type {call.type!r} are not supported")
    function = tools.get(call.function.name)
    if function is None:
        return tool_error(call, f"there is no tool called {call.function.name!r}")
    try:
        return function, parse_arguments(call)
    except RemoteProtocolError as exc:
        return tool_error(call, str(exc))


def tool_content(value: object) -> str:
    """The return value of a tool as text for the model: a string unchanged, any other value as JSON.

    Raises:
        LocalProtocolError: for a value that cannot be written as JSON.
    """
    return value if isinstance(value, str) else dumps(value).decode()


def tool_result(call: ToolCall, value: object) -> ToolResult:
    """The result of a tool call, for the model; see `tool_content`.

    A value that cannot be written as JSON makes an error result.
    """
    try:
        return ToolResult(call.id, _name(call), tool_content(value))
    except LocalProtocolError as exc:
        return tool_error(call, f"the result of the tool cannot be written as JSON: {exc}")


def tool_error(call: ToolCall, message: str) -> ToolResult:
    """The error result of a tool call, for the model, which may call the tool again."""
    return ToolResult(call.id, _name(call), dumps({"error": message}).decode())


def _name(call: ToolCall) -> str:
    return call.function.name if call.function is not None else ""


def as_tool_definition(tool: ToolDefinition | Mapping[str, Any]) -> ToolDefinition:
    """The definition of a tool, given as one or as a dict in OpenAI's format; unknown keys are kept in `extra`.

    Raises:
        InvalidValue: for a dict of another form; `path` names the field.
    """
    return tool if isinstance(tool, ToolDefinition) else _from_dict(tool, ToolDefinition)


def as_tool_call(call: ToolCall | Mapping[str, Any]) -> ToolCall:
    """A model's call of a tool, given as one or as a dict in OpenAI's format. Errors as in `as_tool_definition`."""
    return call if isinstance(call, ToolCall) else _from_dict(call, ToolCall)


def tool_as_dict(tool: ToolDefinition | ToolCall | ToolResult) -> dict[str, Any]:
    """The dict of a tool's definition, call or result in OpenAI's format, as it is sent."""
    return unstructure(tool)


def _from_dict(given: Mapping[str, Any], cls: type[T]) -> T:
    try:
        return structure(dict(given), cls)
    except RemoteProtocolError as exc:
        raise InvalidValue(exc.args[0], path=exc.path) from exc
