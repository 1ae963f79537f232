"""Scripted bots: their replies are known in advance, and no model is involved."""

from __future__ import annotations

import inspect
import json
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Mapping
from contextlib import aclosing
from itertools import islice
from os import PathLike
from typing import Any, cast

import anyio

from poeproto import (
    Bot,
    ConnectionLost,
    Context,
    Error,
    Event,
    Json,
    PoeExchange,
    PoeprotoError,
    QueryRequest,
    Request,
    ResponseHead,
    SettingsRequest,
    SettingsResponse,
    ToolDefinition,
    ToolResult,
    UnknownEvent,
)
from poeproto_record import End, NoRecordedExchange, RecordedReplies, Recording, ReplayMatch, load_recording
from poeproto_record.matching import request_type
from poeproto_record.schedule import Schedule, check_speed

__all__ = ["Canned", "Echo", "Replayed", "Scripted", "ToolCaller"]

# Short, so that the arguments of any call are sent in several pieces.
_PIECE_LENGTH = 7

Script = Callable[[QueryRequest], Any] | Callable[[QueryRequest, Context], Any]


class _WithSettings(Bot):
    attachment_templates = None  # a test checks the messages as they were sent

    def __init__(self, settings: SettingsResponse | None) -> None:
        self.settings = settings or SettingsResponse()

    async def get_settings(self, request: SettingsRequest, context: Context) -> SettingsResponse:
        return self.settings


class Echo(_WithSettings):
    """A bot that repeats the last message.

    Args:
        settings: its answer to a settings request; by default, users may attach files.
    """

    def __init__(self, settings: SettingsResponse | None = None) -> None:
        super().__init__(settings or SettingsResponse(allow_attachments=True))

    async def get_response(self, request: QueryRequest, context: Context) -> AsyncIterator[Event | str]:
        yield last_text(request) or "(nothing was said)"


class Canned(_WithSettings):
    """A bot that answers every query with the same events.

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
    """A bot whose reply is the result of a function. It records its queries.

    Args:
        script: called with the query, or with the query and the context. It returns a string, events, an awaitable of
            either, or an asynchronous iterator of events.
        settings: its settings.

    Attributes:
        requests: all queries so far.
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


class Replayed(Bot):
    """A bot that answers queries with the replies of a recording, read by read, errors included.

    A query that no recorded one matches is refused with 404 and the differences from the nearest one. After `reset`
    the call fails as the recorded one did; after `timeout` and `client-gone` nothing more comes.

    Its settings are the recorded ones, or the defaults if there are none. Reports are accepted.

    Args:
        recording: the recording, or the file that it is in. Its paths do not matter.
        match: which recorded query answers a query.
        speed: how many times as fast as recorded; 0 does not wait.

    Raises:
        RecordingError: when the file is not a recording, or breaks the format.
        OSError: when it cannot be read.
        ValueError: when the speed is negative.
    """

    attachment_templates = None

    def __init__(
        self,
        recording: Recording | str | PathLike[str],
        *,
        match: ReplayMatch = ReplayMatch.LAST_MESSAGE,
        speed: float = 0,
    ) -> None:
        check_speed(speed)
        if not isinstance(recording, Recording):
            recording = load_recording(recording)
        self._speed = speed
        typed = [(request_type(each), each) for each in recording.exchanges]
        queries = [each for kind, each in typed if kind == "query"]
        settings = [each for kind, each in typed if kind == "settings"]
        self._queries = RecordedReplies(queries, match, compares_path=False)
        self._settings = RecordedReplies(settings, compares_path=False)

    async def receive(self, exchange: PoeExchange, request: Request) -> AsyncGenerator[Event]:
        """Send a request to the recording, and receive its answer: the events, as they come.

        Raises:
            PoeprotoError: as a call over HTTP. `PoeExchange.settings` has the settings afterwards.
        """
        sent = exchange.send(request, "http://recording.invalid/")
        assert isinstance(sent.body, bytes), "only uploads have a streamed body"
        replies = self._queries if isinstance(request, QueryRequest) else self._settings
        try:
            found = replies.find(sent.method, "/", sent.headers, sent.body)
        except NoRecordedExchange as exc:
            exchange.receive_head(ResponseHead(404, [(b"content-type", b"application/json")]))
            exchange.receive_data(json.dumps({"error": str(exc)}).encode())
            exchange.receive_eof()  # raises RequestRefused
            return
        schedule = Schedule(found, self._speed, anyio.current_time())
        if found.head is not None:
            await anyio.sleep_until(schedule.time_of(found.head.at))
            exchange.receive_head(ResponseHead(found.head.status, found.head.headers))
        for read in found.data:
            await anyio.sleep_until(schedule.time_of(read.at))
            for event in exchange.receive_data(read.data):
                yield event
            if exchange.error is not None:
                raise exchange.error
        if found.end is not None:
            await anyio.sleep_until(schedule.time_of(found.end.at))
            if found.end.outcome in (End.TIMEOUT, End.CLIENT_DISCONNECTED):
                await anyio.sleep_forever()
        if found.end is None or found.end.outcome is not End.EOF or found.head is None:
            raise ConnectionLost(f"exchange {found.number} of the recording ends here: the connection broke")
        for event in exchange.receive_eof():
            yield event
        if exchange.error is not None:
            raise exchange.error

    async def get_response(self, request: QueryRequest, context: Context) -> AsyncIterator[Event | str]:
        try:
            async with aclosing(self.receive(PoeExchange(), request)) as events:
                async for event in events:
                    if not isinstance(event, UnknownEvent):  # Poe forwards known events only
                        yield event
        except PoeprotoError as exc:
            yield Error(text=f"the recorded bot did not answer: {exc}")

    async def get_settings(self, request: SettingsRequest, context: Context) -> SettingsResponse:
        return await self.fetch_settings()

    async def fetch_settings(self) -> SettingsResponse:
        """The recorded settings; the defaults if none are recorded.

        Raises:
            PoeprotoError: as the recorded call.
        """
        if not len(self._settings):
            return SettingsResponse()
        exchange = PoeExchange()
        async with aclosing(self.receive(exchange, SettingsRequest())) as events:
            async for _ in events:
                pass
        return exchange.settings or SettingsResponse()


class ToolCaller(_WithSettings):
    """A deterministic model that calls tools, in the format of OpenAI's chat completion chunks.

    - A query that offers tools: it calls them, in `json` events that split the arguments into pieces.
    - A query with tool results: it replies with a text that quotes them. The results may also be messages of the role
      "tool" at the end of the query, after the calls in a message of the type "function_call".
    - Any other query: it repeats the last message.

    Args:
        calls: the functions to call and their arguments, in this order; functions that the query does not offer are
            left out, and one may be called several times. By default every offered function is called once, with sample
            arguments that fit its schema.
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
        if results := request.tool_results or _results_in(request):
            for piece in _quotes(results):
                yield piece
        elif calls := self._calls_for(request):
            for chunk in tool_call_chunks(calls):
                yield chunk
        else:
            yield last_text(request) or "(nothing was said)"

    def _calls_for(self, request: QueryRequest) -> list[tuple[str, dict[str, Any]]]:
        offered = {tool.function.name: tool for tool in request.tools or [] if tool.function is not None}
        if self._calls is None:
            return [(name, sample_arguments(tool, last_text(request))) for name, tool in offered.items()]
        return [(name, arguments) for name, arguments in self._calls if name in offered]


def tool_call_chunks(calls: Iterable[tuple[str, dict[str, Any]]]) -> list[Json]:
    """The events in which a model calls functions with arguments; several calls at once differ in their index."""
    # OpenAI sends a null `content` here as well, which some clients do not accept.
    chunks = [_chunk({"role": "assistant"})]
    for index, (name, arguments) in enumerate(calls):
        encoded = json.dumps(arguments, ensure_ascii=False)
        first = {"name": name, "arguments": ""}
        chunks.append(
            _tool_chunk({"index": index, "id": f"call_{index}_{name}", "type": "function", "function": first})
        )
        for start in range(0, len(encoded), _PIECE_LENGTH):
            piece = {"arguments": encoded[start : start + _PIECE_LENGTH]}
            chunks.append(_tool_chunk({"index": index, "function": piece}))
    return [*chunks, _chunk({}, "tool_calls")]


def _tool_chunk(call: dict[str, Any]) -> Json:
    return _chunk({"tool_calls": [call]})


def _chunk(delta: dict[str, Any], finish_reason: str | None = None) -> Json:
    choice = {"index": 0, "delta": delta, "finish_reason": finish_reason}
    return Json({"id": "chatcmpl-simulated", "object": "chat.completion.chunk", "choices": [choice]})


def _results_in(request: QueryRequest) -> list[ToolResult]:
    """The results in the messages since the user's last one: JSON like `QueryRequest.tool_results`, or text.

    A result without a name belongs to the call with its identifier, or to the next call without a result.
    """
    calls: dict[str, str] = {}
    results: list[ToolResult] = []
    for message in request.query:
        if message.role == "tool":
            for wire in _objects_in(message.content, "content", "role tool_call_id name") or [
                {"content": message.content}
            ]:
                number, call_id = len(results), wire.get("tool_call_id")
                name = wire.get("name") or calls.get(str(call_id)) or next(islice(calls.values(), number, None), "tool")
                content = wire.get("content")
                text = content if isinstance(content, str) else json.dumps(content, ensure_ascii=False)
                results.append(ToolResult(str(call_id or ""), str(name), text))
        elif message.message_type == "function_call":
            for wire in _objects_in(message.content, "function") or _objects_in(message.content, "name"):
                function = wire.get("function")
                function = cast("dict[str, Any]", function) if isinstance(function, dict) else wire
                calls[str(wire.get("id") or len(calls))] = str(function.get("name") or "tool")
        elif message.role == "user":
            calls.clear()
            results.clear()
    return results


def _objects_in(content: str, required: str, one_of: str = "") -> list[dict[str, Any]]:
    """The JSON objects in a message's content: one, or a list. Empty if one has other keys, and for other text."""
    try:
        wire: Any = json.loads(content)
    except (ValueError, RecursionError):
        return []
    keys, more = {required}, set(one_of.split())
    objects = cast("list[Any]", wire if isinstance(wire, list) else [wire])
    if all(isinstance(each, dict) and keys <= each.keys() and (not more or more & each.keys()) for each in objects):
        return objects
    return []  # JSON of the tool itself


def _quotes(results: Iterable[ToolResult]) -> Iterable[str]:
    return [f"{result.name} says: {result.content}\n" for result in results]


_SAMPLES: dict[str, Any] = {"integer": 1, "number": 1.5, "boolean": True, "array": [], "object": {}, "null": None}


def sample_arguments(tool: ToolDefinition, text: str) -> dict[str, Any]:
    """Arguments that fit a tool's schema, if it is simple: the text for strings, small values for other types."""
    schema = (tool.function.parameters if tool.function else None) or {}
    properties: dict[str, Any] = schema.get("properties") or {}
    return {name: _sample(rule, text) for name, rule in properties.items()}


def _sample(rule: Any, text: str) -> Any:
    if not isinstance(rule, dict):
        return text
    schema = cast("dict[str, Any]", rule)
    if schema.get("enum"):
        return schema["enum"][0]
    return _SAMPLES.get(str(schema.get("type")), text)


def last_text(request: QueryRequest) -> str:
    """The text of the last message; empty if there is no message."""
    return request.query[-1].content if request.query else ""
