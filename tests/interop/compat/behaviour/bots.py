"""Cases: `PoeBot`, its attributes and its methods as a program calls them."""

# The arguments of both libraries, many of them wrong, in lambdas without annotations.
# pyright: basic, reportArgumentType=false, reportInvalidTypeForm=false, reportCallIssue=false

from __future__ import annotations

import copy
import dataclasses
import json
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any
from unittest.mock import patch

import sse_starlette

from ....support.bots import KEY
from .cases import Case, Side, each_case, shown

ODD: list[Any] = ["", "text", "naïve 🐈\u2028\r\n", None, 5, True, 1.5, float("nan"), ["a"], {"a": 1}, b"b", object]


def cases() -> Iterator[Case]:
    yield from attribute_cases()
    yield from event_cases()
    yield from hook_cases()
    yield from handler_cases()
    for method, given in (("insert_attachment_messages", "query_request"), (CONCAT, "query_request")):
        yield from each_case(f"PoeBot.{method}({given})", attachment_inputs(method), ATTACHMENT_DIFFERENCES.get(method))
    yield from each_case("PoeBot.make_prompt_author_role_alternated(protocol_messages)", MERGING)
    yield from each_case("base.get_filename_from_url(url)", {url: named(url) for url in URLS})
    yield from each_case("signature of base.generate_inline_ref", {"its form": inline_ref})


CONCAT = "concat_attachment_content_to_message_body"

# --- attributes and classes


def bot_state(bot: Any) -> Any:
    return {field.name: getattr(bot, field.name) for field in dataclasses.fields(bot)}


def attribute_cases() -> Iterator[Case]:
    """Cases of the attributes, and of the classes that programs derive."""
    for name in (
        "path",
        "access_key",
        "bot_name",
        "should_insert_attachment_messages",
        "concat_attachments_to_message",
    ):
        row = f"PoeBot({name})"
        for value in ODD:
            yield Case(row, shown(value), lambda side, n=name, v=value: bot_state(side.fp.PoeBot(**{n: v})))
        yield Case(row, "of the class", lambda side, n=name: getattr(side.fp.PoeBot, n))
        yield Case(row, "assigned", lambda side, n=name: assigned(side, n))
        yield Case(row, "class attribute", lambda side, n=name: bot_state(type("Own", (side.fp.PoeBot,), {n: "own"})()))
        yield Case(row, "in a dataclass", lambda side, n=name: in_dataclass(side, n))
    row = "PoeBot(path)"
    yield Case(row, "positional arguments", lambda side: bot_state(side.fp.PoeBot("/a", KEY, "B", False, True)))
    yield Case(row, "too many arguments", lambda side: side.fp.PoeBot("/a", KEY, "B", False, True, 1))
    yield Case(row, "unknown keyword", lambda side: side.fp.PoeBot(unknown=1))
    yield Case(row, "equal", lambda side: (side.fp.PoeBot() == side.fp.PoeBot(), side.fp.PoeBot() == 1))
    yield Case(row, "hash", lambda side: hash(side.fp.PoeBot()))
    yield Case(row, "replace", lambda side: bot_state(dataclasses.replace(side.fp.PoeBot(), path="/b")))
    yield Case(row, "asdict", lambda side: dataclasses.asdict(side.fp.PoeBot()))
    yield Case(row, "copy", lambda side: bot_state(copy.copy(side.fp.PoeBot(path="/b"))))
    yield Case(row, "repr", lambda side: repr(side.fp.PoeBot(path="/b")), "hidden keys")
    yield Case(row, "repr with a key", lambda side: KEY in repr(side.fp.PoeBot(access_key=KEY)), "hidden keys")
    yield Case(row, "an own __init__", own_init)
    yield Case(row, "an own __init__ without super", lambda side: own_init(side, call_super=False))
    yield Case(row, "an own __post_init__", own_post_init)
    yield Case(row, "several bases", several_bases)
    yield Case(row, "fields", lambda side: [field.name for field in dataclasses.fields(side.fp.PoeBot)])


def assigned(side: Side, name: str) -> Any:
    bot = side.fp.PoeBot()
    setattr(bot, name, "own")
    return bot_state(bot)


def in_dataclass(side: Side, name: str) -> Any:
    @dataclasses.dataclass
    class Own(side.fp.PoeBot):
        model: str = "m"

    return bot_state(Own(**{name: "x"}, model="n"))


def own_init(side: Side, call_super: bool = True) -> Any:
    class Own(side.fp.PoeBot):
        def __init__(self, model: str) -> None:
            if call_super:
                super().__init__(path="/own")
            self.model = model

    bot = Own("m")
    return bot.path, bot.bot_name, bot.model, bot.access_key


def own_post_init(side: Side) -> Any:
    @dataclasses.dataclass
    class Own(side.fp.PoeBot):
        model: str = "m"

        def __post_init__(self) -> None:
            super().__post_init__()
            self.model = "post"

    return Own().model


def several_bases(side: Side) -> Any:
    class Mixin:
        path = "/mixed"

        def answer(self) -> str:
            return "mixed"

    class Own(Mixin, side.fp.PoeBot):
        pass

    return Own().path, Own().answer()


# --- events

EVENTS: dict[str, dict[str, Any]] = {
    "text_event": {"text": "a"},
    "replace_response_event": {"text": "a"},
    "suggested_reply_event": {"text": "a"},
    "data_event": {"metadata": "m"},
    "file_event": {"url": "u", "content_type": "c", "name": "n", "inline_ref": "r"},
    "meta_event": {"content_type": "text/plain", "refetch_settings": True, "linkify": False, "suggested_replies": True},
    "error_event": {"text": "t", "raw_response": [1], "allow_retry": False, "error_type": "user_caused_error"},
}


def event(side: Side, method: str, *args: Any, **values: Any) -> Any:
    made = getattr(side.fp.PoeBot, method)(*args, **values)
    return made.event, made.data, made.id, made.retry, made.comment, made.encode()


def event_cases() -> Iterator[Case]:
    for method, whole in EVENTS.items():
        for name in whole:
            row = f"PoeBot.{method}({name})"
            for value in ODD:
                yield Case(row, shown(value), lambda side, m=method, v={**whole, name: value}: event(side, m, **v))
            rest = {key: value for key, value in whole.items() if key != name}
            yield Case(row, "left out", lambda side, m=method, v=rest: event(side, m, **v))
            yield Case(row, "alone", lambda side, m=method, v={name: whole[name]}: event(side, m, **v))
            yield Case(row, "positional", lambda side, m=method, v=whole: event(side, m, *v.values()))
            yield Case(
                row, "of an instance", lambda side, m=method, v=whole: getattr(side.fp.PoeBot(), m)(**v).encode()
            )
    row = "PoeBot.done_event()"
    yield Case(row, "nothing", lambda side: event(side, "done_event"))
    yield Case(row, "an argument", lambda side: event(side, "done_event", 1))
    yield Case(row, "of sse_starlette", lambda side: is_sse_starlettes(side.fp.PoeBot.done_event()), "own records")


def is_sse_starlettes(made: Any) -> bool:
    return isinstance(made, sse_starlette.ServerSentEvent)


# --- hooks


def a_query(side: Side, **fields: Any) -> Any:
    message = side.types.ProtocolMessage(role="user", content="hello")
    ids = {"version": "1.2", "type": "query", "user_id": "u", "conversation_id": "c", "message_id": "m"}
    return side.types.QueryRequest(**{"query": [message], **ids, **fields})


async def listed(source: Any) -> list[Any]:
    return [each async for each in source]


def context(side: Side) -> Any:
    return side.types.RequestContext.model_construct(http_request=None)


def overriding(side: Side, **methods: Any) -> Any:
    return type("Own", (side.fp.PoeBot,), methods)()


async def yields(self: Any, request: Any) -> AsyncIterator[Any]:
    yield 1
    yield 2


async def poor(self: Any, request: Any) -> AsyncIterator[Any]:
    yield 1
    raise self.funds


async def one(self: Any, request: Any) -> Any:
    return "one"


async def fails(self: Any, request: Any) -> Any:
    raise KeyError("k")


def a_poor_bot(side: Side) -> Any:
    return overriding(side, get_response=poor, funds=side.fp.InsufficientFundError)


HOOKS: dict[str, str] = {
    "get_settings_with_context": "get_settings",
    "on_feedback_with_context": "on_feedback",
    "on_error_with_context": "on_error",
}
ARGUMENTS = {
    "get_settings": "setting",
    "get_settings_with_context": "setting",
    "on_feedback": "feedback_request",
    "on_feedback_with_context": "feedback_request",
    "on_reaction_with_context": "reaction_request",
    "on_error": "error_request",
    "on_error_with_context": "error_request",
}


def hook_cases() -> Iterator[Case]:
    row = "PoeBot.get_response(request)"
    yield Case(row, "a query", lambda side: listed(side.fp.PoeBot().get_response(a_query(side))))
    yield Case(row, "by keyword", lambda side: listed(side.fp.PoeBot().get_response(request=a_query(side))))
    yield Case(row, "None", lambda side: listed(side.fp.PoeBot().get_response(None)))
    yield Case(row, "through super", lambda side: listed(through_super(side)))
    for name in ("request", "context"):
        row = f"PoeBot.get_response_with_context({name})"
        yield from each_case(row, WITH_CONTEXT)
    for method, argument in ARGUMENTS.items():
        for value in (None, "x", {"version": "1"}):
            for name in (argument, *(["context"] if "context" in method else [])):
                yield Case(
                    f"PoeBot.{method}({name})",
                    shown(value),
                    lambda side, m=method, a=argument, v=value: default_hook(side, m, {a: v}),
                )
                yield Case(
                    f"PoeBot.{method}({name})",
                    "an own method",
                    lambda side, m=method, a=argument, v=value: default_hook(
                        side, m, {a: v}, {HOOKS.get(m, m): own(m)}
                    ),
                )


def own(method: str) -> Any:
    return one if method in HOOKS or "context" not in method else two


async def two(self: Any, request: Any, context: Any) -> Any:
    return "two"


def through_super(side: Side) -> Any:
    class Own(side.fp.PoeBot):
        async def get_response(self, request: Any) -> AsyncIterator[Any]:
            async for each in super().get_response(request):
                yield each

    return Own().get_response(None)


WITH_CONTEXT: dict[str, Callable[[Side], Any]] = {
    "the default": lambda side: listed(side.fp.PoeBot().get_response_with_context(a_query(side), context(side))),
    "an own get_response": lambda side: listed(
        overriding(side, get_response=yields).get_response_with_context(a_query(side), context(side))
    ),
    "by keyword": lambda side: listed(side.fp.PoeBot().get_response_with_context(request=None, context=None)),
    "without funds": lambda side: listed(a_poor_bot(side).get_response_with_context(None, None)),
    "one argument": lambda side: side.fp.PoeBot().get_response_with_context(None),
}


async def default_hook(side: Side, method: str, values: dict[str, Any], methods: dict[str, Any] | None = None) -> Any:
    bot = overriding(side, **(methods or {}))
    more = {"context": context(side)} if "context" in method else {}
    return await getattr(bot, method)(**values, **more)


# --- handlers


def handler_cases() -> Iterator[Case]:
    for method, argument in (
        ("handle_report_feedback", "feedback_request"),
        ("handle_report_reaction", "reaction_request"),
        ("handle_report_error", "error_request"),
        ("handle_settings", "settings_request"),
    ):
        for name in (argument, "context"):
            row = f"PoeBot.{method}({name})"
            yield Case(row, "called", lambda side, m=method, a=argument: handled(side, m, a))
            yield Case(row, "positional", lambda side, m=method: side_status(side, m))
    for name in ("request", "context"):
        row = f"PoeBot.handle_query({name})"
        yield Case(row, "called", lambda side: query_handled(side, yields_texts))
        yield Case(row, "an exception", lambda side: query_handled(side, raises), "bot exceptions")
        yield Case(row, "by keyword", lambda side: listed(
            overriding(side, get_response=yields_texts).handle_query(request=a_query(side), context=context(side))
        ))  # fmt: skip


async def yields_texts(self: Any, request: Any) -> AsyncIterator[Any]:
    yield self.text_event("a")
    yield self.replace_response_event("b")


async def raises(self: Any, request: Any) -> AsyncIterator[Any]:
    yield self.text_event("a")
    raise KeyError("secret")


async def query_handled(side: Side, respond: Any) -> Any:
    return await listed(overriding(side, get_response=respond).handle_query(a_query(side), context(side)))


async def handled(side: Side, method: str, argument: str) -> Any:
    response = await getattr(side.fp.PoeBot(), method)(**{argument: None}, context=context(side))
    return type(response).__name__, response.status_code, json.loads(response.body)


async def side_status(side: Side, method: str) -> Any:
    return (await getattr(side.fp.PoeBot(), method)(None, context(side))).status_code


# --- attachments

ATTACHMENTS: dict[str, list[dict[str, Any]]] = {
    "none": [],
    "without content": [{"content_type": "text/plain"}],
    "empty content": [{"content_type": "text/plain", "parsed_content": ""}],
    "text": [{"content_type": "text/plain", "parsed_content": "naïve {braces} 🐈"}],
    "csv": [{"content_type": "text/csv", "parsed_content": "a,b"}],
    "html": [{"content_type": "text/html", "parsed_content": "<p>"}],
    "pdf": [{"content_type": "application/pdf", "parsed_content": "page"}],
    "rich text": [{"content_type": "application/x-text-thing", "parsed_content": "page"}],
    "image": [{"content_type": "image/png", "parsed_content": "cat.png***a cat"}],
    "image with several separators": [{"content_type": "image/png", "parsed_content": "cat.png***a***cat"}],
    "image without a separator": [{"content_type": "image/png", "parsed_content": "a cat"}],
    "video": [{"content_type": "video/mp4", "parsed_content": "frames"}],
    "unknown": [{"content_type": "", "parsed_content": "x"}],
    "several": [
        {"content_type": "image/png", "parsed_content": "cat.png***a cat"},
        {"content_type": "text/plain", "parsed_content": "first"},
        {"content_type": "video/mp4", "parsed_content": "frames"},
        {"content_type": "text/html", "parsed_content": "second"},
    ],
}
# So that the sentences do not hide other differences.
OWN_TEMPLATES = {
    "TEXT_ATTACHMENT_TEMPLATE": "text {attachment_name}: {attachment_parsed_content}",
    "URL_ATTACHMENT_TEMPLATE": "page {attachment_name}: {content}",
    "IMAGE_VISION_ATTACHMENT_TEMPLATE": "image {filename}: {parsed_image_description}",
}
ATTACHMENT_DIFFERENCES = {
    "insert_attachment_messages": {"the sentences": "words"},
    CONCAT: {
        "the sentences": "words",
        "image with several separators": "bugs",
        "image without a separator": "bugs",
    },
}


def with_attachments(side: Side, listed: list[dict[str, Any]]) -> Any:
    attachments = [side.types.Attachment(**{"url": "u", "name": "n", **each}) for each in listed]
    first = side.types.ProtocolMessage(role="system", content="first", attachments=attachments)
    last = side.types.ProtocolMessage(role="user", content="last", attachments=attachments)
    return a_query(side, query=[first, last])


def attachment_inputs(method: str) -> dict[str, Callable[[Side], Any]]:
    def inserted(side: Side, listed: list[dict[str, Any]]) -> Any:
        query = with_attachments(side, listed)
        with patch.multiple(side.base, **OWN_TEMPLATES):
            made = getattr(side.fp.PoeBot(), method)(query)
        return [message.model_dump() for message in made.query], made is query, len(query.query)

    inputs: dict[str, Callable[[Side], Any]] = {
        name: lambda side, given=given: inserted(side, given) for name, given in ATTACHMENTS.items()
    }
    inputs["the sentences"] = lambda side: [
        message.content
        for message in getattr(side.fp.PoeBot(), method)(with_attachments(side, ATTACHMENTS["several"])).query
    ]
    inputs["no message"] = lambda side: getattr(side.fp.PoeBot(), method)(a_query(side, query=[]))
    inputs["by keyword"] = lambda side: len(
        getattr(side.fp.PoeBot(), method)(query_request=with_attachments(side, [])).query
    )
    return inputs


# --- merging


def merged(*messages: dict[str, Any]) -> Callable[[Side], Any]:
    def call(side: Side) -> Any:
        given = [side.types.ProtocolMessage(**{"content": "", **each}) for each in messages]
        made = side.fp.PoeBot().make_prompt_author_role_alternated(given)
        return [each.model_dump() for each in made], [each.model_dump() for each in given], type(made).__name__

    return call


def file(url: str) -> dict[str, str]:
    return {"url": url, "content_type": "c", "name": url}


MERGING = {
    "nothing": merged(),
    "one": merged({"role": "user", "content": "a"}),
    "alternating": merged({"role": "user", "content": "a"}, {"role": "bot", "content": "b"}),
    "two of a role": merged({"role": "user", "content": "a"}, {"role": "user", "content": "b"}),
    "three of a role": merged(*({"role": "bot", "content": each} for each in "abc")),
    "attachments": merged(
        {"role": "user", "attachments": [file("a"), file("b")], "message_id": "1"},
        {"role": "user", "attachments": [file("b"), file("c"), file("c")], "message_id": "2"},
        {"role": "user", "attachments": [file("d")]},
    ),
    "a repeated attachment of one message": merged({"role": "user", "attachments": [file("a"), file("a")]}),
    "system messages": merged({"role": "system"}, {"role": "system"}, {"role": "user"}, {"role": "system"}),
    "a tuple": lambda side: side.fp.PoeBot().make_prompt_author_role_alternated(()),
    "None": lambda side: side.fp.PoeBot().make_prompt_author_role_alternated(None),
}

# --- functions

URLS = [
    "https://a.invalid/x.png",
    "https://a.invalid/x.png?y=z#f",
    "https://a.invalid/%C3%A9%20a.txt",
    "https://a.invalid/a/b/",
    "https://a.invalid",
    "",
    "x",
    "file:///a/b.c",
    "https://a.invalid/a%2Fb.txt",
    "https://a.invalid/x;y=1",
    "https://[bad/x",
]


def named(url: str) -> Callable[[Side], Any]:
    return lambda side: side.base.get_filename_from_url(url)


def inline_ref(side: Side) -> Any:
    made = side.base.generate_inline_ref()
    return len(made), made.isalnum(), made != side.base.generate_inline_ref()
