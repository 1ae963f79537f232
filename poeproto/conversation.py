"""A conversation made ready for a model: attachments put into words, and roles that alternate.

Both are pure functions of the values a bot was given, and change nothing in place.

https://creator.poe.com/docs/server-bots/server-bots-functional-guides
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from itertools import groupby
from typing import TypeVar

import attrs

from poeproto.vocabulary.errors import InvalidValue
from poeproto.vocabulary.field_types import checked
from poeproto.vocabulary.messages import Attachment, Message
from poeproto.vocabulary.requests import QueryRequest

__all__ = ["AttachmentTemplates", "alternate_roles", "insert_attachments"]

T = TypeVar("T")

_PLACEHOLDER = re.compile(r"\{(name|content)\}")
# Between the file name and the description in what Poe writes about an image.
_IMAGE_SEPARATOR = "***"


@checked
@attrs.frozen(kw_only=True)
class AttachmentTemplates:
    """How the content of attachments is put into messages.

    ``{name}`` and ``{content}`` stand for the attachment's; other braces, in the template or in what is filled in, are
    just text.

    Attributes:
        text: for text and PDF files.
        url: for web pages.
        image: for images, whose content is a description.

    Raises:
        TypeError: for a template that is no string.
        InvalidValue: for one without ``{content}``.
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
                raise InvalidValue("the template has no place for {content}", path=field.name)


_DEFAULT_TEMPLATES = AttachmentTemplates()


def insert_attachments(request: QueryRequest, templates: AttachmentTemplates = _DEFAULT_TEMPLATES) -> QueryRequest:
    """The query with what Poe parsed of the last message's attachments in messages of their own.

    They are the user's, and stand before the last message: first those of text and web pages, then those of images. The
    last message keeps its attachments. https://creator.poe.com/docs/server-bots/server-bots-functional-guides
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
    # In one pass, so that a name which looks like a placeholder stays a name.
    values = {"name": name, "content": content}
    return Message("user", _PLACEHOLDER.sub(lambda found: values[found[1]], template))


def alternate_roles(messages: Iterable[Message]) -> list[Message]:
    """The messages with each run of one role made one, as models want them that insist on alternation.

    The contents are joined by a blank line, empty ones left out. Attachments are united by URL, feedback and reactions
    follow each other, all in the order of their appearance. Parameters, metadata and the referenced message are those
    of the last message that has any. Everything else is the last message's; of unknown keys, the later value wins.
    """
    return [_united(list(run)) for _, run in groupby(messages, key=lambda message: message.role)]


def _united(run: list[Message]) -> Message:
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
