"""Cases: calls of other bots, answered by a script."""

# The arguments of both libraries, many of them wrong, in lambdas without annotations.
# pyright: basic, reportArgumentType=false, reportInvalidTypeForm=false

from __future__ import annotations

import asyncio
import inspect
import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import httpx

from .bots import a_query
from .cases import Case, Side, each_case, shown
from .peer import DONE, cut, ordered, record, response, stream
from .replies import FILE

TEXT = record("text", {"text": "a"})
HELLO = stream(TEXT, record("text", {"text": "b"}), DONE)
RETRYABLE = stream(record("error", {"allow_retry": True, "text": "busy"}))
FINAL = stream(record("error", {"allow_retry": False, "text": "no"}))
REFUSED = response(500, "oh", "text/plain")
WITH_TEXT = stream(TEXT, record("error", {"allow_retry": True, "text": "late"}))

Run = Callable[..., Any]


async def streamed(side: Side, *responses: bytes, name: str = "stream_request", **options: Any) -> Any:
    """The results of a call: the messages, the error, the errors reported, the requests, the warnings."""
    base_url = side.serve(*responses)
    errors: list[str] = []

    def on_error(exc: Exception, message: str) -> None:
        errors.append(kind_of(side, exc))

    request = options.pop("request", None) or a_query(side)
    bot_name = options.pop("bot_name", "Cat")
    given = {"api_key": "k", "on_error": on_error, "retry_sleep_time": 0, "base_url": base_url, **options}
    given = {key: value for key, value in given.items() if value is not LEFT_OUT}
    messages: list[Any] = []
    error: Any = None
    try:
        async for message in getattr(side.client, name)(request, bot_name, **given):
            messages.append(of_message(message))
    except Exception as exc:  # noqa: BLE001  # any exception is an outcome
        error = kind_of(side, exc), said(exc)
    return {"messages": messages, "error": error, "reported": errors, "calls": queries(side)}


LEFT_OUT: Any = object()


def kind_of(side: Side, exc: Exception) -> str:
    """The type of an exception; those of the HTTP libraries are one."""
    home = type(exc).__module__.partition(".")[0]
    is_http = home in ("httpx", "httpx_sse", "poeproto") and not side.client.BotError.__subclasscheck__(type(exc))
    return "an HTTP error" if is_http else type(exc).__name__


def of_message(message: Any) -> Any:
    """A message with all its fields; the JSON in them decoded."""
    fields = {**message.__dict__}
    raw = fields["raw_response"]
    if isinstance(raw, dict) and isinstance(raw.get("text"), str):
        fields["raw_response"] = ordered({**raw, "text": json.loads(raw["text"])})
    elif isinstance(raw, dict):
        fields["raw_response"] = ordered(raw)
    fields["full_prompt"] = fields["full_prompt"] is not None
    return type(message).__name__, fields, sorted(message.model_fields_set)


def said(exc: Exception) -> Any:
    """The text of an error event; other errors differ in wording between the libraries."""
    try:
        return {"allow_retry": True, **json.loads(str(exc))}
    except ValueError:
        return None


def queries(side: Side) -> list[Any]:
    """The requests, except reports of errors."""
    found: list[Any] = []
    for (method, path, _, _), sent in zip(side.exchange.requests, side.exchange.bodies(), strict=True):
        if not (isinstance(sent, dict) and sent["type"] == "report_error"):
            found.append((method, path))
    return found


def reports(side: Side) -> list[Any]:
    return [sent["type"] for sent in side.exchange.bodies() if sent["type"] != "query"]


async def sent(side: Side, **options: Any) -> Any:
    """The body of the query that is sent, without the keys."""
    result = await streamed(side, HELLO, **options)
    bodies = [
        {key: value for key, value in sorted(body.items()) if key not in ("access_key", "api_key")}
        for body in side.exchange.bodies()
    ]
    return result["error"], [without_null(body) for body in bodies]


def without_null(value: Any) -> Any:
    """JSON without null keys, sorted."""
    if isinstance(value, dict):
        return {key: without_null(item) for key, item in sorted(value.items()) if item is not None}
    return [without_null(item) for item in value] if isinstance(value, list) else value


async def headers_sent(side: Side, *names: str, **options: Any) -> Any:
    await streamed(side, HELLO, **options)
    return side.exchange.headers(*names)


# --- streams

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


def cases() -> Iterator[Case]:
    for name in ("stream_request", "stream_request_base"):
        for given, responses in both_streams().items():
            yield Case(
                f"a reply to client.{name}",
                given,
                lambda side, n=name, r=responses: streamed(side, *r, name=n),
                STREAM_DIFFERENCES.get(given),
            )
        for parameter, inputs in parameters(name).items():
            yield from each_case(f"client.{name}({parameter})", inputs, PARAMETER_DIFFERENCES.get(parameter))
    yield from each_case("client.stream_request_base(tool_calls)", TOOLS_SENT)
    yield from each_case("client.stream_request_base(tool_results)", TOOLS_SENT)
    yield from each_case("client.stream_request(tool_executables)", TOOLS, TOOL_DIFFERENCES)
    yield from each_case("client.stream_request(tools)", TOOL_CALLS, TOOL_DIFFERENCES)
    yield from final_cases()
    for name in ("get_bot_response", "get_bot_response_sync"):
        for parameter, inputs in shortcut_parameters(name).items():
            yield from each_case(f"client.{name}({parameter})", inputs, SHORTCUT_DIFFERENCES.get(parameter))


# --- parameters of stream_request and stream_request_base


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


# --- tools

TOOL: dict[str, Any] = {
    "type": "function",
    "function": {"name": "one", "description": "d", "parameters": {"type": "object", "properties": {}}},
}
TOOL_CALL = {"id": "i", "type": "function", "function": {"name": "one", "arguments": "{}"}}
TOOL_RESULT = {"role": "tool", "name": "one", "tool_call_id": "i", "content": "1"}


def one(**arguments: Any) -> Any:
    return {"one": arguments}


def two() -> Any:
    return 2


async def later(**arguments: Any) -> Any:
    return "later"


def broken(**arguments: Any) -> Any:
    raise KeyError("secret")


def unserialisable(**arguments: Any) -> Any:
    return object()


class Callable_:
    __name__ = "one"

    def __call__(self, **arguments: Any) -> Any:
        return 1


def chunk(delta: dict[str, Any], finish_reason: str | None = None, **more: Any) -> bytes:
    return record("json", {"choices": [{"index": 0, "delta": delta, "finish_reason": finish_reason}], **more})


def call_chunk(name: str | None = "one", arguments: str | None = "{}", **more: Any) -> bytes:
    function = {key: value for key, value in (("name", name), ("arguments", arguments)) if value is not None}
    call = {"index": 0, "id": "i", "type": "function", "function": function, **more}
    return chunk({"tool_calls": [call]})


END = chunk({}, "tool_calls")


async def with_tools(side: Side, *first: bytes, executables: Any = None, **options: Any) -> Any:
    """A call with tools: the messages, and what the second query has of tools."""
    tools = [side.types.ToolDefinition(**TOOL)]
    responses = [stream(*first, DONE), HELLO]
    result = await streamed(side, *responses, tools=tools, tool_executables=executables, **options)
    return result, [
        without_null({key: body.get(key) for key in ("tools", "tool_calls", "tool_results")})
        for body in side.exchange.bodies()
        if body["type"] == "query"
    ]


def tools(*first: bytes, executables: Any = None) -> Callable[[Side], Any]:
    return lambda side: with_tools(side, *first, executables=executables)


TOOLS_SENT: dict[str, Callable[[Side], Any]] = {
    "both": lambda side: sent(
        side,
        name="stream_request_base",
        tools=[side.types.ToolDefinition(**TOOL)],
        tool_calls=[side.types.ToolCallDefinition(**TOOL_CALL)],
        tool_results=[side.types.ToolResultDefinition(**TOOL_RESULT)],
    ),
    "none in a list": lambda side: sent(side, name="stream_request_base", tool_calls=[], tool_results=[]),
    "None": lambda side: sent(side, name="stream_request_base", tool_calls=None, tool_results=None),
}
TOOLS: dict[str, Callable[[Side], Any]] = {
    "a function": tools(call_chunk(), END, executables=[one]),
    "an async function": tools(call_chunk("later"), END, executables=[one, later]),
    "arguments": tools(call_chunk(arguments='{"a": [1], "b": "é"}'), END, executables=[one]),
    "arguments in parts": tools(
        call_chunk(arguments='{"a"'), call_chunk(None, ": 1}", id=None, type=None), END, executables=[one]
    ),
    "two calls": tools(call_chunk(), call_chunk("later", index=1, id="j"), END, executables=[one, later]),
    "no call": tools(chunk({"content": "x"}), executables=[one]),
    "an empty list": tools(call_chunk(), END, executables=[]),
    "a function that fails": tools(call_chunk("broken"), END, executables=[broken]),
    "a result without JSON": tools(call_chunk("unserialisable"), END, executables=[unserialisable]),
    "an object that is callable": tools(call_chunk(), END, executables=[Callable_()]),
    "a lambda": tools(call_chunk("<lambda>"), END, executables=[lambda: 1]),
    "an unknown tool": tools(call_chunk("two"), END, executables=[one]),
    "arguments that are not JSON": tools(call_chunk(arguments="{"), END, executables=[one]),
    "arguments that are not an object": tools(call_chunk(arguments="[1]"), END, executables=[one]),
    "arguments that are empty": tools(call_chunk(arguments=""), END, executables=[one]),
    "arguments that do not fit": tools(call_chunk("two", '{"x": 1}'), END, executables=[two]),
    "a text besides": tools(TEXT, call_chunk(), END, executables=[one]),
    "content besides": tools(chunk({"content": "x"}), call_chunk(), END, executables=[one]),
    "no id": tools(call_chunk(id=None), END, executables=[one]),
    "parts after the end": tools(call_chunk(), END, chunk({"content": "late"}), executables=[one]),
}
TOOL_CALLS: dict[str, Callable[[Side], Any]] = {
    "a call": tools(call_chunk(), END),
    "a call with an index of the reply": tools(
        record("json", {"choices": [{"delta": {"tool_calls": [TOOL_CALL]}, "finish_reason": None}], "index": 2})
    ),
    "a call without arguments": tools(call_chunk(arguments=None), END),
    "a call of a wrong type": tools(chunk({"tool_calls": [5]})),
    "content": tools(chunk({"content": "x"}), chunk({"content": ""}), END),
    "content that is null": tools(chunk({"content": None})),
    "a role": tools(chunk({"role": "assistant"})),
    "content at the end": tools(chunk({"content": "x"}, "stop")),
    "no choices": tools(record("json", {"choices": []}), record("json", {"a": 1})),
    "choices of a wrong type": tools(record("json", {"choices": 5})),
    "a choice without a delta": tools(record("json", {"choices": [{"finish_reason": None}]})),
    "a choice without a finish reason": tools(record("json", {"choices": [{"delta": {"content": "x"}}]})),
    "texts": tools(TEXT),
    "an error": tools(record("error", {"allow_retry": False, "text": "no"})),
    "nothing": tools(),
}
TOOL_DIFFERENCES: dict[str, str] = {
    "an unknown tool": "tools",
    "arguments that are not JSON": "tools",
    "arguments that are not an object": "tools",
    "arguments that are empty": "tools",
    "no id": "tools",
    "a call without arguments": "tools",
    "content that is null": "tools",
    "content at the end": "tools",
    "choices of a wrong type": "tools",
    "a choice without a delta": "tools",
    "a choice without a finish reason": "tools",
    "a call of a wrong type": "received events",
}

# --- get_final_response


async def final(side: Side, *responses: bytes, **options: Any) -> Any:
    base_url = side.serve(*responses)
    quiet = {"api_key": "k", "on_error": lambda exc, message: None, "retry_sleep_time": 0}
    given = {**quiet, "base_url": base_url, **options}
    given = {key: value for key, value in given.items() if value is not LEFT_OUT}
    text = await side.client.get_final_response(
        given.pop("request", None) or a_query(side), given.pop("bot_name", "Cat"), **given
    )
    return text, queries(side)


async def final_headers(side: Side, *names: str, **options: Any) -> Any:
    await final(side, HELLO, **options)
    return side.exchange.headers(*names)


def final_cases() -> Iterator[Case]:
    row = "client.get_final_response(request)"
    for given, responses in both_streams().items():
        yield Case(row, given, lambda side, r=responses: final(side, *r), FINAL_DIFFERENCES.get(given))
    inputs: dict[str, dict[str, Callable[[Side], Any]]] = {
        "bot_name": {value: lambda side, v=value: final(side, HELLO, bot_name=v) for value in ("Cat", "A Cat", "é")},
        "api_key": {"a key": lambda side: final_headers(side, "authorization", api_key="k")},
        "access_key": {"a key": lambda side: final(side, HELLO, access_key="k")},
        "session": {"httpx": final_with_session, "None": lambda side: final(side, HELLO, session=None)},
        "on_error": {
            "the default": lambda side: final(side, REFUSED, HELLO, on_error=LEFT_OUT),
            "raising": lambda side: final(side, REFUSED, HELLO, on_error=raising),
        },
        "num_tries": {
            str(n): lambda side, n=n: final(side, REFUSED, REFUSED, HELLO, num_tries=n) for n in (1, 2, 3, 0)
        },
        "retry_sleep_time": {
            str(n): lambda side, n=n: final(side, REFUSED, HELLO, retry_sleep_time=n) for n in (0, 0.01)
        },
        "base_url": {
            "no URL": lambda side: final(side, HELLO, base_url="x"),
            "nobody listens": lambda side: final(side, HELLO, base_url="http://127.0.0.1:1/"),
        },
    }
    for parameter, cases_of in inputs.items():
        yield from each_case(f"client.get_final_response({parameter})", cases_of, PARAMETER_DIFFERENCES.get(parameter))


# Differences that a text alone does not show.
FINAL_DIFFERENCES = {
    given: key for given, key in STREAM_DIFFERENCES.items() if given not in ("meta without keys", "json alone", "data")
}


async def final_with_session(side: Side) -> Any:
    async with httpx.AsyncClient() as session:
        return await final(side, HELLO, session=session), session.is_closed


# --- get_bot_response


async def shortcut(side: Side, name: str, *responses: bytes, **options: Any) -> Any:
    """The messages of a call, and the query that is sent."""
    base_url = side.serve(*responses)
    messages = options.pop("messages", [side.types.ProtocolMessage(role="user", content="hi")])
    given = {"messages": messages, "bot_name": "Cat", "api_key": "k", "base_url": base_url, **options}
    if name == "get_bot_response":
        found = [each async for each in side.client.get_bot_response(**given)]
    else:
        found = await asyncio.to_thread(lambda: list(side.client.get_bot_response_sync(**given)))
    bodies = [without_null(body) for body in side.exchange.bodies()]
    for body in bodies:
        for key in ("access_key", "api_key"):
            body.pop(key, None)
    return [of_message(each) for each in found], bodies, side.exchange.headers("authorization"), queries(side)


def shortcut_parameters(name: str) -> dict[str, dict[str, Callable[[Side], Any]]]:
    def run(**options: Any) -> Callable[[Side], Any]:
        return lambda side: shortcut(side, name, HELLO, **options)

    def values(parameter: str, *given: Any) -> dict[str, Callable[[Side], Any]]:
        return {shown(value): run(**{parameter: value}) for value in given}

    return {
        "messages": {
            "a message": run(),
            "none": run(messages=[]),
            "None": run(messages=None),
            "dicts": run(messages=[{"role": "user", "content": "hi"}]),
            "of all roles": run(
                messages=[{"role": role, "content": "é"} for role in ("system", "user", "bot", "tool")]
            ),
            "of a wrong role": run(messages=[{"role": "assistant", "content": "hi"}]),
            "an error": lambda side: shortcut(side, name, FINAL),
            "an error that allows a retry": lambda side: shortcut(side, name, RETRYABLE, HELLO),
            "a stream without done": lambda side: shortcut(side, name, stream(TEXT)),
        },
        "bot_name": values("bot_name", "Cat", "A Cat", "é", ""),
        "api_key": values("api_key", "k", ""),
        "temperature": values("temperature", None, 0, 0.5, "0.5", "x"),
        "skip_system_prompt": values("skip_system_prompt", None, True, False),
        "adopt_current_bot_name": values("adopt_current_bot_name", None, True, False),
        "logit_bias": values("logit_bias", None, {}, {"1": 2.5}),
        "stop_sequences": values("stop_sequences", None, [], ["x"], "x"),
        "base_url": values("base_url", "x", "http://127.0.0.1:1/"),
        "tools": {
            "a tool": lambda side: shortcut(side, name, HELLO, tools=[side.types.ToolDefinition(**TOOL)]),
            "None": run(tools=None),
        },
        "tool_executables": {
            "a function": lambda side: shortcut(
                side,
                name,
                stream(call_chunk(), END, DONE),
                HELLO,
                tools=[side.types.ToolDefinition(**TOOL)],
                tool_executables=[one],
            ),
        },
        "session": {"None": run(session=None), "httpx": lambda side: shortcut_with_session(side, name)},
    }


SHORTCUT_DIFFERENCES: dict[str, dict[str, str]] = {
    "messages": {"a stream without done": "incomplete"},
    "api_key": {"''": "accepted"},
}


async def shortcut_with_session(side: Side, name: str) -> Any:
    session = httpx.AsyncClient(headers={"x-session": "1"})
    result = await shortcut(side, name, HELLO, session=session)
    seen = side.exchange.headers("x-session"), session.is_closed
    if name == "get_bot_response":
        await session.aclose()
    return result, seen


__all__ = ["Sequence", "cases"]
