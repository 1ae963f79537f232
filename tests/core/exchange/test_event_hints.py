"""The messages for values that are not events, bytes or URLs: what it is, and what to do instead."""

from __future__ import annotations

from collections import UserDict
from collections.abc import AsyncIterator
from typing import Any

import pytest

from poeproto import BotExchange, Done, File, LocalProtocolError, Meta, RequestHead, Text, UnknownEvent
from poeproto.exchange.event_hints import not_an_event
from poeproto.testing import ExchangePair, sample_query


class Awaitable:
    def __await__(self) -> Any: ...


class Answers:
    def __aiter__(self) -> AsyncIterator[str]: ...


def opened() -> BotExchange:
    pair = ExchangePair()
    pair.request(sample_query())
    pair.begin()
    return pair.bot


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (None, "NoneType is not an event that can be sent; leave it out, or send Text(...)"),
        (5, "int is not an event that can be sent; send it as text: Text(str(value))"),
        (True, "bool is not an event that can be sent; send it as text: Text(str(value))"),
        (0.5, "float is not an event that can be sent; send it as text: Text(str(value))"),
        ("hello", "str is not an event that can be sent; send it as Text(text)"),
        (b"hello", "bytes is not an event that can be sent; decode it, and send it as text: Text(data.decode())"),
        ({"a": 1}, "dict is not an event that can be sent; send it as text, Text(json.dumps(value)), or as data"),
        (
            UserDict({}),
            "UserDict is not an event that can be sent; send it as text, Text(json.dumps(value)), or as data",
        ),
        (["a"], "list is not an event that can be sent; send its items one by one"),
        (("a",), "tuple is not an event that can be sent; send its items one by one"),
        ((part for part in "a"), "generator is not an event that can be sent; send its items one by one"),
        (Answers(), "Answers is not an event that can be sent; iterate over it with `async for`, and send each event"),
        (Awaitable(), "Awaitable is not an event that can be sent; put `await` before it, and send the result"),
        (Done, "the class Done is not an event that can be sent; make a value of it: Done(...)"),
        (KeyError("a"), "KeyError is not an event that can be sent; raise it, or send Error(text=...)"),
        (
            UnknownEvent("a", "b"),
            "UnknownEvent is not an event that can be sent; an event of an unknown kind is received",
        ),
        (object(), "object is not an event that can be sent; expected one of Meta, Text, "),
    ],
)
def test_values_that_are_not_events(value: Any, message: str) -> None:
    assert not_an_event(value).startswith(message)
    exchange = opened()
    with pytest.raises(LocalProtocolError) as caught:
        exchange.send(value)
    assert str(caught.value).startswith(message)
    assert exchange.send(Text("x"))


@pytest.mark.parametrize(
    "url",
    [
        "/tmp/x.png", "x.png", "out/x.png", "./x", "../x.png", "~/x.png", "C:\\x.png", "c:/x.png", "out\\x.png",
        "file:///tmp/x.png", "my file.pdf",
    ],
)  # fmt: skip
def test_a_file_on_this_machine_is_not_sent(url: str) -> None:
    with pytest.raises(LocalProtocolError, match=r"^File\.url must be a URL that .* got .*; upload a local file with "):
        opened().send(File(url, "x.png", "image/png"))


@pytest.mark.parametrize("url", ["https://x.invalid/x.png", "http://x.invalid", "data:image/png;base64,AAAA", "u", ""])
def test_a_file_elsewhere_is_sent(url: str) -> None:
    assert opened().send(File(url, "x.png", "image/png"))


def test_advice_about_an_event_out_of_order() -> None:
    exchange = BotExchange(None)
    with pytest.raises(
        LocalProtocolError, match="nothing was sent yet; pass the request to receive_head, receive_data"
    ):
        exchange.send(Text("x"))
    exchange.receive_head(RequestHead("POST", "/"))
    exchange.receive_data(b'{"type": "query", "query": []}')
    exchange.receive_eof()
    for send in (lambda: exchange.send(Text("x")), lambda: exchange.send_texts(["x"])):
        with pytest.raises(LocalProtocolError, match="the stream is due; call begin first, and write the head that"):
            send()
    exchange.begin()
    with pytest.raises(LocalProtocolError, match=r"; send an answer first \(Text, File or Json\), or an Error$"):
        exchange.send(Done())
    exchange.send(Text("x"))
    with pytest.raises(LocalProtocolError, match=r"; send Meta before all other events$"):
        exchange.send(Meta())
    exchange.send(Done())
    with pytest.raises(LocalProtocolError, match=r"everything was sent$"):
        exchange.send(Text("x"))
