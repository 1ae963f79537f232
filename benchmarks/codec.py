"""Suite: JSON libraries, and what our codec adds to the one in use, without a network."""

from __future__ import annotations

import asyncio
import functools
import json
import time
import typing
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import attrs
import fastapi_poe as fp
import httpx
import msgspec
import orjson
from httpx_sse import EventSource

from benchmarks.measure import cost, goal, in_turn, named, repeated, report
from benchmarks.sizes import Sizes
from poeproto import (
    Attachment,
    BotExchange,
    Error,
    FunctionDefinition,
    Limits,
    Message,
    PoeExchange,
    QueryRequest,
    RequestHead,
    ResponseHead,
    Text,
    ToolDefinition,
)
from poeproto.testing import sample_reply
from poeproto.wire.codec import decode_event, decode_request, encode_event, encode_request

ROUNDS = 9
TEXT = "hello world "
RECORD = encode_event(Text(TEXT))
DONE = b"event: done\ndata: {}\n\n"
CHUNK = 4096
STREAM_HEAD = ResponseHead(200, [("content-type", "text/event-stream")])
# The limits are higher than any case needs.
NO_LIMITS = Limits(events=10**9, text_length=10**9, answer_size=10**9)


@attrs.frozen
class BareText:
    text: str
    index: int | None = None


def main(sizes: Sizes) -> None:
    _json_libraries()
    _encode()
    _decode()
    _decode_stream(sizes.codec)
    _dialects(min(sizes.codec, 1000))
    _other_events()
    _sizes(*sizes.lengths)
    _bytewise(*sizes.bytewise)
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
    report("JSON libraries, encoding a string", in_turn(cases, ROUNDS), "µs", 1e6)


def _encode() -> None:
    encode_string = msgspec.json.encode
    event, theirs = Text(TEXT), fp.PartialResponse(text=TEXT)
    figures = in_turn(
        {
            "template and msgspec's string": repeated(
                lambda: b'event: text\ndata: {"text":%b}\n\n' % encode_string(TEXT), 50_000
            ),
            "encode_event": repeated(lambda: encode_event(event), 50_000),
            "BotExchange.send": lambda: _sending(5_000),
            "constructing a Text": repeated(lambda: Text(TEXT), 50_000),
            "fastapi_poe, encoding": repeated(lambda: fp.PoeBot.text_event(theirs.text).encode(), 5_000),
            "fastapi_poe, constructing a PartialResponse": repeated(lambda: fp.PartialResponse(text=TEXT), 5_000),
        },
        ROUNDS,
    )
    report("encoding a text event", figures, "µs", 1e6)
    ours = named(figures, "BotExchange.send")
    goal("encode a text event", ours, named(figures, "fastapi_poe, encoding"), at_least=8)
    goal("encode a text event", ours, named(figures, "template and msgspec's string"), at_most=4)
    cost("a text event encoded (BotExchange.send)", ours, "µs", 1e6)
    cost("a Text constructed", named(figures, "constructing a Text"), "µs", 1e6)


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
    report("decoding a text event's payload", figures, "µs", 1e6)


def _decode_stream(count: int) -> None:
    chunks = _cut(RECORD * count + DONE)
    figures = in_turn(
        {
            "split on blank lines, msgspec into a bare class": lambda: _splitting(chunks) / count,
            "PoeExchange": lambda: _reading(chunks) / count,
            "httpx-sse and json.loads": lambda: _httpx_sse(chunks) / count,
        },
        ROUNDS,
    )
    report(f"decoding a stream of {count} text events, in chunks of {CHUNK} bytes, for each event", figures, "µs", 1e6)
    ours = named(figures, "PoeExchange")
    goal("decode a stream of text events", ours, named(figures, "httpx-sse and json.loads"), at_least=4)
    goal("decode a stream of text events", ours, figures[0], at_most=2)
    cost("an event decoded, in a stream of text events", ours, "µs", 1e6)


def _dialects(count: int) -> None:
    """Streams as other servers write them and as networks cut them, read by the readers that people use."""
    starlette = fp.PoeBot.text_event(TEXT).encode()  # sse-starlette: CR LF, and spaces in the JSON
    cjk = "你好，世界🐈"
    streams = {
        "LF, in large reads": _cut(RECORD * count),
        "CR LF, in large reads": _cut(starlette * count),
        "LF, an event a read": [RECORD] * count,
        "CR LF, an event a read": [starlette] * count,
        "LF, in reads of 50 bytes": _cut(RECORD * count, 50),
        "CR LF, in reads of 50 bytes": _cut(starlette * count, 50),
        "Chinese and an emoji, as UTF-8": _cut(encode_event(Text(cjk)) * count),
        "Chinese and an emoji, as escapes, CR LF": _cut(fp.PoeBot.text_event(cjk).encode() * count),
        "4 KiB texts, in reads of 64 KiB": _cut(encode_event(Text("x" * 4096)) * count, 65_536),
    }
    readers: dict[str, Callable[[list[bytes]], float]] = {
        "PoeExchange": _reading,
        "httpx-sse and json.loads": _httpx_sse,
        "fastapi_poe": _fastapi_poe,
    }
    cases: dict[str, Callable[[], float]] = {
        f"{name}: {reader}": functools.partial(_for_each, read, chunks, count)
        for name, chunks in streams.items()
        for reader, read in readers.items()
    }
    figures = in_turn(cases, ROUNDS)
    report("reading a stream of texts, for each event", figures, "µs", 1e6)
    large = named(figures, "CR LF, in large reads: PoeExchange")
    goal("read CR LF against LF, in large reads", large, named(figures, "LF, in large reads: PoeExchange"), at_most=1.3)
    for name in ("CR LF, in large reads", "CR LF, an event a read", "CR LF, in reads of 50 bytes"):
        ours = named(figures, f"{name}: PoeExchange")
        goal(f"read a stream, {name}", ours, named(figures, f"{name}: httpx-sse and json.loads"), at_least=2)
        cost(f"an event read, {name}", ours, "µs", 1e6)


def _for_each(read: Callable[[list[bytes]], float], chunks: list[bytes], count: int) -> float:
    return read(chunks) / count


def _splitting(chunks: list[bytes]) -> float:
    decode = msgspec.json.Decoder(BareText).decode
    events: list[BareText] = []
    rest = b""
    start = time.perf_counter()
    for chunk in chunks:
        *records, rest = (rest + chunk).split(b"\n\n")
        for record in records:
            name, _, data = record.partition(b"\ndata: ")
            if name == b"event: text":
                events.append(decode(data))
    return time.perf_counter() - start


def _reading(chunks: list[bytes]) -> float:
    exchange = PoeExchange(limits=NO_LIMITS)
    exchange.send(QueryRequest([]), "http://bot.invalid/")
    exchange.receive_head(STREAM_HEAD)
    start = time.perf_counter()
    for chunk in chunks:
        exchange.receive_data(chunk)
    return time.perf_counter() - start


class _Chunks(httpx.SyncByteStream, httpx.AsyncByteStream):
    def __init__(self, chunks: list[bytes]) -> None:
        self._chunks = chunks

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._chunks)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for chunk in self._chunks:
            yield chunk


def _httpx_sse(chunks: list[bytes]) -> float:
    response = httpx.Response(200, headers={"content-type": "text/event-stream"}, stream=_Chunks(chunks))
    start = time.perf_counter()
    for record in EventSource(response).iter_sse():
        json.loads(record.data)
    return time.perf_counter() - start


def _fastapi_poe(chunks: list[bytes]) -> float:
    """fastapi_poe's client, with a transport that answers from memory."""

    async def respond(_: httpx.Request) -> httpx.Response:
        return httpx.Response(200, headers={"content-type": "text/event-stream"}, stream=_Chunks([*chunks, DONE]))

    async def read() -> None:
        query = [fp.ProtocolMessage(role="user", content="hello")]
        request = fp.QueryRequest(
            version="1.2", type="query", query=query, user_id="", conversation_id="", message_id=""
        )
        async with httpx.AsyncClient(transport=httpx.MockTransport(respond)) as session:
            stream = fp.stream_request(request, "", base_url="http://bot.invalid/", session=session)  # pyright: ignore[reportUnknownMemberType]
            async for _ in stream:
                pass

    start = time.perf_counter()
    asyncio.run(read())
    return time.perf_counter() - start


def _other_events() -> None:
    reply = {type(event).__name__: event for event in sample_reply()}
    reply |= {"Text": Text(TEXT), "Text, an index": Text(TEXT, 1), "Text, an unknown key": Text(TEXT, extra={"new": 1})}
    reply["Error"] = Error(raw_response={"code": 500})
    payloads = {
        name: record.decode().removeprefix("event: ").rstrip("\n").split("\ndata: ")
        for name, record in ((name, encode_event(event)) for name, event in reply.items())
    }
    cases = {
        name: repeated(lambda event=event, data=data: decode_event(event, data), 20_000)
        for name, (event, data) in payloads.items()
    }
    report("decode_event, by the kind of event", in_turn(cases, ROUNDS), "µs", 1e6)
    cases = {name: repeated(lambda event=event: encode_event(event), 20_000) for name, event in reply.items()}
    report("encode_event, by the kind of event", in_turn(cases, ROUNDS), "µs", 1e6)


def _sizes(many: int, few: int) -> None:
    streams = {count: _cut(RECORD * count) for count in (few, many)}
    # Both cases do the same amount of work, so a disturbance of the machine affects both equally.
    figures = in_turn(
        {
            f"BotExchange.send, {few:,} events a reply": lambda: _mean(lambda: _sending(few), many // few),
            f"BotExchange.send, {many:,} events a reply": lambda: _sending(many),
        },
        ROUNDS,
    )
    report("cost against size: an event sent", figures, "µs", 1e6)
    goal("cost of an event sent, in a long reply against a short one", figures[1], figures[0], at_most=1.1)
    figures = in_turn(
        {
            f"PoeExchange, {few:,} events a reply": lambda: _mean(lambda: _reading(streams[few]) / few, many // few),
            f"PoeExchange, {many:,} events a reply": lambda: _reading(streams[many]) / many,
        },
        ROUNDS,
    )
    report("cost against size: an event received", figures, "µs", 1e6)
    goal("cost of an event received, in a long reply against a short one", figures[1], figures[0], at_most=1.1)


def _bytewise(large: int, small: int) -> None:
    figures = in_turn(
        {
            f"an event of {small:,} bytes": lambda: _mean(lambda: _reading_bytewise(small) / small, 4),
            f"an event of {large:,} bytes": lambda: _reading_bytewise(large) / large,
        },
        3,
        warm_up=False,  # a warm-up would take many seconds more
    )
    report("cost against size: a byte received alone", figures, "µs", 1e6)
    goal("cost of a byte received alone, in a long event against a short one", figures[1], figures[0], at_most=1.25)


def _mean(case: Callable[[], float], times: int) -> float:
    return sum(case() for _ in range(times)) / times


def _sending(count: int) -> float:
    """Seconds to send an event, in a reply of `count` events."""
    exchange = _open_exchange()
    event = Text(TEXT)
    start = time.perf_counter()
    for _ in range(count):
        exchange.send(event)
    return (time.perf_counter() - start) / count


def _reading_bytewise(size: int) -> float:
    """Seconds to receive an event of `size` characters byte by byte."""
    record = encode_event(Text("x" * size))
    return _reading([record[place : place + 1] for place in range(len(record))])


def _cut(stream: bytes, size: int = CHUNK) -> list[bytes]:
    return [stream[place : place + size] for place in range(0, len(stream), size)]


def _bare(cls: type[Any], **types: Any) -> type[Any]:
    """A plain attrs class with the same fields."""
    hints = {**typing.get_type_hints(cls), **types}
    fields = {
        field.name: attrs.field(type=hints[field.name], default=field.default, kw_only=True)
        for field in attrs.fields(cls)
    }
    return attrs.make_class(f"Bare{cls.__name__}", fields, frozen=True, slots=True)


def _query() -> None:
    body = _long_query()
    bare = msgspec.json.Decoder(_bare(QueryRequest, query=list[_bare(Message)]))
    ours = msgspec.json.Decoder(QueryRequest)
    unknown = body.replace(b'{"version"', b'{"new in 1.3":1,"version"', 1)
    unknown_in_each = body.replace(b'{"role"', b'{"new in 1.3":1,"role"')
    null_in_each = body.replace(b'"parameters":{}', b'"parameters":null')
    wire = msgspec.json.decode(body)
    nulls = {field.name: None for field in attrs.fields(Message) if field.default is not attrs.NOTHING}
    del nulls["extra"]
    wire["query"] = [{**nulls, "role": each["role"], "content": each["content"]} for each in wire["query"]]
    all_nulls = json.dumps({**wire, "stop_sequences": None, "users": None, "logit_bias": None}).encode()
    nulls_and_unknown = json.dumps({**json.loads(all_nulls), "new in 1.3": 1}).encode()
    request = decode_request(body)
    parsed = json.loads(body)
    theirs = fp.QueryRequest.model_validate(parsed)
    figures = in_turn(
        {
            "msgspec straight into bare classes": repeated(lambda: bare.decode(body), 100),
            "msgspec straight into our classes": repeated(lambda: ours.decode(body), 100),
            "decode_request": repeated(lambda: decode_request(body), 100),
            "decode_request, an unknown key": repeated(lambda: decode_request(unknown), 100),
            "decode_request, an unknown key in each message": repeated(lambda: decode_request(unknown_in_each), 100),
            "decode_request, a null in each message": repeated(lambda: decode_request(null_in_each), 100),
            "decode_request, a null for each optional field": repeated(lambda: decode_request(all_nulls), 100),
            "decode_request, such nulls and an unknown key": repeated(lambda: decode_request(nulls_and_unknown), 100),
            "msgspec to a dict": repeated(lambda: msgspec.json.decode(body), 100),
            "fastapi_poe (json and pydantic)": repeated(lambda: fp.QueryRequest.model_validate(json.loads(body)), 100),
            "fastapi_poe, without parsing JSON": repeated(lambda: fp.QueryRequest.model_validate(parsed), 100),
        },
        ROUNDS,
    )
    report(f"decoding a query of 50 messages ({len(body)} bytes)", figures, "µs", 1e6)
    mine = named(figures, "decode_request")
    goal("decode a query of 50 messages", mine, named(figures, "fastapi_poe (json and pydantic)"), at_least=4)
    goal("decode a query of 50 messages", mine, figures[0], at_most=1.5)
    goal("decode a query of 50 messages", mine, figures[1], at_most=1.5)
    with_nulls = named(figures, "decode_request, a null for each optional field")
    goal("decode a query with nulls against one without", with_nulls, mine, at_most=1.5)
    with_both = named(figures, "decode_request, such nulls and an unknown key")
    unknown_alone = named(figures, "decode_request, an unknown key")
    goal("decode a query with nulls and an unknown key against the key alone", with_both, unknown_alone, at_most=1.5)
    cost(f"a query decoded, {len(body):,} bytes in 50 messages", mine, "µs", 1e6)
    figures = in_turn(
        {
            "encode_request": repeated(lambda: encode_request(request), 100),
            "fastapi_poe (pydantic)": repeated(lambda: json.dumps(theirs.model_dump()).encode(), 100),
        },
        ROUNDS,
    )
    report("encoding that query", figures, "µs", 1e6)
    _rich_query()


def _rich_query() -> None:
    """A query as a bot with files and tools gets it: an attachment a message, parsed content, and ten tools."""
    request = _with_files_and_tools()
    body = encode_request(request)
    theirs = fp.QueryRequest.model_validate(json.loads(body))
    figures = in_turn(
        {
            "decode_request": repeated(lambda: decode_request(body), 100),
            "msgspec to a dict": repeated(lambda: msgspec.json.decode(body), 100),
            "fastapi_poe (json and pydantic)": repeated(lambda: fp.QueryRequest.model_validate(json.loads(body)), 100),
        },
        ROUNDS,
    )
    what = f"a query of 20 messages, each with a file, and of 10 tools ({len(body)} bytes)"
    report(f"decoding {what}", figures, "µs", 1e6)
    figures = in_turn(
        {
            "encode_request": repeated(lambda: encode_request(request), 100),
            "fastapi_poe (pydantic)": repeated(lambda: json.dumps(theirs.model_dump()).encode(), 100),
        },
        ROUNDS,
    )
    report(f"encoding {what}", figures, "µs", 1e6)


def _with_files_and_tools() -> QueryRequest:
    files = [
        Attachment(
            f"https://files.example/{number}",
            "application/pdf",
            f"report {number}.pdf",
            parsed_content="lorem ipsum " * 400,
        )
        for number in range(20)
    ]
    messages = [
        Message("user" if number % 2 == 0 else "bot", "Read it, please.", attachments=[file])
        for number, file in enumerate(files)
    ]
    parameters = {
        "type": "object",
        "properties": {"city": {"type": "string", "description": "a name"}, "days": {"type": "integer"}},
        "required": ["city"],
    }
    tools = [
        ToolDefinition(FunctionDefinition(f"tool_{number}", "What the tool does.", parameters)) for number in range(10)
    ]
    return QueryRequest(messages, tools=tools)


def _long_query() -> bytes:
    messages = [
        Message("user" if i % 2 == 0 else "bot", "lorem ipsum " * 68, message_id=f"m-{i:032}") for i in range(50)
    ]
    return encode_request(QueryRequest(messages, user_id="u-" + "0" * 32, conversation_id="c-" + "0" * 32))


def _open_exchange() -> BotExchange:
    exchange = BotExchange(None, NO_LIMITS)
    exchange.receive_head(RequestHead("POST", "/"))
    exchange.receive_data(encode_request(QueryRequest([Message("user", "hello")])))
    exchange.receive_eof()
    exchange.begin()
    return exchange
