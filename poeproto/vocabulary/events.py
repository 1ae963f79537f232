"""The events of a reply, one class for each event name.

A reply has thousands of events, so their constructors check nothing; `BotExchange.send` does. Any event may have an
`index`: the answer it belongs to, where a reply has several. Events without `extra` keys share one empty mapping.

https://creator.poe.com/docs/server-bots/poe-protocol-specification
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

from poeproto.vocabulary.field_types import ADVICE, NO_EXTRA, as_integer, explain_frozen
from poeproto.vocabulary.struct_values import struct_value

__all__ = [
    "Data",
    "Done",
    "Error",
    "Event",
    "File",
    "Json",
    "Meta",
    "ReplaceResponse",
    "SuggestedReply",
    "Text",
    "UnknownEvent",
]

# Beyond this, other readers cannot tell neighbouring integers apart (RFC 8259, 6). It also keeps a peer from choosing
# many integers of one hash, which would make our dicts slow.
LARGEST_INDEX = 2**53 - 1


def is_index(value: object) -> bool:
    """Whether a value from JSON is an index: an integer within ±`LARGEST_INDEX`. A boolean is not."""
    return type(value) is int and -LARGEST_INDEX <= value <= LARGEST_INDEX


@struct_value
@explain_frozen
@attrs.frozen
class Meta:
    """How Poe shows the reply. It must be the first event.

    Attributes:
        content_type: "text/markdown" or "text/plain".
        suggested_replies: whether Poe suggests replies of its own.
        linkify: whether Poe turns words into links (deprecated).
        refetch_settings: whether Poe fetches the bot's settings again.
        index: which answer it belongs to.
        extra: unknown keys.
    """

    content_type: str = "text/markdown"
    suggested_replies: bool = False
    linkify: bool | None = None
    refetch_settings: bool | None = None
    index: int | None = None
    extra: Mapping[str, Any] = attrs.field(default=NO_EXTRA, kw_only=True, hash=False)


@struct_value
@explain_frozen
@attrs.frozen
class Text:
    """Text to append to the answer.

    Attributes:
        text: the piece.
        index: which answer it belongs to.
        extra: unknown keys.
    """

    text: str
    index: int | None = None
    extra: Mapping[str, Any] = attrs.field(default=NO_EXTRA, kw_only=True, hash=False)


@struct_value
@explain_frozen
@attrs.frozen
class ReplaceResponse:
    """Text that replaces all text of the answer so far.

    Attributes:
        text: the new text.
        index: which answer it belongs to.
        extra: unknown keys.
    """

    text: str
    index: int | None = None
    extra: Mapping[str, Any] = attrs.field(default=NO_EXTRA, kw_only=True, hash=False)


@struct_value
@explain_frozen
@attrs.frozen
class SuggestedReply:
    """A reply that the user can send with one click.

    Attributes:
        text: the reply.
        index: which answer it belongs to.
        extra: unknown keys.
    """

    text: str
    index: int | None = None
    extra: Mapping[str, Any] = attrs.field(default=NO_EXTRA, kw_only=True, hash=False)


@struct_value
@explain_frozen
@attrs.frozen
class File:
    """A file of the answer. A reply has at most 20 (`Limits.files`).

    Attributes:
        url: the URL to fetch it from.
        name: its file name.
        content_type: its media type.
        inline_ref: the label by which the text refers to it, if it does.
        index: which answer it belongs to.
        extra: unknown keys.
    """

    url: str
    name: str
    content_type: str
    inline_ref: str | None = None
    index: int | None = None
    extra: Mapping[str, Any] = attrs.field(default=NO_EXTRA, kw_only=True, hash=False)


@struct_value
@explain_frozen
@attrs.frozen
class Data:
    """A string that later queries have as `Message.metadata` of this reply. The last `data` event counts.

    Attributes:
        metadata: any string.
        index: which answer it belongs to.
        extra: unknown keys.
    """

    metadata: str
    index: int | None = None
    extra: Mapping[str, Any] = attrs.field(default=NO_EXTRA, kw_only=True, hash=False)


@explain_frozen
@attrs.frozen
class Json:
    """A JSON object: usually an OpenAI chat completion chunk with tool calls.

    Attributes:
        data: the object. It holds the index under the key ``index``.
        index: which answer it belongs to; the same as ``data["index"]``.
    """

    data: dict[str, Any]
    index: int | None = None

    def __attrs_post_init__(self) -> None:
        if not isinstance(self.data, dict):  # pyright: ignore[reportUnnecessaryIsInstance]
            return  # sending refuses it
        inside = as_integer(self.data.get("index"))
        if self.index is not None:
            object.__setattr__(self, "data", {**self.data, "index": self.index})
        elif is_index(inside):
            object.__setattr__(self, "index", inside)


@struct_value
@explain_frozen
@attrs.frozen
class Error:
    """The bot failed. This ends the whole reply, whatever the index; only `done` may follow.

    Attributes:
        allow_retry: whether the user may retry.
        text: the error message; the user may see it.
        raw_response: the response of a model or service that the bot called; any JSON.
        error_type: "user_message_too_long", "insufficient_fund", "user_caused_error" or
            "privacy_authorization_error" (open).
        index: which answer failed.
        extra: unknown keys.
    """

    allow_retry: bool = attrs.field(default=True, metadata={ADVICE: "write Error(text=...) for its text"})
    text: str | None = None
    raw_response: Any = None
    error_type: str | None = None
    index: int | None = None
    extra: Mapping[str, Any] = attrs.field(default=NO_EXTRA, kw_only=True, hash=False)


@struct_value
@explain_frozen
@attrs.frozen
class Done:
    """The reply is complete.

    Attributes:
        index: ignored.
        extra: unknown keys.
    """

    index: int | None = None
    extra: Mapping[str, Any] = attrs.field(default=NO_EXTRA, kw_only=True, hash=False)


@explain_frozen
@attrs.frozen
class UnknownEvent:
    """An event of an unknown name. Readers ignore it, and `BotExchange.send` refuses it.

    Attributes:
        event: the name.
        data: the payload as received, not necessarily JSON.
        index: always None: the payload is not parsed.
    """

    event: str
    data: str
    index: None = attrs.field(default=None, init=False)


Event = Meta | Text | ReplaceResponse | SuggestedReply | File | Data | Json | Error | Done | UnknownEvent
"""Any event of a bot's reply."""

EVENT_CLASSES: Mapping[str, type[Event]] = {
    "meta": Meta,
    "text": Text,
    "replace_response": ReplaceResponse,
    "suggested_reply": SuggestedReply,
    "file": File,
    "data": Data,
    "json": Json,
    "error": Error,
    "done": Done,
}
