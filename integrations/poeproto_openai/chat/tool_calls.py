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
    index: int | None = None  # once its first part was returned


class ToolCallNormalizer:
    """Turns tool calls of any dialect into OpenAI's: each part has an index, the first also the id, type and name.

    A part whose call has no name yet is held until the name is known. Calls are
    numbered in the order in which their first parts are returned, so the indices have no gap.

    Args:
        id_prefix: the prefix of ids made for calls without one.
        limits: the bounds of `ToolCallAggregator`.
    """

    def __init__(self, id_prefix: str, limits: Limits) -> None:
        self._id_prefix = id_prefix
        self._aggregator = ToolCallAggregator(limits)
        self._calls: dict[int, _SentCall] = {}  # by the aggregator's numbers
        self._begun = 0

    def __bool__(self) -> bool:
        return bool(self._calls)

    @property
    def finish_reason(self) -> str | None:
        """Why the model stopped; None before it is known."""
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
        return [self._start(call) for call in self._calls.values() if call.index is None]

    def whole(self) -> list[dict[str, Any]]:
        """All calls, in the form of a message's `tool_calls`."""
        self.rest()
        return [
            {"id": call.id, "type": call.type, call.type: self._named(call, "".join(call.text))}
            for call in sorted(self._calls.values(), key=lambda call: call.index or 0)
        ]

    def _part(self, number: int, delta: ToolCallDelta) -> list[dict[str, Any]]:
        call = self._calls.setdefault(number, _SentCall())
        if delta.custom is not None:
            call.type = "custom"
        inner = delta.custom or delta.function
        text = ""
        if inner is not None:
            text = (
                delta.custom.input if delta.custom is not None else delta.function and delta.function.arguments
            ) or ""
        call.name = call.name or self._aggregator.name_of(number)
        call.id = call.id or delta.id or ""
        call.text.append(text)
        call.pending.append(text)
        if call.index is None:
            return [self._start(call)] if call.name else []
        call.pending.clear()
        key = "input" if call.type == "custom" else "arguments"
        return [{"index": call.index, call.type: {key: text}}] if text else []

    def _start(self, call: _SentCall) -> dict[str, Any]:
        call.index = self._begun
        self._begun += 1
        call.id = call.id or f"call_{self._id_prefix}_{call.index}"
        text = "".join(call.pending)
        call.pending.clear()
        return {"index": call.index, "id": call.id, "type": call.type, call.type: self._named(call, text)}

    def _named(self, call: _SentCall, text: str) -> dict[str, Any]:
        return {"name": call.name, "input" if call.type == "custom" else "arguments": text}
