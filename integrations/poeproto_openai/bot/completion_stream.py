"""A chat completion as it arrives: the bytes of a response's body to the events of a Poe reply, without any I/O.

The reply is complete once the endpoint has said why the model stopped. A body that ends before that is an error which
allows a retry, `[DONE]` or not: proxies send it after a stream that broke off.

**Tool calls** are written at the end, each whole in one chunk, and then a chunk with their finish reason. So every
dialect (no index, one index for all, repeated names, the whole calls again in a last message) becomes the same events,
and a reply that breaks off leaves no half of a call.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any
from uuid import uuid4

from poeproto import Error, Event, Json, LimitExceeded, Limits, RemoteProtocolError, Text
from poeproto.flows import ToolCallAggregator, tool_as_dict
from poeproto_openai.bot.body_records import BodyDecoder, BodyRecord, object_in
from poeproto_openai.bot.chunk import Chunk, read_chunk
from poeproto_openai.bot.endpoint_errors import EndpointError, error_event, failure
from poeproto_openai.bot.reasoning import ReasoningQuotation, ThinkTags
from poeproto_openai.bot.token_usage import TokenUsage

_DONE = "[DONE]"
_OBJECT = "chat.completion.chunk"
# Records of an endpoint that are no chunks: heartbeats, and what its gateway reports of itself.
_ASIDES = frozenset({"ping", "keepalive", "keep-alive", "heartbeat"})
# Finish reasons that whoever reads the reply is told, beside `tool_calls`.
_CUT_SHORT = frozenset({"length", "content_filter"})

CUT_OFF = "The model's endpoint ended its answer before it was complete."
_FAILED = "The model's endpoint could not finish its answer."
_FILTERED = "The model's endpoint withheld the answer, because its content filter found something."
_WEB_PAGE = "The model's endpoint answered with a web page instead of a completion."
_UNREADABLE = "The model's endpoint sent an answer that cannot be read."


def _new_call_id() -> str:
    return f"call_{uuid4().hex[:24]}"


class CompletionStream:
    """Reads one completion.

    Args:
        limits: bounds the body, its text and its tool calls.
        show_reasoning: whether reasoning becomes text of the reply, as a quotation; it is dropped otherwise.
        new_call_id: makes the id of a tool call that has none.

    Attributes:
        error: the `error` event that ended the reply; None if none did.
        finish_reason: why the model stopped, as OpenAI names it; None before the endpoint said so.
        usage: how many tokens the reply used; None if the endpoint did not report it.
        text_length: how many characters the answer and the reasoning have so far.
        is_over: whether the reply has ended. What is received after it is ignored.
    """

    def __init__(
        self,
        limits: Limits | None = None,
        *,
        show_reasoning: bool = False,
        new_call_id: Callable[[], str] = _new_call_id,
    ) -> None:
        limits = limits or Limits()
        self.error: Error | None = None
        self.finish_reason: str | None = None
        self.usage: TokenUsage | None = None
        self.is_over = False
        self._decoder = BodyDecoder(limits)
        self._calls = ToolCallAggregator(limits)
        self._show_reasoning = show_reasoning
        self._new_call_id = new_call_id
        self._tags = ThinkTags()
        self._quotation = ReasoningQuotation()
        self.text_length = 0
        self._longest_answer = limits.answer_size
        # From the half of a reply's events on, texts are joined, so that the other half suffices for the rest of it.
        self._lone_texts_left = limits.events // 2
        self._joined_length = math.ceil(limits.text_length / max(1, limits.events // 4))
        self._joined: list[str] = []
        self._reported_usage: dict[str, Any] | None = None
        self._text_received = self._reasoning_received = 0

    def receive_data(self, data: bytes) -> list[Event]:
        """The events that these bytes complete. An `Error` is the last one."""
        if self.is_over:
            return []
        try:
            records = self._decoder.receive_data(data)
        except LimitExceeded as exc:
            return self._failed(failure(_UNREADABLE, reason=str(exc)))
        return self._read_records(records)

    def receive_eof(self) -> list[Event]:
        """The events that the end of the body completes."""
        if self.is_over:
            return []
        try:
            records = self._decoder.receive_eof()
        except LimitExceeded as exc:
            return self._failed(failure(_UNREADABLE, reason=str(exc)))
        events = self._read_records(records, at_end=True)
        return events if self.is_over else events + self._finish()

    def receive_failure(self, reason: str) -> list[Event]:
        """The events for a connection that broke off, however complete the completion looked."""
        return [] if self.is_over else self._failed(failure(CUT_OFF, reason=reason))

    def _read_records(self, records: list[BodyRecord], *, at_end: bool = False) -> list[Event]:
        events: list[Event] = []
        for record in records:
            try:
                events += self._read_record(record, at_end=at_end)
            except (RemoteProtocolError, LimitExceeded) as exc:
                events += self._failed(failure(_UNREADABLE, reason=str(exc)))
            if self.is_over:
                break
        return events

    def _read_record(self, record: BodyRecord, *, at_end: bool) -> list[Event]:
        data = record.data.strip()
        if data == _DONE:
            return self._finish()
        if record.is_whole and data.startswith("<"):
            return self._failed(failure(_WEB_PAGE))
        if not data or record.event in _ASIDES:
            return []
        if record.event == "error":
            return self._failed(_error_in(data))
        try:
            body = object_in(data)
        except RemoteProtocolError:
            if at_end:  # the record was cut off
                return []
            raise
        return self._read_chunk(read_chunk(body))

    def _read_chunk(self, chunk: Chunk) -> list[Event]:
        if chunk.usage is not None:  # of several reports, each replaces those before it
            self.usage, self._reported_usage = chunk.usage, chunk.usage.reported
        if chunk.error is not None:
            return self._failed(error_event(chunk.error))
        # A whole message repeats the text of the chunks before it; the rest of it is new.
        text = chunk.text or chunk.whole_text[self._text_received :]
        reasoning = chunk.reasoning or chunk.whole_reasoning[self._reasoning_received :]
        self._text_received += len(text)
        self._reasoning_received += len(reasoning)
        events = list(self._texts(reasoning, text))
        if chunk.tool_choice is not None:
            self._calls.add(Json({"choices": [chunk.tool_choice]}))
        self.finish_reason = chunk.finish_reason or self.finish_reason
        return events

    def _texts(self, reasoning: str, text: str) -> Iterator[Event]:
        if text:
            tagged, text = self._tags.feed(text)
            reasoning += tagged
        yield from self._shown(reasoning, text)

    def _shown(self, reasoning: str, text: str) -> Iterator[Event]:
        self.text_length += len(reasoning) + len(text)
        if self.text_length > self._longest_answer:
            raise LimitExceeded(f"the answer is longer than {self._longest_answer} characters", limit="answer_size")
        if reasoning and self._show_reasoning and (quoted := self._quotation.quote(reasoning)):
            yield from self._paced(quoted)
        if text:
            yield from self._paced(self._quotation.end() + text)

    def _paced(self, text: str) -> Iterator[Event]:
        if self._lone_texts_left > 0:
            self._lone_texts_left -= 1
            yield Text(text)
            return
        self._joined.append(text)
        if sum(map(len, self._joined)) >= self._joined_length:
            yield from self._joined_texts()

    def _joined_texts(self) -> Iterator[Event]:
        if self._joined:
            yield Text("".join(self._joined))
            self._joined.clear()

    def _finish(self) -> list[Event]:
        """End the reply, where the endpoint ends it."""
        events = [*self._shown(*self._tags.end()), *self._joined_texts()]
        calls = [tool_as_dict(call) for call in self._calls.calls]
        error = self._error_at_end(has_calls=bool(calls))
        if error is not None:
            return [*events, self._fail(error)]
        reason = self.finish_reason
        if calls and reason not in _CUT_SHORT:
            reason = "tool_calls"
        for index, call in enumerate(calls):
            events.append(_chunk({"tool_calls": [{"index": index, **call, "id": call["id"] or self._new_call_id()}]}))
        if calls or reason in _CUT_SHORT:
            events.append(_chunk({}, reason))
        if self._reported_usage is not None:
            events.append(Json({"object": _OBJECT, "choices": [], "usage": self._reported_usage}))
        self.finish_reason = reason
        self.is_over = True
        return events

    def _error_at_end(self, *, has_calls: bool) -> Error | None:
        if self.finish_reason is None:
            return failure(CUT_OFF)
        if self.finish_reason == "error":
            return failure(_FAILED)
        if self.finish_reason == "content_filter" and not self._text_received and not has_calls:
            return Error(allow_retry=False, text=_FILTERED, error_type="user_caused_error")
        return None

    def _failed(self, error: Error) -> list[Event]:
        """What was held back, and the error."""
        return [*self._joined_texts(), self._fail(error)]

    def _fail(self, error: Error) -> Error:
        self.error = error
        self.is_over = True
        return error


def _chunk(delta: dict[str, Any], finish_reason: str | None = None) -> Json:
    choice = {"index": 0, "delta": delta, "finish_reason": finish_reason}
    return Json({"object": _OBJECT, "choices": [choice]})


def _error_in(data: str) -> Error:
    """The error in a record of the name `error`, whose data may be anything."""
    try:
        body = object_in(data)
    except RemoteProtocolError:
        return error_event(EndpointError(data))
    found = read_chunk({"error": body.get("error", body)}).error
    return error_event(found or EndpointError("without a message"))
