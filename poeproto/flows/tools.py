"""Tool calls: gathered from the chunks of a stream, prepared for running, and answered.

`json` events carry OpenAI's chat completion chunks, in many dialects: a last chunk without a delta, nulls for whatever
is absent, no choices but a count of tokens, whole calls without an index. All of these are understood here; running a
tool is left to an integration. https://platform.openai.com/docs/guides/function-calling
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar, cast

import attrs

from poeproto.limits import Limits
from poeproto.vocabulary.errors import LimitExceeded, LocalProtocolError, RemoteProtocolError
from poeproto.vocabulary.events import LARGEST_INDEX, Json, is_index
from poeproto.vocabulary.tools import FunctionCall, ToolCall, ToolCallDelta, ToolResult
from poeproto.wire.json import dumps, join_paths, json_type, loads
from poeproto.wire.structure import structure

__all__ = [
    "ToolCallAggregator",
    "ToolFunctions",
    "delta_text",
    "parse_arguments",
    "prepare_call",
    "tool_call_deltas",
    "tool_content",
    "tool_error",
    "tool_result",
    "tools_by_name",
]

F = TypeVar("F")

# What a model may call: functions under their own names or others, synchronous or asynchronous.
ToolFunctions = Iterable[Callable[..., Any]] | Mapping[str, Callable[..., Any]]


def tool_call_deltas(event: Json) -> list[ToolCallDelta]:
    """The pieces of tool calls in one chunk; none where the object is no chunk.

    Raises:
        RemoteProtocolError: when a chunk has something of another type than OpenAI's; `path` names it.
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
    """The text in one chunk; empty where it has none.

    Raises:
        RemoteProtocolError: when it is no string; `path` names it.
    """
    path, delta = _delta(event)
    return _optional(delta, "content", str, path) or ""


def says_nothing(event: Json) -> bool:
    """Whether a chunk only opens a message, or ends one that called tools: without text, count of tokens or the like.

    Raises:
        RemoteProtocolError: when it is not what OpenAI's are; `path` names the place.
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
class _Gathered:
    """One call, as far as it has come."""

    place: tuple[int, ...]  # among the others
    id: str = ""
    type: str = ""
    name: str = ""
    arguments: list[str] = attrs.field(factory=list[str])
    extra: dict[str, Any] = attrs.field(factory=dict[str, Any])

    def add(self, delta: ToolCallDelta) -> None:
        # Peers repeat what they said first, or send nulls and empty strings in its place.
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
    """Puts the tool calls of a reply together from its `json` events.

    Pieces belong together by their index; without one, by their id; without either, each is a call of its own. Several
    answers in one reply are kept apart by the event's own index. Some peers never count beyond 0, so that another id
    with a function's name begins another call of that index; others make a new id for each piece, without a name.

    Args:
        limits: `Limits.tool_calls` bounds their number, `Limits.answer_size` the arguments of all, in characters.

    Attributes:
        finish_reason: why the model stopped, once it said so.
    """

    def __init__(self, limits: Limits | None = None) -> None:
        self.finish_reason: str | None = None
        self._limits = limits or Limits()
        self._gathered: list[_Gathered] = []
        self._by_id: dict[tuple[int | None, int | None, str], _Gathered] = {}
        self._latest: dict[tuple[int | None, int], _Gathered] = {}
        self._characters = 0

    def add(self, event: Json) -> list[ToolCallDelta]:
        """Take a `json` event into account, and return the pieces of tool calls in it.

        Raises:
            RemoteProtocolError: when the chunk is not what OpenAI's are; `path` names the place.
            LimitExceeded: when there are more calls, or more arguments, than a limit allows.
        """
        deltas = tool_call_deltas(event)
        self.finish_reason = _optional(_choice(event), "finish_reason", str, "choices[0]") or self.finish_reason
        for delta in deltas:
            call = self._call_of(event.index, delta)
            if call is None and len(self._gathered) >= self._limits.tool_calls:
                raise LimitExceeded(f"the reply has more than {self._limits.tool_calls} tool calls", limit="tool_calls")
            if delta.function is not None:
                self._characters += len(delta.function.arguments or "")
            if self._characters > self._limits.answer_size:
                raise LimitExceeded(
                    f"the arguments of tool calls are longer than {self._limits.answer_size} characters",
                    limit="answer_size",
                )
            if call is None:
                call = _Gathered((1,) if delta.index is None else (0, event.index or 0, delta.index))
                self._gathered.append(call)
            call.add(delta)
            if delta.index is not None:
                self._latest[event.index, delta.index] = call
            if delta.id and delta.id == call.id:
                self._by_id[event.index, delta.index, delta.id] = call
        return deltas

    def _call_of(self, index: int | None, delta: ToolCallDelta) -> _Gathered | None:
        """The call that this piece goes on with; None where it begins one."""
        named = self._by_id.get((index, delta.index, delta.id)) if delta.id else None
        latest = self._latest.get((index, delta.index)) if delta.index is not None else None
        if named is not None or latest is None:
            return named
        begins = delta.id and latest.id and delta.function is not None and delta.function.name
        return None if begins else latest

    @property
    def calls(self) -> list[ToolCall]:
        """The calls as far as they have come, in the order of their indexes, those without one after the others.

        A call whose name or id never came has an empty one: `prepare_call` makes an error result of the first, and a
        model that gives no ids expects none.
        """
        return [gathered.call() for gathered in sorted(self._gathered, key=lambda gathered: gathered.place)]


def parse_arguments(call: ToolCall) -> dict[str, Any]:
    """The arguments a model wrote; empty ones mean none.

    Raises:
        RemoteProtocolError: when they are not a JSON object.
    """
    written = call.function.arguments if call.function is not None else ""
    if not written.strip():
        return {}
    try:
        return loads(written)
    except RemoteProtocolError as exc:
        raise RemoteProtocolError(exc.args[0], path=join_paths("arguments", exc.path)) from exc


def tools_by_name(functions: Iterable[F] | Mapping[str, F]) -> dict[str, F]:
    """Functions under the names by which a model calls them: their own, unless a mapping gives others.

    Raises:
        ValueError: for two functions of one name, and for one without a name of its own, a lambda for instance.
    """
    if isinstance(functions, Mapping):
        return dict(cast("Mapping[str, F]", functions))
    named: dict[str, F] = {}
    for function in functions:
        name = getattr(function, "__name__", "")
        if not name.isidentifier():
            raise ValueError(f"{function!r} has no name a model could call it by; pass a dict of names and functions")
        if name in named:
            raise ValueError(f"two tools are called {name!r}")
        named[name] = function
    return named


def prepare_call(tools: Mapping[str, F], call: ToolCall) -> tuple[F, dict[str, Any]] | ToolResult:
    """The function that is called and its arguments; or, where that cannot be, the error result for the model."""
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
    """What a tool returned, as a model reads it: a string as it is, anything else as JSON.

    Raises:
        LocalProtocolError: for a value without a form in JSON.
    """
    return value if isinstance(value, str) else dumps(value).decode()


def tool_result(call: ToolCall, value: object) -> ToolResult:
    """What a tool returned, for the model to read; see `tool_content`.

    A value without a form in JSON makes an error result.
    """
    try:
        return ToolResult(call.id, _name(call), tool_content(value))
    except LocalProtocolError as exc:
        return tool_error(call, f"the result of the tool has no form in JSON: {exc}")


def tool_error(call: ToolCall, message: str) -> ToolResult:
    """What went wrong with a tool, for the model to read; it may try again or do without."""
    return ToolResult(call.id, _name(call), dumps({"error": message}).decode())


def _name(call: ToolCall) -> str:
    return call.function.name if call.function is not None else ""
