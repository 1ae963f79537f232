"""The responses exchange: a Poe reply as the events of a response, or as one response.

The reply is folded as for a chat completion; only the output differs. A stream begins with ``response.created``
and ends with ``response.completed``, or with ``response.incomplete`` when the model stopped early, or with
``response.failed`` and an ``error``: the clients ignore the failed response, and raise the error.

https://platform.openai.com/docs/api-reference/responses-streaming
"""

from __future__ import annotations

from typing import Any

from poeproto import HttpResponse, Limits
from poeproto_openai.api_error import ApiError
from poeproto_openai.chat.exchange import ChatExchange, Choice, ReplyOptions
from poeproto_openai.chat.request import ChatRequest
from poeproto_openai.json_bytes import json_bytes
from poeproto_openai.reply_exchange import BETWEEN_RECORDS, RECORD_BEGIN, RECORD_END
from poeproto_openai.responses.output import ResponseOutput
from poeproto_openai.responses.request import ResponsesRequest

__all__ = ["ResponsesExchange"]

_INCOMPLETE = {"length": "max_output_tokens", "content_filter": "content_filter"}


class ResponsesExchange(ChatExchange):
    """A request for a response, and the reply to it.

    Args:
        request: the request.
        options: how the reply is written.
        limits: the bounds of the reply.
        request_id: is sent as ``x-request-id``, and makes the ids of the response and its items.
        created: when the reply began, in seconds since the epoch.
    """

    def __init__(
        self, request: ResponsesRequest, options: ReplyOptions, limits: Limits, request_id: str, created: int
    ) -> None:
        chat = ChatRequest(request.model, request.query, stream=request.stream)
        super().__init__(chat, options, limits, request_id, created)
        self._response = _unanswered(request, f"resp_{request_id}", created)
        self._output = ResponseOutput(request_id)
        self._events_written = 0

    def write_texts(self, texts: list[str], records: bytes) -> bytes:
        """The events of texts without an index, one for each."""
        choice = self._only
        item = None if choice is None else self._output.message(choice.number)
        if choice is None or item is None:
            return self._write_first_texts(texts)
        choice.parts += texts
        item.parts += texts
        delta = item.event("delta")
        begin = b'event: %b\ndata: %b,"delta":' % (delta["type"].encode(), json_bytes(delta)[:-1])
        first = self._events_written
        self._events_written += len(texts)
        strings = records[len(RECORD_BEGIN) : -len(RECORD_END)].split(BETWEEN_RECORDS)
        return b"".join([b'%b%b,"sequence_number":%d}\n\n' % (begin, s, n) for n, s in enumerate(strings, first)])

    def write_keepalive(self) -> bytes:
        """A repeated ``response.in_progress``, which says nothing new."""
        return self._records([self._about_response("response.in_progress")]) if self._chat.stream else b""

    def write_error(self, error: ApiError) -> bytes:
        """The end of a stream with an error: the failed response with its output so far, then the error itself."""
        wire = error.as_dict()
        failure = {"code": "rate_limit_exceeded" if error.status == 429 else "server_error", "message": error.message}
        failed = self._about_response(
            "response.failed", status="failed", error=failure, output=self._output.items("incomplete")
        )
        # The first keys are those of OpenAI's `error` event, and ``error`` is where its clients look for one.
        raised = {"type": "error", "code": error.code, "message": error.message, "param": error.param, "error": wire}
        return self._records([failed, raised])

    def write_end(self) -> bytes:
        """The ends of all items and of the response; or the whole response."""
        choice = self._choice(None) if not self._choices else next(iter(self._choices.values()))
        reason = _INCOMPLETE.get(self._finish_reason(choice))
        status = "completed" if reason is None else "incomplete"
        events = self._rest_of_output(status)
        details = None if reason is None else {"reason": reason}
        end = self._about_response(
            f"response.{status}",
            status=status,
            incomplete_details=details,
            output=self._output.items(status),
            usage=_usage(self._reported_usage()),
        )
        if self._poe:
            end["response"]["poe"] = self._poe
        if self._chat.stream:
            return self._records([*events, end])
        self.response = HttpResponse.of(200, "application/json", json_bytes(end["response"]), self.headers)
        return b""

    def _rest_of_output(self, status: str) -> list[dict[str, Any]]:
        """The events that were held until the end, and the ends of all items."""
        events: list[dict[str, Any]] = []
        for choice in self._choices.values():
            calls = choice.calls.rest() if self._chat.stream else choice.calls.whole()
            if self._holds and (content := "".join(choice.content)):
                events += self._output.add_text(choice.number, content)
            for number, part in enumerate(calls):
                events += self._output.add_call_part(choice.number, {"index": number, **part})
        if not self._output:  # an answer without text and calls is an empty message
            events += self._output.add_text(0, "")
        return events + self._output.end(status)

    def _delta(self, choice: Choice, delta: dict[str, Any], **chunk: Any) -> bytes:
        """The events of a delta of a chat completion."""
        choice.started = True
        events: list[dict[str, Any]] = []
        if (text := delta.get("content")) is not None:
            events += self._output.add_text(choice.number, text)
        for part in delta.get("tool_calls", ()):
            events += self._output.add_call_part(choice.number, part)
        return self._records(events)

    def _about_response(self, kind: str, **more: Any) -> dict[str, Any]:
        return {"type": kind, "response": {**self._response, **more}}

    def _records(self, events: list[dict[str, Any]]) -> bytes:
        """The events as they are sent, numbered; those that open the stream come first."""
        if self._events_written == 0:
            opening = [self._about_response(f"response.{name}") for name in ("created", "in_progress")]
            events = [*opening, *(event for event in events if event["type"] != "response.in_progress")]
        first = self._events_written
        self._events_written += len(events)
        return b"".join([_record(event, number) for number, event in enumerate(events, first)])


def _record(event: dict[str, Any], number: int) -> bytes:
    kind: str = event["type"]
    return b"event: %b\ndata: %b\n\n" % (kind.encode(), json_bytes({**event, "sequence_number": number}))


def _unanswered(request: ResponsesRequest, response_id: str, created: int) -> dict[str, Any]:
    """The response before its output, with the fields repeated from the request."""
    wire = request.wire
    return {
        "id": response_id,
        "object": "response",
        "created_at": created,
        "status": "in_progress",
        "background": False,
        "error": None,
        "incomplete_details": None,
        "instructions": wire.get("instructions"),
        "max_output_tokens": wire.get("max_output_tokens"),
        "metadata": wire.get("metadata") or {},
        "model": request.model,
        "output": [],
        "parallel_tool_calls": wire.get("parallel_tool_calls") is not False,
        "previous_response_id": None,
        "reasoning": {"effort": None, "summary": None},
        "store": False,
        "temperature": wire.get("temperature"),
        "text": {"format": {"type": "text"}},
        "tool_choice": wire.get("tool_choice") or "auto",
        "tools": wire.get("tools") or [],
        "top_p": wire.get("top_p"),
        "truncation": "disabled",
        "usage": None,
    }


def _usage(usage: dict[str, Any] | None) -> dict[str, Any] | None:
    """The usage of a chat completion in the words of a response."""
    if usage is None:
        return None
    asked: dict[str, Any] = usage.get("prompt_tokens_details") or {}
    answered: dict[str, Any] = usage.get("completion_tokens_details") or {}
    return {
        "input_tokens": usage.get("prompt_tokens", 0),
        "input_tokens_details": {"cached_tokens": asked.get("cached_tokens") or 0, "cache_write_tokens": 0},
        "output_tokens": usage.get("completion_tokens", 0),
        "output_tokens_details": {"reasoning_tokens": answered.get("reasoning_tokens") or 0},
        "total_tokens": usage.get("total_tokens", 0),
    }
