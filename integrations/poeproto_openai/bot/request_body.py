"""The body of a request for a chat completion, made from a query.

https://platform.openai.com/docs/api-reference/chat/create
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, cast

import attrs

from poeproto import Attachment, Message, QueryRequest
from poeproto.flows import tool_as_dict
from poeproto_runtime.data_url import is_data_url

_ROLES = {"bot": "assistant", "assistant": "assistant", "model": "assistant", "system": "system", "developer": "system"}


@attrs.frozen
class RequestMessages:
    """The messages of a request.

    Attributes:
        messages: in OpenAI's format.
        attachments: how many images and files are in them.
        attachment_characters: the size of their URLs, which may contain all of a file.
    """

    messages: list[dict[str, Any]]
    attachments: int = 0
    attachment_characters: int = 0


def request_messages(request: QueryRequest, contents: Mapping[str, str] | None = None) -> RequestMessages:
    """The conversation of a query, with the calls of tools in its last turn and their results.

    Args:
        request: the query.
        contents: by the URL of an attachment, the ``data:`` URL that is sent instead of it.
    """
    writer = _MessageWriter(contents or {})
    for number, message in enumerate(request.query):
        writer.add(message, is_last=number == len(request.query) - 1)
    writer.add_tool_round(map(tool_as_dict, request.tool_calls or ()), map(tool_as_dict, request.tool_results or ()))
    return RequestMessages(writer.messages, writer.attachments, writer.attachment_characters)


def needs_content(attachment: Attachment) -> bool:
    """Whether an attachment is sent with its content, if that can be fetched: not those whose text is known."""
    return not is_data_url(attachment.url) and (is_image(attachment) or not attachment.parsed_content)


def is_image(attachment: Attachment) -> bool:
    """Whether an attachment is an image that is sent as one; one in SVG is a text."""
    return _media_type(attachment).startswith("image/") and _media_type(attachment) != "image/svg+xml"


def _media_type(attachment: Attachment) -> str:
    return attachment.content_type.partition(";")[0].strip().lower()


class _MessageWriter:
    def __init__(self, contents: Mapping[str, str]) -> None:
        self.messages: list[dict[str, Any]] = []
        self.attachments = 0
        self.attachment_characters = 0
        self._contents = contents

    def add(self, message: Message, *, is_last: bool) -> None:
        if message.message_type == "function_call" and (calls := _objects_in(message.content)):
            self.add_tool_round(calls, ())
            return
        if message.role == "tool" and (results := _objects_in(message.content)):
            self.add_tool_round((), results)
            return
        role = _ROLES.get(message.role, "user")
        parts = [part for each in message.attachments for part in self._parts(each, role)]
        if not message.content and not parts and not is_last:
            return  # some endpoints refuse an empty message; a reply of files alone makes one
        content: str | list[dict[str, Any]] = message.content
        if any(part["type"] != "text" for part in parts):
            content = [*parts, *([_text_part(message.content)] if message.content else [])]
        elif parts:  # many endpoints read parts from users alone
            content = "\n\n".join([*(part["text"] for part in parts), *filter(None, [message.content])])
        self.messages.append({"role": role, "content": content})

    def add_tool_round(self, calls: Iterable[dict[str, Any]], results: Iterable[dict[str, Any]]) -> None:
        made = list(calls)
        if made:
            self.messages.append({"role": "assistant", "content": None, "tool_calls": made})
        for result in results:
            call_id, content = result.get("tool_call_id", ""), result.get("content", "")
            self.messages.append({"role": "tool", "tool_call_id": call_id, "content": content})

    def _parts(self, attachment: Attachment, role: str) -> list[dict[str, Any]]:
        url = self._contents.get(attachment.url, attachment.url)
        if role == "user" and is_image(attachment):
            self._count(url)
            return [{"type": "image_url", "image_url": {"url": url}}]
        if attachment.parsed_content and not is_image(attachment):
            return [_text_part(f"[The attached file {attachment.name}:]\n{attachment.parsed_content}\n[End of file]")]
        if role == "user" and is_data_url(url):
            self._count(url)
            return [{"type": "file", "file": {"filename": attachment.name, "file_data": url}}]
        whose = (
            "is attached, but its content is not included here" if role == "user" else "was attached to this message"
        )
        return [_text_part(f"[The file {attachment.name} ({attachment.content_type}) {whose}.]")]

    def _count(self, url: str) -> None:
        self.attachments += 1
        self.attachment_characters += len(url)


def _text_part(text: str) -> dict[str, Any]:
    return {"type": "text", "text": text}


def _objects_in(text: str) -> list[dict[str, Any]]:
    """The objects of a JSON array: calls of tools, or their results, of an earlier turn. Empty if it is none."""
    try:
        values = json.loads(text)
    except (ValueError, RecursionError):
        return []
    if not isinstance(values, list):
        return []
    found = cast("list[object]", values)
    known = ("function", "custom", "tool_call_id")
    objects = [cast("dict[str, Any]", value) for value in found if isinstance(value, dict)]
    return objects if len(objects) == len(found) and all(any(key in each for key in known) for each in objects) else []
