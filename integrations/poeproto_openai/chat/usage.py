"""Usage: how many tokens a request and its reply had, by whom that is known.

Poe charges points, not tokens, so most bots know no number of tokens. A number that was made up is worse than none: API
bots on Poe are charged by the usage that they report. So there is none by default.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any, Literal, cast

from poeproto import QueryRequest
from poeproto_openai.json_bytes import json_bytes

__all__ = ["CountTokens", "UsageSource", "estimated_usage", "tiktoken_counter"]

# "none"; "bot": the usage in a `json` event of the bot; "estimate": counted here, from the texts.
UsageSource = Literal["none", "bot", "estimate"]
CountTokens = Callable[[str], int]


def tiktoken_counter(encoding: str = "o200k_base") -> CountTokens:
    """Count tokens as this encoding of tiktoken's does.

    Raises:
        ModuleNotFoundError: when tiktoken is not installed.
    """
    try:
        tiktoken = cast("Any", importlib.import_module("tiktoken"))
    except ModuleNotFoundError:
        raise ModuleNotFoundError(
            "usage='estimate' needs tiktoken, which is not installed: pip install tiktoken, or pass count_tokens",
            name="tiktoken",
        ) from None
    encode = tiktoken.get_encoding(encoding).encode_ordinary
    return lambda text: len(encode(text))


def estimated_usage(query: QueryRequest, reply: str, count: CountTokens) -> dict[str, Any]:
    """The usage of a query and its reply, counted from their texts alone."""
    texts = [message.content for message in query.query]
    texts += [json_bytes(call.function.arguments).decode() for call in query.tool_calls or () if call.function]
    texts += [result.content for result in query.tool_results or ()]
    asked, answered = sum(map(count, texts)), count(reply)
    return {"prompt_tokens": asked, "completion_tokens": answered, "total_tokens": asked + answered}
