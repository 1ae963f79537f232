"""How many tokens a reply used, as the endpoint reports it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import attrs


@attrs.frozen
class TokenUsage:
    """The tokens of one reply.

    Attributes:
        input: the tokens of the request, those from a cache included.
        output: the tokens of the reply, those of reasoning included.
        cached: how many of `input` came from a cache.
        reported: the object as the endpoint reported it, if it did.
    """

    input: int
    output: int
    cached: int = 0
    reported: dict[str, Any] | None = attrs.field(default=None, eq=False, repr=False)


def read_usage(chunk: Mapping[str, Any]) -> TokenUsage | None:
    """The usage in a chunk: OpenAI's, or under the names of another endpoint; None if it has none that can be read.

    A number that is missing, negative or no integer makes the whole report unusable: a bot charges by it.
    """
    for holder in (chunk, _object(chunk, "x_groq")):
        usage = _object(holder, "usage")
        if usage and (read := _read(usage)) is not None:
            return read
    return None


def _read(usage: Mapping[str, Any]) -> TokenUsage | None:
    given = _count(usage, "prompt_tokens", "input_tokens")
    made = _count(usage, "completion_tokens", "output_tokens")
    if given is None or made is None:
        return None
    details = _object(usage, "prompt_tokens_details") or _object(usage, "input_tokens_details")
    cached = _count(details, "cached_tokens")
    if cached is None:
        cached = _count(usage, "prompt_cache_hit_tokens")  # DeepSeek's name
    return TokenUsage(given, made, min(cached or 0, given), dict(usage))


def _object(holder: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = holder.get(key)
    return cast("Mapping[str, Any]", value) if isinstance(value, dict) else {}


def _count(usage: Mapping[str, Any], *names: str) -> int | None:
    for name in names:
        value = usage.get(name)
        if type(value) is int:
            return value if value >= 0 else None
    return None
