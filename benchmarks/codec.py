"""The codec: JSON libraries beside each other, and what our own layers add to the one that was chosen."""

from __future__ import annotations

import json
from typing import Any

import attrs
import fastapi_poe as fp
import msgspec
import orjson

from benchmarks.measure import in_turn, repeated, report
from poeproto import BotExchange, Message, QueryRequest, RequestHead, Text
from poeproto.codec import decode_event, decode_request, encode_event, encode_request

ROUNDS = 9
TEXT = "hello world "


@attrs.frozen
class BareText:
    text: str
    index: int | None = None


def main() -> None:
    _json_libraries()
    _encode()
    _decode()
    _query()


def _json_libraries() -> None:
    payload = b'{"text": "hello world "}'
    loaders: dict[str, Any] = {"msgspec": msgspec.json.decode, "orjson": orjson.loads, "json": json.loads}
    cases = {name: repeated(lambda load=load: load(payload), 50_000) for name, load in loaders.items()}
    report("JSON libraries, a text event's payload to a dict", in_turn(cases, ROUNDS), "µs", 1e6)
    body = _long_query()
    cases = {name: repeated(lambda load=load: load(body), 100) for name, load in loaders.items()}
    report(f"JSON libraries, a query of 50 messages ({len(body)} bytes) to a dict", in_turn(cases, ROUNDS), "µs", 1e6)
    dumpers: dict[str, Any] = {"msgspec": msgspec.json.encode, "orjson": orjson.dumps, "json": json.dumps}
    cases = {name: repeated(lambda dump=dump: dump(TEXT), 50_000) for name, dump in dumpers.items()}
    report("JSON libraries, writing a string", in_turn(cases, ROUNDS), "µs", 1e6)


def _encode() -> None:
    encode_string = msgspec.json.encode
    event = Text(TEXT)
    exchange = _open_exchange()

    def send() -> None:
        nonlocal exchange
        for _ in range(1000):
            exchange.send(event)
        exchange = _open_exchange()

    figures = in_turn(
        {
            "template and msgspec's string": repeated(
                lambda: b'event: text\ndata: {"text":%b}\n\n' % encode_string(TEXT), 50_000
            ),
            "encode_event": repeated(lambda: encode_event(event), 50_000),
            "BotExchange.send": lambda: repeated(send, 20)() / 1000,
            "making a Text": repeated(lambda: Text(TEXT), 50_000),
            "fastapi_poe, event and encoding": repeated(
                lambda: fp.PoeBot.text_event(fp.PartialResponse(text=TEXT).text).encode(), 5_000
            ),
        },
        ROUNDS,
    )
    report("writing a text event", figures, "µs", 1e6)


def _decode() -> None:
    payload = '{"text":"hello world "}'
    typed = msgspec.json.Decoder(BareText).decode
    figures = in_turn(
        {
            "msgspec into a bare class": repeated(lambda: typed(payload), 50_000),
            "decode_event": repeated(lambda: decode_event("text", payload), 50_000),
            "json.loads": repeated(lambda: json.loads(payload), 50_000),
        },
        ROUNDS,
    )
    report("reading a text event's payload", figures, "µs", 1e6)


def _query() -> None:
    body = _long_query()
    bare = msgspec.json.Decoder(QueryRequest)
    unknown = body.replace(b'{"version"', b'{"new in 1.3":1,"version"', 1)
    request = decode_request(body)
    theirs = fp.QueryRequest.model_validate(json.loads(body))
    figures = in_turn(
        {
            "msgspec straight into the classes": repeated(lambda: bare.decode(body), 100),
            "decode_request": repeated(lambda: decode_request(body), 100),
            "decode_request, an unknown key": repeated(lambda: decode_request(unknown), 100),
            "fastapi_poe (pydantic)": repeated(lambda: fp.QueryRequest.model_validate(json.loads(body)), 100),
        },
        ROUNDS,
    )
    report(f"reading a query of 50 messages ({len(body)} bytes)", figures, "µs", 1e6)
    figures = in_turn(
        {
            "encode_request": repeated(lambda: encode_request(request), 100),
            "fastapi_poe (pydantic)": repeated(lambda: json.dumps(theirs.model_dump()).encode(), 100),
        },
        ROUNDS,
    )
    report("writing that query", figures, "µs", 1e6)


def _long_query() -> bytes:
    messages = [
        Message("user" if i % 2 == 0 else "bot", "lorem ipsum " * 68, message_id=f"m-{i:032}") for i in range(50)
    ]
    return encode_request(QueryRequest(messages, user_id="u-" + "0" * 32, conversation_id="c-" + "0" * 32))


def _open_exchange() -> BotExchange:
    exchange = BotExchange(None)
    exchange.receive_head(RequestHead("POST", "/"))
    exchange.receive_data(encode_request(QueryRequest([Message("user", "hello")])))
    exchange.receive_eof()
    exchange.begin()
    return exchange
