"""Cases: `stream_request` and `stream_request_base`: the replies that they read, and their parameters."""

# The arguments of both libraries, many of them wrong, in lambdas without annotations.
# pyright: basic, reportArgumentType=false, reportInvalidTypeForm=false

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import httpx

from .bots import a_query
from .call_outcomes import FINAL, HELLO, LEFT_OUT, REFUSED, RETRYABLE, TEXT, WITH_TEXT, headers_sent, sent, streamed
from .cases import Side, shown
from .peer import DONE, cut, record, response, stream
from .replies import FILE
from .tool_calls import TOOL, TOOL_CALL, TOOL_RESULT, one

CHUNK = {"choices": [{"index": 0, "delta": {"content": "x"}, "finish_reason": None}]}
META = {"content_type": "text/plain", "linkify": True, "suggested_replies": True}


def both_streams() -> dict[str, tuple[bytes, ...]]:
    """Replies, by name; several responses where an attempt may follow."""
    events: dict[str, list[bytes]] = {
        "texts": [record("text", {"text": "naïve \u2028"}), record("text", {"text": ""}), DONE],
        "a text with an index": [record("text", {"text": "a", "index": 1}), DONE],
        "a text with other keys": [record("text", {"text": "a", "own": 1}), DONE],
        "an index of another type": [record("text", {"text": "a", "index": "1"}), DONE],
        "a replacement": [TEXT, record("replace_response", {"text": "b", "index": 3}), DONE],
        "a suggestion": [TEXT, record("suggested_reply", {"text": "b"}), DONE],
        "a file": [record("file", FILE), TEXT, DONE],
        "a file with a reference": [record("file", {**FILE, "inline_ref": "r"}), TEXT, DONE],
        "a file with a null reference": [record("file", {**FILE, "inline_ref": None}), TEXT, DONE],
        "a file with a reference of another type": [record("file", {**FILE, "inline_ref": 5}), TEXT, DONE],
        "json": [record("json", CHUNK), TEXT, DONE],
        "json with an index": [record("json", {**CHUNK, "index": 1}), TEXT, DONE],
        "json alone": [record("json", {"a": 1}), DONE],
        "data": [TEXT, record("data", {"metadata": "m"}), DONE],
        "meta": [record("meta", META), TEXT, DONE],
        "meta without keys": [record("meta", {}), TEXT, DONE],
        "meta with other keys": [record("meta", {**META, "refetch_settings": True, "own": 1}), TEXT, DONE],
        "meta of another content type": [record("meta", {**META, "content_type": "text/other"}), TEXT, DONE],
        "a late meta": [TEXT, record("meta", META), DONE],
        "ping": [record("ping", {}), TEXT, DONE],
        "an unknown event": [record("own", {"a": 1}), TEXT, DONE],
        "nothing": [DONE],
        "a suggestion alone": [record("suggested_reply", {"text": "b"}), DONE],
        "events after done": [TEXT, DONE, TEXT],
        "done without data": [TEXT, b"event: done\r\ndata: \r\n\r\n"],
        "comments": [b": ping\r\n\r\n", TEXT, b": x\r\n\r\n", DONE],
        "lines by LF": [b'event: text\ndata: {"text": "a"}\n\n', DONE],
        "an id and a retry": [b'id: 1\r\nretry: 5\r\nevent: text\r\ndata: {"text": "a"}\r\n\r\n', DONE],
        "data in two lines": [b'event: text\r\ndata: {"text":\r\ndata: "a"}\r\n\r\n', DONE],
        "an error at first": [record("error", {"allow_retry": False, "text": "no"})],
        "an error late": [TEXT, record("error", {"allow_retry": False, "text": "no"})],
        "an error that allows a retry, late": [TEXT, record("error", {"allow_retry": True})],
        "an error that allows a retry": [record("error", {"allow_retry": True, "text": "no", "error_type": "x"})],
        "an error without keys": [record("error", {})],
        "an error with other keys": [record("error", {"text": "no", "raw_response": "x", "own": [1]})],
        "no JSON": [record("text", "{"), DONE],
        "no object": [record("text", "[1]"), DONE],
        "a text without text": [record("text", {}), DONE],
        "a text that is a number": [record("text", {"text": 1}), DONE],
        "a text that is null": [record("text", {"text": None}), DONE],
        "a file without a name": [record("file", {"url": "u", "content_type": "c"}), DONE],
        "meta that is a list": [record("meta", "[]"), TEXT, DONE],
        "meta with a wrong linkify": [record("meta", {"linkify": 1}), TEXT, DONE],
        "meta with a wrong suggested_replies": [record("meta", {"suggested_replies": "x"}), TEXT, DONE],
        "meta with a wrong content_type": [record("meta", {"content_type": 1}), TEXT, DONE],
        "an error that is a list": [record("error", "[]")],
        "an error that is not JSON": [record("error", "oh")],
        "no event name": [b'data: {"text": "a"}\r\n\r\n', DONE],
        "without done": [TEXT],
        "an empty stream": [],
    }
    return {name: (stream(*parts),) for name, parts in events.items()} | {
        "a stream that is cut": (cut(TEXT), HELLO),
        "a stream that is cut at first": (cut(), HELLO),
        "401": (response(401, {"detail": "no"}),),
        "404": (response(404),),
        "429": (response(429), HELLO),
        "500": (REFUSED,),
        "500, then a reply": (REFUSED, HELLO),
        "a redirect": (b"HTTP/1.1 302 F\r\nLocation: /x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",),
        "200 without a stream": (response(200, "hi", "text/html"),),
        "200 with JSON": (response(200, {"text": "a"}),),
        "no HTTP": (b"hello\r\n\r\n",),
        "nothing at all": (b"",),
        "an error, then a reply": (RETRYABLE, HELLO),
        "a final error, then a reply": (FINAL, HELLO),
        "an error after a text, then a reply": (WITH_TEXT, HELLO),
    }


INVALID = (
    "done without data", "no object", "a text without text", "a file without a name", "meta that is a list",
    "meta with a wrong linkify", "meta with a wrong suggested_replies", "meta with a wrong content_type",
    "an error that is a list", "a file with a reference of another type",
)  # fmt: skip
STREAM_DIFFERENCES = {
    "without done": "incomplete",
    "an empty stream": "incomplete",
    "a stream that is cut": "retries",
    "meta without keys": "received events",
    "meta of another content type": "received events",
    "json alone": "received events",
    "data": "received events",
    **dict.fromkeys(INVALID, "received events"),
}


class Failing(Exception):
    pass


async def with_handler(side: Side, name: str, handler: Any) -> Any:
    return (await streamed(side, REFUSED, HELLO, name=name, on_error=handler))["error"]


async def handled(side: Side, name: str) -> Any:
    seen: list[Any] = []
    await with_handler(side, name, lambda exc, message: seen.append(type(exc).__name__))
    return seen


async def connections(side: Side, name: str) -> Any:
    """How many connections two calls open."""
    base_url = side.serve(HELLO.replace(b"Connection: close\r\n", b""))
    for _ in range(2):
        async for _ in getattr(side.client, name)(a_query(side), "Cat", "k", base_url=base_url):
            pass
    return side.exchange.connections


def raising(exc: Exception, message: str) -> None:
    raise Failing


async def with_session(side: Side, name: str, **options: Any) -> Any:
    async with httpx.AsyncClient(headers={"x-session": "1"}) as session:
        result = await streamed(side, HELLO, name=name, session=session, **options)
        return result, side.exchange.headers("x-session"), session.is_closed


async def warned(side: Side, name: str, **options: Any) -> Any:
    await streamed(side, HELLO, name=name, **options)


async def iterated_here(side: Side, name: str, **options: Any) -> Any:
    """Iterates as programs do, so that the warning names their line."""
    base_url = side.serve(HELLO)
    async for _ in getattr(side.client, name)(a_query(side), "Cat", "k", base_url=base_url, **options):
        pass


async def left_early(side: Side, name: str) -> Any:
    base_url = side.serve(HELLO)
    replies = getattr(side.client, name)(a_query(side), "Cat", "k", base_url=base_url)
    async for message in replies:
        await replies.aclose()
        return message.text


def parameters(name: str) -> dict[str, dict[str, Callable[[Side], Any]]]:
    def run(*responses: bytes, **options: Any) -> Callable[[Side], Any]:
        return lambda side: streamed(side, *(responses or (HELLO,)), name=name, **options)

    def call(**fields: Any) -> Callable[[Side], Any]:
        return lambda side: sent(side, name=name, request=a_query(side, **fields))

    return {
        "request": {
            "a query": call(),
            "of other fields": call(temperature=0.5, logit_bias={"1": 2}, stop_sequences=["x"], users=[{"id": "u"}]),
            "an id of the query": call(bot_query_id="b", metadata="m", language_code="de", skip_system_prompt=True),
            "extra_params": call(extra_params={"a": [1]}, query_creation_time=5, adopt_current_bot_name=True),
            "tools of its own": call(tools=[TOOL], tool_calls=[TOOL_CALL], tool_results=[TOOL_RESULT]),
            "no messages": call(query=[]),
            "unicode": call(query=[{"role": "user", "content": "naïve 🐈\u2028"}]),
            "a lone surrogate": call(query=[{"role": "user", "content": "\ud800"}]),
            "attachments": call(query=[{"role": "user", "content": "", "attachments": [FILE]}]),
            "an infinite temperature": call(temperature=float("inf")),
            "a changed query": lambda side: sent(side, name=name, request=changed(side)),
            "a changed query of wrong values": lambda side: sent(side, name=name, request=changed(side, content=5)),
            "None": lambda side: getattr(side.client, name)(None, "Cat", "k", base_url=side.serve(HELLO)).__anext__(),
            "left early": lambda side: left_early(side, name),
            "not iterated": lambda side: inspect.isasyncgen(getattr(side.client, name)(a_query(side), "Cat")),
        },
        "bot_name": {
            shown(value): run(bot_name=value)
            for value in ("Cat", "", "A Cat", "é", "a/b", "a?b", "a#b", "Claude-3.5-Sonnet", "a%20b")
        },
        "api_key": {
            "a key": lambda side: headers_sent(side, "authorization", name=name, api_key="k"),
            "empty": lambda side: headers_sent(side, "authorization", name=name, api_key=""),
            "left out": lambda side: headers_sent(side, "authorization", name=name, api_key=LEFT_OUT),
            "None": lambda side: headers_sent(side, "authorization", name=name, api_key=None),
            "of the request": lambda side: headers_sent(
                side, "authorization", name=name, api_key=LEFT_OUT, request=a_query(side, access_key="own")
            ),
            "in the body": lambda side: keys_in_body(side, name),
        },
        "access_key": {
            "a key": lambda side: iterated_here(side, name, access_key="k"),
            "empty": lambda side: iterated_here(side, name, access_key=""),
        },
        "access_key_deprecation_warning_stacklevel": {
            str(level): lambda side, level=level: iterated_here(
                side, name, access_key="k", access_key_deprecation_warning_stacklevel=level
            )
            for level in (1, 2, 3)
        },
        "tools": {
            "None": run(tools=None),
            "none in a list": lambda side: sent(side, name=name, tools=[]),
            "a tool": lambda side: sent(side, name=name, tools=[side.types.ToolDefinition(**TOOL)]),
            "a text": lambda side: streamed(side, HELLO, name=name, tools=[side.types.ToolDefinition(**TOOL)]),
            "a dict": lambda side: sent(side, name=name, tools=[TOOL]),
        },
        **({"tool_executables": {"without tools": run(tool_executables=[one])}} if name == "stream_request" else {}),
        "session": {
            "None": run(session=None),
            "httpx": lambda side: with_session(side, name),
            "httpx, an error": lambda side: session_with_error(side, name),
            "None, two calls": lambda side: connections(side, name),
            "an object": run(session=object()),
        },
        "on_error": {
            "a function": run(REFUSED, HELLO),
            "of a failure at last": run(REFUSED),
            "of an error that allows a retry": run(RETRYABLE, HELLO),
            "of a final error": run(FINAL),
            "of an unknown event": run(stream(record("own", {}), TEXT, DONE)),
            "of an invalid event": run(stream(record("text", "{"), DONE)),
            "of nothing": run(stream(DONE)),
            "of a stream without done": run(stream(TEXT)),
            "of an event that is not an object": run(stream(record("text", "[1]"), DONE)),
            "raising": lambda side: with_handler(side, name, raising),
            "None": lambda side: with_handler(side, name, None),
            "the default": run(REFUSED, HELLO, on_error=LEFT_OUT),
            "what it gets": lambda side: handled(side, name),
        },
        "num_tries": {
            **{str(number): run(REFUSED, REFUSED, HELLO, num_tries=number) for number in (1, 2, 3, 5, 0, -1)},
            "of errors": run(RETRYABLE, RETRYABLE, RETRYABLE, HELLO, num_tries=3),
            "of a text, then an error": run(WITH_TEXT, HELLO, num_tries=3),
        },
        "retry_sleep_time": {shown(value): run(REFUSED, HELLO, retry_sleep_time=value) for value in (0, 0.01, 0.0)},
        "base_url": {
            "with a path": lambda side: at(side, name, "a/b/"),
            "without a slash": lambda side: at(side, name, "a"),
            "with a query": lambda side: at(side, name, "a?x="),
            "no URL": run(base_url="x"),
            "another scheme": run(base_url="ftp://127.0.0.1/"),
            "nobody listens": run(base_url="http://127.0.0.1:1/"),
            "empty": run(base_url=""),
        },
        "extra_headers": {
            "a header": lambda side: headers_sent(side, "x-own", name=name, extra_headers={"X-Own": "1"}),
            "None": lambda side: headers_sent(side, "accept", "content-type", name=name, extra_headers=None),
            "Authorization": lambda side: headers_sent(
                side, "authorization", name=name, api_key="k", extra_headers={"Authorization": "Own"}
            ),
            "Accept": lambda side: headers_sent(side, "accept", name=name, extra_headers={"Accept": "own/own"}),
            "with a line end": run(extra_headers={"X": "a\r\nb"}),
        },
        **({} if name == "stream_request" else {"tool_calls": {"None": run(tool_calls=None)}}),
    }


PARAMETER_DIFFERENCES: dict[str, dict[str, str]] = {
    "request": {
        "a lone surrogate": "unsendable",
        "an infinite temperature": "unsendable",
        "a changed query of wrong values": "unsendable",
    },
    "bot_name": {"'a?b'": "bugs", "'a#b'": "bugs"},
    "api_key": {
        "empty": "accepted",
        "left out": "accepted",
        "of the request": "accepted",
        "in the body": "hidden keys",
    },
    "access_key": {"a key": "words"},
    "access_key_deprecation_warning_stacklevel": {"2": "words"},
    "tools": {"a dict": "accepted"},
    "session": {"an object": "wrong arguments", "None, two calls": "connections"},
    "on_error": {
        "of a stream without done": "incomplete",
        "None": "accepted",
        "of an event that is not an object": "bugs",
        "what it gets": "errors of calls",
    },
    "extra_headers": {"Accept": "accepted"},
}


def changed(side: Side, content: Any = "changed") -> Any:
    request = a_query(side)
    request.query[-1].content = content
    request.temperature = 0.5
    request.query = [*request.query, request.query[-1]]
    return request


async def keys_in_body(side: Side, name: str) -> Any:
    await streamed(side, HELLO, name=name, request=a_query(side, access_key="own", api_key="own"))
    return sorted({"access_key", "api_key"} & side.exchange.bodies()[0].keys())


async def at(side: Side, name: str, path: str) -> Any:
    base_url = side.serve(HELLO)
    messages = getattr(side.client, name)(a_query(side), "Cat", "k", base_url=base_url + path)
    return [message.text async for message in messages], side.exchange.paths


async def session_with_error(side: Side, name: str) -> Any:
    async with httpx.AsyncClient() as session:
        result = await streamed(side, REFUSED, HELLO, name=name, session=session)
    return result
