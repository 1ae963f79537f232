"""The events of a reply as server-sent records, as fastapi_poe's helpers make them.

`events_of` says which records a response that a bot yields becomes.
https://creator.poe.com/docs/server-bots/poe-protocol-specification
"""

from __future__ import annotations

import json
import re
from typing import Any, cast

from poeproto_compat.types import ContentType, DataResponse, ErrorResponse, MetaResponse, PartialResponse

__all__ = ["ServerSentEvent"]

_LINE_END = re.compile(r"\r\n|\r|\n")


class ServerSentEvent:
    """One record of an event stream, with the attributes that sse_starlette's class of this name has.

    https://html.spec.whatwg.org/multipage/server-sent-events.html

    Attributes:
        data: the payload; the helpers of `PoeBot` put JSON there.
        event: the name of the event.
        id: the record's id, which Poe ignores.
        retry: a delay in milliseconds, which Poe ignores.
        comment: a comment.
    """

    def __init__(
        self,
        data: Any = None,
        *,
        event: str | None = None,
        id: str | None = None,
        retry: int | None = None,
        comment: str | None = None,
        sep: str | None = None,
    ) -> None:
        self.data = data
        self.event = event
        self.id = id
        self.retry = retry
        self.comment = comment
        self._separator = sep or "\r\n"

    def encode(self) -> bytes:
        """The record as bytes. A value of several lines has several lines here."""
        lines = [f": {line}" for line in self._lines(self.comment)]
        for name, value in (("id", self.id), ("event", self.event)):
            if value is not None:
                lines.append(f"{name}: {_LINE_END.sub('', value)}")
        lines += [f"data: {line}" for line in self._lines(self.data)]
        if self.retry is not None:
            lines.append(f"retry: {self.retry}")
        return "".join(line + self._separator for line in [*lines, ""]).encode()

    @staticmethod
    def _lines(value: Any) -> list[str]:
        return [] if value is None else _LINE_END.split(str(value))

    def __repr__(self) -> str:
        return f"ServerSentEvent(event={self.event!r}, data={self.data!r})"


def text_event(text: str) -> ServerSentEvent:
    """A `text` event: text to append to the answer."""
    return _event("text", {"text": text})


def replace_response_event(text: str) -> ServerSentEvent:
    """A `replace_response` event: text that replaces all text of the answer so far."""
    return _event("replace_response", {"text": text})


def suggested_reply_event(text: str) -> ServerSentEvent:
    """A `suggested_reply` event: a reply that the user can send with one click."""
    return _event("suggested_reply", {"text": text})


def file_event(url: str, content_type: str, name: str, inline_ref: str | None = None) -> ServerSentEvent:
    """A `file` event: a file of the answer.

    Args:
        url: the URL to fetch it from.
        content_type: its media type.
        name: its file name.
        inline_ref: the label by which the text refers to it, if it does.
    """
    return _event("file", {"url": url, "content_type": content_type, "name": name, "inline_ref": inline_ref})


def data_event(metadata: str) -> ServerSentEvent:
    """A `data` event: a string that later queries have as the metadata of this reply."""
    return _event("data", {"metadata": metadata})


def meta_event(
    *,
    content_type: ContentType = "text/markdown",
    refetch_settings: bool = False,
    linkify: bool = True,
    suggested_replies: bool = False,
) -> ServerSentEvent:
    """A `meta` event: how Poe shows the reply. It must be the first event. Arguments as of `MetaResponse`."""
    payload = {
        "content_type": content_type,
        "refetch_settings": refetch_settings,
        "linkify": linkify,
        "suggested_replies": suggested_replies,
    }
    return _event("meta", payload)


def error_event(
    text: str | None = None,
    *,
    raw_response: object = None,
    allow_retry: bool = True,
    error_type: str | None = None,
) -> ServerSentEvent:
    """An `error` event, which ends the reply.

    Args:
        text: the message; the user may see it.
        raw_response: the answer of a model or service; its repr is sent.
        allow_retry: whether the user may retry.
        error_type: one of the protocol's error types.
    """
    payload: dict[str, object] = {"allow_retry": allow_retry}
    if text is not None:
        payload["text"] = text
    if raw_response is not None:
        payload["raw_response"] = repr(raw_response)
    if error_type is not None:
        payload["error_type"] = error_type
    return _event("error", payload)


def done_event() -> ServerSentEvent:
    """A `done` event: the reply is complete. The server sends one by itself."""
    return _event("done", {})


def _event(name: str, payload: dict[str, Any]) -> ServerSentEvent:
    return ServerSentEvent(json.dumps(payload), event=name)


def events_of(response: object) -> list[ServerSentEvent]:
    """The records that a response becomes, which a bot has yielded.

    As in fastapi_poe, a file is sent before the text beside it, and of a `PartialResponse` only `text`, `attachment`
    and the two flags are sent.

    Args:
        response: a response of `poeproto_compat.types`, or a record of this module or of sse_starlette.

    Raises:
        TypeError: for anything else.
    """
    events: list[ServerSentEvent] = []
    if isinstance(response, PartialResponse):
        if response.attachment:
            file = response.attachment
            events.append(file_event(file.url, file.content_type, file.name, file.inline_ref))
        events.append(_event_beside_file(response))
    elif isinstance(response, DataResponse):
        events.append(data_event(response.metadata))
    elif isinstance(response, ServerSentEvent) or (hasattr(response, "event") and hasattr(response, "data")):
        events.append(cast("ServerSentEvent", response))
    else:
        raise TypeError(
            f"get_response yielded {response!r:.100}; expected a PartialResponse, MetaResponse, DataResponse,"
            " ErrorResponse or ServerSentEvent, such as fp.PartialResponse(text=...)"
        )
    return events


def _event_beside_file(response: PartialResponse) -> ServerSentEvent:
    if isinstance(response, ErrorResponse):
        return error_event(
            response.text,
            raw_response=response.raw_response,
            allow_retry=response.allow_retry,
            error_type=response.error_type,
        )
    if isinstance(response, MetaResponse):
        return meta_event(
            content_type=response.content_type,
            refetch_settings=response.refetch_settings,
            linkify=response.linkify,
            suggested_replies=response.suggested_replies,
        )
    if response.is_suggested_reply:
        return suggested_reply_event(response.text)
    return replace_response_event(response.text) if response.is_replace_response else text_event(response.text)
