"""A chat completion as it arrives: the bytes of a response's body to the events of a Poe reply, without any I/O.

The reply is complete once the endpoint has said why the model stopped. A body that ends before that is an error which
allows a retry, `[DONE]` or not: proxies send it after a stream that broke off.

**Tool calls** are written at the end, each whole in one chunk, and then a chunk with their finish reason. So every
dialect (no index, one index for all, repeated names, the whole calls again in a last message) becomes the same events,
and a reply that breaks off leaves no half of a call.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any
from uuid import uuid4

from poeproto import Error, Event, Json, LimitExceeded, Limits, RemoteProtocolError
from poeproto.flows import ToolCallAggregator, tool_as_dict
from poeproto_openai.bot.body_records import BodyDecoder, BodyRecord, object_in
from poeproto_openai.bot.chunk import ChoicePart, Chunk, plain_text, read_chunk
from poeproto_openai.bot.endpoint_errors import EndpointError, error_event, failure
from poeproto_openai.bot.gateway_events import SEPARATOR, events_beside, events_instead, is_separated
from poeproto_openai.bot.reasoning import ReasoningQuotation, ThinkTags
from poeproto_openai.bot.text_pacer import TextPacer
from poeproto_openai.bot.token_usage import TokenUsage

_DONE = "[DONE]"
# Records of an endpoint that are not chunks: heartbeats, and reports of its gateway about itself.
_ASIDES = frozenset({"ping", "keepalive", "keep-alive", "heartbeat"})
# One is asked for; our gateway sends as many as a bot gives.
_MOST_ANSWERS = 100
# Finish reasons that are sent to the bot's caller even without tool calls.
_CUT_SHORT = frozenset({"length", "content_filter"})
CHUNK = "chat.completion.chunk"

CUT_OFF = "The model's endpoint ended its answer before it was complete."
_FAILED = "The model's endpoint could not finish its answer."
_FILTERED = "The model's endpoint withheld the answer, because its content filter found something."
_WEB_PAGE = "The model's endpoint answered with a web page instead of a completion."
_UNREADABLE = "The model's endpoint sent an answer that cannot be read."


def _new_call_id() -> str:
    return f"call_{uuid4().hex[:24]}"


class _Answer:
    """One answer of the reply: a choice, as far as it was received.

    Args:
        index: which answer of the Poe reply it is; None for the first.
        limits: bounds its tool calls.

    Attributes:
        finish_reason: why the model stopped; None before the endpoint said so.
        separator_is_due: whether the next text begins with the blank line that our gateway puts after a file.
    """

    def __init__(self, index: int | None, limits: Limits) -> None:
        self.index = index
        self.finish_reason: str | None = None
        self.separator_is_due = False
        self.tags = ThinkTags()
        self.quotation = ReasoningQuotation()
        self._calls = ToolCallAggregator(limits)
        self._text_length = self._reasoning_length = 0

    @property
    def says_something(self) -> bool:
        """Whether it has a text or a call."""
        return bool(self._text_length or self._calls.calls)

    def receive(self, part: ChoicePart) -> tuple[str, str]:
        """The reasoning and the text in the next part."""
        if part.tool_choice is not None:
            self._calls.add(Json({"choices": [part.tool_choice]}))
        # A whole message repeats the text of the parts before it; the rest of it is new.
        text = part.text or part.whole_text[self._text_length :]
        reasoning = part.reasoning or part.whole_reasoning[self._reasoning_length :]
        self._reasoning_length += len(reasoning)
        tagged, text = self.receive_text(text)
        return reasoning + tagged, text

    def receive_text(self, text: str) -> tuple[str, str]:
        """The reasoning and the text in the next text."""
        if not text:
            return "", ""
        self._text_length += len(text)
        if self.separator_is_due:
            self.separator_is_due = False
            text = text.removeprefix(SEPARATOR)
        return self.tags.feed(text)

    def tool_events(self, new_call_id: Callable[[], str]) -> Iterator[Event]:
        """The events for the tool calls and the finish reason of a complete choice."""
        calls = [tool_as_dict(call) for call in self._calls.calls]
        if calls and self.finish_reason not in _CUT_SHORT:
            self.finish_reason = "tool_calls"
        for index, call in enumerate(calls):
            yield self._chunk({"tool_calls": [{"index": index, **call, "id": call["id"] or new_call_id()}]})
        if calls or self.finish_reason in _CUT_SHORT:
            yield self._chunk({}, self.finish_reason)

    def _chunk(self, delta: dict[str, Any], finish_reason: str | None = None) -> Json:
        choice = {"index": 0, "delta": delta, "finish_reason": finish_reason}
        return Json({"object": CHUNK, "choices": [choice]}, self.index)


class CompletionStream:
    """Reads one completion.

    Args:
        limits: bounds the body, its text and its tool calls.
        show_reasoning: whether reasoning becomes text of the reply, as a quotation; it is dropped otherwise.
        new_call_id: makes the id of a tool call that has none.

    Attributes:
        error: the `error` event that ended the reply; None if none did.
        usage: how many tokens the reply used; None if the endpoint did not report it.
        text_length: how many characters the answer and the reasoning have so far.
        is_over: whether the reply has ended. Data received after it is ignored.
    """

    def __init__(
        self,
        limits: Limits | None = None,
        *,
        show_reasoning: bool = False,
        new_call_id: Callable[[], str] = _new_call_id,
    ) -> None:
        self.error: Error | None = None
        self.usage: TokenUsage | None = None
        self.text_length = 0
        self.is_over = False
        self._limits = limits = limits or Limits()
        self._decoder = BodyDecoder(limits)
        self._answers: dict[int, _Answer] = {}
        self._show_reasoning = show_reasoning
        self._new_call_id = new_call_id
        self._pacer = TextPacer(limits)

    @property
    def finish_reason(self) -> str | None:
        """Why the model stopped in the first answer, as OpenAI names it; None before the endpoint said so."""
        answer = next(iter(self._answers.values()), None)
        return None if answer is None else answer.finish_reason

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
        events: list[Event] = []
        try:
            events += self._read_records(self._decoder.receive_eof(), at_end=True)
            return events if self.is_over else events + self._finish()
        except LimitExceeded as exc:
            return events + self._failed(failure(_UNREADABLE, reason=str(exc)))

    def receive_failure(self, reason: str) -> list[Event]:
        """The events after a lost connection, even if the completion seemed complete."""
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
        text = plain_text(body)
        if text is None:
            return self._read_chunk(read_chunk(body))
        answer = self._answer(0)
        return list(self._shown(answer, *answer.receive_text(text)))

    def _read_chunk(self, chunk: Chunk) -> list[Event]:
        self.usage = chunk.usage or self.usage  # of several reports, each replaces those before it
        if chunk.error is not None:
            return self._failed(error_event(chunk.error))
        events: list[Event] = []
        for part in chunk.choices:
            answer = self._answer(part.index)
            answer.finish_reason = part.finish_reason or answer.finish_reason
            if chunk.poe and (replaced := events_instead(chunk.poe, answer.index)):
                answer.separator_is_due = is_separated(replaced)
                events += [*self._pacer.flush(), *replaced]
                continue
            reasoning, text = answer.receive(part)
            events += self._shown(answer, reasoning, text)
        if chunk.poe:
            events += [*self._pacer.flush(), *events_beside(chunk.poe)]
        return events

    def _answer(self, index: int) -> _Answer:
        answer = self._answers.get(index)
        if answer is None:
            if len(self._answers) >= _MOST_ANSWERS:
                raise RemoteProtocolError(f"there are more than {_MOST_ANSWERS} choices", path="choices")
            answer = self._answers[index] = _Answer(index or None, self._limits)
        return answer

    def _shown(self, answer: _Answer, reasoning: str, text: str) -> Iterator[Event]:
        self.text_length += len(reasoning) + len(text)
        if self.text_length > self._limits.answer_size:
            longest = self._limits.answer_size
            raise LimitExceeded(f"the answer is longer than {longest} characters", limit="answer_size")
        if reasoning and self._show_reasoning and (quoted := answer.quotation.quote(reasoning)):
            yield from self._pacer.feed(quoted, answer.index)
        if text:
            yield from self._pacer.feed(answer.quotation.end() + text, answer.index)

    def _finish(self) -> list[Event]:
        """End the reply, where the endpoint ends it."""
        events: list[Event] = []
        for answer in self._answers.values():
            events += self._shown(answer, *answer.tags.end())
        events += self._pacer.flush()
        error = self._error_at_end()
        if error is not None:
            return [*events, self._fail(error)]
        for answer in self._answers.values():
            events += answer.tool_events(self._new_call_id)
        if self.usage is not None:
            events.append(Json({"object": CHUNK, "choices": [], "usage": self.usage.reported}))
        self.is_over = True
        return events

    def _error_at_end(self) -> Error | None:
        reasons = {answer.finish_reason for answer in self._answers.values()} or {None}
        if None in reasons:
            return failure(CUT_OFF)
        if "error" in reasons:
            return failure(_FAILED)
        if reasons == {"content_filter"} and not any(answer.says_something for answer in self._answers.values()):
            return Error(allow_retry=False, text=_FILTERED, error_type="user_caused_error")
        return None

    def _failed(self, error: Error) -> list[Event]:
        """The events that were held back, and the error."""
        return [*self._pacer.flush(), self._fail(error)]

    def _fail(self, error: Error) -> Error:
        self.error = error
        self.is_over = True
        return error


def _error_in(data: str) -> Error:
    """The error in a record of the name `error`, whose data may be anything."""
    try:
        body = object_in(data)
    except RemoteProtocolError:
        return error_event(EndpointError(data))
    found = read_chunk({"error": body.get("error", body)}).error
    return error_event(found or EndpointError("without a message"))
