"""The events of a received reply as fastapi_poe's messages: `PartialResponse` with its flags, and `MetaResponse`."""

from __future__ import annotations

import json
from collections.abc import Callable
from json.encoder import encode_basestring_ascii as quoted
from typing import Any, Final, TypeVar

from poeproto import Event, File, Json, Meta, ReplaceResponse, SuggestedReply, Text
from poeproto_compat.model import Model
from poeproto_compat.types import Attachment, MetaResponse, PartialResponse

R = TypeVar("R", bound=PartialResponse)

_new = object.__new__
_set_fields: Final = Model.__dict__["__dict__"].__set__
_set_given: Final = Model.__dict__["_given"].__set__

_GIVEN_BY_TEXT: Final = frozenset({"text", "raw_response", "full_prompt", "is_replace_response", "index"})
_GIVEN_BY_SUGGESTION: Final = frozenset({"text", "raw_response", "full_prompt", "is_suggested_reply", "index"})


class ReceivedMessages:
    """Makes the messages of one reply.

    A `raw_response` is the event's JSON, written anew as fastapi_poe's servers write it.

    Args:
        full_prompt: the query, for `PartialResponse.full_prompt`.

    Attributes:
        of_text: the message for a text; nearly all events are texts.
    """

    def __init__(self, full_prompt: str) -> None:
        self._full_prompt = full_prompt
        # A new dict, since the copy of an object's own one would take longer.
        self._fields = dict(PartialResponse(text="", full_prompt=full_prompt).__dict__.items())
        self.of_text = self._maker_of_texts()

    def _maker_of_texts(self) -> Callable[[Text], PartialResponse]:
        # The constructor, with its checks, would take more time than everything else that is done for an event. So the
        # fields are copied, and what differs is set.
        new, copy, quote, set_fields, with_keys = _new, self._fields.copy, quoted, _set_fields, self._with_text

        def of_text(event: Text) -> PartialResponse:
            if event.index is not None or event.extra:
                return with_keys("text", event, _GIVEN_BY_TEXT)
            text = event.text
            fields = copy()
            fields["text"] = text
            fields["raw_response"] = {"type": "text", "text": f'{{"text": {quote(text)}}}'}
            fields["tool_calls"] = []
            message = new(PartialResponse)
            set_fields(message, fields)
            return message  # PartialResponse.__getattr__ makes the set of the fields given, if it is asked for

        return of_text

    def of(self, event: Event) -> PartialResponse | None:
        """The message for an event; None for one that has none: the bot's own `data`, the end, and unknown events."""
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
    _set_fields(message, fields)
    _set_given(message, set(given))
    return message
