"""Reads a request for a chat completion, and makes the query of it.

Every key of the body is handled in one of four ways: it is read; it is accepted without effect, because no answer
depends on it; it is refused, because the answer would differ; or it is unknown, and becomes a parameter of the last
message, as on Poe.

https://platform.openai.com/docs/api-reference/chat/create
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import attrs

from poeproto import (
    InvalidValue,
    Message,
    QueryRequest,
    RemoteProtocolError,
    Sender,
    ToolCall,
    ToolDefinition,
    ToolResult,
    decode_object,
)
from poeproto.flows import as_tool_call, as_tool_definition, tool_as_dict
from poeproto_openai.api_error import ApiError
from poeproto_openai.chat.content_parts import text_and_attachments
from poeproto_openai.json_bytes import json_bytes

__all__ = ["ChatRequest", "chat_request", "decode_body", "read_chat_request"]

# Keys without effect on an answer: user, storage, speed and price.
_WITHOUT_EFFECT = frozenset(
    {"metadata", "moderation", "prediction", "prompt_cache_key", "prompt_cache_options", "prompt_cache_retention"}
    | {"safety_identifier", "service_tier", "store", "user"}
)
# Keys that would change the answer, with the values that leave it as it is.
_NO_OP_VALUES: dict[str, tuple[Any, ...]] = {
    "audio": (),
    "function_call": ("auto", "none"),
    "functions": ([],),
    "logprobs": (False,),
    "modalities": (["text"],),
    "n": (1,),
    "parallel_tool_calls": (True,),
    "response_format": ({"type": "text"},),
    "tool_choice": ("auto", "none"),
    "top_logprobs": (0,),
    "web_search_options": (),
}
_READ = frozenset(
    {"include_reasoning", "logit_bias", "messages", "model", "stop", "stream", "stream_options", "temperature", "tools"}
)
_ROLES = {"system": "system", "developer": "system", "user": "user", "assistant": "bot", "tool": "tool"}
_TYPES: dict[Any, str] = {str: "a string", bool: "a boolean", dict: "an object", list: "an array", float: "a number"}


@attrs.frozen
class ChatRequest:
    """A request for a chat completion.

    Attributes:
        model: the name of the bot.
        query: the conversation, its tools and parameters; without identifiers.
        stream: whether the reply is a stream of chunks.
        include_usage: whether a stream ends with a chunk that has the usage.
        include_reasoning: whether the client wants to see reasoning.
    """

    model: str
    query: QueryRequest
    stream: bool = False
    include_usage: bool = False
    include_reasoning: bool = False


def read_chat_request(body: bytes) -> ChatRequest:
    """The request in this body.

    Raises:
        ApiError: with status 400 and the path of the field, for a field that cannot be read or has no equivalent.
    """
    return chat_request(decode_body(body))


def decode_body(body: bytes) -> dict[str, Any]:
    """The object in the body of a request.

    Raises:
        ApiError: with status 400, if there is none.
    """
    try:
        return decode_object(body)
    except RemoteProtocolError as exc:
        raise ApiError(f"the body is not a JSON object: {exc}") from None


def chat_request(wire: dict[str, Any]) -> ChatRequest:
    """The request in this body, which is decoded. Errors as in `read_chat_request`."""
    _refuse_unsupported(wire)
    model = _field(wire, "model", str)
    if not model:
        raise ApiError("missing; expected the name of a bot", param="model")
    options: dict[str, Any] = _field(wire, "stream_options", dict) or {}
    query = _query(wire, model)
    return ChatRequest(
        model,
        query,
        stream=bool(_field(wire, "stream", bool)),
        include_usage=bool(_field(options, "include_usage", bool, "stream_options.")),
        include_reasoning=bool(_field(wire, "include_reasoning", bool)),
    )


def is_one_of(value: object, allowed: Iterable[object]) -> bool:
    """Whether a value of JSON is one of these: 1.0 and 1 are the same number, and true is none."""
    return any(value == each and isinstance(value, bool) is isinstance(each, bool) for each in allowed)


def _refuse_unsupported(wire: dict[str, Any]) -> None:
    for key, allowed in _NO_OP_VALUES.items():
        if key == "parallel_tool_calls" and (not wire.get("tools") or wire.get("tool_choice") == "none"):
            allowed = (True, False)  # without tools there are no calls
        value = wire.get(key)
        if value is not None and not is_one_of(value, allowed):
            known = " or ".join(json_bytes(each).decode() for each in allowed)
            raise ApiError(
                f"not supported: a bot on Poe has no equivalent, and the answer would differ; omit {key}"
                + (f" or set it to {known}" if known else ""),
                param=key,
                code="unsupported_parameter" if not allowed else "unsupported_value",
            )


def _query(wire: dict[str, Any], model: str) -> QueryRequest:
    conversation = _Conversation()
    messages: list[Any] | None = _field(wire, "messages", list)
    if not messages:
        raise ApiError("missing; expected at least one message", param="messages")
    for number, message in enumerate(messages):
        conversation.add(message, f"messages[{number}]")
    if not conversation.messages:
        raise ApiError(
            "expected at least one message that is not a tool call or result, such as the question", param="messages"
        )
    conversation.end()
    known = _READ | _WITHOUT_EFFECT | _NO_OP_VALUES.keys()
    parameters = {key: value for key, value in wire.items() if key not in known}
    query = conversation.messages
    if parameters:
        query[-1] = attrs.evolve(query[-1], parameters=parameters)
    return QueryRequest(
        query,
        temperature=_number(wire, "temperature"),
        logit_bias=_logit_bias(wire),
        stop_sequences=_stop_sequences(wire),
        tools=_tools(wire),
        tool_calls=conversation.calls or None,
        tool_results=conversation.results or None,
    )


@attrs.define
class _ToolRound:
    """Calls that the model made at once, and their results.

    Attributes:
        place: how many messages there are before it.
        calls: the calls.
        results: their results.
    """

    place: int
    calls: list[ToolCall] = attrs.field(factory=list[ToolCall])
    results: list[ToolResult] = attrs.field(factory=list[ToolResult])


class _Conversation:
    """Messages of OpenAI's, as those of Poe's.

    Poe's query has the calls of tools and their results in separate fields, without their position among the messages.
    That is where those of the last turn belong. Those of earlier turns stay among the messages, as messages of the type
    "function_call" and of the role "tool" whose contents are JSON.
    """

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.calls: list[ToolCall] = []
        self.results: list[ToolResult] = []
        self._names: dict[str, str] = {}
        self._rounds: list[_ToolRound] = []
        self._earlier_rounds = 0  # how many belong to earlier turns

    def add(self, message: object, path: str) -> None:
        if not isinstance(message, dict):
            raise ApiError("expected an object", param=path)
        wire: dict[str, Any] = message  # pyright: ignore[reportUnknownVariableType]
        written = _field(wire, "role", str, f"{path}.")
        role = _ROLES.get(written or "")
        if role is None:
            raise ApiError(f"{written!r} is not one of {', '.join(_ROLES)}", param=f"{path}.role")
        if role == "tool":
            self._add_result(wire, path)
            return
        if role == "user":
            self._earlier_rounds = len(self._rounds)
        text, attachments = text_and_attachments(wire.get("content"), f"{path}.content")
        text = text or _field(wire, "refusal", str, f"{path}.") or ""
        calls: list[Any] = (_field(wire, "tool_calls", list, f"{path}.") or []) if role == "bot" else []
        if text or attachments or not calls:
            name = _field(wire, "name", str, f"{path}.")
            sender = Sender(name=name) if name else None
            self.messages.append(Message(role, text, sender=sender, attachments=attachments))
        for number, call in enumerate(calls):
            self._add_call(call, f"{path}.tool_calls[{number}]")

    def end(self) -> None:
        """Put the rounds of earlier turns among the messages, and those of the last turn beside them."""
        for each in self._rounds[self._earlier_rounds :]:
            self.calls += each.calls
            self.results += each.results
        for each in reversed(self._rounds[: self._earlier_rounds]):
            made = [Message("bot", _json(each.calls), message_type="function_call")] if each.calls else []
            found = [Message("tool", _json(each.results))] if each.results else []
            self.messages[each.place : each.place] = made + found

    def _round(self, *, of_calls: bool) -> _ToolRound:
        """The round that a call or a result belongs to. After results, a call begins another."""
        last = self._rounds[-1] if len(self._rounds) > self._earlier_rounds else None
        if last is None or (of_calls and (last.results or last.place != len(self.messages))):
            last = _ToolRound(len(self.messages))
            self._rounds.append(last)
        return last

    def _add_call(self, call: object, path: str) -> None:
        if not isinstance(call, dict):
            raise ApiError("expected an object", param=path)
        try:
            made = as_tool_call(call)  # pyright: ignore[reportUnknownArgumentType]
        except InvalidValue as exc:
            raise ApiError(exc.message, param=f"{path}.{exc.path}" if exc.path else path) from None
        called = made.function or made.custom
        self._names[made.id] = called.name if called is not None else ""
        self._round(of_calls=True).calls.append(made)

    def _add_result(self, wire: dict[str, Any], path: str) -> None:
        call_id = _field(wire, "tool_call_id", str, f"{path}.")
        if call_id is None:
            raise ApiError("missing; expected the id of the call", param=f"{path}.tool_call_id")
        text, attachments = text_and_attachments(wire.get("content"), f"{path}.content")
        if attachments:
            raise ApiError("the result of a tool is text; files are not supported", param=f"{path}.content")
        result = ToolResult(call_id, self._names.get(call_id, ""), text)
        self._round(of_calls=False).results.append(result)


def _json(values: list[ToolCall] | list[ToolResult]) -> str:
    return json_bytes([tool_as_dict(value) for value in values]).decode()


def _tools(wire: dict[str, Any]) -> list[ToolDefinition] | None:
    tools: list[Any] | None = _field(wire, "tools", list)
    if not tools or wire.get("tool_choice") == "none":
        return None
    found: list[ToolDefinition] = []
    for number, tool in enumerate(tools):
        path = f"tools[{number}]"
        if not isinstance(tool, dict):
            raise ApiError("expected an object", param=path)
        try:
            found.append(as_tool_definition(tool))  # pyright: ignore[reportUnknownArgumentType]
        except InvalidValue as exc:
            raise ApiError(exc.message, param=f"{path}.{exc.path}" if exc.path else path) from None
    return found


def _logit_bias(wire: dict[str, Any]) -> dict[str, float]:
    biases: dict[str, Any] = _field(wire, "logit_bias", dict) or {}
    return {token: _number(biases, token, "logit_bias.") or 0.0 for token in biases}


def _stop_sequences(wire: dict[str, Any]) -> list[str]:
    stop = wire.get("stop")
    if isinstance(stop, str):
        return [stop]
    sequences: list[Any] = _field(wire, "stop", list) or []
    for number, sequence in enumerate(sequences):
        if not isinstance(sequence, str):
            raise ApiError("expected a string", param=f"stop[{number}]")
    return sequences


def _number(wire: dict[str, Any], key: str, prefix: str = "") -> float | None:
    value = wire.get(key)
    if value is not None and type(value) not in (int, float):
        raise ApiError("expected a number", param=f"{prefix}{key}")
    try:
        return None if value is None else float(value)
    except OverflowError:
        raise ApiError("expected a number that a double can hold", param=f"{prefix}{key}") from None


def _field(wire: dict[str, Any], key: str, cls: type, prefix: str = "") -> Any:
    value = wire.get(key)
    if value is not None and not isinstance(value, cls):
        raise ApiError(f"expected {_TYPES[cls]}", param=f"{prefix}{key}")
    return value
