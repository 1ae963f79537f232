"""The output of a response: its items, and the events by which a stream builds them.

An item is added, grows by deltas, and is done. All text of an answer is one message; each tool call is an item of its
own. Calls may grow in turn, so all items are done at the end.

https://platform.openai.com/docs/api-reference/responses-streaming
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

import attrs

__all__ = ["OutputItem", "ResponseOutput"]


@attrs.define
class OutputItem:
    """An item of the output.

    Attributes:
        index: its place in the output.
        wire: the item as it is sent, without the growing field.
        kind: the growing field: "output_text", "function_call_arguments" or "custom_tool_call_input".
        parts: the deltas so far.
    """

    index: int
    wire: dict[str, Any]
    kind: str
    parts: list[str] = attrs.field(factory=list[str])

    @property
    def place(self) -> dict[str, Any]:
        """The position of this item, for the events about its growth."""
        place = {"item_id": self.wire["id"], "output_index": self.index}
        return {**place, "content_index": 0} if self.kind == "output_text" else place

    def event(self, act: str, **more: Any) -> dict[str, Any]:
        """An event about its growth."""
        return {"type": f"response.{self.kind}.{act}", **self.place, **more, **self._logprobs()}

    def _logprobs(self) -> dict[str, Any]:
        return {"logprobs": []} if self.kind == "output_text" else {}

    def with_status(self, status: str) -> dict[str, Any]:
        """The item with its content so far."""
        text = "".join(self.parts)
        if self.kind == "output_text":
            return {**self.wire, "status": status, "content": [text_part(text)]}
        return {**self.wire, "status": status, _GROWING[self.kind]: text}


# The key of an item that grows.
_GROWING = {"function_call_arguments": "arguments", "custom_tool_call_input": "input"}


def text_part(text: str) -> dict[str, Any]:
    """The only part of a message."""
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}


class ResponseOutput:
    """Builds the output of one response. The methods return the events for the data that they added.

    Args:
        token: makes the items' ids, with their numbers.
    """

    def __init__(self, token: str) -> None:
        self._token = token
        self._items: dict[Hashable, OutputItem] = {}

    def __bool__(self) -> bool:
        return bool(self._items)

    def message(self, answer: int) -> OutputItem | None:
        """The message of an answer; None before its first text."""
        return self._items.get(("message", answer))

    def add_text(self, answer: int, text: str) -> list[dict[str, Any]]:
        """Add a text to the message of an answer."""
        item, events = self.message(answer), list[dict[str, Any]]()
        if item is None:
            item = self._new(("message", answer), "msg", {"type": "message", "role": "assistant"}, "output_text")
            events.append(self._added(item, {**item.wire, "status": "in_progress", "content": []}))
            events.append({"type": "response.content_part.added", **item.place, "part": text_part("")})
        return events + self._grow(item, text)

    def add_call_part(self, answer: int, part: dict[str, Any]) -> list[dict[str, Any]]:
        """Add a part of a tool call, as `ToolCallNormalizer` returns it: the first one has the id and the name."""
        key = ("call", answer, part["index"])
        item, events = self._items.get(key), list[dict[str, Any]]()
        grown: dict[str, Any] = part.get("custom") or part.get("function") or {}
        if item is None:
            named = {"call_id": part["id"], "name": grown["name"]}
            if part["type"] == "custom":
                item = self._new(key, "ctc", {"type": "custom_tool_call", **named}, "custom_tool_call_input")
            else:
                item = self._new(key, "fc", {"type": "function_call", **named}, "function_call_arguments")
            events.append(self._added(item, item.with_status("in_progress")))
        text = grown.get("input" if item.kind == "custom_tool_call_input" else "arguments")
        return events + self._grow(item, text) if text else events

    def end(self, status: str) -> list[dict[str, Any]]:
        """End all items."""
        events: list[dict[str, Any]] = []
        for item in self._items.values():
            text, whole = "".join(item.parts), item.with_status(status)
            if item.kind == "output_text":
                events.append(item.event("done", text=text))
                events.append({"type": "response.content_part.done", **item.place, "part": text_part(text)})
            else:
                events.append(item.event("done", **{_GROWING[item.kind]: text}))
            events.append({"type": "response.output_item.done", "output_index": item.index, "item": whole})
        return events

    def items(self, status: str) -> list[dict[str, Any]]:
        """All items as they are so far."""
        return [item.with_status(status) for item in self._items.values()]

    def _new(self, key: Hashable, prefix: str, wire: dict[str, Any], kind: str) -> OutputItem:
        index = len(self._items)
        item = OutputItem(index, {"id": f"{prefix}_{self._token}_{index}", **wire}, kind)
        self._items[key] = item
        return item

    def _added(self, item: OutputItem, wire: dict[str, Any]) -> dict[str, Any]:
        return {"type": "response.output_item.added", "output_index": item.index, "item": wire}

    def _grow(self, item: OutputItem, text: str) -> list[dict[str, Any]]:
        item.parts.append(text)
        return [item.event("delta", delta=text)]
