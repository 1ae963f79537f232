"""Tool definitions, calls and results in OpenAI's format, as query requests and `json` events hold them.

A tool of another type than "function" and "custom" keeps its content in `extra`, so that it can be forwarded without
loss.

https://platform.openai.com/docs/api-reference/chat
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

from poeproto.vocabulary.field_types import NO_EXTRA, checked

__all__ = [
    "FunctionCall",
    "FunctionDefinition",
    "ToolCall",
    "ToolCallDelta",
    "ToolDefinition",
    "ToolResult",
]


@checked
@attrs.frozen
class FunctionDefinition:
    """A function that a model may call.

    Attributes:
        name: the function's name.
        description: a description for the model.
        parameters: the JSON Schema of its arguments.
        extra: unknown keys.
    """

    name: str
    description: str | None = None
    parameters: dict[str, Any] | None = None
    extra: Mapping[str, Any] = attrs.field(default=NO_EXTRA, kw_only=True, hash=False)


@checked
@attrs.frozen
class CustomToolDefinition:
    """A tool whose input is free text instead of a JSON object.

    Attributes:
        name: the tool's name.
        description: a description for the model.
        format: the form of the input: ``{"type": "text"}``, or a grammar.
        extra: unknown keys.
    """

    name: str
    description: str | None = None
    format: dict[str, Any] | None = None
    extra: Mapping[str, Any] = attrs.field(default=NO_EXTRA, kw_only=True, hash=False)


@checked
@attrs.frozen
class ToolDefinition:
    """A tool offered to a model.

    Attributes:
        function: its definition, if `type` is "function".
        type: "function" or "custom" (open).
        custom: its definition, if `type` is "custom".
        extra: unknown keys.
    """

    function: FunctionDefinition | None = None
    type: str = "function"
    custom: CustomToolDefinition | None = None
    extra: Mapping[str, Any] = attrs.field(default=NO_EXTRA, kw_only=True, hash=False)


@checked
@attrs.frozen
class FunctionCall:
    """A call of a function: its name and arguments.

    Attributes:
        name: the function's name.
        arguments: a JSON object as a string, as the model wrote it; empty means no arguments.
        extra: unknown keys.
    """

    name: str
    arguments: str = ""
    extra: Mapping[str, Any] = attrs.field(default=NO_EXTRA, kw_only=True, hash=False)


@checked
@attrs.frozen
class CustomCall:
    """A call of a custom tool: its name and input.

    Attributes:
        name: the tool's name.
        input: free text, as the model wrote it.
        extra: unknown keys.
    """

    name: str
    input: str = ""
    extra: Mapping[str, Any] = attrs.field(default=NO_EXTRA, kw_only=True, hash=False)


@checked
@attrs.frozen
class ToolCall:
    """A model's call of a tool.

    Attributes:
        id: the identifier that the result refers to.
        function: the function and its arguments, if `type` is "function".
        type: "function" or "custom" (open).
        custom: the custom tool and its input, if `type` is "custom".
        extra: unknown keys.
    """

    id: str
    function: FunctionCall | None = None
    type: str = "function"
    custom: CustomCall | None = None
    extra: Mapping[str, Any] = attrs.field(default=NO_EXTRA, kw_only=True, hash=False)


@checked
@attrs.frozen
class ToolResult:
    """The result of a tool call.

    Attributes:
        tool_call_id: the `ToolCall.id` that it belongs to.
        name: the function's name.
        content: the result as text, usually JSON.
        role: "tool".
        extra: unknown keys.
    """

    tool_call_id: str
    name: str
    content: str
    role: str = "tool"
    extra: Mapping[str, Any] = attrs.field(default=NO_EXTRA, kw_only=True, hash=False)


@checked
@attrs.frozen
class FunctionCallDelta:
    """A part of a `FunctionCall` in a stream.

    Attributes:
        name: the function's name; usually in the first part.
        arguments: text to append to the arguments.
        extra: unknown keys.
    """

    name: str | None = None
    arguments: str | None = None
    extra: Mapping[str, Any] = attrs.field(default=NO_EXTRA, kw_only=True, hash=False)


@checked
@attrs.frozen
class CustomCallDelta:
    """A part of a `CustomCall` in a stream.

    Attributes:
        name: the tool's name; usually in the first part.
        input: text to append to the input.
        extra: unknown keys.
    """

    name: str | None = None
    input: str | None = None
    extra: Mapping[str, Any] = attrs.field(default=NO_EXTRA, kw_only=True, hash=False)


@checked
@attrs.frozen
class ToolCallDelta:
    """A part of a `ToolCall` in a stream.

    Attributes:
        index: which call it belongs to; None if the peer sends whole calls without an index.
        id: the identifier that the result refers to; usually in the first part.
        type: "function" or "custom" (open).
        function: a part of the function call.
        custom: a part of the call of a custom tool.
        extra: unknown keys.
    """

    index: int | None = None
    id: str | None = None
    type: str | None = None
    function: FunctionCallDelta | None = None
    custom: CustomCallDelta | None = None
    extra: Mapping[str, Any] = attrs.field(default=NO_EXTRA, kw_only=True, hash=False)
