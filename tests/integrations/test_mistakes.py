"""Mistakes that people make who are new here, and the line that each is answered with.

A line names the file and line of the bot where there is one, says what was found, and what is wanted.
"""

from __future__ import annotations

import asyncio
import logging
import re
import socket
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Generator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Any

import anyio.to_thread
import attrs
import pytest

from poeproto import (
    Bot,
    BotError,
    BotExchange,
    ConnectFailed,
    Context,
    Done,
    Endpoints,
    Error,
    File,
    FunctionDefinition,
    Limits,
    Message,
    Meta,
    QueryRequest,
    RequestHead,
    RetryPolicy,
    SettingsRequest,
    SettingsResponse,
    SuggestedReply,
    Text,
    ToolDefinition,
    encode_request,
)
from poeproto_asgi import BotApp, Route, run, serve
from poeproto_h11 import BlockingClient, Client, make_outbound
from poeproto_runtime import BotService

from ..support.bots import KEY, FunctionBot, query_body
from ..support.memory_channel import MemoryChannel
from ..support.scripted_peer import HELLO, answering, scripted

HERE = Path(__file__).name
SETTINGS_BODY = b'{"version": "1.2", "type": "settings"}'


class Recorder(logging.Handler):
    """Keeps the messages of the log."""

    def __init__(self) -> None:
        super().__init__()
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.messages.append(record.getMessage())


@contextmanager
def recording() -> Generator[list[str]]:
    """Record the log, and the exception that ends the block."""
    recorder = Recorder()
    logger = logging.getLogger("poeproto")
    logger.addHandler(recorder)
    try:
        yield recorder.messages
    except (Exception, SystemExit) as exc:  # noqa: BLE001 - whatever the mistake is answered with
        recorder.messages.append(f"{type(exc).__name__}: {exc}")
    finally:
        logger.removeHandler(recorder)


async def send_to(bot: Bot, body: bytes | None = None, key: str | None = None) -> None:
    """Send the bot one request."""
    outbound = make_outbound(Limits(), Endpoints.at("http://127.0.0.1:9"), retry=RetryPolicy(attempts=1))
    route = Route(bot, access_key=KEY) if key else Route(bot, allow_without_key=True)
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    service = BotService({"/": route}, outbound=outbound)
    await service.handle(RequestHead("POST", "/", headers), "/", MemoryChannel(body or query_body()))


Provoke = Callable[[], Awaitable[object] | None]


def asking(respond: Callable[[QueryRequest, Context], Any], *, dependencies: dict[str, int] | None = None) -> Provoke:
    """A query of a bot whose get_response is this function."""

    class MyBot(FunctionBot):
        async def get_settings(self, request: SettingsRequest, context: Context) -> SettingsResponse:
            return SettingsResponse(server_bot_dependencies=dependencies or {})

    return lambda: send_to(MyBot(respond))


def yielding(*values: Any) -> Provoke:
    async def bot(request: QueryRequest, context: Context) -> AsyncIterator[Any]:
        for value in values:
            yield value

    return asking(bot)


# --- the bots


class NoContext(Bot):
    async def get_response(self, request: QueryRequest) -> AsyncIterator[str]:  # type: ignore[override]
        yield "hello"


async def reading_nothing(request: QueryRequest, context: Context) -> AsyncIterator[str]:
    context.query_bot("Cat", request)
    yield "hello"


async def forgetting_await(request: QueryRequest, context: Any) -> AsyncIterator[str]:
    answer = context.final_text("Cat", request)
    try:
        yield "The cat says " + answer
    finally:
        answer.close()


async def looping(request: QueryRequest, context: Any) -> AsyncIterator[Any]:
    for event in context.query_bot("Cat", request):
        yield event


async def awaiting(request: QueryRequest, context: Any) -> str:
    return await context.query_bot("Cat", request)


async def going_on_after_done(request: QueryRequest, context: Context) -> AsyncIterator[Any]:
    yield "hello"
    yield Done()
    yield "more"


async def changing(request: Any, context: Context) -> str:
    request.temperature = 0.5
    return "hello"


async def calling_a_bot_not_declared(request: QueryRequest, context: Context) -> str:
    return await context.final_text("Cat", request)


async def calling_once_too_often(request: QueryRequest, context: Context) -> str:
    with suppress(ConnectFailed):
        await context.final_text("Cat", request)
    return await context.final_text("Cat", request)


async def reading_text(request: Any, context: Context) -> str:
    return request.query[-1].text


async def waiting_in_asyncio(request: QueryRequest, context: Context) -> str:
    await asyncio.sleep(0)
    return "hello"


class DictSettings(FunctionBot):
    def get_settings(self, request: SettingsRequest, context: Context) -> Any:
        return {"allow_attachments": True}


class MisspeltSettings(FunctionBot):
    async def get_settings(self, request: SettingsRequest, context: Context) -> Any:
        return SettingsResponse(allow_attachment=True)  # pyright: ignore[reportCallIssue]


class ListSettings(FunctionBot):
    async def get_settings(self, request: SettingsRequest, context: Context) -> Any:
        wrong: Any = ["Cat"]
        return SettingsResponse(server_bot_dependencies=wrong)


class Misspelt(Bot):
    async def get_respons(self, request: QueryRequest, context: Context) -> str:
        return "hello"


async def reading_text_of_every_event(request: QueryRequest, context: Any) -> str:
    event: Any = Done()
    return event.text


async def reading_twice(request: QueryRequest, context: Context) -> AsyncIterator[Any]:
    async with replying() as url, Client() as client:
        reply = client.query(url, "hello")
        yield await reply.text()
        async for event in reply:
            yield event


async def reading_twice_while_blocking(request: QueryRequest, context: Context) -> str:
    async with replying() as url:

        def read() -> str:
            with BlockingClient() as client, client.query(url, "hello") as reply:
                return "".join(str(event) for _ in range(2) for event in reply)

        return await anyio.to_thread.run_sync(read)


@asynccontextmanager
async def replying() -> AsyncGenerator[str]:
    """A bot server that says hello: its URL."""
    async with scripted(answering(HELLO)) as server:
        yield server.address


async def defining_a_tool_without_a_function(request: QueryRequest, context: Context) -> str:
    tool = ToolDefinition(FunctionDefinition("weather"))
    return await context.run_tools("Cat", request, [tool], [passing_one_function]).text()


async def swapping_role_and_content(request: QueryRequest, context: Context) -> str:
    return await context.final_text("Cat", QueryRequest([Message("Be brief.", "system")]))


async def querying_with_strings(request: QueryRequest, context: Context) -> str:
    texts: Any = ["hello"]
    return await context.final_text("Cat", QueryRequest(texts))


async def attaching_a_path(request: QueryRequest, context: Context) -> str:
    paths: Any = ["/etc/hostname"]
    return await context.final_text("Cat", QueryRequest([Message("user", "hello", attachments=paths)]))


class SettingsAttribute(FunctionBot):
    settings = SettingsResponse(allow_attachments=True)


class SettingsDict(FunctionBot):
    settings = {"allow_attachments": True}  # noqa: RUF012


class SettingAsAttribute(FunctionBot):
    introduction_message = "hello"


async def entering_asynchronously() -> None:
    client: Any = BlockingClient()
    async with client:
        pass


async def entering_a_reply_asynchronously() -> None:
    with BlockingClient() as client:
        reply: Any = client.query("http://127.0.0.1:9/", "hello")
        async with reply:
            pass


async def querying_after_the_client() -> None:
    async with Client() as client:
        pass
    await client.query("http://127.0.0.1:9/", "hello").text()


async def posting_without_a_name(request: QueryRequest, context: Context) -> str:
    await context.post_attachment(b"hello")
    return "hello"


async def posting_a_url(request: QueryRequest, context: Context) -> str:
    await context.post_attachment("https://files.example/a.mp3")
    return "hello"


async def posting_a_dict(request: QueryRequest, context: Any) -> str:
    await context.post_attachment({"a": 1}, name="a.json")
    return "hello"


async def swapping(request: QueryRequest, context: Any) -> str:
    return await context.final_text(request, "Cat")


async def querying_with_a_list(request: QueryRequest, context: Any) -> str:
    return await context.final_text("Cat", request.query)


async def streaming(request: QueryRequest, context: Any) -> str:
    return await context.stream_request(request, "Cat")


async def charging(request: QueryRequest, context: Context) -> str:
    bot: Any = Bot()
    await bot.capture_cost(1)
    return "hello"


async def raising_an_event(request: QueryRequest, context: Any) -> str:
    event: Any = Error(text="no dogs")
    raise event


async def raising_a_text(request: QueryRequest, context: Context) -> str:
    text: Any = "no dogs"
    raise BotError(text)


async def passing_one_function(request: QueryRequest, context: Any) -> str:
    return await context.run_tools("Cat", request, [], streaming).text()


async def closing_synchronously(request: QueryRequest, context: Any) -> str:
    def clean_up() -> None:
        pass

    context.on_close(clean_up)
    return "hello"


async def echo(request: QueryRequest, context: Context) -> str:
    return request.query[-1].content


class SyncGenerator(Bot):
    def get_response(self, request: QueryRequest, context: Context) -> Any:
        yield "hello"


class PlainFunction(Bot):
    def get_response(self, request: QueryRequest, context: Context) -> Any:
        return "hello"


async def using_the_context_later() -> None:
    kept: list[Context] = []

    async def bot(request: QueryRequest, context: Context) -> str:
        kept.append(context)
        return "hello"

    await send_to(FunctionBot(bot))
    await kept[0].final_text("Cat", "hello")


async def leaving_the_block() -> None:
    async with Client() as client:
        reply = client.query("http://127.0.0.1:9/", "hello")
        await reply.aclose()
        await anext(reply)


def taken_port() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        run(FunctionBot(echo), allow_without_key=True, bind=f"127.0.0.1:{taken.getsockname()[1]}")


def reading() -> BotExchange:
    exchange = BotExchange(None)
    exchange.receive_head(RequestHead("POST", "/"))
    return exchange


def opened() -> BotExchange:
    exchange = reading()
    exchange.receive_data(query_body())
    exchange.receive_eof()
    return exchange


PLACE = rf"{re.escape(HERE)}:\d+: "


@attrs.frozen
class Mistake:
    """One mistake.

    Attributes:
        numbers: its numbers in the list of all.
        title: what somebody did.
        provoke: does it.
        line: matches the line that answers it.
        backend: the event loop on which it is one; None for both.
    """

    numbers: str
    title: str
    provoke: Provoke
    line: str
    backend: str | None = None


A_BOT = FunctionBot(echo)
YIELDED = PLACE + "LocalProtocolError: "
ERROR_TYPES = r"Error\.error_type: 'nonsense' is not one of .*, user_caused_error"
CONTENT_TYPES = r"Meta\.content_type: 'text/html' is not one of text/markdown, text/plain"
MISTAKES = [
    Mistake("1", "yield an int", yielding(5), YIELDED + r"int is not .* send it as text: Text\(str\(value\)\)"),
    Mistake("2", "yield None", yielding(None), YIELDED + "NoneType is not .* leave it out"),
    Mistake("3", "yield a dict", yielding({"a": 1}), YIELDED + r"dict is not .* Text\(json\.dumps\(value\)\)"),
    Mistake("4", "yield bytes", yielding(b"a"), YIELDED + r"bytes is not .* Text\(data\.decode\(\)\)"),
    Mistake(
        "5",
        "a sync generator",
        lambda: send_to(SyncGenerator()),
        PLACE + "TypeError: get_response must be an async gen",
    ),
    Mistake(
        "6",
        "a plain function",
        lambda: send_to(PlainFunction()),
        PLACE + "TypeError: get_response must be an async gen",
    ),
    Mistake("7", "yield a list", yielding(["a"]), YIELDED + "list is not .* send its items one by one"),
    Mistake(
        "8", "no context parameter", lambda: send_to(NoContext()), PLACE + r".* must take \(self, request, context\)"
    ),
    Mistake("9", "query_bot never read", asking(reading_nothing), PLACE + "the call of 'Cat' was never read"),
    Mistake("10", "no await", asking(forgetting_await), PLACE + "TypeError: .*; put `await` before the call"),
    Mistake("11", "for", asking(looping), PLACE + "TypeError: this reply is asynchronous.*`async for event in reply`"),
    Mistake("12", "await", asking(awaiting), PLACE + r"TypeError: a reply is not awaited itself.*reply\.text\(\)"),
    Mistake("13", "a late Meta", yielding("a", Meta()), YIELDED + ".*; send Meta before all other events"),
    Mistake(
        "14", "Done, then more", asking(going_on_after_done), PLACE + "this yield is not reached: .*yield Done last"
    ),
    Mistake("15", "change the request", asking(changing), PLACE + r".*attrs\.evolve\(value, temperature=\.\.\.\)"),
    Mistake("16", "only a suggested reply", yielding(SuggestedReply("a")), "ended without an answer"),
    Mistake("17", "an undeclared bot", asking(calling_a_bot_not_declared), PLACE + ".*declare it in SettingsResponse"),
    Mistake(
        "18",
        "a call too many",
        asking(calling_once_too_often, dependencies={"Cat": 1}),
        PLACE + ".* no call to 'Cat' is left",
    ),
    Mistake("19", "Message.text", asking(reading_text), PLACE + "AttributeError: .*; its fields are role, content, "),
    Mistake("21", "the context after the end", using_the_context_later, "the request has ended"),
    Mistake(
        "22",
        "a sync get_settings",
        lambda: send_to(DictSettings(echo), SETTINGS_BODY),
        PLACE
        + "TypeError: DictSettings.get_settings must be defined with `async def`; it returned a value of type dict",
    ),
    Mistake(
        "23",
        "a typo in a setting",
        lambda: send_to(MisspeltSettings(echo), SETTINGS_BODY),
        PLACE + "TypeError: .*'allow_attachment'; did you mean allow_attachments?",
    ),
    Mistake(
        "24",
        "a list for a dict",
        lambda: send_to(ListSettings(echo), SETTINGS_BODY),
        PLACE + r"TypeError: SettingsResponse\.server_bot_dependencies must be dict\[str, int\]",
    ),
    Mistake("25", "get_respons", lambda: send_to(Misspelt()), "Misspelt does not override get_response"),
    Mistake(
        "26",
        "a file without a name",
        lambda: send_to(FunctionBot(posting_without_a_name), key=KEY),
        PLACE + ".*a file needs a name",
    ),
    Mistake(
        "27", "a local path", yielding(File("/tmp/x.png", "x", "image/png")), YIELDED + r".*Context\.post_attachment"
    ),
    Mistake(
        "28",
        "a sync on_close",
        asking(closing_synchronously),
        PLACE + r"TypeError: .*clean_up must be defined with `async def`; it returned None",
    ),
    Mistake("29", "asyncio on trio", asking(waiting_in_asyncio), PLACE + ".*this server runs trio", backend="trio"),
    Mistake("30", "no key", lambda: BotApp(A_BOT) and None, "pass access_key, or allow_without_key=True"),
    Mistake("31", "a wrong key", lambda: send_to(A_BOT, key="another"), "401 the access key is missing or wrong"),
    Mistake("32", "a port that is taken", taken_port, "in use"),
    Mistake("33", "a bad address", lambda: run(A_BOT, allow_without_key=True, bind="nowhere"), "HOST:PORT"),
    Mistake("34", "a typo in the target", lambda: run("nothing_here:bot"), "there is no module 'nothing_here'"),
    Mistake(
        "35",
        "paths that differ in a slash",
        lambda: BotApp({"/a": A_BOT, "/a/": FunctionBot(echo)}, allow_without_key=True) and None,
        "/a and /a/ differ in a slash only and have different bots",
    ),
    Mistake("36", "a bot without a Route", lambda: BotApp({"/a": A_BOT}) and None, "the bot at '/a': pass access_key"),
    Mistake("37", "a list of bots", lambda: BotApp([A_BOT]) and None, "a dict of Routes by path"),  # type: ignore[arg-type]
    Mistake("38", "run(Bot()) without a key", lambda: run(A_BOT), "pass access_key, or allow_without_key=True"),
    Mistake("38", "serve(Bot()) without a key", lambda: serve(A_BOT), "pass access_key, or allow_without_key=True"),
    Mistake("38", "workers", lambda: run(A_BOT, workers=2), "workers=2 needs the target's name, such as 'module:attr"),
    Mistake("39", "odd headers", lambda: RequestHead("POST", "/", 5) and None, "pairs of name and value"),  # type: ignore[arg-type]
    Mistake(
        "40",
        "a body that is a string",
        lambda: reading().receive_data("a"),  # type: ignore[arg-type]
        r"receive_data takes bytes, got str; encode it",
    ),
    Mistake("41", "send before begin", lambda: print(opened().send(Text("a"))), "; call begin first"),
    Mistake(
        "42",
        "a reply after its block",
        leaving_the_block,
        "LocalProtocolError: .* closed before its end: read a reply before",
    ),
    Mistake(
        "43", "import Client", lambda: exec("from poeproto import Client"), "write: from poeproto_h11 import Client"
    ),
    Mistake(
        "43", "import BotApp", lambda: exec("from poeproto import BotApp"), "write: from poeproto_asgi import BotApp"
    ),
    Mistake("43", "import PoeBot", lambda: exec("from poeproto import PoeBot"), r"PoeBot is here poeproto\.Bot"),
    Mistake("43", "PartialResponse", lambda: exec("from poeproto import PartialResponse"), r"is here .*poeproto\.Text"),
    Mistake("44", "no scheme", lambda: Client().settings("127.0.0.1:9/"), "did you mean http://127.0.0.1:9/\\?"),
    Mistake("45", "a short key", lambda: BotApp(A_BOT, access_key="abcde") and None, "has 5 characters; Poe's have 32"),
    Mistake("-", "swap name and request", asking(swapping), PLACE + ".* the bot comes first, then the request"),
    Mistake("-", "query with a list", asking(querying_with_a_list), PLACE + r".*write QueryRequest\(\[Message"),
    Mistake("-", "a function of fastapi_poe", asking(streaming), PLACE + r".*write context\.query_bot\(\.\.\.\)"),
    Mistake("-", "a method of PoeBot", asking(charging), PLACE + r".*write context\.capture_cost\(\.\.\.\)"),
    Mistake("-", "raise an event", asking(raising_an_event), PLACE + r".*write `yield Error\(text=\.\.\.\)`"),
    Mistake("-", "raise BotError", asking(raising_a_text), PLACE + r"TypeError: BotError takes .*yield Error\(text="),
    Mistake(
        "-",
        "post a URL as the content",
        lambda: send_to(FunctionBot(posting_a_url), key=KEY),
        PLACE + r".*pass a path as Path\(\.\.\.\), and a URL as url=",
    ),
    Mistake(
        "-",
        "post a dict",
        lambda: send_to(FunctionBot(posting_a_dict), key=KEY),
        PLACE + "TypeError: a file is text, bytes, a path, .* but not dict",
    ),
    Mistake("-", "one function as tools", asking(passing_one_function), PLACE + r"TypeError: .*write \[streaming\]"),
    Mistake("-", "an unknown error_type", yielding(Error(text="a", error_type="nonsense")), PLACE + ERROR_TYPES),
    Mistake("-", "an unknown content_type", yielding(Meta(content_type="text/html"), "a"), PLACE + CONTENT_TYPES),
    Mistake("-", "text of every event", asking(reading_text_of_every_event), PLACE + r".*isinstance\(event, Text\)"),
    Mistake("-", "read twice", asking(reading_twice), PLACE + r"this reply was read to its end .*fold\.final_text"),
    Mistake("-", "read twice, blocking", asking(reading_twice_while_blocking), PLACE + "this reply was read to its"),
    Mistake(
        "-",
        "a tool without a function",
        asking(defining_a_tool_without_a_function),
        PLACE + "ValueError: the tool 'weather' is defined, .*; the functions are 'passing_one_function': add it",
    ),
    Mistake(
        "-",
        "swap role and content",
        asking(swapping_role_and_content),
        PLACE + r"ValueError: the role is 'Be brief\.' .*: Message\('system', text\)",
    ),
    Mistake("-", "a query of strings", asking(querying_with_strings), PLACE + r'.*write \[Message\("user", text\)\]'),
    Mistake("-", "attach a path", asking(attaching_a_path), PLACE + r".*with Client\.upload.*\.attachment\(\)\]"),
    Mistake(
        "-",
        "settings as an attribute",
        lambda: send_to(SettingsAttribute(echo)),
        "SettingsAttribute.settings is not sent .*get_settings",
    ),
    Mistake("-", "settings as a dict", lambda: send_to(SettingsDict(echo)), "SettingsDict.settings is not sent"),
    Mistake("-", "a setting", lambda: send_to(SettingAsAttribute(echo)), r"\.introduction_message is not sent"),
    Mistake("-", "async with BlockingClient", entering_asynchronously, r"write `with BlockingClient\(\.\.\.\)`"),
    Mistake("-", "async with a blocking reply", entering_a_reply_asynchronously, "write `with`"),
    Mistake("-", "a query after the client", querying_after_the_client, "the client is closed: make calls before"),
    Mistake(
        "-",
        "an empty query",
        lambda: send_to(A_BOT, encode_request(QueryRequest([]))),
        PLACE + "IndexError: .*; this query has no messages",
    ),
    Mistake("-", 'Error("text")', yielding(Error("no dogs")), YIELDED + r".*write Error\(text=\.\.\.\)"),  # type: ignore[arg-type]
]


async def answer_to(mistake: Mistake) -> list[str]:
    """The lines that answer a mistake."""
    with recording() as messages:
        done = mistake.provoke()
        if done is not None:
            await done
    return messages


@pytest.mark.anyio
@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda mistake: f"{mistake.numbers}: {mistake.title}")
async def test_a_mistake_is_answered_in_one_line(mistake: Mistake, anyio_backend_name: str) -> None:
    if mistake.backend not in (None, anyio_backend_name):
        return
    messages = await answer_to(mistake)
    [line] = [message for message in messages if re.search(mistake.line, message)]
    assert line.isprintable()


@pytest.mark.anyio
async def test_an_unknown_value_is_logged_once_for_each_bot_and_value() -> None:
    types = iter(["nonsense", "nonsense", "user_caused_error", "other"])

    async def bot(request: QueryRequest, context: Context) -> AsyncIterator[Error]:
        yield Error(text="a", error_type=next(types))

    outbound = make_outbound(Limits(), Endpoints.at("http://127.0.0.1:9"))
    service = BotService({"/": Route(FunctionBot(bot), allow_without_key=True)}, outbound=outbound)
    with recording() as messages:
        for _ in range(4):
            await service.handle(RequestHead("POST", "/"), "/", MemoryChannel(query_body()))
    found = [message for message in messages if "is not one of" in message]
    assert ["'nonsense'" in message for message in found] == [True, False]


@pytest.mark.anyio
async def test_attributes_of_a_bot_that_sends_its_settings_are_its_own() -> None:
    class Own(DictSettings):
        settings = SettingsResponse()
        introduction_message = "hello"

    class Configured(FunctionBot):
        settings = {"colour": "blue"}  # noqa: RUF012

    with recording() as messages:
        for bot in (Own(echo), Configured(echo)):
            Route(bot, allow_without_key=True)
    assert messages == []
