"""Tool definitions, calls and results, in the shapes OpenAI gave them; they travel in a query request.

Kinds of tools other than functions keep their content in `extra`, so that they can be passed on whole.

https://platform.openai.com/docs/api-reference/chat
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

from poeproto.vocabulary.field_types import NO_EXTRA, checked

__all__ = [
    "FunctionCall",
    "FunctionCallDelta",
    "FunctionDefinition",
    "ToolCall",
    "ToolCallDelta",
    "ToolDefinition",
    "ToolResult",
]


@checked
@attrs.frozen
class FunctionDefinition:
    """A function a model may call.

    Attributes:
        name: how the model names it.
        description: what it does, for the model to read.
        parameters: the JSON Schema of its arguments.
        extra: keys this version does not know.
    """

    name: str
    description: str | None = None
    parameters: dict[str, Any] | None = None
    extra: Mapping[str, Any] = attrs.field(default=NO_EXTRA, kw_only=True, hash=False)


@checked
@attrs.frozen
class ToolDefinition:
    """A tool offered to a model.

    Attributes:
        function: its definition, where `type` is "function".
        type: "function", or another kind (open).
        extra: keys this version does not know.
    """

    function: FunctionDefinition | None = None
    type: str = "function"
    extra: Mapping[str, Any] = attrs.field(default=NO_EXTRA, kw_only=True, hash=False)


@checked
@attrs.frozen
class FunctionCall:
    """The function a model wants called.

    Attributes:
        name: the function's name.
        arguments: a JSON object as a string, the way models write it; empty means no arguments.
        extra: keys this version does not know.
    """

    name: str
    arguments: str = ""
    extra: Mapping[str, Any] = attrs.field(default=NO_EXTRA, kw_only=True, hash=False)


@checked
@attrs.frozen
class ToolCall:
    """A model's wish to call a tool.

    Attributes:
        id: what the result refers to.
        function: which function, where `type` is "function".
        type: "function", or another kind (open).
        extra: keys this version does not know.
    """

    id: str
    function: FunctionCall | None = None
    type: str = "function"
    extra: Mapping[str, Any] = attrs.field(default=NO_EXTRA, kw_only=True, hash=False)


@checked
@attrs.frozen
class ToolResult:
    """What a tool answered.

    Attributes:
        tool_call_id: the `ToolCall.id` it answers.
        name: the function's name.
        content: the result as text, JSON usually.
        role: "tool".
        extra: keys this version does not know.
    """

    tool_call_id: str
    name: str
    content: str
    role: str = "tool"
    extra: Mapping[str, Any] = attrs.field(default=NO_EXTRA, kw_only=True, hash=False)


@checked
@attrs.frozen
class FunctionCallDelta:
    """A piece of a `FunctionCall`, as a stream has it.

    Attributes:
        name: the function's name; on the first piece, usually.
        arguments: what is to be appended to the arguments.
        extra: keys this version does not know.
    """

    name: str | None = None
    arguments: str | None = None
    extra: Mapping[str, Any] = attrs.field(default=NO_EXTRA, kw_only=True, hash=False)


@checked
@attrs.frozen
class ToolCallDelta:
    """A piece of a `ToolCall`, as a stream has it.

    Attributes:
        index: which of the calls it belongs to; None where the peer sends whole calls without one.
        id: what the result refers to; on the first piece, usually.
        type: "function", or another kind (open).
        function: a piece of the function's call.
        extra: keys this version does not know.
    """

    index: int | None = None
    id: str | None = None
    type: str | None = None
    function: FunctionCallDelta | None = None
    extra: Mapping[str, Any] = attrs.field(default=NO_EXTRA, kw_only=True, hash=False)
