"""Several bots in one application: paths, mounts, and whose key is whose."""

from __future__ import annotations

from typing import Any

import pytest

from poeproto import Bot, Context, Done, QueryRequest, Text
from poeproto_asgi import AccessKeyMissing, BotApp, Route

from ...support.bots import BEARER, KEY, FunctionBot, query_body
from ...support.scripted_asgi import body_messages, converse, http_scope, request

pytestmark = pytest.mark.anyio

OTHER_KEY = "another-not-real-key-" + "1" * 11


def named(name: str) -> Bot:
    async def say(request: QueryRequest, context: Context) -> str:
        return name

    return FunctionBot(say)


def two_bots() -> BotApp:
    return BotApp(
        {"/": Route(named("root"), access_key=KEY), "/a": Route(named("a"), access_key=KEY)},
    )


@pytest.mark.parametrize(
    ("path", "root_path", "said"),
    [
        ("/", "", "root"),
        ("/a", "", "a"),
        ("", "", "root"),
        # Servers and frameworks of today leave the mount's path in `path` ...
        ("/mount/", "/mount", "root"),
        ("/mount", "/mount", "root"),
        ("/mount/a", "/mount", "a"),
        ("/mount/a", "/mount/", "a"),
        ("/mount/again/a", "/mount/again", "a"),
        # ... and older ones took it out.
        ("/", "/mount", "root"),
        ("/a", "/mount", "a"),
        # A path that only shares a prefix is not below the mount.
        ("/a", "/", "a"),
    ],
)
async def test_the_path_says_which_bot(path: str, root_path: str, said: str) -> None:
    answer = await request(two_bots(), path=path, root_path=root_path)
    assert answer.events == [Text(said), Done()]


@pytest.mark.parametrize(
    ("path", "root_path"),
    [("/b", ""), ("/ab", ""), ("/a/", ""), ("/a/b", ""), ("/ab", "/a"), ("/mounta", "/mount"), ("/mount/b", "/mount")],
)
@pytest.mark.parametrize("method", ["GET", "POST", "PUT"])
async def test_elsewhere_is_nothing(path: str, root_path: str, method: str) -> None:
    answer = await request(two_bots(), method=method, path=path, root_path=root_path, key=None)
    assert answer.status == 404
    assert answer.received == 0
    assert answer.headers["content-type"] == "application/json"


async def test_a_path_that_shares_a_prefix_with_the_mount_is_not_cut() -> None:
    app = BotApp({"/ab": Route(named("ab"), access_key=KEY), "/b": Route(named("b"), access_key=KEY)})
    assert (await request(app, path="/ab", root_path="/a")).events == [Text("ab"), Done()]


async def test_a_scope_without_its_optional_keys() -> None:
    scope = http_scope()
    del scope["root_path"], scope["raw_path"]
    assert (await converse(two_bots(), scope, body_messages(query_body()))).events[0] == Text("root")


async def test_the_bot_sees_the_target_as_it_was_sent() -> None:
    seen: list[str] = []

    async def bot(request: QueryRequest, context: Context) -> str:
        seen.append(context.http_request.target)
        return "hello"

    app = BotApp({"/näh": Route(FunctionBot(bot), allow_without_key=True)})
    scope = http_scope(path="/näh", raw_path=b"/n%C3%A4h", query_string=b"a=%20b")
    await converse(app, scope, body_messages(query_body()))
    del scope["raw_path"]
    await converse(app, {**scope, "query_string": b""}, body_messages(query_body()))
    assert seen == ["/n%C3%A4h?a=%20b", "/n%C3%A4h"]


async def test_each_bot_has_its_own_key_and_name() -> None:
    seen: list[tuple[str | None, str | None]] = []

    async def bot(request: QueryRequest, context: Context) -> str:
        seen.append((context.bot_name, context.access_key))
        return "hello"

    app = BotApp(
        {
            "/a": Route(FunctionBot(bot), access_key=KEY, bot_name="A"),
            "/b": Route(FunctionBot(bot), access_key=OTHER_KEY, bot_name="B"),
            "/c": Route(FunctionBot(bot), allow_without_key=True),
        }
    )
    for path, key, status in (
        ("/a", BEARER, 200),
        ("/b", f"Bearer {OTHER_KEY}", 200),
        ("/a", f"Bearer {OTHER_KEY}", 401),
        ("/b", BEARER, 401),
        ("/c", None, 200),
    ):
        assert (await request(app, path=path, key=key)).status == status
    assert seen == [("A", KEY), ("B", OTHER_KEY), (None, None)]


async def test_both_keys_are_good_during_a_rotation() -> None:
    seen: list[str | None] = []

    async def bot(request: QueryRequest, context: Context) -> str:
        seen.append(context.access_key)
        return "hello"

    app = BotApp(FunctionBot(bot), access_key=[OTHER_KEY, KEY])
    for key, status in ((BEARER, 200), (f"Bearer {OTHER_KEY}", 200), ("Bearer neither", 401)):
        assert (await request(app, key=key)).status == status
    assert seen == [OTHER_KEY, OTHER_KEY], "the first is the one to call Poe with"


async def test_keys_are_in_no_repr_and_no_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    reprs: list[str] = []

    async def bot(request: QueryRequest, context: Context) -> str:
        reprs.append(repr(context))
        reprs.append(repr(context.http_request))
        raise LookupError

    route = Route(FunctionBot(bot), access_key=[KEY, OTHER_KEY])
    app = BotApp({"/": route})
    reprs += [repr(route), repr(app), repr(app.service)]
    await request(app)
    await request(app, key=f"Bearer {OTHER_KEY}x")
    assert caplog.records
    for text in (*reprs, caplog.text):
        assert KEY not in text
        assert OTHER_KEY not in text


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({}, ValueError),
        ({"access_key": ""}, ValueError),
        ({"access_key": []}, ValueError),
        ({"access_key": [KEY, ""]}, ValueError),
        ({"access_key": "two words"}, ValueError),
        ({"access_key": "line\r\nbreak"}, ValueError),
        ({"access_key": "schlüssel"}, ValueError),
        ({"access_key": KEY, "allow_without_key": True}, ValueError),
    ],
)
def test_keys_that_cannot_be_used(arguments: dict[str, Any], error: type[Exception]) -> None:
    for make in (BotApp, Route):
        with pytest.raises(error) as caught:
            make(Bot(), **arguments)
        assert KEY not in str(caught.value)


@pytest.mark.parametrize("bot", [None, Bot, "echo:bot", object()])
def test_values_that_are_not_bots(bot: Any) -> None:
    for make in (BotApp, Route):
        with pytest.raises(TypeError, match="Bot"):
            make(bot, allow_without_key=True)


@pytest.mark.parametrize(
    ("routes", "error"),
    [
        ({}, ValueError),
        ({"a": Route(Bot(), allow_without_key=True)}, ValueError),
        ({"/": Bot()}, AccessKeyMissing),
        ({"/": 5}, TypeError),
    ],
)
def test_routes_that_cannot_be_used(routes: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        BotApp(routes)


@pytest.mark.parametrize("arguments", [{"access_key": KEY}, {"allow_without_key": True}, {"bot_name": "A"}])
def test_beside_routes_there_is_no_other_argument(arguments: dict[str, Any]) -> None:
    with pytest.raises(TypeError, match="Route"):
        BotApp({"/": Route(Bot(), access_key=KEY)}, **arguments)


def test_a_bot_that_answers_nothing_is_mentioned(caplog: pytest.LogCaptureFixture) -> None:
    class Misspelt(Bot):
        async def get_respones(self, request: QueryRequest, context: Context) -> str:
            return "hello"

    Route(Misspelt(), allow_without_key=True)
    assert "Misspelt does not override get_response" in caplog.text
