"""Models that call tools: the chunks that they send, and the results that they receive."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from poeproto import FunctionDefinition, Json, QueryRequest, ToolDefinition, decode_request

from .scripted_peer import Peer, reply

WEATHER = ToolDefinition(FunctionDefinition("weather", "How it is outside.", {"type": "object", "properties": {}}))


def defined(functions: Iterable[Any] | Mapping[str, Any]) -> list[ToolDefinition]:
    """The definitions of these functions, by their names."""
    names = functions if isinstance(functions, Mapping) else [getattr(each, "__name__", "") for each in functions]
    return [WEATHER if name == "weather" else ToolDefinition(FunctionDefinition(name)) for name in names]


def calls(*wanted: tuple[str, str]) -> bytes:
    """A reply of a model that wants these functions called, with these arguments."""
    pieces = [
        {
            "index": number,
            "id": f"call-{number}",
            "type": "function",
            "function": {"name": name, "arguments": arguments},
        }
        for number, (name, arguments) in enumerate(wanted)
    ]
    return reply(Json({"choices": [{"index": 0, "delta": {"tool_calls": pieces}, "finish_reason": "tool_calls"}]}))


def model(*answers: bytes) -> Any:
    async def script(peer: Peer) -> None:
        for answer in answers:
            await peer.answer(answer)
        await peer.until_left()

    return script


def results_in(body: bytes) -> dict[str, str]:
    """The tool results in a request, by the identifier of the call."""
    request = decode_request(body)
    assert isinstance(request, QueryRequest)
    return {result.tool_call_id: result.content for result in request.tool_results or []}
