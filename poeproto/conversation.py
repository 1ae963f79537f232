"""Preparing a conversation for a model or another bot: attachments as messages, alternating roles, nothing unspecified.

These are pure functions: they return new values and change none.

https://creator.poe.com/docs/server-bots/server-bots-functional-guides
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from itertools import groupby
from typing import Any, TypeVar, cast

import attrs

from poeproto.lint.known_values import OPEN_SETS
from poeproto.vocabulary.errors import InvalidValue
from poeproto.vocabulary.field_types import NO_EXTRA, checked
from poeproto.vocabulary.messages import Attachment, Feedback, Message
from poeproto.vocabulary.requests import QueryRequest

__all__ = ["AttachmentTemplates", "alternate_roles", "insert_attachments", "reduce_to_specification"]

T = TypeVar("T")

_PLACEHOLDER = re.compile(r"\{(name|content)\}")
# Separates the file name and the description in Poe's parsed content of an image.
_IMAGE_SEPARATOR = "***"


@checked
@attrs.frozen(kw_only=True)
class AttachmentTemplates:
    """Templates of the messages that hold the content of attachments.

    ``{name}`` and ``{content}`` are replaced by the attachment's. Other braces, in the template or in the content, are
    text.

    Attributes:
        text: for text and PDF files.
        url: for web pages.
        image: for images, whose content is a description.

    Raises:
        TypeError: for a template that is not a string.
        InvalidValue: for a template without ``{content}``.
    """

    text: str = "The user attached the file {name}. This is its content:\n\n{content}"
    url: str = "The user attached the web page {name}. This is its content, to be used in your answer:\n\n{content}"
    image: str = (
        "The user attached the image {name}. You cannot see it, but this is what it shows:\n\n"
        "{content}\n\n"
        "Answer as if you had looked at it, in the language of the next message, without a word about this description."
    )

    def __attrs_post_init__(self) -> None:
        for field in attrs.fields(type(self)):
            template = getattr(self, field.name)
            if isinstance(template, str) and "{content}" not in template:
                raise InvalidValue("the template does not contain {content}", path=field.name)


_DEFAULT_TEMPLATES = AttachmentTemplates()


def insert_attachments(request: QueryRequest, templates: AttachmentTemplates = _DEFAULT_TEMPLATES) -> QueryRequest:
    """The query with the parsed content of the last message's attachments inserted as messages.

    They are user messages, inserted before the last message: first texts and web pages, then images. The last message
    keeps its attachments. https://creator.poe.com/docs/server-bots/server-bots-functional-guides
    """
    if not request.query:
        return request
    *before, last = request.query
    texts: list[Message] = []
    images: list[Message] = []
    for attachment in last.attachments:
        content = attachment.parsed_content
        if content:
            # RFC 9110, 8.3.1: types are case-insensitive, and parameters may follow.
            media_type = attachment.content_type.partition(";")[0].strip().lower()
            if media_type == "text/html":
                texts.append(_filled(templates.url, attachment.name, content))
            elif media_type.startswith("text/") or media_type == "application/pdf":
                texts.append(_filled(templates.text, attachment.name, content))
            elif media_type.startswith("image/"):
                images.append(_filled(templates.image, *_name_and_description(attachment, content)))
    if not (texts or images):
        return request
    return attrs.evolve(request, query=[*before, *texts, *images, last])


def _name_and_description(attachment: Attachment, content: str) -> tuple[str, str]:
    name, separator, description = content.partition(_IMAGE_SEPARATOR)
    return (name, description) if separator else (attachment.name, content)


def _filled(template: str, name: str, content: str) -> Message:
    # In one pass, so that a name that looks like a placeholder is not replaced.
    values = {"name": name, "content": content}
    return Message("user", _PLACEHOLDER.sub(lambda found: values[found[1]], template))


def alternate_roles(messages: Iterable[Message]) -> list[Message]:
    """The messages with consecutive messages of one role merged, for models that require alternating roles.

    Contents are joined by a blank line; empty ones are left out. Attachments are merged by URL, feedback and reactions
    concatenated, all in order. Parameters, metadata and the referenced message are those of the last message that has
    any. Every other field is the last message's; of an unknown key the last value is kept.
    """
    return [_merged(list(run)) for _, run in groupby(messages, key=lambda message: message.role)]


def _merged(run: list[Message]) -> Message:
    if len(run) == 1:
        return run[0]
    attachments: dict[str, Attachment] = {}
    for message in run:
        for attachment in message.attachments:
            attachments.setdefault(attachment.url, attachment)
    return attrs.evolve(
        run[-1],
        content="\n\n".join(message.content for message in run if message.content),
        attachments=list(attachments.values()),
        feedback=[feedback for message in run for feedback in message.feedback],
        reactions=[reaction for message in run for reaction in message.reactions],
        parameters=_last(run, lambda message: message.parameters),
        metadata=_last(run, lambda message: message.metadata),
        referenced_message=_last(run, lambda message: message.referenced_message),
        extra={key: value for message in run for key, value in message.extra.items()},
    )


def _last(run: list[Message], of: Callable[[Message], T]) -> T:
    return next((of(message) for message in reversed(run) if of(message)), of(run[-1]))


# Roles of other interfaces, by the role of the specification. A role that is in neither becomes "user", which a bot
# trusts least.
_ROLES = {"assistant": "bot", "developer": "system", "function": "tool", "model": "bot"}


def reduce_to_specification(request: QueryRequest) -> QueryRequest:
    """The query without the values and keys that the specification does not have, for forwarding to a strict server.

    By default a query is forwarded as it was received, with whatever a later version of the protocol has added. Some
    servers answer such a query with status 500; fastapi_poe's do. An unknown role becomes "user" (or the role that is
    meant, as "bot" for "assistant"), an unknown content type "text/plain", an unknown message type None. Feedback of an
    unknown type, tools and calls of another type than "function", the results of those calls, and unknown keys are
    removed.
    """
    tools = [tool for tool in request.tools or () if tool.type == "function" and tool.function is not None]
    calls = [call for call in request.tool_calls or () if call.type == "function" and call.function is not None]
    removed = {call.id for call in request.tool_calls or ()} - {call.id for call in calls}
    results = [result for result in request.tool_results or () if result.tool_call_id not in removed]
    reduced = attrs.evolve(
        request,
        query=[_specified_message(message) for message in request.query],
        tools=None if request.tools is None else tools,
        tool_calls=None if request.tool_calls is None else calls,
        tool_results=None if request.tool_results is None else results,
    )
    return _without_extra(reduced)


def _specified_message(message: Message) -> Message:
    referenced = message.referenced_message
    specified = OPEN_SETS[Message, "role"]
    return attrs.evolve(
        message,
        role=message.role if message.role in specified else _ROLES.get(message.role, "user"),
        content_type=message.content_type
        if message.content_type in OPEN_SETS[Message, "content_type"]
        else "text/plain",
        message_type=message.message_type if message.message_type in OPEN_SETS[Message, "message_type"] else None,
        feedback=[each for each in message.feedback if each.type in OPEN_SETS[Feedback, "type"]],
        referenced_message=None if referenced is None else _specified_message(referenced),
    )


def _without_extra(value: T) -> T:
    """The value without unknown keys, at any depth."""
    if isinstance(value, list):
        return cast("T", [_without_extra(item) for item in cast("list[object]", value)])
    if not attrs.has(cast("type[Any]", type(value))):
        return value
    names = [field.name for field in attrs.fields(type(value)) if field.name != "extra"]
    return attrs.evolve(value, **{name: _without_extra(getattr(value, name)) for name in names}, extra=NO_EXTRA)
