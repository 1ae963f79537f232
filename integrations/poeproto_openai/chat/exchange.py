"""The chat exchange: a Poe reply as the chunks of a chat completion, or as one response.

**Fast path.** Nearly every event is a text without an index. Its record on Poe's wire and its chunk differ only in the
bytes around the JSON string, and a JSON string contains no line end. So a run of texts, which `BotExchange.send_texts`
has encoded in one call, becomes a run of chunks by replacing the bytes between two strings.

https://platform.openai.com/docs/api-reference/chat-streaming
"""

from __future__ import annotations

from typing import Any, Literal

import attrs

from poeproto import (
    Data,
    Event,
    File,
    HttpResponse,
    Json,
    Limits,
    Meta,
    ReplaceResponse,
    SuggestedReply,
    Text,
)
from poeproto.flows import delta_text
from poeproto.markdown import markdown_image, markdown_link
from poeproto_openai.api_error import ApiError
from poeproto_openai.chat.request import ChatRequest
from poeproto_openai.chat.tool_calls import ToolCallNormalizer
from poeproto_openai.chat.usage import CountTokens, UsageSource, estimated_usage
from poeproto_openai.json_bytes import json_bytes
from poeproto_openai.reply_exchange import BETWEEN_RECORDS, RECORD_BEGIN, RECORD_END, ReplyExchange

__all__ = ["ChatExchange", "Choice", "OnReplace", "ReplyOptions"]

# How a stream handles a `replace_response` whose text does not extend the text already sent: send the new text after
# the old one, or hold all text of the reply until its end.
OnReplace = Literal["append", "hold"]

_DONE = b"data: [DONE]\n\n"
_SEPARATOR = "\n\n"
_FINISH_REASONS = ("length", "content_filter")


@attrs.frozen(kw_only=True)
class ReplyOptions:
    """How replies are written.

    Attributes:
        on_replace: what a stream does with a replacement that it cannot express.
        usage: where the usage comes from; none by default, because Poe knows points and not tokens.
        count_tokens: counts the tokens of a text, for an estimate.
        reasoning: whether reasoning is sent to clients that do not ask for it.
    """

    on_replace: OnReplace = "append"
    usage: UsageSource = "none"
    count_tokens: CountTokens | None = None
    reasoning: bool = False


@attrs.define
class Choice:
    """One answer of the reply.

    Attributes:
        number: its index among the choices.
        parts: its text so far, without the links of files.
        links: the links of its files.
        content: the content of a whole message: the text with the links where they came.
        calls: its tool calls.
        started: whether a chunk of it was written.
        separated: whether a separator is due before the next text.
    """

    number: int
    calls: ToolCallNormalizer
    parts: list[str] = attrs.field(factory=list[str])
    links: list[str] = attrs.field(factory=list[str])
    content: list[str] = attrs.field(factory=list[str])
    reasoning: list[str] = attrs.field(factory=list[str])
    images: list[dict[str, Any]] = attrs.field(factory=list[dict[str, Any]])
    started: bool = False
    separated: bool = False


class ChatExchange(ReplyExchange):
    """A request for a chat completion, and the reply to it.

    Args:
        request: the request.
        options: how the reply is written.
        limits: the bounds of the reply.
        request_id: is sent as ``x-request-id``, and makes the completion's id.
        created: when the reply began, in seconds since the epoch.
    """

    def __init__(
        self, request: ChatRequest, options: ReplyOptions, limits: Limits, request_id: str, created: int
    ) -> None:
        super().__init__(request.query, request.model, limits, request_id)
        self._chat = request
        self._options = options
        self._reasoning = options.reasoning or request.include_reasoning
        self._holds = not request.stream or options.on_replace == "hold"
        self._id = request_id
        self._choices: dict[int, Choice] = {}
        self._only: Choice | None = None  # the choice of texts without an index, while the fast path may write it
        self._usage: dict[str, Any] | None = None
        self._poe: dict[str, Any] = {}
        kind = "chat.completion.chunk" if request.stream else "chat.completion"
        self._envelope = {"id": f"chatcmpl-{request_id}", "object": kind, "created": created, "model": request.model}
        chunk = self._chunk(0, {"content": ""})
        self._begin, self._end = chunk.split(b'"content":""')
        self._begin += b'"content":'
        self._between = self._end + self._begin

    # --- texts

    def write_texts(self, texts: list[str], records: bytes) -> bytes:
        """The chunks of texts without an index, one for each."""
        choice = self._only
        if choice is None:
            return self._write_first_texts(texts)
        choice.parts += texts
        strings = records[len(RECORD_BEGIN) : -len(RECORD_END)]
        if len(texts) > 1:
            strings = strings.replace(BETWEEN_RECORDS, self._between)
        return self._begin + strings + self._end

    def _write_first_texts(self, texts: list[str]) -> bytes:
        choice = self._choice(None)
        if self._holds and not choice.separated:
            choice.parts += texts
            choice.content += texts
            return self.write_keepalive()
        data = b"".join([self._text(choice, text) for text in texts])
        if choice.number == 0 and choice.started and not choice.separated and not self._holds:
            self._only = choice
        return data

    def _text(self, choice: Choice, text: str) -> bytes:
        choice.parts.append(text)
        if choice.separated and text:
            choice.separated = False
            text = _SEPARATOR + text
        return self._content(choice, text)

    def _content(self, choice: Choice, text: str, more: dict[str, Any] | None = None, **chunk: Any) -> bytes:
        """The chunk of a part of the content; `more` are other keys of its delta, and `chunk` of the chunk."""
        if self._holds:
            choice.content.append(text)
            return self.write_keepalive()  # the client sees that there is progress
        return self._delta(choice, {"content": text, **(more or {})}, **chunk)

    def _replace(self, choice: Choice, text: str) -> bytes:
        before = "".join(choice.parts)
        choice.parts = [text]
        self._only = None
        if self._holds:
            choice.content = [text, *choice.links]
            choice.separated = bool(choice.links)
            return self.write_keepalive()
        if text.startswith(before):
            choice.parts = [before]
            return self._text(choice, text[len(before) :])
        choice.separated = choice.started
        content = text
        if choice.separated and text:
            choice.separated = False
            content = _SEPARATOR + text
        return self._content(choice, content, poe={"replace_response": text})

    # --- other events

    def write_event(self, event: Event) -> bytes:
        """The chunks of any other event."""
        match event:
            case Text():
                return self._text(self._choice(event.index), event.text)
            case ReplaceResponse():
                return self._replace(self._choice(event.index), event.text)
            case Json():
                return self._json(event)
            case File():
                return self._file(event)
            case SuggestedReply():
                self._poe.setdefault("suggested_replies", []).append(event.text)
            case Data():
                self._poe["metadata"] = event.metadata
            case Meta():
                self._poe["content_type"] = event.content_type
            case _:
                pass
        return b""

    def _json(self, event: Json) -> bytes:
        if "choices" not in event.data and "usage" not in event.data:
            self._poe.setdefault("json", []).append(event.data)
            return b""
        choice = self._choice(event.index)
        parts, text, reasoning = choice.calls.add(event), delta_text(event), _reasoning_of(event)
        usage = event.data.get("usage")
        if isinstance(usage, dict):
            self._usage = usage
        data = b""
        if reasoning and self._reasoning:
            choice.reasoning.append(reasoning)
            if self._chat.stream:
                data += self._delta(choice, {"reasoning_content": reasoning})
        if text:
            data += self._text(choice, text)
        if parts and self._chat.stream:
            data += self._delta(choice, {"tool_calls": parts})
        return data

    def _file(self, file: File) -> bytes:
        choice = self._choice(file.index)
        is_image = file.content_type.startswith("image/")
        link = markdown_image(file.url, file.name) if is_image else markdown_link(file.url, file.name)
        if file.inline_ref is not None:  # the text has the place, and this is its target
            link = f"[{file.inline_ref}]: {file.url}"
        if choice.parts or choice.links:
            link = _SEPARATOR + link
        choice.links.append(link)
        choice.separated = True
        self._only = None
        shown = {"url": file.url, "name": file.name, "content_type": file.content_type, "inline_ref": file.inline_ref}
        self._poe.setdefault("files", []).append(shown)
        more: dict[str, Any] = {}
        if is_image:
            image = {"type": "image_url", "index": len(choice.images), "image_url": {"url": file.url}}
            choice.images.append(image)
            more["images"] = [image]
        return self._content(choice, link, more, poe={"file": shown})

    # --- the end

    def write_keepalive(self) -> bytes:
        """A chunk with an empty delta, or with the role alone if it is the first.

        A comment would not do: some clients do not see it, and openai-python fails on one after an ``id:``.
        """
        return self._delta(self._choice(None), {}) if self._chat.stream else b""

    def write_error(self, error: ApiError) -> bytes:
        """An error within the stream, which the clients raise. No ``[DONE]`` follows."""
        return b"data: " + json_bytes({"error": error.as_dict()}) + b"\n\n"

    def write_end(self) -> bytes:
        """The finish of each choice, the usage and ``[DONE]``; or the whole response."""
        if not self._choices:
            self._choice(None)  # a reply of other events alone
        usage = self._reported_usage()
        if not self._chat.stream:
            self.response = self._whole(usage)
            return b""
        data = b"".join([self._finish(choice) for choice in self._choices.values()])
        if self._chat.include_usage and usage is not None:
            data += self._record({**self._envelope, "choices": [], "usage": usage})
        return data + _DONE

    def _finish(self, choice: Choice) -> bytes:
        data = b""
        if self._holds:
            images: dict[str, Any] = {"images": choice.images} if choice.images else {}
            data += self._delta(choice, {"content": "".join(choice.content), **images})
        if rest := choice.calls.rest():
            data += self._delta(choice, {"tool_calls": rest})
        if not choice.started:
            data += self._delta(choice, {})
        poe = {"poe": self._poe} if self._poe and choice.number == 0 else {}
        return data + self._chunk(choice.number, {}, self._finish_reason(choice), **poe)

    def _whole(self, usage: dict[str, Any] | None) -> HttpResponse:
        wire: dict[str, Any] = {**self._envelope, "choices": [self._message(each) for each in self._choices.values()]}
        if usage is not None:
            wire["usage"] = usage
        if self._poe:
            wire["poe"] = self._poe
        return HttpResponse.of(200, "application/json", json_bytes(wire), self.headers)

    def _message(self, choice: Choice) -> dict[str, Any]:
        calls = choice.calls.whole()
        content = "".join(choice.content)
        message: dict[str, Any] = {
            "role": "assistant",
            "content": None if calls and not content else content,
            "refusal": None,
        }
        if choice.reasoning:
            message["reasoning_content"] = "".join(choice.reasoning)
        if calls:
            message["tool_calls"] = calls
        if choice.images:
            message["images"] = choice.images
        return {
            "index": choice.number,
            "message": message,
            "logprobs": None,
            "finish_reason": self._finish_reason(choice),
        }

    def _finish_reason(self, choice: Choice) -> str:
        if choice.calls.finish_reason in _FINISH_REASONS:  # truncated calls are not to be run
            return choice.calls.finish_reason
        return "tool_calls" if choice.calls else "stop"

    def _reported_usage(self) -> dict[str, Any] | None:
        if self._options.usage == "bot":
            return self._usage
        if self._options.usage == "estimate" and self._options.count_tokens is not None:
            reply = "".join(part for choice in self._choices.values() for part in choice.parts)
            return estimated_usage(self.request, reply, self._options.count_tokens)
        return None

    # --- chunks

    def _choice(self, index: int | None) -> Choice:
        index = index or 0  # answers are numbered from 0 where there are several
        choice = self._choices.get(index)
        if choice is None:
            number = len(self._choices)
            prefix = f"{self._id}_{number}" if number else self._id
            choice = Choice(number, ToolCallNormalizer(prefix, self._limits))
            self._choices[index] = choice
        return choice

    def _delta(self, choice: Choice, delta: dict[str, Any], **chunk: Any) -> bytes:
        """The chunk of a delta; the first one of a choice also has the role."""
        if not choice.started:
            choice.started = True
            delta = {"role": "assistant", "content": "", **delta}
        return self._chunk(choice.number, delta, **chunk)

    def _chunk(self, number: int, delta: dict[str, Any], finish_reason: str | None = None, **more: Any) -> bytes:
        choice = {"index": number, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
        return self._record({**self._envelope, "choices": [choice], **more})

    def _record(self, chunk: dict[str, Any]) -> bytes:
        return b"data: " + json_bytes(chunk) + b"\n\n"


def _reasoning_of(event: Json) -> str:
    """The reasoning in a chunk, under one of its two names."""
    try:
        delta = event.data["choices"][0]["delta"]
        found = delta.get("reasoning_content") or delta.get("reasoning")
    except (LookupError, TypeError, AttributeError):
        return ""
    return found if isinstance(found, str) else ""
