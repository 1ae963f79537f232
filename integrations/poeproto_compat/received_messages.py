"""The events of a received reply as fastapi_poe's messages: `PartialResponse` with its flags, and `MetaResponse`."""

from __future__ import annotations

import json
from json.encoder import encode_basestring_ascii as quoted
from typing import Any, Final, TypeVar

from poeproto import Event, File, Json, Meta, ReplaceResponse, SuggestedReply, Text
from poeproto_compat.types import Attachment, MetaResponse, PartialResponse

R = TypeVar("R", bound=PartialResponse)

_META_FIELDS: Final = MetaResponse(text="").__dict__
_GIVEN_BY_TEXT: Final = frozenset({"text", "raw_response", "full_prompt", "is_replace_response", "index"})
_GIVEN_BY_SUGGESTION: Final = frozenset({"text", "raw_response", "full_prompt", "is_suggested_reply", "index"})


def message_of(event: Event, full_prompt: str) -> PartialResponse | None:
    """The message for an event; None for one that has none: the bot's own `data`, the end, and unknown events.

    A `raw_response` is the event's JSON, written anew as fastapi_poe's servers write it.

    Args:
        event: what was received.
        full_prompt: the query, for `PartialResponse.full_prompt`.
    """
    if type(event) is Text:  # nearly all are
        return _with_text("text", event, full_prompt, _GIVEN_BY_TEXT)
    match event:
        case ReplaceResponse():
            return _with_text("replace_response", event, full_prompt, _GIVEN_BY_TEXT)
        case SuggestedReply():
            return _with_text("suggested_reply", event, full_prompt, _GIVEN_BY_SUGGESTION)
        case File(url, name, content_type, inline_ref, index):
            attachment = Attachment(url=url, content_type=content_type, name=name, inline_ref=inline_ref)
            return PartialResponse(text="", attachment=attachment, index=index)
        case Json(data, index):
            return PartialResponse(text="", data=data, full_prompt=full_prompt, index=index)
        case Meta():
            return _meta(event, full_prompt)
        case _:
            return None


def _with_text(
    kind: str, event: Text | ReplaceResponse | SuggestedReply, full_prompt: str, given: frozenset[str]
) -> PartialResponse:
    text, index = event.text, event.index
    if index is None and not event.extra:
        payload = f'{{"text": {quoted(text)}}}'
    else:
        payload = json.dumps({"text": text, **({} if index is None else {"index": index}), **event.extra})
    fields: dict[str, Any] = {
        "text": text,
        "data": None,
        "raw_response": {"type": kind, "text": payload},
        "full_prompt": full_prompt,
        "request_id": None,
        "is_suggested_reply": kind == "suggested_reply",
        "is_replace_response": kind == "replace_response",
        "attachment": None,
        "tool_calls": [],
        "index": index,
    }
    return _built(PartialResponse, fields, given)


def _built(cls: type[R], fields: dict[str, Any], given: frozenset[str]) -> R:
    """A message without its constructor, whose checks would take most of the time of a reply."""
    message = cls.__new__(cls)
    object.__setattr__(message, "__dict__", fields)
    object.__setattr__(message, "_given", set(given))
    return message


def _meta(event: Meta, full_prompt: str) -> MetaResponse:
    raw: dict[str, Any] = {"content_type": event.content_type, "suggested_replies": event.suggested_replies}
    raw |= {} if event.linkify is None else {"linkify": event.linkify}
    raw |= {} if event.refetch_settings is None else {"refetch_settings": event.refetch_settings}
    given = {
        "text": "",
        "raw_response": raw | dict(event.extra),
        "full_prompt": full_prompt,
        "linkify": bool(event.linkify),
        "suggested_replies": event.suggested_replies,
        "content_type": event.content_type,  # of a later version perhaps, which the constructor would refuse
    }
    return _built(MetaResponse, {**_META_FIELDS, "tool_calls": [], **given}, frozenset(given))
