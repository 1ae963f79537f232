"""One chunk of a chat completion, or a whole one, read in whichever dialect it is written."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, cast

import attrs

from poeproto import RemoteProtocolError
from poeproto_openai.bot.endpoint_errors import EndpointError, read_error
from poeproto_openai.bot.token_usage import TokenUsage, read_usage

# Finish reasons by the name that OpenAI gives them. Names that are in none of these are kept.
_FINISH_REASONS = {
    **dict.fromkeys(("stop", "eos", "eos_token", "end_turn", "stop_sequence", "complete", "completed"), "stop"),
    **dict.fromkeys(("length", "max_tokens", "max_output_tokens", "model_length", "model_context_window"), "length"),
    **dict.fromkeys(("tool_calls", "function_call", "tool_use", "tool_call"), "tool_calls"),
    **dict.fromkeys(
        ("content_filter", "content_filtered", "safety", "sensitive", "recitation", "refusal", "prohibited_content"),
        "content_filter",
    ),
    **dict.fromkeys(
        ("error", "abort", "network_error", "insufficient_system_resource", "engine_overloaded", "malformed_response"),
        "error",
    ),
}
# The digits of the largest index of a choice. No endpoint makes more choices.
_INDEX_DIGITS = 4
_TOOL_KEYS = ("tool_calls", "function_call")


@attrs.frozen
class ChoicePart:
    """The content of one choice of a chunk.

    Attributes:
        index: which answer it belongs to.
        text: text of the answer.
        reasoning: text of the reasoning, if it has a field of its own.
        whole_text: the text of a whole message; it repeats what chunks before it said.
        whole_reasoning: likewise.
        tool_choice: the choice with nothing but its tool calls, for `ToolCallAggregator`; None without any.
        finish_reason: why the model stopped, as OpenAI names it.
    """

    index: int
    text: str = ""
    reasoning: str = ""
    whole_text: str = ""
    whole_reasoning: str = ""
    tool_choice: dict[str, Any] | None = None
    finish_reason: str | None = None


@attrs.frozen
class Chunk:
    """The content of one chunk.

    Attributes:
        choices: its choices; there is usually one.
        usage: how many tokens the reply used so far.
        error: an error that the endpoint reports; it ends the reply.
        poe: what our own gateway says beside OpenAI's fields.
    """

    choices: tuple[ChoicePart, ...] = ()
    usage: TokenUsage | None = None
    error: EndpointError | None = None
    poe: Mapping[str, Any] = attrs.field(factory=dict[str, Any])


# Keys of a choice that may say more than its delta does.
_OTHER_KEYS = frozenset({"message", "text", "error", "finish_details"})
_MORE_THAN_TEXT = frozenset({"usage", "error", "poe", "x_groq"})


def plain_text(body: Mapping[str, Any]) -> str | None:
    """Fast path: the text of a chunk that has nothing but a text of the first choice, which is nearly every chunk.

    None if it may have anything else; `read_chunk` then reads it.
    """
    choices = body.get("choices")
    if not isinstance(choices, list) or any(body.get(key) for key in _MORE_THAN_TEXT & body.keys()):
        return None
    first = cast("list[object]", choices)[0] if len(cast("list[object]", choices)) == 1 else None
    if not isinstance(first, dict):
        return None
    choice = cast("dict[str, object]", first)
    delta = choice.get("delta")
    if choice.get("index") != 0 or choice.get("finish_reason") is not None or not _OTHER_KEYS.isdisjoint(choice):
        return None
    if not isinstance(delta, dict) or len(cast("dict[str, object]", delta)) != 1:
        return None
    text = cast("dict[str, object]", delta).get("content")
    return text if isinstance(text, str) else None


def read_chunk(body: Mapping[str, Any]) -> Chunk:
    """Parse a chunk.

    Raises:
        RemoteProtocolError: for a field that cannot be read; `path` names it.
    """
    usage, error = read_usage(body), read_error(body)
    if error is not None:
        return Chunk(usage=usage, error=error)
    choices = list(_choices(body))
    for choice, _ in choices:
        error = read_error({"error": choice["error"]}) if choice.get("error") else None
        if error is not None:
            return Chunk(usage=usage, error=error)
    poe = body.get("poe")
    return Chunk(
        tuple(_read_choice(choice, path) for choice, path in choices),
        usage,
        poe=cast("dict[str, Any]", poe) if isinstance(poe, dict) else {},
    )


def _choices(body: Mapping[str, Any]) -> Iterator[tuple[Mapping[str, Any], str]]:
    """The choices with their paths. Some endpoints send null for one that has nothing new."""
    choices = body.get("choices")
    if not choices:
        return
    if not isinstance(choices, list):
        raise RemoteProtocolError("expected an array", path="choices")
    for number, choice in enumerate(cast("list[object]", choices)):
        if isinstance(choice, dict):
            yield cast("dict[str, Any]", choice), f"choices[{number}]"
        elif choice is not None:
            raise RemoteProtocolError("expected an object", path=f"choices[{number}]")


def _read_choice(choice: Mapping[str, Any], path: str) -> ChoicePart:
    delta = _mapping(choice, "delta", path)
    message = _mapping(choice, "message", path)
    delta_thoughts, text = _texts(delta, f"{path}.delta")
    message_thoughts, whole = _texts(message, f"{path}.message")
    legacy = choice.get("text")  # the field of the older completions API
    return ChoicePart(
        index=_index(choice),
        text=text + (legacy if isinstance(legacy, str) else ""),
        reasoning=delta_thoughts,
        whole_text=whole,
        whole_reasoning=message_thoughts,
        tool_choice=_tool_choice(delta, message),
        finish_reason=_finish_reason(choice),
    )


def _index(choice: Mapping[str, Any]) -> int:
    index = choice.get("index")
    if isinstance(index, str) and index.isdecimal() and len(index) <= _INDEX_DIGITS:
        return int(index)
    return index if type(index) is int and 0 <= index < 10**_INDEX_DIGITS else 0


def _mapping(holder: Mapping[str, Any], key: str, path: str) -> Mapping[str, Any]:
    value = holder.get(key)
    if value is None or value == "" or value == []:
        return {}
    if isinstance(value, str):  # a text where an object should be
        return {"content": value}
    if not isinstance(value, dict):
        raise RemoteProtocolError("expected an object", path=f"{path}.{key}")
    return cast("Mapping[str, Any]", value)


def _texts(part: Mapping[str, Any], path: str) -> tuple[str, str]:
    """The reasoning and the text of a delta or a message."""
    thoughts, text = _content(part.get("content"), f"{path}.content")
    refusal = part.get("refusal")
    for key in ("reasoning_content", "reasoning", "thinking"):  # some endpoints send the same under two names
        value = part.get(key)
        if isinstance(value, str) and value:
            return thoughts + value, text or (refusal if isinstance(refusal, str) else "")
    return thoughts, text or (refusal if isinstance(refusal, str) else "")


def _content(content: object, path: str) -> tuple[str, str]:
    """The reasoning and the text in the content: a string, a list of parts, or one part."""
    if content is None:
        return "", ""
    if isinstance(content, str):
        return "", content
    if isinstance(content, dict):
        content = [cast("object", content)]
    if not isinstance(content, list):
        raise RemoteProtocolError("expected a string or a list of parts", path=path)
    thoughts: list[str] = []
    texts: list[str] = []
    for part in cast("Iterable[object]", content):
        if isinstance(part, str):
            texts.append(part)
        elif isinstance(part, dict):
            fields = cast("dict[str, Any]", part)
            thoughts += _strings(fields.get("thinking"))
            texts += _strings(fields.get("text")) or _strings(fields.get("refusal"))
        elif part is not None:
            raise RemoteProtocolError("expected parts with a text", path=path)
    return "".join(thoughts), "".join(texts)


def _strings(value: object) -> list[str]:
    """The strings in a string, an object with a text, or a list of these (Mistral's reasoning)."""
    if isinstance(value, str):
        return [value]
    if isinstance(value, dict):
        return _strings(cast("dict[str, object]", value).get("text"))
    if isinstance(value, list):
        return [text for part in cast("list[object]", value) if not isinstance(part, list) for text in _strings(part)]
    return []


def _tool_choice(delta: Mapping[str, Any], message: Mapping[str, Any]) -> dict[str, Any] | None:
    found = {
        name: {key: part[key] for key in _TOOL_KEYS if part.get(key)}
        for name, part in (("delta", delta), ("message", message))
    }
    return {name: calls for name, calls in found.items() if calls} or None


def _finish_reason(choice: Mapping[str, Any]) -> str | None:
    reason = choice.get("finish_reason")
    if reason is None:
        reason = choice.get("finish_details")
        if isinstance(reason, dict):
            reason = cast("dict[str, object]", reason).get("type")
    if not isinstance(reason, str) or not reason or reason.lower() in ("null", "none"):
        return None
    name = reason.lower()
    return _FINISH_REASONS.get(name, name)
