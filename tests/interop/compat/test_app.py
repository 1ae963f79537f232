"""`make_app`: keys, names and paths, the application's routes, and what a served bot may do."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import AsyncGenerator, AsyncIterable
from contextlib import asynccontextmanager
from typing import Any

import anyio
import anyio.lowlevel
import fastapi
import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Mount

import poeproto_compat as fp
from poeproto import Data, Done, Error, Event, Meta, ReplaceResponse, SuggestedReply, Text
from poeproto_asgi import BotApp

from ...support.bots import KEY, SECRET, query_body
from ...support.scripted_asgi import Answer, body_messages, converse, http_scope, request

pytestmark = pytest.mark.anyio

VARIABLES = ("POE_ACCESS_KEY", "POE_API_KEY")
OTHER_KEY = "o" * 32


@pytest.fixture(autouse=True)
def without_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)


class Echo(fp.PoeBot):
    async def get_response(self, request: fp.QueryRequest) -> AsyncIterable[fp.PartialResponse]:
        yield fp.PartialResponse(text=request.query[-1].content)


class Yields(fp.PoeBot):
    """Yields the given responses; `ran` says whether it has run to its end."""

    ran = False
    responses: tuple[Any, ...] = ()

    async def get_response(self, request: fp.QueryRequest) -> AsyncIterable[Any]:
        for response in self.responses:
            yield response
        self.ran = True


async def events_of(bot: fp.PoeBot) -> list[Event]:
    bot.access_key = KEY
    return (await request(fp.make_app(bot))).events


# --- keys and names


def test_a_key_is_required() -> None:
    with pytest.raises(ValueError, match=r"no access key; .*create_bot.*POE_ACCESS_KEY.*allow_without_key"):
        fp.make_app(Echo())
    with pytest.raises(ValueError, match=r"Echo.*no access key"):
        fp.make_app([Echo()])


def test_a_key_has_32_characters() -> None:
    with pytest.raises(ValueError, match="has 5 characters"):
        fp.make_app(Echo(), "short")


@pytest.mark.parametrize(
    ("variables", "arguments", "found"),
    [
        ({}, {"access_key": KEY}, KEY),
        ({"POE_ACCESS_KEY": OTHER_KEY}, {"access_key": KEY}, KEY),
        ({"POE_ACCESS_KEY": KEY}, {"api_key": OTHER_KEY}, KEY),
        ({"POE_ACCESS_KEY": KEY, "POE_API_KEY": OTHER_KEY}, {"allow_without_key": True}, KEY),
        ({}, {"allow_without_key": True}, None),
    ],
)
def test_where_a_key_comes_from(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], arguments: dict[str, Any], found: str | None
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    bot = Echo()
    fp.make_app(bot, **arguments)
    assert bot.access_key == found


def test_older_names_of_a_key(monkeypatch: pytest.MonkeyPatch) -> None:
    bot = Echo()
    with pytest.warns(DeprecationWarning, match="use access_key") as caught:
        fp.make_app(bot, api_key=KEY)
    assert bot.access_key == KEY
    assert caught[0].filename == __file__
    monkeypatch.setenv("POE_API_KEY", OTHER_KEY)
    bot = Echo()
    with pytest.warns(DeprecationWarning, match="use POE_ACCESS_KEY"):
        fp.make_app(bot)
    assert bot.access_key == OTHER_KEY


@pytest.mark.parametrize(
    ("bots", "arguments", "message"),
    [
        (Echo(access_key=KEY), {"access_key": KEY}, "has an access_key already"),
        (Echo(access_key=KEY), {"api_key": KEY}, "has an access_key already"),
        (Echo(access_key=KEY, bot_name="a"), {"bot_name": "b"}, "has a bot_name already"),
        ([Echo(access_key=KEY)], {"access_key": KEY}, "set them on each bot"),
        ([Echo(access_key=KEY)], {"bot_name": "b"}, "set them on each bot"),
        ([Echo(access_key=KEY), Echo(access_key=KEY)], {}, "two bots have the path '/'"),
    ],
)
def test_arguments_that_clash(bots: Any, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        fp.make_app(bots, **arguments)


@pytest.mark.parametrize("bots", [Echo, "Echo", [Echo], {"/": Echo()}, None], ids=repr)
def test_values_that_are_not_a_bot(bots: Any) -> None:
    with pytest.raises(TypeError, match="must be a PoeBot"):
        fp.make_app(bots, allow_without_key=True)


def test_settings_that_are_not_pushed_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    fp.make_app(Echo(), KEY)
    assert "bot_name and access_key" in caplog.text
    caplog.clear()
    fp.make_app(Echo(), KEY, bot_name="echo")
    assert not caplog.records


# --- requests


async def test_several_bots_have_their_paths_and_keys() -> None:
    app = fp.make_app([Echo(path="/a", access_key=KEY), Yields(path="/b", access_key=OTHER_KEY)])
    assert isinstance(app, BotApp)
    assert (await request(app, path="/a")).events == [Text("hello"), Done()]
    assert (await request(app, path="/b")).status == 401
    assert (await request(app, path="/b", key=f"Bearer {OTHER_KEY}")).status == 200
    assert (await request(app, path="/")).status == 404
    assert (await request(app, method="GET", path="/a")).status == 200


async def test_the_bot_gets_its_key_and_the_http_request() -> None:
    seen: list[tuple[fp.QueryRequest, fp.RequestContext]] = []

    class Seeing(fp.PoeBot):
        async def get_response_with_context(
            self, request: fp.QueryRequest, context: fp.RequestContext
        ) -> AsyncIterable[fp.PartialResponse]:
            seen.append((request, context))
            yield fp.PartialResponse(text=json.dumps(await context.http_request.json()))

    answer = await request(fp.make_app(Seeing(), KEY), headers=[("x-own", "1")])
    assert isinstance(answer.events[0], Text)
    assert json.loads(answer.events[0].text)["type"] == "query"
    [(query, context)] = seen
    assert query.access_key == query.api_key == KEY
    assert context.http_request.headers["X-Own"] == "1"
    assert (await request(fp.make_app(Seeing(), allow_without_key=True), key=None)).status == 200
    assert seen[1][0].access_key == "<missing>"


async def test_settings_that_no_lifespan_pushes_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    """Hosts start no lifespan of an application that is mounted in another one."""
    app = fp.make_app([Echo(access_key=KEY, bot_name="Cat"), Echo(path="/dog", access_key=KEY)])
    for _ in range(2):
        await request(app)
    [message] = [record.getMessage() for record in caplog.records if "lifespan" in record.getMessage()]
    assert message.startswith("the settings of 'Cat' were not pushed to Poe")
    caplog.clear()
    await request(fp.make_app(Echo(), KEY))
    assert "lifespan" not in caplog.text


class Posting(fp.PoeBot):
    """Posts a file, and keeps the key that it is uploaded with."""

    used_key = ""

    async def get_response(self, request: fp.QueryRequest) -> AsyncIterable[fp.PartialResponse]:
        await self.post_message_attachment(message_id=request.message_id, file_data=b"a", filename="a.txt")
        yield fp.PartialResponse(text="done")

    async def _upload_file(self, *, api_key: str, **options: Any) -> fp.Attachment:
        self.used_key = api_key
        return fp.Attachment(url="https://files.invalid/a", content_type="text/plain", name="a.txt")


async def test_a_bot_without_a_key_uploads_with_the_one_that_it_is_sent() -> None:
    """As in the guides, whose bot that sends files has no key."""
    bot = Posting()
    answer = await request(fp.make_app(bot, allow_without_key=True), key=f"bearer {OTHER_KEY}")
    assert answer.events[1:] == [Text("done"), Done()]
    assert bot.used_key == OTHER_KEY
    own = Posting()
    await request(fp.make_app(own, KEY))
    assert own.used_key == KEY


@pytest.mark.parametrize("key", [None, "Basic abc", ""])
async def test_a_bot_without_any_key_cannot_upload(key: str | None, caplog: pytest.LogCaptureFixture) -> None:
    bot = Posting()
    answer = await request(fp.make_app(bot, allow_without_key=True), key=key)
    assert isinstance(answer.events[0], Error)
    assert bot.used_key == ""
    assert "files are uploaded with the bot's access_key" in caplog.text


async def test_replies_at_the_same_time_are_apart() -> None:
    class Slow(fp.PoeBot):
        async def get_response(self, request: fp.QueryRequest) -> AsyncIterable[fp.PartialResponse]:
            await anyio.lowlevel.checkpoint()
            yield fp.PartialResponse(text=request.query[-1].content)

    app = fp.make_app(Slow(), KEY)
    found: dict[str, list[Event]] = {}

    async def ask(text: str) -> None:
        found[text] = (await request(app, query_body(text))).events

    async with anyio.create_task_group() as tasks:
        for number in range(5):
            tasks.start_soon(ask, str(number))
    assert found == {str(number): [Text(str(number)), Done()] for number in range(5)}


# --- replies


async def test_a_reply_without_an_answer_is_empty() -> None:
    assert await events_of(Yields()) == [Text(""), Done()]
    bot = Yields()
    bot.responses = (fp.PartialResponse(text="a?", is_suggested_reply=True), fp.DataResponse(metadata="d"))
    assert await events_of(bot) == [SuggestedReply("a?"), Data("d"), Text(""), Done()]
    bot.responses = (bot.done_event(),)
    assert await events_of(bot) == [Text(""), Done()]


async def test_a_late_meta_is_dropped() -> None:
    bot = Yields()
    late = fp.MetaResponse(text="", content_type="text/plain")
    bot.responses = (late, fp.PartialResponse(text="a"), late, fp.PartialResponse(text="b", is_replace_response=True))
    meta = Meta("text/plain", suggested_replies=True, linkify=True, refetch_settings=False)
    assert await events_of(bot) == [meta, Text("a"), ReplaceResponse("b"), Done()]


async def test_a_failure_after_the_end_of_a_reply_is_not_sent() -> None:
    class Failing(fp.PoeBot):
        async def get_response(self, request: fp.QueryRequest) -> AsyncIterable[fp.PartialResponse]:
            yield fp.ErrorResponse(text="bad")
            raise fp.InsufficientFundError

    assert await events_of(Failing()) == [Error(text="bad"), Done()]


@pytest.mark.parametrize("end", [fp.ErrorResponse(text="bad"), fp.PoeBot.done_event()], ids=["error", "done"])
async def test_a_bot_that_has_ended_its_reply_runs_on(end: Any) -> None:
    bot = Yields()
    bot.responses = (fp.PartialResponse(text="a"), end, fp.PartialResponse(text="b"))
    ends: list[Event] = [Error(text="bad"), Done()] if isinstance(end, fp.ErrorResponse) else [Done()]
    assert await events_of(bot) == [Text("a"), *ends]
    assert bot.ran


async def test_events_that_poe_ignores_are_not_sent(caplog: pytest.LogCaptureFixture) -> None:
    from sse_starlette import ServerSentEvent

    bot = Yields()
    bot.responses = (ServerSentEvent(comment="ping"), ServerSentEvent("{}", event="ping"), bot.text_event("a"))
    assert await events_of(bot) == [Text("a"), Done()]
    assert "unknown name 'ping'" in caplog.text


async def test_events_of_poeproto_are_accepted_too() -> None:
    bot = Yields()
    bot.responses = (Text("a"), Error(text="bad"))
    assert await events_of(bot) == [Text("a"), Error(text="bad"), Done()]


async def test_a_failure_is_logged_with_its_line_and_not_sent(caplog: pytest.LogCaptureFixture) -> None:
    class Failing(fp.PoeBot):
        async def get_response(self, request: fp.QueryRequest) -> AsyncIterable[fp.PartialResponse]:
            yield fp.PartialResponse(text="so far")
            raise RuntimeError(SECRET)

    answer = await request(fp.make_app(Failing(), KEY))
    [text, error, done] = answer.events
    assert (text, done) == (Text("so far"), Done())
    assert isinstance(error, Error)
    assert not error.allow_retry
    assert SECRET.encode() not in answer.body
    [record] = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert record.message.startswith("Failing: the bot failed (error id")
    assert f"{__file__}:" in record.message


async def a_text(request: fp.QueryRequest) -> str:
    return "text"


def responses(request: fp.QueryRequest) -> list[fp.PartialResponse]:
    return [fp.PartialResponse(text="a")]


@pytest.mark.parametrize("method", [a_text, responses])
async def test_a_method_that_yields_nothing_is_named(method: Any, caplog: pytest.LogCaptureFixture) -> None:
    bot = Yields()
    bot.get_response = method
    [error, _] = await events_of(bot)
    assert isinstance(error, Error)
    assert "get_response must be an async generator: `async def` with `yield` in it; it returned" in caplog.text


async def test_an_overridden_handle_query_is_called() -> None:
    class Handling(Echo):
        async def handle_query(self, request: fp.QueryRequest, context: fp.RequestContext) -> AsyncIterable[Any]:
            yield self.text_event("before ")
            async for event in super().handle_query(request, context):
                yield event

    assert await events_of(Handling()) == [Text("before "), Text("hello"), Done()]


async def test_a_disconnect_closes_the_bot() -> None:
    closed = anyio.Event()

    class Waiting(fp.PoeBot):
        async def get_response(self, request: fp.QueryRequest) -> AsyncIterable[fp.PartialResponse]:
            try:
                yield fp.PartialResponse(text="a")
                await anyio.sleep_forever()
            finally:
                closed.set()

    messages = [*body_messages(query_body()), {"type": "http.disconnect"}]
    await converse(fp.make_app(Waiting(), KEY), http_scope(), messages)
    assert closed.is_set()


async def test_settings_are_not_fetched_before_a_query() -> None:
    class Counting(Echo):
        asked = 0

        async def get_settings(self, setting: fp.SettingsRequest) -> fp.SettingsResponse:
            self.asked += 1
            return fp.SettingsResponse()

    bot = Counting()
    await events_of(bot)
    assert bot.asked == 0


# --- other routes


async def ask(app: Any, path: str, method: str = "GET") -> Answer:
    return await request(app, b"", method, path)


async def test_an_application_of_starlette_gets_the_bots() -> None:
    entered: list[str] = []

    @asynccontextmanager
    async def lifespan(app: Any) -> AsyncGenerator[None]:
        entered.append("in")
        yield
        entered.append("out")

    host = Starlette(lifespan=lifespan)
    assert fp.make_app(Echo(path="/bot"), KEY, app=host) is host
    assert (await request(host, path="/bot")).events == [Text("hello"), Done()]  # pyright: ignore
    assert (await ask(host, "/bot")).status == 200
    assert (await ask(host, "/none")).status == 404
    async with host.router.lifespan_context(host):
        assert entered == ["in"]
    assert entered == ["in", "out"]


async def test_an_application_of_fastapi_gets_the_bots() -> None:
    host = fastapi.FastAPI()

    @host.get("/double/{number}")
    async def double(number: int) -> dict[str, int]:
        return {"is": 2 * number}

    assert fp.make_app([Echo(path="/bot", access_key=KEY)], app=host) is host
    assert (await request(host, path="/bot")).events == [Text("hello"), Done()]  # pyright: ignore
    assert (await ask(host, "/double/4")).body == b'{"is":8}'


def test_another_application_is_refused() -> None:
    with pytest.raises(TypeError, match="must be a FastAPI or Starlette application"):
        fp.make_app(Echo(), KEY, app=object())


async def test_a_mounted_application_answers() -> None:
    host = Starlette(routes=[Mount("/bots", fp.make_app(Echo(path="/echo"), KEY))])
    assert (await request(host, path="/bots/echo")).events == [Text("hello"), Done()]  # pyright: ignore


@pytest.mark.parametrize("framework", ["fastapi", "starlette"])
async def test_routes_and_middleware_may_be_added(monkeypatch: pytest.MonkeyPatch, framework: str) -> None:
    if framework == "starlette":
        monkeypatch.delitem(sys.modules, "fastapi")
    app = fp.make_app(Echo(), KEY)

    @app.get("/plain")
    async def plain() -> dict[str, int]:
        return {"a": 1}

    @app.post("/named")
    def named(request: fastapi.Request) -> PlainTextResponse:
        return PlainTextResponse(request.method)

    class Middleware:
        def __init__(self, app: Any) -> None:
            self.app = app

        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            async def marked(message: Any) -> None:
                if message["type"] == "http.response.start":
                    message["headers"].append((b"x-marked", b"1"))
                await send(message)

            await self.app(scope, receive, marked)

    app.add_middleware(Middleware)
    app.mount("/mounted", PlainTextResponse("mounted"))
    assert (await ask(app, "/plain")).body == b'{"a":1}'
    assert (await ask(app, "/named", "POST")).body == b"POST"
    assert (await ask(app, "/mounted/")).body == b"mounted"
    answer = await request(app)
    assert answer.events == [Text("hello"), Done()]
    assert answer.headers["x-marked"] == "1"


def test_a_handler_that_needs_fastapi(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "fastapi")
    app = fp.make_app(Echo(), KEY)
    with pytest.raises(TypeError, match=r"the handler of '/x' takes \(number: .*Import fastapi"):

        @app.get("/x")
        async def of_a_number(number: int) -> None: ...


def test_without_starlette(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] in ("fastapi", "starlette")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "starlette", None)
    app = fp.make_app(Echo(), KEY)
    with pytest.raises(ModuleNotFoundError, match="get of the application needs Starlette"):
        app.get("/x")
    with pytest.raises(AttributeError, match="no attribute 'got'"):
        app.got("/x")
