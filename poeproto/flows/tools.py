"""Tool calls: read from the chunks of a stream, prepared for running, and their results made.

`json` events contain OpenAI's chat completion chunks, in many dialects: a last chunk without a delta, nulls for missing
keys, no choices but a token count, whole calls without an index, one index for all calls, arguments as an object. All
of them are understood here. An integration runs the tools.

https://platform.openai.com/docs/guides/function-calling
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar, cast

import attrs

from poeproto.limits import Limits
from poeproto.vocabulary.errors import InvalidValue, LimitExceeded, LocalProtocolError, RemoteProtocolError
from poeproto.vocabulary.events import LARGEST_INDEX, Json, is_index
from poeproto.vocabulary.tools import (
    CustomCall,
    CustomCallDelta,
    CustomToolDefinition,
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
    "CustomCall",
    "CustomCallDelta",
    "CustomToolDefinition",
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
T = TypeVar("T", bound=ToolDefinition | ToolCall)

# The functions that a model may call, synchronous or asynchronous: under their own names, or as a dict of names.
ToolFunctions = Iterable[Callable[..., Any]] | Mapping[str, Callable[..., Any]]
"""The functions that a model may call: an iterable of them, or a mapping from the names of the tools."""


def tool_call_deltas(event: Json) -> list[ToolCallDelta]:
    """The tool-call deltas of one chunk; empty for an object that is not a chunk.

    Some peers send whole calls under `message`, in the last chunk; they follow those of `delta`.

    Raises:
        RemoteProtocolError: for a field that cannot be read as one of OpenAI's; `path` names it.
    """
    return _deltas_in(event, "delta") + _deltas_in(event, "message")


def _deltas_in(event: Json, key: str) -> list[ToolCallDelta]:
    path = f"choices[0].{key}"
    part: dict[str, Any] = _optional(_choice(event), key, dict, "choices[0]") or {}
    found = [_read_delta(piece, f"{path}.tool_calls[{number}]") for number, piece in enumerate(_pieces(part, path))]
    if legacy := _optional(part, "function_call", dict, path):
        found.append(_read_delta({"function": legacy}, path))
    return found


def _pieces(part: dict[str, Any], path: str) -> list[Any]:
    """The pieces of calls; some peers send an object for an array: empty, one call, or calls by their indexes."""
    pieces = part.get("tool_calls")
    if not isinstance(pieces, dict):
        return _optional(part, "tool_calls", list, path) or []
    given = cast("dict[str, Any]", pieces)
    return [given] if "function" in given or "custom" in given else list(given.values())


def _read_delta(piece: object, place: str) -> ToolCallDelta:
    if not isinstance(piece, dict):
        raise RemoteProtocolError(f"expected an object, got {json_type(piece)}", path=place)
    try:
        delta = structure(_as_openai_has_it(cast("dict[str, Any]", piece)), ToolCallDelta)
    except RemoteProtocolError as exc:
        raise RemoteProtocolError(exc.args[0], path=join_paths(place, exc.path)) from exc
    if delta.index is not None and not is_index(delta.index):
        raise RemoteProtocolError(f"beyond {LARGEST_INDEX}", path=f"{place}.index")
    return delta


_DIGITS = re.compile("[0-9]{1,16}")


def _as_openai_has_it(piece: dict[str, Any]) -> dict[str, Any]:
    """The piece with an index, an id and arguments of OpenAI's types, where a peer has other types for them."""
    index, call_id = piece.get("index"), piece.get("id")
    if isinstance(index, str) and _DIGITS.fullmatch(index):
        piece = {**piece, "index": int(index)}
    if type(call_id) is int:
        piece = {**piece, "id": str(call_id)}
    for kind, key in (("function", "arguments"), ("custom", "input")):
        inner = piece.get(kind)
        if isinstance(inner, dict) and isinstance(cast("dict[str, Any]", inner).get(key), dict):
            piece = {**piece, kind: {**inner, key: dumps(inner[key]).decode()}}
    return piece


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
    message: dict[str, Any] = _optional(choice, "message", dict, "choices[0]") or {}
    # The calls in a whole message have been in deltas already, or the aggregator returned them.
    said = [*((key, value) for key, value in message.items() if key != "tool_calls"), *delta.items()]
    return not any(value for key, value in said if key != "role")


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


_MARKS = re.compile(r'\\(?:.|$)|["{}\[\]]', re.DOTALL)


@attrs.define
class _ObjectScanner:
    """Whether text that arrives in pieces is a JSON object up to here; each character is scanned once."""

    depth: int = 0
    opened: bool = False
    in_string: bool = False
    escaped: bool = False

    def feed(self, text: str) -> None:
        if self.escaped and text:
            text, self.escaped = text[1:], False
        for mark in _MARKS.findall(text):
            if mark[0] == "\\":
                self.escaped = len(mark) == 1  # the next piece begins with the escaped character
                continue
            if mark == '"':
                self.in_string = not self.in_string
            elif not self.in_string:
                self.opened = True
                self.depth += 1 if mark in "{[" else -1

    @property
    def complete(self) -> bool:
        return self.opened and not self.in_string and self.depth == 0


@attrs.define
class _CallParts:
    """One call, as far as it was received."""

    answer: int | None
    position: tuple[int, ...]  # sorts the calls
    number: int  # in the order in which the calls began
    id: str = ""
    type: str = ""
    name: str = ""
    arguments: list[str] = attrs.field(factory=list[str])
    size: int = 0
    is_custom: bool = False
    name_repeated: bool = False  # without arguments and without an id, after the arguments were complete
    extra: dict[str, Any] = attrs.field(factory=dict[str, Any])
    _scanner: _ObjectScanner = attrs.field(factory=_ObjectScanner)
    _scanned: int = 0

    def add(self, delta: ToolCallDelta) -> None:
        # Some peers repeat the first value, others send null or an empty string after it.
        self.id = self.id or delta.id or ""
        self.type = self.type or delta.type or ""
        self.extra |= delta.extra
        self.is_custom = self.is_custom or delta.custom is not None
        name, text = _name_and_text(delta)
        self.name = self.name or name
        self.arguments.append(text)
        self.size += len(text)

    def is_complete(self) -> bool:
        """Whether the arguments are a whole JSON object. Asked rarely, so they are scanned only then."""
        for text in self.arguments[self._scanned :]:
            self._scanner.feed(text)
        self._scanned = len(self.arguments)
        return self._scanner.complete

    def is_whole(self, delta: ToolCallDelta) -> bool:
        """Whether this part is the whole call as it was received."""
        name, text = _name_and_text(delta)
        return self.name == name and self.size == len(text) and "".join(self.arguments) == text

    def call(self) -> ToolCall:
        text, extra = "".join(self.arguments), dict(self.extra)
        if self.is_custom:
            return ToolCall(self.id, None, self.type or "custom", CustomCall(self.name, text), extra=extra)
        kind = self.type or "function"
        function = FunctionCall(self.name, text) if kind == "function" or self.name else None
        return ToolCall(self.id, function, kind, extra=extra)


def _name_and_text(delta: ToolCallDelta) -> tuple[str, str]:
    """The name, and the part of the arguments or of a custom tool's input; empty where there is none."""
    if delta.custom is not None:
        return delta.custom.name or "", delta.custom.input or ""
    if delta.function is not None:
        return delta.function.name or "", delta.function.arguments or ""
    return "", ""


class ToolCallAggregator:
    """Assembles the tool calls of a reply from its `json` events.

    Parts of one call have the same index, or the same id. The event's own index tells the answers of a reply apart.
    Where a peer has neither, or always the same index, the name decides:

    - A part without a name continues the call of its index. Without an index it continues the latest call.
    - A part with a name and without an index begins a call, unless its id is known.
    - A part with a name begins a call under the same index if it has a new id, if it has another name, or if the
      arguments so far are a whole object and it begins another.
    - A whole call that was received before is not a further one: with its id, or under `message`.

    Args:
        limits: `Limits.tool_calls` limits the number of calls, `Limits.answer_size` the characters of all arguments.

    Attributes:
        finish_reason: why the model stopped; None before it said so.
    """

    def __init__(self, limits: Limits | None = None) -> None:
        self.finish_reason: str | None = None
        self._limits = limits or Limits()
        self._calls: list[_CallParts] = []
        # By the event's index, the index of the call, and the id; with None for the call's index, whatever it is.
        self._by_id: dict[tuple[int | None, int | None, str], _CallParts] = {}
        # The latest call of each index, and with None for the index, the latest of the answer.
        self._latest: dict[tuple[int | None, int | None], _CallParts] = {}
        self._characters = 0

    def add(self, event: Json) -> list[ToolCallDelta]:
        """Add a `json` event, and return the new parts of tool calls in it.

        Raises:
            RemoteProtocolError: for a chunk that cannot be read as one of OpenAI's; `path` names the place.
            LimitExceeded: for more calls, or longer arguments, than the limits allow.
        """
        return [delta for _, delta in self.add_numbered(event)]

    def add_numbered(self, event: Json) -> list[tuple[int | None, ToolCallDelta]]:
        """As `add`, each part with the number of its call, whatever index the peer gave it.

        Calls are numbered from 0, in the order in which they began. The number is None for a repetition of a whole
        call, which adds nothing.

        Raises:
            RemoteProtocolError, LimitExceeded: as `add` does.
        """
        deltas, whole = _deltas_in(event, "delta"), _deltas_in(event, "message")
        self.finish_reason = _optional(_choice(event), "finish_reason", str, "choices[0]") or self.finish_reason
        numbered: list[tuple[int | None, ToolCallDelta]] = []
        for delta in deltas:
            call = self._call_of(event.index, delta)
            repeated = self._by_id.get((event.index, delta.index, delta.id)) if call is None and delta.id else None
            is_new = repeated is None or not repeated.is_whole(delta)
            numbered.append((self._add_part(event.index, delta, call) if is_new else None, delta))
        received = list(self._calls)
        new = [call for call in whole if not self._was_received(event.index, call, received)]
        return numbered + [(self._add_part(event.index, delta, None), delta) for delta in new]

    def name_of(self, number: int) -> str:
        """The name of the call of this number, which `add_numbered` gave it; empty if it is not known yet."""
        return self._calls[number].name

    def _add_part(self, answer: int | None, delta: ToolCallDelta, call: _CallParts | None) -> int:
        """Add a part to a call, to a new one if there is none, and return the number of the call."""
        if call is None and len(self._calls) >= self._limits.tool_calls:
            raise LimitExceeded(f"the reply has more than {self._limits.tool_calls} tool calls", limit="tool_calls")
        self._characters += len(_name_and_text(delta)[1])
        if self._characters > self._limits.answer_size:
            raise LimitExceeded(
                f"the arguments of tool calls are longer than {self._limits.answer_size} characters",
                limit="answer_size",
            )
        if call is None:
            position = (1,) if delta.index is None else (0, answer or 0, delta.index)
            call = _CallParts(answer, position, number=len(self._calls))
            self._calls.append(call)
            latest = self._latest.get((answer, delta.index))
            if latest is not None and latest.name_repeated:
                call.name = _name_and_text(delta)[0] or latest.name
        call.add(delta)
        self._latest[answer, delta.index] = self._latest[answer, None] = call
        if delta.id and delta.id == call.id:
            self._by_id[answer, delta.index, delta.id] = self._by_id[answer, None, delta.id] = call
        return call.number

    def _call_of(self, answer: int | None, delta: ToolCallDelta) -> _CallParts | None:
        """The call that this part belongs to; None if it begins a new one."""
        name, text = _name_and_text(delta)
        named = self._by_id.get((answer, delta.index, delta.id)) if delta.id else None
        latest = named or self._latest.get((answer, delta.index))
        if latest is not None and not name and latest.name_repeated and text.lstrip().startswith("{"):
            return None
        if latest is None or not name or not latest.name:
            # Without an index, a late name cannot be distinguished from a new call.
            return None if named is None and name and delta.index is None else latest
        if named is None and (delta.index is None or (delta.id and latest.id) or name != latest.name):
            return None
        if latest.is_complete():
            if text.lstrip().startswith("{"):
                return None
            # Either a peer that repeats the name in each part, or the beginning of a call whose arguments follow.
            latest.name_repeated = named is None
        return latest

    def _was_received(self, answer: int | None, whole: ToolCallDelta, received: list[_CallParts]) -> bool:
        """Whether this whole call is one of those received before."""
        if whole.id:
            return (answer, None, whole.id) in self._by_id
        return any(call.answer == answer and call.is_whole(whole) for call in received)

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


def tools_by_name(functions: Iterable[F] | Mapping[str, F], definitions: Iterable[ToolDefinition] = ()) -> dict[str, F]:
    """Functions by the names that a model calls them by: their own, or those of a mapping.

    Args:
        functions: the functions.
        definitions: the tools that the model is given; each needs a function of its name.

    Raises:
        ValueError: for two functions of one name, for a function without a name, such as a lambda, and for a definition
            without a function.
        TypeError: for a value that is not a function, such as the result of one.
    """
    named = _named(functions)
    for tool in definitions:
        if tool.function is not None and tool.function.name not in named:
            raise ValueError(
                f"the tool {tool.function.name!r} is defined, and no function has its name; the functions are"
                f" {', '.join(map(repr, named)) or 'none'}: add it, or pass a dict of names and functions"
            )
    return named


def _named(functions: Iterable[F] | Mapping[str, F]) -> dict[str, F]:
    if isinstance(functions, Mapping):
        return dict(cast("Mapping[str, F]", functions))
    if callable(functions):
        raise TypeError(f"functions must be a list, or a dict of names and functions; write [{_name_of(functions)}]")
    named: dict[str, F] = {}
    for function in functions:
        if not callable(function):
            raise TypeError(f"a tool must be a function, got {function!r}; pass the function itself, not its result")
        name = getattr(function, "__name__", "")
        if not name.isidentifier():
            raise ValueError(
                f"{function!r} has no name that a model can call it by; pass a dict of names and functions"
            )
        if name in named:
            raise ValueError(f"two tools are called {name!r}")
        named[name] = function
    return named


def _name_of(function: object) -> str:
    return getattr(function, "__name__", "") or "function"


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
    named = call.function or call.custom
    return named.name if named is not None else ""


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
        value = structure(dict(given), cls)
    except RemoteProtocolError as exc:
        raise InvalidValue(exc.args[0], path=exc.path) from exc
    if value.type in ("function", "custom") and getattr(value, value.type) is None:
        raise InvalidValue(
            f"missing; expected a dict as of OpenAI's Chat Completions: {{'type': {value.type!r},"
            f" {value.type!r}: {{'name': ...}}}}",
            path=value.type,
        )
    return value
