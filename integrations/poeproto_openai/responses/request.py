"""Reads a request for a response, and converts it into a request for a chat completion.

The two APIs ask for the same in other words: items instead of messages, flat definitions of functions instead of nested
ones. So only the words are translated here, and `poeproto_openai.chat` makes the query. Nothing is stored: a request
that refers to an earlier response is refused, and so is one whose answer would differ without the rest of the API.

https://platform.openai.com/docs/api-reference/responses/create
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, TypeGuard

import attrs

from poeproto import QueryRequest
from poeproto_openai.api_error import ApiError
from poeproto_openai.chat.request import chat_request, decode_body, is_one_of
from poeproto_openai.json_bytes import json_bytes

__all__ = ["ResponsesRequest", "read_responses_request"]

# Keys without effect on an answer: user, storage, speed and price. Nothing is stored here, and
# the bot has no tools of its own whose calls `max_tool_calls` would bound.
_WITHOUT_EFFECT = frozenset(
    {"background_options", "include", "max_tool_calls", "metadata", "prompt_cache_key", "prompt_cache_options"}
    | {"prompt_cache_retention", "safety_identifier", "service_tier", "store", "stream_options", "truncation", "user"}
)
# Keys that would change the answer, with the values that leave it as it is.
_NO_OP_VALUES: dict[str, tuple[Any, ...]] = {
    "background": (False,),
    "context_management": ([],),
    "conversation": (),
    "moderation": (),
    "previous_response_id": (),
    "prompt": (),
    "top_logprobs": (0,),
}
# Values of `include` that would add to the answer.
_REFUSED_INCLUSIONS = ("message.output_text.logprobs",)
_READ = frozenset({"input", "instructions", "reasoning", "text", "tool_choice", "tools"})
# The same keys under the names that chat completions have for them.
_RENAMED = {"max_output_tokens": "max_completion_tokens"}
_ROLES = ("assistant", "developer", "system", "user")
# Paths within a part of a content, and the paths in this API.
_PARTS = {".image_url.url": ".image_url", ".file.file_data": ".file_data", ".file.filename": ".filename"}
_PLACE = re.compile(r"messages\[(\d+)\]")


@attrs.frozen
class ResponsesRequest:
    """A request for a response.

    Attributes:
        model: the name of the bot.
        query: the conversation, its tools and parameters; without identifiers.
        stream: whether the reply is a stream of events.
        wire: the body, parts of which the response repeats.
    """

    model: str
    query: QueryRequest
    stream: bool
    wire: dict[str, Any]


def read_responses_request(body: bytes) -> ResponsesRequest:
    """The request in this body.

    Raises:
        ApiError: with status 400 and the path of the field, for a field that cannot be read or has no equivalent.
    """
    wire = decode_body(body)
    _refuse_unsupported(wire)
    items = _Items()
    if instructions := _instructions(wire):
        items.messages.append({"role": "system", "content": instructions})
        items.places.append("instructions")
    _read_input(wire.get("input"), items)
    try:
        request = chat_request(_chat_body(wire, items.messages))
    except ApiError as exc:
        exc.param = _own_path(exc.param, items.places)
        raise
    return ResponsesRequest(request.model, request.query, request.stream, wire)


def _refuse_unsupported(wire: dict[str, Any]) -> None:
    for key, allowed in _NO_OP_VALUES.items():
        value = wire.get(key)
        if value is not None and not is_one_of(value, allowed):
            raise _unsupported(key, "nothing is stored and nothing runs in the background here")
    included = wire.get("include")
    if included is not None and not _is_array(included):
        raise ApiError("expected an array", param="include")
    for inclusion in included or ():
        if inclusion in _REFUSED_INCLUSIONS:
            raise _unsupported("include", f"a bot on Poe does not report {inclusion}")


def _unsupported(param: str, reason: str) -> ApiError:
    return ApiError(f"not supported: {reason}; omit {param}", param=param, code="unsupported_parameter")


def _chat_body(wire: dict[str, Any], messages: list[dict[str, Any]]) -> dict[str, Any]:
    """The request as one for a chat completion. Keys unknown to both APIs stay: they become parameters."""
    body = {
        _RENAMED.get(key, key): value
        for key, value in wire.items()
        if key not in _READ and key not in _WITHOUT_EFFECT and key not in _NO_OP_VALUES
    }
    body["messages"] = messages
    body["tools"] = _tools(wire.get("tools"))
    choice = wire.get("tool_choice")
    if choice not in (None, "auto", "none"):
        raise _unsupported("tool_choice", "a bot on Poe decides by itself which tools it calls")
    body["tool_choice"] = choice
    reasoning, text = _object(wire, "reasoning"), _object(wire, "text")
    if (effort := reasoning.get("effort")) is not None:
        body["reasoning_effort"] = effort
    if (verbosity := text.get("verbosity")) is not None:
        body["verbosity"] = verbosity
    if text.get("format") not in (None, {"type": "text"}):
        raise _unsupported("text.format", "a bot on Poe answers in free text")
    return body


def _object(wire: dict[str, Any], key: str) -> dict[str, Any]:
    value = wire.get(key)
    if value is None:
        return {}
    if not _is_object(value):
        raise ApiError("expected an object", param=key)
    return value


def _is_object(value: object) -> TypeGuard[dict[str, Any]]:
    return isinstance(value, dict)


def _is_array(value: object) -> TypeGuard[list[Any]]:
    return isinstance(value, list)


def _instructions(wire: dict[str, Any]) -> str:
    value = wire.get("instructions")
    if value is not None and not isinstance(value, str):
        raise ApiError("expected a string", param="instructions")
    return value or ""


def _tools(tools: object) -> list[dict[str, Any]] | None:
    """The definitions of functions, nested."""
    if tools is None:
        return None
    if not _is_array(tools):
        raise ApiError("expected an array", param="tools")
    nested: list[dict[str, Any]] = []
    for number, tool in enumerate(tools):
        path = f"tools[{number}]"
        if not _is_object(tool):
            raise ApiError("expected an object", param=path)
        if tool.get("type") != "function":
            kind = json_bytes(tool.get("type")).decode()
            message = f"tools of the type {kind} are not supported: expected a function, which the client runs"
            raise ApiError(message, param=f"{path}.type", code="unsupported_value")
        _string(tool, "name", path)
        known = ("name", "description", "parameters", "strict")
        function = {key: tool[key] for key in known if tool.get(key) is not None}
        nested.append({"type": "function", "function": function})
    return nested


def _read_input(value: object, items: _Items) -> None:
    if isinstance(value, str) and value:
        items.add({"role": "user", "content": value}, "input")
        return
    if not _is_array(value) or not value:
        raise ApiError("missing; expected a text or at least one item", param="input")
    for number, item in enumerate(value):
        path = f"input[{number}]"
        if not _is_object(item):
            raise ApiError("expected an object", param=path)
        items.add(item, path)


class _Items:
    """Items of the input as messages.

    Attributes:
        messages: the messages.
        places: the path of the item that each message was made of.
    """

    def __init__(self) -> None:
        self.messages: list[dict[str, Any]] = []
        self.places: list[str] = []
        self._kinds: dict[str, Callable[[dict[str, Any], str], None]] = {
            "message": self._add_message,
            "function_call": self._add_call,
            "function_call_output": self._add_output,
            "reasoning": self._skip,  # clients send back all items of an earlier response
        }

    def add(self, item: dict[str, Any], path: str) -> None:
        """Add an item. One with a role and no type is a message."""
        kind = item.get("type", "message" if "role" in item else None)
        add = self._kinds.get(kind) if isinstance(kind, str) else None
        if add is None:
            known = ", ".join(self._kinds)
            message = f"items of the type {json_bytes(kind).decode()} are not supported; expected one of {known}"
            raise ApiError(message, param=f"{path}.type", code="unsupported_value")
        add(item, path)

    def _append(self, message: dict[str, Any], path: str) -> None:
        self.messages.append(message)
        self.places.append(path)

    def _skip(self, item: dict[str, Any], path: str) -> None:
        pass

    def _add_message(self, item: dict[str, Any], path: str) -> None:
        role = item.get("role")
        if role not in _ROLES:
            raise ApiError(f"expected one of {', '.join(_ROLES)}", param=f"{path}.role")
        self._append({"role": role, "content": _content(item.get("content"), f"{path}.content")}, path)

    def _add_call(self, item: dict[str, Any], path: str) -> None:
        arguments = item.get("arguments")
        if not isinstance(arguments, str):
            raise ApiError("expected a JSON object as a string", param=f"{path}.arguments")
        function = {"name": _string(item, "name", path), "arguments": arguments}
        call = {"id": _string(item, "call_id", path), "type": "function", "function": function}
        last = self.messages[-1] if self.messages else {}
        if last.get("role") == "assistant":  # a message with several calls is several items
            last.setdefault("tool_calls", []).append(call)
        else:
            self._append({"role": "assistant", "content": None, "tool_calls": [call]}, path)

    def _add_output(self, item: dict[str, Any], path: str) -> None:
        output = _content(item.get("output"), f"{path}.output")
        self._append({"role": "tool", "tool_call_id": _string(item, "call_id", path), "content": output}, path)


def _content(content: object, path: str) -> str | list[dict[str, Any]]:
    """The content of a message, with its parts under the names that chat completions have for them."""
    if isinstance(content, str):
        return content
    if not _is_array(content):
        raise ApiError("missing; expected a string or an array of parts", param=path)
    return [_part(part, f"{path}[{number}]") for number, part in enumerate(content)]


def _part(part: object, path: str) -> dict[str, Any]:
    if not _is_object(part):
        raise ApiError("expected an object", param=path)
    kind = part.get("type")
    if kind in ("input_text", "output_text", "text"):
        return {"type": "text", "text": part.get("text")}
    if kind == "refusal":
        return {"type": "refusal", "refusal": part.get("refusal")}
    if kind not in ("input_image", "input_file"):
        known = "input_text, output_text, refusal, input_image or input_file"
        message = f"parts of the type {json_bytes(kind).decode()} are not supported; expected {known}"
        raise ApiError(message, param=f"{path}.type", code="unsupported_value")
    if part.get("file_id") is not None:
        message = "not supported: there is no Files API here; send the content itself or its URL"
        raise ApiError(message, param=f"{path}.file_id", code="unsupported_parameter")
    if kind == "input_image":
        return {"type": "image_url", "image_url": {"url": _string(part, "image_url", path)}}
    data = part.get("file_data") or _string(part, "file_url", path)
    return {"type": "file", "file": {"filename": part.get("filename"), "file_data": data}}


def _string(wire: dict[str, Any], key: str, path: str) -> str:
    value = wire.get(key)
    if not isinstance(value, str) or not value:
        raise ApiError("missing; expected a string", param=f"{path}.{key}")
    return value


def _own_path(param: str | None, places: list[str]) -> str | None:
    """The path of a field of the chat request, in terms of the items that its messages were made of."""
    if param == "messages":
        return "input"
    if param is None or (place := _PLACE.match(param)) is None:
        return param
    path = places[int(place[1])] + param[place.end() :]
    for chat, own in _PARTS.items():
        path = path.replace(chat, own)
    return path
