"""Tool calls in OpenAI's form, from the chunks of any dialect."""

from __future__ import annotations

from typing import Any

import attrs

from poeproto import Json, Limits, ToolCallDelta
from poeproto.flows import ToolCallAggregator

__all__ = ["ToolCallNormalizer"]


@attrs.define
class _SentCall:
    id: str = ""
    type: str = "function"
    name: str = ""
    pending: list[str] = attrs.field(factory=list[str])
    text: list[str] = attrs.field(factory=list[str])
    started: bool = False


class ToolCallNormalizer:
    """Turns tool calls of any dialect into OpenAI's: each part has an index, the first also the id, type and name.

    A part whose call has no name yet is held until the name is known.

    Args:
        id_prefix: what the ids of calls without one begin with.
        limits: the bounds of `ToolCallAggregator`.
    """

    def __init__(self, id_prefix: str, limits: Limits) -> None:
        self._id_prefix = id_prefix
        self._aggregator = ToolCallAggregator(limits)
        self._calls: dict[int, _SentCall] = {}

    def __bool__(self) -> bool:
        return bool(self._calls)

    @property
    def finish_reason(self) -> str | None:
        """Why the model stopped; None before it said so."""
        return self._aggregator.finish_reason

    def add(self, event: Json) -> list[dict[str, Any]]:
        """Add a chunk, and return the new parts, as they stand under ``tool_calls``.

        Raises:
            RemoteProtocolError: for a chunk that cannot be read as one of OpenAI's.
        """
        parts: list[dict[str, Any]] = []
        for number, delta in self._aggregator.add_numbered(event):
            if number is not None:
                parts += self._part(number, delta)
        return parts

    def rest(self) -> list[dict[str, Any]]:
        """The parts that were held back, of calls whose name never came."""
        return [self._start(number, call) for number, call in self._calls.items() if not call.started]

    def whole(self) -> list[dict[str, Any]]:
        """All calls, as they stand in a message."""
        calls: list[dict[str, Any]] = []
        for number, call in self._calls.items():
            named = self._named(call, "".join(call.text))
            calls.append({"id": self._id_of(number, call), "type": call.type, call.type: named})
        return calls

    def _part(self, number: int, delta: ToolCallDelta) -> list[dict[str, Any]]:
        call = self._calls.setdefault(number, _SentCall())
        if delta.custom is not None:
            call.type = "custom"
        inner = delta.custom or delta.function
        text = ""
        if inner is not None:
            call.name = call.name or inner.name or ""
            text = (
                delta.custom.input if delta.custom is not None else delta.function and delta.function.arguments
            ) or ""
        call.id = call.id or delta.id or ""
        call.text.append(text)
        call.pending.append(text)
        if not call.started:
            return [self._start(number, call)] if call.name else []
        call.pending.clear()
        key = "input" if call.type == "custom" else "arguments"
        return [{"index": number, call.type: {key: text}}] if text else []

    def _start(self, number: int, call: _SentCall) -> dict[str, Any]:
        call.started = True
        text = "".join(call.pending)
        call.pending.clear()
        named = self._named(call, text)
        return {"index": number, "id": self._id_of(number, call), "type": call.type, call.type: named}

    def _named(self, call: _SentCall, text: str) -> dict[str, Any]:
        return {"name": call.name, "input" if call.type == "custom" else "arguments": text}

    def _id_of(self, number: int, call: _SentCall) -> str:
        call.id = call.id or f"call_{self._id_prefix}_{number}"
        return call.id
