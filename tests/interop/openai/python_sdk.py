"""Calls with openai-python, synchronous and asynchronous, in each way that it offers."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any, Literal

import attrs
import openai

from .outcomes import Call, Outcome

__all__ = ["MODES", "Api", "Mode", "call", "call_async"]

Api = Literal["chat", "responses"]
Mode = Literal["create", "stream", "helper"]
MODES: tuple[Mode, ...] = ("create", "stream", "helper")

# The finish reason of a complete answer that differs from the stream.
DIFFERS = "the whole differs from what was streamed"

# Keys that the SDK's helpers require as arguments of their own; all other keys are sent unchanged.
_OWN_ARGUMENTS = {"model", "messages", "input", "tools"}


def _arguments(body: dict[str, Any]) -> dict[str, Any]:
    own = {key: value for key, value in body.items() if key in _OWN_ARGUMENTS}
    return {**own, "extra_body": {key: value for key, value in body.items() if key not in _OWN_ARGUMENTS}}


@attrs.define
class _Recorder:
    """Folds the items of a stream, so that those before an exception are known."""

    content: str = ""
    reasoning: str = ""
    calls: dict[int, list[str]] = attrs.field(factory=dict[int, list[str]])
    finish: str | None = None
    usage: tuple[int, int, int] | None = None
    poe: set[str] = attrs.field(factory=set[str])

    def add_chunk(self, chunk: Any) -> None:
        if chunk.usage is not None:
            self.usage = (chunk.usage.prompt_tokens, chunk.usage.completion_tokens, chunk.usage.total_tokens)
        for choice in chunk.choices:
            assert choice.index == 0
            self.content += choice.delta.content or ""
            self.reasoning += getattr(choice.delta, "reasoning_content", None) or ""
            for piece in choice.delta.tool_calls or ():
                known = self.calls.setdefault(piece.index, ["", "", ""])
                for place, text in enumerate((piece.id, piece.function.name, piece.function.arguments)):
                    known[place] += text or ""
            if choice.finish_reason is not None:
                assert self.finish is None, "a second finish reason"
                self.finish = choice.finish_reason
                self.poe = set(getattr(chunk, "poe", None) or {})

    def add_completion(self, completion: Any) -> None:
        (choice,) = completion.choices
        if completion.usage is not None:
            usage = completion.usage
            self.usage = (usage.prompt_tokens, usage.completion_tokens, usage.total_tokens)
        self.poe = set(getattr(completion, "poe", None) or {})
        self.content, self.finish = choice.message.content or "", choice.finish_reason
        self.reasoning = getattr(choice.message, "reasoning_content", None) or ""
        for number, call in enumerate(choice.message.tool_calls or ()):
            self.calls[number] = [call.id, call.function.name, call.function.arguments]

    def add_event(self, event: Any) -> None:
        """An event of a response's stream."""
        if event.type == "response.output_text.delta":
            self.content += event.delta
        elif event.type == "response.output_item.added" and event.item.type == "function_call":
            self.calls[event.output_index] = [event.item.call_id, event.item.name, ""]
        elif event.type == "response.function_call_arguments.delta":
            self.calls[event.output_index][2] += event.delta
        elif event.type in ("response.completed", "response.incomplete", "response.failed"):
            streamed = self.content, list(self.calls.values())
            self.add_response(event.response)
            if streamed != (self.content, list(self.calls.values())):
                self.finish = DIFFERS

    def add_response(self, response: Any) -> None:
        self.content, self.finish = response.output_text, response.status
        self.calls = {
            index: [item.call_id, item.name, item.arguments]
            for index, item in enumerate(response.output)
            if item.type == "function_call"
        }
        if response.incomplete_details is not None:
            self.finish = response.incomplete_details.reason
        if response.usage is not None:
            usage = response.usage
            self.usage = (usage.input_tokens, usage.output_tokens, usage.total_tokens)
        self.poe = set(getattr(response, "poe", None) or {})

    def outcome(self, error: openai.OpenAIError | None = None) -> Outcome:
        status: int | None = getattr(error, "status_code", None)
        return Outcome(
            content=self.content,
            reasoning=self.reasoning,
            calls=tuple(Call(*call) for _, call in sorted(self.calls.items())),
            finish=self.finish,
            usage=self.usage,
            poe=tuple(sorted(self.poe)),
            error=None if error is None else type(error).__name__.replace("APIStatusError", "APIError"),
            status=status,
            code=getattr(error, "code", None),
            param=getattr(error, "param", None),
        )


def call(client: openai.OpenAI, api: Api, mode: Mode, body: dict[str, Any]) -> Outcome:
    """Make one call, and read it to its end."""
    recorder = _Recorder()
    try:
        _read(client, api, mode, _arguments(body), recorder)
    except openai.OpenAIError as error:
        return recorder.outcome(error)
    return recorder.outcome()


def _read(client: openai.OpenAI, api: Api, mode: Mode, arguments: dict[str, Any], recorder: _Recorder) -> None:
    chat, responses = client.chat.completions, client.responses
    if mode == "create":
        if api == "chat":
            recorder.add_completion(chat.create(**arguments))
        else:
            recorder.add_response(responses.create(**arguments))
    elif mode == "stream":
        if api == "chat":
            _feed(chat.create(**arguments, stream=True), recorder.add_chunk)
        else:
            _feed(responses.create(**arguments, stream=True), recorder.add_event)
    elif api == "chat":
        with chat.stream(**arguments) as stream:
            for event in stream:
                if event.type == "chunk":
                    recorder.add_chunk(event.chunk)
            _compare(recorder, stream.get_final_completion())
    else:
        with responses.stream(**arguments) as events:
            _feed(iter(events), recorder.add_event)
            if recorder.finish == "completed":
                _compare_text(recorder, events.get_final_response())


def _feed(pieces: Iterator[Any], add: Callable[[Any], None]) -> None:
    for piece in pieces:
        add(piece)


async def call_async(client: openai.AsyncOpenAI, api: Api, mode: Mode, body: dict[str, Any]) -> Outcome:
    """As `call`, with the asynchronous client."""
    recorder = _Recorder()
    try:
        await _read_async(client, api, mode, _arguments(body), recorder)
    except openai.OpenAIError as error:
        return recorder.outcome(error)
    return recorder.outcome()


async def _read_async(
    client: openai.AsyncOpenAI, api: Api, mode: Mode, arguments: dict[str, Any], recorder: _Recorder
) -> None:
    chat, responses = client.chat.completions, client.responses
    if mode == "create":
        if api == "chat":
            recorder.add_completion(await chat.create(**arguments))
        else:
            recorder.add_response(await responses.create(**arguments))
    elif mode == "stream":
        if api == "chat":
            await _feed_async(await chat.create(**arguments, stream=True), recorder.add_chunk)
        else:
            await _feed_async(await responses.create(**arguments, stream=True), recorder.add_event)
    elif api == "chat":
        async with chat.stream(**arguments) as stream:
            async for event in stream:
                if event.type == "chunk":
                    recorder.add_chunk(event.chunk)
            _compare(recorder, await stream.get_final_completion())
    else:
        async with responses.stream(**arguments) as events:
            await _feed_async(aiter(events), recorder.add_event)
            if recorder.finish == "completed":
                _compare_text(recorder, await events.get_final_response())


async def _feed_async(pieces: AsyncIterator[Any], add: Callable[[Any], None]) -> None:
    async for piece in pieces:
        add(piece)


def _compare(recorder: _Recorder, completion: Any) -> None:
    """Check that the completion which the helper folded is that of the chunks."""
    whole = _Recorder()
    whole.add_completion(completion)
    if (whole.content, whole.calls, whole.finish) != (recorder.content, recorder.calls, recorder.finish):
        recorder.finish = DIFFERS


def _compare_text(recorder: _Recorder, response: Any) -> None:
    """Check that the response which the helper folded has the text of the events."""
    if response.output_text != recorder.content:
        recorder.finish = DIFFERS
