"""The events of a received reply as fastapi_poe's messages: `PartialResponse` with its flags, and `MetaResponse`."""

from __future__ import annotations

import json
from functools import cached_property
from json.encoder import encode_basestring_ascii as quoted
from typing import Any, Final, TypeVar

from poeproto import Event, File, Json, Meta, ReplaceResponse, SuggestedReply, Text
from poeproto_compat.model import set_fields, set_given
from poeproto_compat.types import Attachment, MetaResponse, PartialResponse, QueryRequest, set_reply

R = TypeVar("R", bound=PartialResponse)

_new = object.__new__
_set_attribute = object.__setattr__

_GIVEN_BY_TEXT: Final = frozenset({"text", "raw_response", "full_prompt", "is_replace_response", "index"})
_GIVEN_BY_SUGGESTION: Final = frozenset({"text", "raw_response", "full_prompt", "is_suggested_reply", "index"})


class ReceivedMessages:
    """Makes the messages of one reply.

    A `raw_response` is the event's JSON, encoded again as fastapi_poe's servers encode it.

    Args:
        request: the query, whose repr is `PartialResponse.full_prompt`.
    """

    def __init__(self, request: QueryRequest) -> None:
        self._request = request

    @cached_property
    def _full_prompt(self) -> str:
        # Made when a program reads it: for a long conversation, it takes as long as hundreds of events.
        return repr(self._request)

    @cached_property
    def _fields(self) -> dict[str, Any]:
        return {**PartialResponse(text="").__dict__, "full_prompt": self._full_prompt}

    def of_text(self, event: Text) -> PartialResponse:
        """The message for a text."""
        if event.index is not None or event.extra:
            return self._with_text("text", event, _GIVEN_BY_TEXT)
        # Fast path: the constructor, with its checks, would take longer than all else that is done for an event.
        message = _new(PartialResponse)
        _set_attribute(message, "text", event.text)
        set_reply(message, self)
        return message

    def complete(self, message: PartialResponse, fields: dict[str, Any]) -> None:
        """Add the other fields to a message of `of_text`."""
        text = fields["text"]
        raw = {"type": "text", "text": f'{{"text": {quoted(text)}}}'}
        fields.update(self._fields, text=text, raw_response=raw, tool_calls=[])
        set_given(message, set(_GIVEN_BY_TEXT))

    def of(self, event: Event) -> PartialResponse | None:
        """The message for an event; None for an event without a message: the bot's own `data`, the end, and unknown
        events.
        """
        match event:
            case Text():
                return self.of_text(event)
            case ReplaceResponse():
                return self._with_text("replace_response", event, _GIVEN_BY_TEXT, is_replace_response=True)
            case SuggestedReply():
                return self._with_text("suggested_reply", event, _GIVEN_BY_SUGGESTION, is_suggested_reply=True)
            case File(url, name, content_type, inline_ref, index):
                attachment = Attachment(url=url, content_type=content_type, name=name, inline_ref=inline_ref)
                return PartialResponse(text="", attachment=attachment, index=index)
            case Json(data, index):
                return PartialResponse(text="", data=data, full_prompt=self._full_prompt, index=index)
            case Meta():
                return self._of_meta(event)
            case _:
                return None

    def _with_text(
        self, kind: str, event: Text | ReplaceResponse | SuggestedReply, given: frozenset[str], **flags: bool
    ) -> PartialResponse:
        index: dict[str, Any] = {} if event.index is None else {"index": event.index}
        payload = json.dumps({"text": event.text, **index, **event.extra})
        own: dict[str, Any] = {
            "text": event.text,
            "raw_response": {"type": kind, "text": payload},
            "tool_calls": [],
            **index,
            **flags,
        }
        return _built(PartialResponse, {**self._fields, **own}, given)

    def _of_meta(self, event: Meta) -> MetaResponse:
        raw: dict[str, Any] = {"content_type": event.content_type, "suggested_replies": event.suggested_replies}
        raw |= {} if event.linkify is None else {"linkify": event.linkify}
        raw |= {} if event.refetch_settings is None else {"refetch_settings": event.refetch_settings}
        own = {
            "text": "",
            "raw_response": raw | dict(event.extra),
            "full_prompt": self._full_prompt,
            "linkify": bool(event.linkify),
            "suggested_replies": event.suggested_replies,
            "content_type": event.content_type,  # of a later version perhaps, which the constructor would refuse
        }
        return _built(MetaResponse, {**MetaResponse(text="").__dict__, **own}, frozenset(own))


def _built(cls: type[R], fields: dict[str, Any], given: frozenset[str]) -> R:
    message = _new(cls)
    set_fields(message, fields)
    set_given(message, set(given))
    return message
