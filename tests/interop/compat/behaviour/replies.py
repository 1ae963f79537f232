"""Cases: what a bot yields, and the events that its server sends for it."""

# The arguments of both libraries, many of them wrong, in lambdas without annotations.
# pyright: basic, reportArgumentType=false, reportInvalidTypeForm=false

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from typing import Any

import sse_starlette

from . import surface
from .bots import KEY, a_query
from .cases import Case, Side, each_case, shown
from .peer import call

Respond = Callable[[Side, Any, Any], AsyncIterator[Any]]  # the library, the bot, the request

MESSAGE = {"role": "user", "content": "hello", "message_id": "n", "timestamp": 1, "content_type": "text/markdown"}
QUERY: dict[str, Any] = {
    "version": "1.2",
    "type": "query",
    "query": [MESSAGE],
    "user_id": "u",
    "conversation_id": "c",
    "message_id": "m",
}


def cases() -> Iterator[Case]:
    for name in surface.RESPONSES:
        for field in surface.models()[name].model_fields:
            for value in VALUES.get(field, ["", "naïve 🐈\u2028\r\n"]):
                yield Case(
                    f"yielding {name}({field})",
                    shown(value),
                    lambda side, n=name, f=field, v=value: served(
                        side, [made(side, n, f, v)], "" if n == "ErrorResponse" else "a"
                    ),
                    difference_of(name, field, value),
                )
    yield from each_case("yielding several responses", SEQUENCES, SEQUENCE_DIFFERENCES)
    yield from each_case("yielding records", RECORDS, RECORD_DIFFERENCES)
    yield from each_case(
        "yielding another type",
        {shown(v): odd(v) for v in ODD},
        dict.fromkeys(map(shown, ODD), "bot exceptions"),
    )
    yield Case("posting files", "a bot with a key", posted)
    yield Case("posting files", "a bot without a key", lambda side: posted(side, key=""), "accepted")
    yield from each_case("a bot that fails", FAILURES, FAILURE_DIFFERENCES)


FILE = {"url": "https://files.invalid/a.png", "content_type": "image/png", "name": "a.png"}
CALL = {"index": 0, "id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
VALUES: dict[str, list[Any]] = {
    "text": ["", "a", " ", "naïve 🐈\u2028\r\n", "\x00", "x" * 100_000],
    "data": [None, {}, {"choices": [{"delta": {}}]}],
    "is_suggested_reply": [True, False],
    "is_replace_response": [True, False],
    "attachment": [None, FILE, {**FILE, "inline_ref": "ref"}, {**FILE, "name": "", "parsed_content": "x"}],
    "tool_calls": [[], [CALL]],
    "index": [None, 0, 2],
    "allow_retry": [True, False],
    "error_type": [
        None,
        "user_message_too_long",
        "insufficient_fund",
        "user_caused_error",
        "privacy_authorization_error",
    ],
    "linkify": [True, False],
    "suggested_replies": [True, False],
    "content_type": ["text/markdown", "text/plain"],
    "refetch_settings": [True, False],
    "raw_response": [None, "raw", {"status": 400}, [1], 5],
    "metadata": ["", "m", '{"seen": 1}', "naïve 🐈"],
}


def difference_of(name: str, field: str, value: Any) -> str | None:
    if name == "MetaResponse" and field == "attachment" and value:
        return "ignored events"  # the file comes first
    return None


def made(side: Side, name: str, field: str, value: Any) -> Any:
    text = {} if name == "DataResponse" else {"text": "t"}
    return getattr(side.fp, name)(**{**text, field: value})


def app_of(side: Side, respond: Any, **options: Any) -> Any:
    """An application whose bot answers with the items that a function yields."""

    class Own(side.fp.PoeBot):
        async def get_response(self, request: Any) -> AsyncIterator[Any]:
            async for each in respond(side, self, request):
                yield each

        async def _upload_file(self, *, file_name: str | None, **more: Any) -> Any:
            name = file_name or "a.png"
            return side.fp.Attachment(url=f"https://files.invalid/{name}", content_type="image/png", name=name)

    return side.fp.make_app(Own(**options), access_key=KEY)


async def served(side: Side, responses: Sequence[Any], text: str = "a", query: Any = QUERY) -> Any:
    """The events of a bot that yields these, and a text."""

    async def respond(side: Side, bot: Any, request: Any) -> AsyncIterator[Any]:
        for each in responses:
            yield each
        if text:
            yield side.fp.PartialResponse(text=text)

    return (await call(app_of(side, respond), query)).summary()


async def replied(side: Side, respond: Any, query: Any = QUERY) -> Any:
    return (await call(app_of(side, respond), query)).summary()


async def posted(side: Side, key: str = KEY) -> Any:
    """The events of a bot that posts files before, between and after its texts."""

    class Own(side.fp.PoeBot):
        async def get_response(self, request: Any) -> AsyncIterator[Any]:
            post = self.post_message_attachment
            await post(message_id=request.message_id, file_data=b"a", filename="a.txt")
            yield side.fp.PartialResponse(text="a")
            await post(message_id=request.message_id, file_data=b"b", filename="b.txt")
            await post(message_id=request.message_id, file_data=b"c", filename="c.txt")
            yield side.fp.PartialResponse(text="b", is_replace_response=True)
            await post(message_id="other", file_data=b"d", filename="d.txt")
            await post(message_id=request.message_id, file_data=b"e", filename="e.txt")

        async def _upload_file(self, *, file_name: str | None, **more: Any) -> Any:
            return side.fp.Attachment(url=f"https://files.invalid/{file_name}", content_type="text/plain", name="n")

    app = side.fp.make_app(Own(), access_key=key, allow_without_key=True)
    return (await call(app, QUERY)).summary()


# --- several

E = dict[str, Any]


def sequence(*responses: tuple[str, E]) -> Callable[[Side], Any]:
    return lambda side: served(side, [getattr(side.fp, name)(**values) for name, values in responses], text="")


TEXT = ("PartialResponse", {"text": "a"})
META = ("MetaResponse", {"text": "", "content_type": "text/plain"})
DATA = ("DataResponse", {"metadata": "d"})
SUGGESTION = ("PartialResponse", {"text": "s", "is_suggested_reply": True})
REPLACEMENT = ("PartialResponse", {"text": "r", "is_replace_response": True})
WITH_FILE = ("PartialResponse", {"text": "f", "attachment": FILE})
ERROR = ("ErrorResponse", {"text": "e"})
SEQUENCES: dict[str, Callable[[Side], Any]] = {
    "nothing": sequence(),
    "a text": sequence(TEXT),
    "an empty text": sequence(("PartialResponse", {"text": ""})),
    "texts": sequence(*[TEXT] * 5),
    "10,500 texts": sequence(*[TEXT] * 10_500),
    "meta first": sequence(META, TEXT),
    "meta late": sequence(TEXT, META),
    "meta twice": sequence(META, META, TEXT),
    "meta alone": sequence(META),
    "data alone": sequence(DATA),
    "data twice": sequence(TEXT, DATA, DATA),
    "data first": sequence(DATA, TEXT),
    "a suggestion alone": sequence(SUGGESTION),
    "a suggestion first": sequence(SUGGESTION, TEXT),
    "suggestions": sequence(TEXT, SUGGESTION, SUGGESTION),
    "a replacement alone": sequence(REPLACEMENT),
    "replacements": sequence(TEXT, REPLACEMENT, TEXT, REPLACEMENT),
    "a file": sequence(WITH_FILE),
    "files": sequence(TEXT, WITH_FILE, WITH_FILE),
    "a file beside a suggestion": sequence(TEXT, ("PartialResponse", {**SUGGESTION[1], "attachment": FILE})),
    "a file beside a replacement": sequence(TEXT, ("PartialResponse", {**REPLACEMENT[1], "attachment": FILE})),
    "a file beside an error": sequence(TEXT, ("ErrorResponse", {"text": "e", "attachment": FILE})),
    "a file beside meta": sequence(("MetaResponse", {"text": "", "attachment": FILE}), TEXT),
    "both flags": sequence(TEXT, ("PartialResponse", {**SUGGESTION[1], "is_replace_response": True})),
    "an error": sequence(TEXT, ERROR),
    "an error alone": sequence(ERROR),
    "an error, then texts": sequence(TEXT, ERROR, TEXT),
    "an error, then data": sequence(TEXT, ERROR, DATA),
    "two errors": sequence(ERROR, ERROR),
    "flags of an error": sequence(("ErrorResponse", {"text": "e", "is_suggested_reply": True})),
}
SEQUENCE_DIFFERENCES = {
    "nothing": "empty text",
    "meta alone": "empty text",
    "data alone": "empty text",
    "a suggestion alone": "empty text",
    "meta late": "ignored events",
    "meta twice": "ignored events",
    "a file beside meta": "ignored events",
    "an error, then texts": "ignored events",
    "an error, then data": "ignored events",
    "two errors": "ignored events",
}

# --- records


def record_case(make: Callable[[Any], Any]) -> Callable[[Side], Any]:
    async def respond(side: Side, bot: Any, request: Any) -> AsyncIterator[Any]:
        made = make(bot)
        for each in made if isinstance(made, list) else [made]:
            yield each
            if each.event == "error":
                return
        yield side.fp.PartialResponse(text="a")

    return lambda side: replied(side, respond)


def sse(data: Any, **options: Any) -> Any:
    return sse_starlette.ServerSentEvent(data, **options)


RECORDS: dict[str, Callable[[Side], Any]] = {
    "text_event": record_case(lambda bot: bot.text_event("t")),
    "replace_response_event": record_case(lambda bot: bot.replace_response_event("t")),
    "suggested_reply_event": record_case(lambda bot: bot.suggested_reply_event("t")),
    "file_event": record_case(lambda bot: bot.file_event("https://a.invalid", "text/plain", "n")),
    "file_event with a reference": record_case(lambda bot: bot.file_event("https://a.invalid", "text/plain", "n", "r")),
    "data_event": record_case(lambda bot: bot.data_event("d")),
    "meta_event": record_case(lambda bot: bot.meta_event(content_type="text/plain", refetch_settings=True)),
    "error_event": record_case(lambda bot: bot.error_event("e", allow_retry=False)),
    "error_event without text": record_case(lambda bot: bot.error_event()),
    "error_event with a raw response": record_case(lambda bot: bot.error_event("e", raw_response=[1])),
    "done_event": record_case(lambda bot: [bot.text_event("t"), bot.done_event()]),
    "done_event alone": record_case(lambda bot: bot.done_event()),
    "of sse_starlette": record_case(lambda bot: sse(json.dumps({"text": "t"}), event="text")),
    "json": record_case(lambda bot: sse(json.dumps({"choices": [], "index": 1}), event="json")),
    "a text with an index": record_case(lambda bot: sse(json.dumps({"text": "t", "index": 1}), event="text")),
    "a text with other keys": record_case(lambda bot: sse(json.dumps({"text": "t", "own": [1]}), event="text")),
    "ping": record_case(lambda bot: sse("{}", event="ping")),
    "an unknown name": record_case(lambda bot: sse("{}", event="own")),
    "no name": record_case(lambda bot: sse(json.dumps({"text": "t"}))),
    "a comment": record_case(lambda bot: sse(None, comment="c")),
    "text that is not JSON": record_case(lambda bot: sse("{", event="text")),
    "text without text": record_case(lambda bot: sse("{}", event="text")),
    "text that is a number": record_case(lambda bot: sse('{"text": 1}', event="text")),
    "error of an unknown type": record_case(lambda bot: bot.error_event("e", error_type="own")),
    "meta of an unknown type": record_case(lambda bot: bot.meta_event(content_type="text/own")),
}
RECORD_DIFFERENCES = {
    "done_event": "ignored events",
    "done_event alone": "ignored events",
    "ping": "ignored events",
    "an unknown name": "ignored events",
    "no name": "ignored events",
    "text that is not JSON": "invalid events",
    "text without text": "invalid events",
    "text that is a number": "invalid events",
}

# --- no responses

ODD: list[Any] = [None, "text", 5, {"text": "t"}, ["t"], object, b"t", ("text", "t"), Exception("e")]


def odd(value: Any) -> Callable[[Side], Any]:
    return lambda side: served(side, [value])


# --- failures


def failing(fail: Callable[[Side], Any], *, before: str = "", after_end: bool = False) -> Callable[[Side], Any]:
    async def respond(side: Side, bot: Any, request: Any) -> AsyncIterator[Any]:
        if before:
            yield side.fp.PartialResponse(text=before)
        if after_end:
            yield side.fp.ErrorResponse(text="e")
        raise fail(side)

    return lambda side: replied(side, respond)


def method(name: str, value: Callable[[Side], Any]) -> Callable[[Side], Any]:
    """A bot with a method."""

    async def run(side: Side) -> Any:
        app = side.fp.make_app(type("Own", (side.fp.PoeBot,), {name: value(side)})(), access_key=KEY)
        return (await call(app, QUERY)).summary()

    return run


async def a_coroutine(self: Any, request: Any, context: Any = None) -> Any:
    return []


def a_list(self: Any, request: Any, context: Any = None) -> Any:
    return []


def a_generator(self: Any, request: Any, context: Any = None) -> Any:
    yield 1


def returns_generator(side: Side) -> Any:
    async def reply() -> AsyncIterator[Any]:
        yield side.fp.PartialResponse(text="t")

    return lambda self, request, context=None: reply()


def of_a_class(side: Side) -> Any:
    class Reply:
        def __init__(self) -> None:
            self.left = ["a", "b"]

        def __aiter__(self) -> Any:
            return self

        async def __anext__(self) -> Any:
            if not self.left:
                raise StopAsyncIteration
            return side.fp.PartialResponse(text=self.left.pop(0))

    return lambda self, request, context=None: Reply()


def with_context(side: Side) -> Any:
    async def reply(self: Any, request: Any, context: Any) -> AsyncIterator[Any]:
        yield side.fp.PartialResponse(text=context.http_request.method)

    return reply


def with_context_without_funds(side: Side) -> Any:
    async def reply(self: Any, request: Any, context: Any) -> AsyncIterator[Any]:
        yield side.fp.PartialResponse(text="t")
        raise side.fp.InsufficientFundError

    return reply


def handling(side: Side) -> Any:
    async def reply(self: Any, request: Any, context: Any) -> AsyncIterator[Any]:
        yield self.text_event("own")
        yield self.done_event()

    return reply


def handling_through_super(side: Side) -> Any:
    async def reply(self: Any, request: Any, context: Any) -> AsyncIterator[Any]:
        async for each in side.fp.PoeBot.handle_query(self, request, context):
            yield each

    return reply


def without_super(side: Side) -> Any:
    return lambda self: None


class Cancelled(BaseException):
    pass


FAILURES: dict[str, Callable[[Side], Any]] = {
    "ValueError at first": failing(lambda side: ValueError("the-secret")),
    "KeyError after a text": failing(lambda side: KeyError("the-secret"), before="t"),
    "an own exception": failing(lambda side: type("Own", (Exception,), {})("s"), before="t"),
    "StopAsyncIteration": failing(lambda side: StopAsyncIteration(), before="t"),
    "TimeoutError": failing(lambda side: TimeoutError(), before="t"),
    "BotError": failing(lambda side: side.fp.BotError("x"), before="t"),
    "BotErrorNoRetry": failing(lambda side: side.fp.BotErrorNoRetry("x"), before="t"),
    "CostRequestError": failing(lambda side: side.fp.CostRequestError("x"), before="t"),
    "InsufficientFundError at first": failing(lambda side: side.fp.InsufficientFundError()),
    "InsufficientFundError with a text": failing(lambda side: side.fp.InsufficientFundError("poor"), before="t"),
    "an exception after an error": failing(lambda side: ValueError("s"), before="t", after_end=True),
    "InsufficientFundError after an error": failing(
        lambda side: side.fp.InsufficientFundError(), before="t", after_end=True
    ),
    "get_response that is a coroutine": method("get_response", lambda side: a_coroutine),
    "get_response that returns a list": method("get_response", lambda side: a_list),
    "get_response that is not an async generator": method("get_response", lambda side: a_generator),
    "get_response that returns an async generator": method("get_response", returns_generator),
    "get_response that returns an async iterator": method("get_response", of_a_class),
    "get_response_with_context": method("get_response_with_context", with_context),
    "get_response_with_context without funds": method("get_response_with_context", with_context_without_funds),
    "get_response_with_context that is a coroutine": method("get_response_with_context", lambda side: a_coroutine),
    "an own handle_query": method("handle_query", handling),
    "an own handle_query through super": method("handle_query", handling_through_super),
    "an own __init__ without super": method("__init__", without_super),
    "get_response that is not a function": method("get_response", lambda side: 5),
}
FAILURE_DIFFERENCES = {
    **dict.fromkeys(
        (
            "ValueError at first", "KeyError after a text", "an own exception", "StopAsyncIteration",
            "TimeoutError", "BotError", "BotErrorNoRetry", "CostRequestError",
            "get_response that is a coroutine", "get_response that returns a list",
            "get_response that is not an async generator", "get_response_with_context that is a coroutine",
            "get_response that is not a function",
        ),
        "bot exceptions",
    ),
    "an exception after an error": "ignored events",
    "InsufficientFundError after an error": "ignored events",
    "get_response_with_context without funds": "accepted",
    "an own __init__ without super": "accepted",
}  # fmt: skip

__all__ = ["QUERY", "a_query", "app_of", "cases", "replied", "served"]
