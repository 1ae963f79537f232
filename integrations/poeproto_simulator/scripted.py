"""Bots without a model behind them, whose answers are known beforehand."""

from __future__ import annotations

import inspect
import json
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from typing import Any, cast

from poeproto import (
    Bot,
    Context,
    Event,
    Json,
    QueryRequest,
    SettingsRequest,
    SettingsResponse,
    ToolDefinition,
    ToolResult,
)

# So that there are several, whatever the arguments.
_PIECE_LENGTH = 7

Script = Callable[[QueryRequest], Any] | Callable[[QueryRequest, Context], Any]


class _WithSettings(Bot):
    attachment_templates = None  # a test wants to see what was sent, not what a bot makes of it

    def __init__(self, settings: SettingsResponse | None) -> None:
        self.settings = settings or SettingsResponse()

    async def get_settings(self, request: SettingsRequest, context: Context) -> SettingsResponse:
        return self.settings


class Echo(_WithSettings):
    """Repeats the last message."""

    def __init__(self, settings: SettingsResponse | None = None) -> None:
        super().__init__(settings or SettingsResponse(allow_attachments=True))

    async def get_response(self, request: QueryRequest, context: Context) -> AsyncIterator[Event | str]:
        yield last_text(request) or "(nothing was said)"


class Canned(_WithSettings):
    """Answers everything with the same events.

    Args:
        events: the events; a string is short for `Text`.
        settings: its settings.
    """

    def __init__(self, events: Iterable[Event | str], settings: SettingsResponse | None = None) -> None:
        super().__init__(settings)
        self.events = [events] if isinstance(events, str) else list(events)

    async def get_response(self, request: QueryRequest, context: Context) -> AsyncIterator[Event | str]:
        for event in self.events:
            yield event


class Scripted(_WithSettings):
    """Answers what a function says, and keeps the queries it got.

    Args:
        script: given the query, or the query and the context. It returns a string, events, an awaitable of either, or
            an asynchronous iterator of events.
        settings: its settings.

    Attributes:
        requests: every query so far.
    """

    def __init__(self, script: Script, settings: SettingsResponse | None = None) -> None:
        super().__init__(settings)
        self.requests: list[QueryRequest] = []
        self._script = cast("Callable[..., Any]", script)
        self._takes_context = len(inspect.signature(script).parameters) > 1

    async def get_response(self, request: QueryRequest, context: Context) -> AsyncIterator[Event | str]:
        self.requests.append(request)
        answer = self._script(request, context) if self._takes_context else self._script(request)
        if inspect.isawaitable(answer):
            answer = await answer
        if hasattr(answer, "__aiter__"):
            events = cast("AsyncIterator[Event | str]", answer)
            try:
                async for event in events:
                    yield event
            finally:
                if close := getattr(events, "aclose", None):
                    await close()
        else:
            for event in [answer] if isinstance(answer, str) else cast("Iterable[Event | str]", answer):
                yield event


class ToolCaller(_WithSettings):
    """A model that calls tools, in the dialect of OpenAI's chat completion chunks; the same query, the same answer.

    Offered tools, it calls them: `json` events whose arguments come in pieces. Given the results, it answers with a
    text that quotes them. Without tools it repeats the last message.

    Args:
        calls: the functions to call and their arguments, in this order, of those that are offered; by default all of
            them, with arguments made up from their schemas. The same function may be called several times.
        settings: its settings.
    """

    def __init__(
        self,
        calls: Mapping[str, dict[str, Any]] | Iterable[tuple[str, dict[str, Any]]] | None = None,
        settings: SettingsResponse | None = None,
    ) -> None:
        super().__init__(settings)
        pairs = cast("Mapping[str, dict[str, Any]]", calls).items() if isinstance(calls, Mapping) else calls
        self._calls = None if pairs is None else list(pairs)

    async def get_response(self, request: QueryRequest, context: Context) -> AsyncIterator[Event | str]:
        if request.tool_results:
            for piece in _quoted(request.tool_results):
                yield piece
        elif calls := self._chosen(request):
            for chunk in tool_call_chunks(calls):
                yield chunk
        else:
            yield last_text(request) or "(nothing was said)"

    def _chosen(self, request: QueryRequest) -> list[tuple[str, dict[str, Any]]]:
        offered = {tool.function.name: tool for tool in request.tools or [] if tool.function is not None}
        if self._calls is None:
            return [(name, arguments_for(tool, last_text(request))) for name, tool in offered.items()]
        return [(name, arguments) for name, arguments in self._calls if name in offered]


def tool_call_chunks(calls: Iterable[tuple[str, dict[str, Any]]]) -> list[Json]:
    """The events in which a model calls these functions with these arguments, several at once by their index."""
    # OpenAI has a null `content` in this one, which not every client bears.
    chunks = [_chunk({"role": "assistant"})]
    for index, (name, arguments) in enumerate(calls):
        written = json.dumps(arguments, ensure_ascii=False)
        first = {"name": name, "arguments": ""}
        chunks.append(
            _tool_chunk({"index": index, "id": f"call_{index}_{name}", "type": "function", "function": first})
        )
        for start in range(0, len(written), _PIECE_LENGTH):
            piece = {"arguments": written[start : start + _PIECE_LENGTH]}
            chunks.append(_tool_chunk({"index": index, "function": piece}))
    return [*chunks, _chunk({}, "tool_calls")]


def _tool_chunk(call: dict[str, Any]) -> Json:
    return _chunk({"tool_calls": [call]})


def _chunk(delta: dict[str, Any], finish_reason: str | None = None) -> Json:
    choice = {"index": 0, "delta": delta, "finish_reason": finish_reason}
    return Json({"id": "chatcmpl-simulated", "object": "chat.completion.chunk", "choices": [choice]})


def _quoted(results: Iterable[ToolResult]) -> Iterable[str]:
    return [f"{result.name} says: {result.content}\n" for result in results]


_SAMPLES: dict[str, Any] = {"integer": 1, "number": 1.5, "boolean": True, "array": [], "object": {}, "null": None}


def arguments_for(tool: ToolDefinition, text: str) -> dict[str, Any]:
    """Arguments that fit a tool's schema as far as it is simple: the text for strings, small values for the rest."""
    schema = (tool.function.parameters if tool.function else None) or {}
    properties: dict[str, Any] = schema.get("properties") or {}
    return {name: _sample(rule, text) for name, rule in properties.items()}


def _sample(rule: Any, text: str) -> Any:
    if not isinstance(rule, dict):
        return text
    described = cast("dict[str, Any]", rule)
    if described.get("enum"):
        return described["enum"][0]
    return _SAMPLES.get(str(described.get("type")), text)


def last_text(request: QueryRequest) -> str:
    """The text of the last message, empty where there is none."""
    return request.query[-1].content if request.query else ""
