"""Requests to an `OpenAIGateway`, over a scripted ASGI server."""

from __future__ import annotations

import json
from typing import Any

from poeproto import SSEDecoder
from poeproto_openai import OpenAIGateway

from .bots import BEARER
from .scripted_asgi import Answer, request

CHAT = "/v1/chat/completions"


async def chat(
    app: OpenAIGateway, text: str = "hello", *, model: str = "bot", key: str | None = BEARER, **more: Any
) -> Answer:
    """Ask for a chat completion."""
    body = {"model": model, "messages": [{"role": "user", "content": text}], **more}
    return await request(app, json.dumps(body).encode(), path=CHAT, key=key)


def chunks_of(answer: Answer) -> list[Any]:
    """The data of each record of a stream, without ``[DONE]``, which must be the last."""
    records = [record.data for record in SSEDecoder().receive_data(answer.body)]
    assert records.pop() == "[DONE]"
    return [json.loads(record) for record in records]


def text_of(answer: Answer) -> str:
    """The content of a stream, or of a response."""
    if answer.headers["content-type"] == "application/json":
        return json.loads(answer.body)["choices"][0]["message"]["content"]
    deltas = [choice["delta"] for chunk in chunks_of(answer) for choice in chunk["choices"]]
    return "".join(delta.get("content") or "" for delta in deltas)


def error_of(answer: Answer) -> dict[str, Any]:
    """The error in a response, or at the end of a stream."""
    if answer.headers["content-type"] == "application/json":
        return json.loads(answer.body)["error"]
    return json.loads(SSEDecoder().receive_data(answer.body)[-1].data)["error"]
