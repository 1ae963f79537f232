"""Cases: `make_app` and `run`: keys, names, several bots, other applications, the command line."""

# The arguments of both libraries, many of them wrong, in lambdas without annotations.
# pyright: basic, reportArgumentType=false, reportInvalidTypeForm=false

from __future__ import annotations

import asyncio
import importlib
import os
import sys
from collections.abc import Callable, Iterator
from typing import Any
from unittest.mock import patch

import fastapi
import httpx
import starlette.applications
import starlette.responses
import uvicorn

from ....support.bots import BEARER, KEY
from .cases import Case, Side, each_case, shown
from .peer import call
from .requests import REQUESTS, bearer

OTHER = "b" * 32
ODD_KEYS: list[Any] = ["", "x", "x" * 31, "x" * 33, "é" * 32, None, 5, b"x" * 32]


def cases() -> Iterator[Case]:
    yield from each_case("base.make_app(bot)", BOTS, BOT_DIFFERENCES)
    for name in ("access_key", "api_key"):
        row = f"base.make_app({name})"
        yield Case(row, "a key", lambda side, n=name: keys_of(side, **{n: KEY}), exits)
        yield Case(row, "of a bot with a key", lambda side, n=name: keys_of(side, {"access_key": OTHER}, **{n: KEY}))
        yield Case(row, "of several bots", lambda side, n=name: several(side, **{n: KEY}))
        for value in ODD_KEYS:
            yield Case(row, shown(value), lambda side, n=name, v=value: keys_of(side, **{n: v}), exits)
    row = "base.make_app(access_key)"
    yield Case(
        row, "positional", lambda side: with_environment({}, lambda: side.fp.make_app(side.fp.PoeBot(), KEY)) and 1
    )
    for given, environment in ENVIRONMENTS.items():
        yield Case(row, given, lambda side, e=environment: keys_of(side, environment=e), exits)
        yield Case(
            row, f"a key, and {given}", lambda side, e=environment: keys_of(side, access_key=OTHER, environment=e)
        )
        yield Case(
            row, f"api_key, and {given}", lambda side, e=environment: keys_of(side, api_key=OTHER, environment=e), exits
        )
    for value in ["Name", "", None, 5]:
        for own in (None, "Own", ""):
            yield Case(
                "base.make_app(bot_name)",
                f"{shown(value)}, of a bot named {shown(own)}",
                lambda side, v=value, o=own: names_of(side, {"bot_name": o}, bot_name=v),
            )
    yield Case("base.make_app(bot_name)", "of several bots", lambda side: several(side, bot_name="Name"))
    yield Case("base.make_app(bot_name)", "settings sent", settings_sent, "settings at the start")
    yield from each_case("base.make_app(allow_without_key)", KEYLESS, KEYLESS_DIFFERENCES)
    yield from each_case("base.make_app(app)", APPS, APP_DIFFERENCES)
    for name in ("bot", "access_key", "api_key", "allow_without_key", "app"):
        yield from each_case(f"base.run({name})", RUNS[name], RUN_DIFFERENCES.get(name))
    yield from each_case("the command line of run", COMMANDS)


def exits(theirs: Any, ours: Any) -> str | None:
    """The difference where fastapi_poe ends the process, or its warning names its own line."""
    if isinstance(theirs, SystemExit):
        return "exits" if isinstance(ours, ValueError) else None
    if isinstance(ours, (ValueError, TypeError)) and not isinstance(theirs, Exception):
        return "wrong arguments"
    return "words" if theirs == ours or type(theirs) is type(ours) is TypeError else None


def with_environment(environment: dict[str, str], make: Callable[[], Any]) -> Any:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("POE_")}
    with patch.dict(os.environ, {**clean, **environment}, clear=True):
        return make()


def keys_of(
    side: Side, bot: dict[str, Any] | None = None, environment: dict[str, str] | None = None, **options: Any
) -> Any:
    """The key that a bot gets."""
    made = side.fp.PoeBot(**(bot or {}))

    def make() -> Any:
        # On a line of its own, so that the warnings name this line.
        return side.fp.make_app(made, **options)

    with_environment(environment or {}, make)
    return made.access_key, made.bot_name


def names_of(side: Side, bot: dict[str, Any], **options: Any) -> Any:
    made = side.fp.PoeBot(**bot)
    # No push is made where the key is missing.
    with_environment({}, lambda: side.fp.make_app(made, allow_without_key=True, **options))
    return made.bot_name


async def several(side: Side, bots: list[dict[str, Any]] | None = None, **options: Any) -> Any:
    """The answers of several bots, each asked with both keys."""
    given = [{"path": "/a", "access_key": KEY}, {"path": "/b", "access_key": OTHER}] if bots is None else bots
    app = with_environment({}, lambda: side.fp.make_app([side.fp.PoeBot(**each) for each in given], **options))
    paths = [each.get("path", "/") for each in given]
    return [
        (await call(app, REQUESTS["report_error"], path=path, headers=bearer(key))).summary()
        for path in [*paths, "/", "/c"]
        for key in (KEY, OTHER)
    ]


ENVIRONMENTS = {
    "nothing": {},
    "POE_ACCESS_KEY": {"POE_ACCESS_KEY": KEY},
    "POE_API_KEY": {"POE_API_KEY": KEY},
    "both in the environment": {"POE_ACCESS_KEY": KEY, "POE_API_KEY": OTHER},
    "a short POE_ACCESS_KEY": {"POE_ACCESS_KEY": "x"},
    "an empty POE_ACCESS_KEY": {"POE_ACCESS_KEY": ""},
}


async def settings_sent(side: Side) -> Any:
    sent: list[Any] = []

    def post(url: str, **options: Any) -> Any:
        sent.append(url)
        return httpx.Response(200, text="ok")

    with patch.object(httpx, "post", post):
        await asyncio.to_thread(side.fp.make_app, side.fp.PoeBot(bot_name="Cat", access_key=KEY))
    return len(sent)


def made(side: Side, bot: Any, **options: Any) -> Any:
    return with_environment({}, lambda: side.fp.make_app(bot, **{"access_key": KEY, **options})) is not None


BOTS: dict[str, Callable[[Side], Any]] = {
    "one": lambda side: made(side, side.fp.PoeBot()),
    "by keyword": lambda side: side.fp.make_app(bot=side.fp.PoeBot(), access_key=KEY) is not None,
    "one in a list": lambda side: several(side, [{"path": "/a", "access_key": KEY}]),
    "two": several,
    "two in a tuple": lambda side: made(side, (side.fp.PoeBot(access_key=KEY),), access_key=""),
    "none in a list": lambda side: several(side, []),
    "two of one path": lambda side: several(side, [{"access_key": KEY}] * 2),
    "two, one without a key": lambda side: several(side, [{"path": "/a"}, {"path": "/b", "access_key": KEY}]),
    "two without a key, with allow_without_key": lambda side: several(
        side, [{"path": "/a"}, {"path": "/b"}], allow_without_key=True
    ),
    "None": lambda side: made(side, None, access_key=""),
    "a class": lambda side: made(side, side.fp.PoeBot, access_key=""),
    "a string": lambda side: made(side, "bot", access_key=""),
    "a list of classes": lambda side: made(side, [side.fp.PoeBot], access_key=""),
    "a path without a slash": lambda side: made(side, side.fp.PoeBot(path="bot")),
    "an empty path": lambda side: made(side, side.fp.PoeBot(path="")),
    "a path with a parameter": lambda side: made(side, side.fp.PoeBot(path="/{name}")),
    "the same bot again": lambda side: [made(side, bot, access_key="") for bot in [side.fp.PoeBot(access_key=KEY)] * 2],
    "a key of another length of its own": lambda side: made(side, side.fp.PoeBot(access_key="x"), access_key=""),
    "the type": lambda side: isinstance(side.fp.make_app(side.fp.PoeBot(), access_key=KEY), fastapi.FastAPI),
}
BOT_DIFFERENCES: dict[str, str] = {
    **dict.fromkeys(("None", "a class", "a string", "a list of classes", "none in a list"), "wrong arguments"),
    "a path without a slash": "wrong arguments",
    "an empty path": "wrong arguments",
    "the type": "application",
}


async def keyless(side: Side, headers: list[tuple[str, str]], key: str | None = None, **options: Any) -> Any:
    bot = side.fp.PoeBot(access_key=key)
    app = with_environment({}, lambda: side.fp.make_app(bot, allow_without_key=True, **options))
    return (await call(app, REQUESTS["report_error"], headers=headers)).status, bot.access_key


KEYLESS: dict[str, Callable[[Side], Any]] = {
    "any key": lambda side: keyless(side, bearer("x")),
    "no key in the request": lambda side: keyless(side, []),
    "a key given": lambda side: keyless(side, bearer("x"), access_key=KEY),
    "a key given, and the right one in the request": lambda side: keyless(side, bearer(KEY), access_key=KEY),
    "a key of the bot": lambda side: keyless(side, bearer("x"), key=KEY),
    "a short key given": lambda side: keyless(side, bearer("x"), access_key="x"),
    "False": lambda side: made(side, side.fp.PoeBot(), allow_without_key=False),
}
KEYLESS_DIFFERENCES = {"no key in the request": "answered requests", "a short key given": "exits"}

# --- applications


async def hosted(side: Side, make: Callable[[], Any], use: Callable[[Any], Any] | None = None, path: str = "/") -> Any:
    host = make()
    app = side.fp.make_app(side.fp.PoeBot(path="/bot"), access_key=KEY, app=host)
    if use is not None:
        use(app)
    asked = [("POST", "/bot"), ("GET", "/bot"), ("GET", path), ("POST", "/none")]
    headers = [("authorization", BEARER)]
    return app is host, [
        (await call(app, REQUESTS["report_error"], method=method, path=at, headers=headers)).summary()
        for method, at in asked
    ]


def with_route() -> Any:
    app = fastapi.FastAPI()
    app.get("/own")(lambda: {"own": True})
    return app


def with_starlette_route() -> Any:
    return starlette.applications.Starlette()


async def extended(side: Side, use: Callable[[Any], Any], path: str = "/own", method: str = "GET") -> Any:
    """The answer at a path of an application that `make_app` has made, after something is added to it."""
    app = side.fp.make_app(side.fp.PoeBot(path="/bot"), access_key=KEY)
    use(app)
    answers = [
        await call(app, REQUESTS["report_error"], method=method, path=path),
        await call(app, REQUESTS["report_error"], path="/bot"),
    ]
    return [(answer.summary(), answer.headers.get("x-own")) for answer in answers]


def own() -> Any:
    return {"own": True}


async def own_async() -> Any:
    return [1]


async def middleware(request: Any, call_next: Any) -> Any:
    response = await call_next(request)
    response.headers["x-own"] = "1"
    return response


APPS: dict[str, Callable[[Side], Any]] = {
    "FastAPI": lambda side: hosted(side, fastapi.FastAPI),
    "FastAPI with a route": lambda side: hosted(side, with_route, path="/own"),
    "FastAPI, a route afterwards": lambda side: hosted(side, fastapi.FastAPI, lambda app: app.get("/own")(own), "/own"),
    "Starlette": lambda side: hosted(side, with_starlette_route),
    "None": lambda side: made(side, side.fp.PoeBot(), app=None),
    "an object": lambda side: made(side, side.fp.PoeBot(), app=object()),
    "then .get": lambda side: extended(side, lambda app: app.get("/own")(own)),
    "then .get, async": lambda side: extended(side, lambda app: app.get("/own")(own_async)),
    "then .post": lambda side: extended(side, lambda app: app.post("/own")(own), method="POST"),
    "then .mount": lambda side: extended(
        side, lambda app: app.mount("/own", starlette.responses.PlainTextResponse("own")), "/own/x"
    ),
    "then .add_middleware": lambda side: extended(side, lambda app: app.middleware("http")(middleware), "/bot"),
    "then .add_api_route": lambda side: extended(side, lambda app: app.add_api_route("/own", own)),
    "then .unknown": lambda side: extended(side, lambda app: app.unknown),
    "then .include_router": lambda side: extended(side, lambda app: app.include_router(router())),
}
APP_DIFFERENCES: dict[str, str] = {"Starlette": "accepted", "an object": "wrong arguments"}


def router() -> Any:
    made = fastapi.APIRouter()
    made.get("/own")(own)
    return made


# --- run


def running(side: Side, argv: list[str], *bots: Any, environment: dict[str, str] | None = None, **options: Any) -> Any:
    """The address at which a program would listen, with the given command line."""
    served: list[Any] = []

    def run_theirs(app: Any, **options: Any) -> None:
        served.append((options["host"], options["port"]))

    def run_ours(app: Any, bind: str) -> None:
        host, _, port = bind.rpartition(":")
        served.append((host, int(port)))

    def make() -> None:
        side.fp.run(*(bots or [side.fp.PoeBot()]), **options)

    target = importlib.import_module("poeproto_compat.app") if side.is_ours else uvicorn
    name, replacement = ("serve_until_signal", run_ours) if side.is_ours else ("run", run_theirs)
    with (
        patch.object(target, name, replacement),
        patch.object(sys, "argv", ["program.py", *argv]),
    ):
        with_environment(environment or {}, make)
    return served


def command(*argv: str) -> Callable[[Side], Any]:
    return lambda side: running(side, list(argv), access_key=KEY)


COMMANDS: dict[str, Callable[[Side], Any]] = {
    "nothing": command(),
    "-p 9000": command("-p", "9000"),
    "--port 9000": command("--port", "9000"),
    "--port=9000": command("--port=9000"),
    "-p9000": command("-p9000"),
    "-p 0": command("-p", "0"),
    "-p x": command("-p", "x"),
    "-p": command("-p"),
    "--po 9000": command("--po", "9000"),
    "--help": command("--help"),
    "--unknown": command("--unknown"),
    "an argument": command("x"),
    "-p twice": command("-p", "1", "-p", "2"),
}
RUNS: dict[str, dict[str, Callable[[Side], Any]]] = {
    "bot": {
        "one": lambda side: running(side, [], access_key=KEY),
        "several": lambda side: running(side, [], [side.fp.PoeBot("/a", KEY), side.fp.PoeBot("/b", KEY)]),
        "two of one path": lambda side: running(side, [], [side.fp.PoeBot("/a", KEY), side.fp.PoeBot("/a", KEY)]),
        "None": lambda side: running(side, [], None),
    },
    "access_key": {
        "a key": lambda side: running(side, [], access_key=KEY),
        "a short key": lambda side: running(side, [], access_key="x"),
        "none": lambda side: running(side, []),
        "in the environment": lambda side: running(side, [], environment={"POE_ACCESS_KEY": KEY}),
        "of a bot with a key": lambda side: running(side, [], side.fp.PoeBot(access_key=OTHER), access_key=KEY),
    },
    "api_key": {
        "a key": lambda side: running(side, [], api_key=KEY),
        "in the environment": lambda side: running(side, [], environment={"POE_API_KEY": KEY}),
    },
    "allow_without_key": {
        "True": lambda side: running(side, [], allow_without_key=True),
        "False": lambda side: running(side, [], allow_without_key=False),
        "True, a key": lambda side: running(side, [], access_key=KEY, allow_without_key=True),
    },
    "app": {
        "FastAPI": lambda side: running(side, [], access_key=KEY, app=fastapi.FastAPI()),
        "None": lambda side: running(side, [], access_key=KEY, app=None),
        "bot_name": lambda side: running(side, [], access_key=KEY, bot_name="Name"),
    },
}
RUN_DIFFERENCES = {
    "bot": {"None": "wrong arguments"},
    "access_key": {"a short key": "exits", "none": "exits"},
    "api_key": {"a key": "words", "in the environment": "words"},
    "allow_without_key": {"False": "exits"},
}
