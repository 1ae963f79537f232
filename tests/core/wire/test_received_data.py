"""The types that `receive_data` accepts: bytes, and objects with the buffer protocol, everywhere."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from poeproto import (
    BotExchange,
    Done,
    Message,
    PoeExchange,
    QueryRequest,
    RequestHead,
    ResponseHead,
    SettingsRequest,
    SSEDecoder,
    Text,
    decode_request,
)

STREAM = b'event: text\ndata: {"text": "a"}\n\nevent: done\ndata: {}\n\n'


def bot_side() -> Callable[[Any], object]:
    exchange = BotExchange(None)
    exchange.receive_head(RequestHead("POST", "/"))
    return exchange.receive_data


def poe_side(status: int = 200, request: SettingsRequest | QueryRequest | None = None) -> Callable[[Any], object]:
    exchange = PoeExchange()
    exchange.send(request or QueryRequest([Message("user", "hello")]), "http://bot.invalid/")
    exchange.receive_head(ResponseHead(status, {"content-type": "text/event-stream"}))
    return exchange.receive_data


RECEIVERS: dict[str, Callable[[], Callable[[Any], object]]] = {
    "bot": bot_side,
    "poe, stream": poe_side,
    "poe, refusal": lambda: poe_side(500),
    "poe, settings": lambda: poe_side(200, SettingsRequest()),
    "server-sent events": lambda: SSEDecoder().receive_data,
}


@pytest.mark.parametrize("receiver", RECEIVERS.values(), ids=RECEIVERS)
def test_other_types_are_refused_with_advice(receiver: Callable[[], Callable[[Any], object]]) -> None:
    receive_data = receiver()
    for text in ("{}", ""):
        with pytest.raises(TypeError, match=r"^receive_data takes bytes, got str; encode it: data\.encode\(\)$"):
            receive_data(text)
    for other in (None, 5, ["a"]):
        with pytest.raises(TypeError, match=rf"^receive_data takes bytes, got {type(other).__name__}$"):
            receive_data(other)
    receive_data(b"")  # nothing was received


@pytest.mark.parametrize("kind", [bytearray, memoryview])
def test_objects_with_the_buffer_protocol_are_read(kind: Callable[[bytes], Any]) -> None:
    assert poe_side()(kind(STREAM)) == [Text("a"), Done()]
    assert [each.event for each in SSEDecoder().receive_data(kind(STREAM))] == ["text", "done"]
    exchange = BotExchange(None)
    exchange.receive_head(RequestHead("POST", "/"))
    exchange.receive_data(kind(b'{"type": "settings"}'))
    assert exchange.receive_eof() == SettingsRequest()
    assert decode_request(kind(b'{"type": "settings"}')) == SettingsRequest()
    nested = b'{"type": "settings", "later": %b}' % (b"[" * 100 + b"]" * 100)
    assert isinstance(decode_request(kind(nested)), SettingsRequest)
