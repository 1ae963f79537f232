"""The events of a reply, one class for each name.

They are made and read by the thousand, so their constructors check nothing: sending does. Any event may carry an
`index`, which tells several answers of one reply apart. Those that have no `extra` keys share one empty mapping.

https://creator.poe.com/docs/server-bots/poe-protocol-specification
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from itertools import repeat
from typing import Any

import attrs

from poeproto.vocabulary.field_types import NO_EXTRA
from poeproto.vocabulary.slot_defaults import prefilled

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

# Beyond it, readers elsewhere take neighbours for the same (RFC 8259, 6), and dicts here take time: as many of these
# integers as a peer likes share one hash.
LARGEST_INDEX = 2**53 - 1


def is_index(value: object) -> bool:
    """Whether a value from JSON can tell answers apart. A boolean or a string is no index."""
    return type(value) is int and -LARGEST_INDEX <= value <= LARGEST_INDEX


@prefilled
@attrs.frozen
class Meta:
    """How the reply is to be shown. Only as the first event.

    Attributes:
        content_type: "text/markdown" or "text/plain".
        suggested_replies: whether Poe is to suggest replies of its own.
        linkify: whether Poe is to turn words into links (deprecated).
        refetch_settings: whether Poe is to fetch the bot's settings again.
        index: which answer it belongs to.
        extra: keys this version does not know.
    """

    content_type: str = "text/markdown"
    suggested_replies: bool = False
    linkify: bool | None = None
    refetch_settings: bool | None = None
    index: int | None = None
    extra: Mapping[str, Any] = attrs.field(default=NO_EXTRA, kw_only=True, hash=False)


@prefilled
@attrs.frozen(init=False)
class Text:
    """Text to append to the answer.

    Attributes:
        text: the piece.
        index: which answer it belongs to.
        extra: keys this version does not know.
    """

    text: str
    index: int | None = None
    extra: Mapping[str, Any] = attrs.field(default=NO_EXTRA, kw_only=True, hash=False)

    # The constructor attrs would write looks each slot up by its name; nearly every event is one of these.
    def __init__(self, text: str, index: int | None = None, *, extra: Mapping[str, Any] = NO_EXTRA) -> None:
        _put_text(self, text)
        _put_index(self, index)
        _put_extra(self, extra)


_put_text, _put_index, _put_extra = (getattr(Text, field.name).__set__ for field in attrs.fields(Text))
_run_through = deque[None](maxlen=0).extend


def make_texts(strings: list[str]) -> list[Text]:
    """As many events, all else in them left as it is by default.

    Many take two thirds of the time when they are made field by field, without a step of Python for any of them.
    """
    if len(strings) < 8:
        return [Text(text) for text in strings]
    events = list(map(Text.__new__, repeat(Text, len(strings))))
    _run_through(map(_put_text, events, strings))
    _run_through(map(_put_index, events, repeat(None)))
    _run_through(map(_put_extra, events, repeat(NO_EXTRA)))
    return events


@prefilled
@attrs.frozen
class ReplaceResponse:
    """Text that takes the place of all text of the answer so far.

    Attributes:
        text: the new text.
        index: which answer it belongs to.
        extra: keys this version does not know.
    """

    text: str
    index: int | None = None
    extra: Mapping[str, Any] = attrs.field(default=NO_EXTRA, kw_only=True, hash=False)


@prefilled
@attrs.frozen
class SuggestedReply:
    """A reply the user may send with one press.

    Attributes:
        text: the reply.
        index: which answer it belongs to.
        extra: keys this version does not know.
    """

    text: str
    index: int | None = None
    extra: Mapping[str, Any] = attrs.field(default=NO_EXTRA, kw_only=True, hash=False)


@prefilled
@attrs.frozen
class File:
    """A file that belongs to the answer; at most 20 a reply.

    Attributes:
        url: where it can be fetched.
        name: its file name.
        content_type: its media type.
        inline_ref: the label under which the text refers to it; None when it does not.
        index: which answer it belongs to.
        extra: keys this version does not know.
    """

    url: str
    name: str
    content_type: str
    inline_ref: str | None = None
    index: int | None = None
    extra: Mapping[str, Any] = attrs.field(default=NO_EXTRA, kw_only=True, hash=False)


@prefilled
@attrs.frozen
class Data:
    """What the bot wants to find again as `Message.metadata` of this reply; the last one wins.

    Attributes:
        metadata: any string.
        index: which answer it belongs to.
        extra: keys this version does not know.
    """

    metadata: str
    index: int | None = None
    extra: Mapping[str, Any] = attrs.field(default=NO_EXTRA, kw_only=True, hash=False)


@attrs.frozen
class Json:
    """A JSON object as it stands: OpenAI chat completion chunks with tool calls, usually.

    Attributes:
        data: the object. An `index` travels inside it, so an index under that key and the attribute are one.
        index: which answer it belongs to.
    """

    data: dict[str, Any]
    index: int | None = None

    def __attrs_post_init__(self) -> None:
        if not isinstance(self.data, dict):  # pyright: ignore[reportUnnecessaryIsInstance]
            return  # as for every event, sending says so
        inside = self.data.get("index")
        if self.index is not None:
            object.__setattr__(self, "data", {**self.data, "index": self.index})
        elif is_index(inside):
            object.__setattr__(self, "index", inside)


@prefilled
@attrs.frozen
class Error:
    """The bot failed. It ends the whole reply, whatever its index; only `done` may follow.

    Attributes:
        allow_retry: whether the user may try again.
        text: what went wrong; the user may see it.
        raw_response: what a model underneath said; any JSON.
        error_type: "user_message_too_long", "insufficient_fund", "user_caused_error" or
            "privacy_authorization_error" (open).
        index: which answer it came from.
        extra: keys this version does not know.
    """

    allow_retry: bool = True
    text: str | None = None
    raw_response: Any = None
    error_type: str | None = None
    index: int | None = None
    extra: Mapping[str, Any] = attrs.field(default=NO_EXTRA, kw_only=True, hash=False)


@prefilled
@attrs.frozen
class Done:
    """The reply is complete.

    Attributes:
        index: tolerated, without meaning.
        extra: keys this version does not know.
    """

    index: int | None = None
    extra: Mapping[str, Any] = attrs.field(default=NO_EXTRA, kw_only=True, hash=False)


@attrs.frozen
class UnknownEvent:
    """An event of a name this version does not know; readers pass over it, and `BotExchange.send` refuses it.

    Attributes:
        event: the name.
        data: the payload as it came, which need not be JSON.
        index: always None, since the payload is not read.
    """

    event: str
    data: str
    index: None = attrs.field(default=None, init=False)


Event = Meta | Text | ReplaceResponse | SuggestedReply | File | Data | Json | Error | Done | UnknownEvent

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
