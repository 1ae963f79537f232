"""Cases: what a bot's server is asked, by Poe or by anybody: requests of all types, keys, bodies, settings, reports."""

# The arguments of both libraries, many of them wrong, in lambdas without annotations.
# pyright: basic, reportArgumentType=false, reportInvalidTypeForm=false

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any, get_args

from fastapi import HTTPException

from ....support.bots import BEARER, KEY
from . import surface
from .cases import Case, Side, each_case, shown
from .peer import call
from .replies import FILE, MESSAGE, QUERY

IDS = {"version": "1.2", "message_id": "m", "user_id": "u", "conversation_id": "c"}
REQUESTS: dict[str, dict[str, Any]] = {
    "query": QUERY,
    "settings": {"version": "1.2", "type": "settings"},
    "report_feedback": {**IDS, "type": "report_feedback", "feedback_type": "like"},
    "report_reaction": {**IDS, "type": "report_reaction", "reaction": "heart"},
    "report_error": {"version": "1.2", "type": "report_error", "message": "slow", "metadata": {"message_id": "m"}},
}
TYPES = dict(zip(surface.REQUESTS, REQUESTS, strict=True))
# Values that a request's fields may hold besides valid ones.
ODD: list[Any] = [None, "", "x", 5, True, 1.5, [], {}, ["x"], {"k": 1}, "naïve 🐈"]
FIELDS: dict[str, list[Any]] = {
    "query": [
        [],
        [MESSAGE, {**MESSAGE, "role": "bot"}],
        [{**MESSAGE, "attachments": [{**FILE, "parsed_content": None}], "parameters": {"a": 1}, "sender": {"id": "s"}}],
        [
            {
                **MESSAGE,
                "feedback": [{"type": "like", "reason": None}],
                "reactions": [{"user_id": "u", "reaction": "joy"}],
            }
        ],
        [{**MESSAGE, "role": "tool"}],
        [{**MESSAGE, "role": "other"}],
        [{**MESSAGE, "content_type": "text/other"}],
        [{**MESSAGE, "message_type": "function_call", "referenced_message": MESSAGE, "metadata": "m"}],
        [{**MESSAGE, "unknown": 1}],
        [{"role": "user"}],
        [{"content": "a"}],
    ],
    "feedback_type": ["like", "dislike", "other"],
    "version": ["1.0", "1.2", "2.0", "0", "99.99"],
    "temperature": [0, 0.5, 2, "0.5"],
    "logit_bias": [{"1": 1}, {"1": "2"}, {"1": "x"}],
    "users": [[{"id": "u", "name": None}], [{}]],
    "tools": [[{"type": "function", "function": {"name": "f", "description": "d", "parameters": {}}}]],
    "tool_calls": [[{"id": "i", "type": "function", "function": {"name": "f", "arguments": "{}"}}]],
    "tool_results": [[{"role": "tool", "name": "f", "tool_call_id": "i", "content": "1"}]],
    "metadata": [{"a": {"b": [1]}}],
    "query_creation_time": [1, 2**63],
}


def cases() -> Iterator[Case]:
    for kind in get_args(surface.models()["BaseRequest"].model_fields["type"].annotation):
        row = f"request of type {kind}"
        yield Case(row, "a usual one", lambda side, k=kind: told(side, REQUESTS[k]))
        yield Case(row, "with unknown keys", lambda side, k=kind: told(side, {**REQUESTS[k], "own": [1]}))
        yield Case(row, "a bot that overrides nothing", lambda side, k=kind: plain_bot(side, REQUESTS[k]))
        yield Case(row, "without a key", lambda side, k=kind: answered(side, REQUESTS[k], headers=[]))
        yield Case(row, "with a wrong key", lambda side, k=kind: answered(side, REQUESTS[k], headers=bearer("wrong")))
        yield Case(row, "a bot that fails", lambda side, k=kind: failing(side, REQUESTS[k]), failing_key(kind))
    for name, kind in TYPES.items():
        for field in surface.models()[name].model_fields:
            yield from field_cases(f"received {name}.{field}", kind, field)
    yield from setting_cases()
    for kind in ("settings", "report_feedback", "report_reaction", "report_error"):
        handler = f"handle_{kind}"
        yield Case(f"request of type {kind}", f"an own {handler}", lambda side, k=kind: own_handler(side, k))
        yield Case(f"request of type {kind}", "an HTTPException", lambda side, k=kind: refusing(side, k))
    yield from each_case("keys", KEYS, KEY_DIFFERENCES)
    yield from each_case("bodies", BODIES, BODY_DIFFERENCES)
    yield from each_case("methods and paths", METHODS, METHOD_DIFFERENCES)
    yield from each_case("context.http_request", CONTEXT, {"json": "bugs"})


def failing_key(kind: str) -> str | None:
    return "bot exceptions" if kind == "query" else None


def field_cases(row: str, kind: str, field: str) -> Iterator[Case]:
    """Cases of a field: present, absent, and of other types, which are refused or converted."""
    whole = REQUESTS[kind]
    values = [*FIELDS.get(field, []), *ODD] if field != "type" else [None, "", "other", "Query", 5, ["query"], {}]
    for value in values:
        yield Case(row, shown(value), lambda side, v=value: told(side, {**whole, field: v}), key_of)
    left = {key: value for key, value in whole.items() if key != field}
    yield Case(row, "left out", lambda side: told(side, left), key_of)


def key_of(theirs: Any, ours: Any) -> str | None:
    """The difference in the answers to an invalid request."""
    if isinstance(theirs, BaseException) or isinstance(ours, BaseException):
        return None
    (their_status, *_), (our_status, *rest) = theirs[0], ours[0]
    is_refused_by_bot = our_status == 200 and rest[0] == "text/event-stream" and not ours[1]
    if their_status in (500, 501) and (our_status == 400 or is_refused_by_bot):
        return "invalid requests"
    if their_status == 200 and our_status == 400:
        return "invalid requests"
    is_failure = their_status == our_status == 200 and all("'error'" in repr(each[0]) for each in (theirs, ours))
    return "bot exceptions" if is_failure else None


def bearer(key: str) -> list[tuple[str, str]]:
    return [("authorization", f"Bearer {key}")]


class Told:
    """The request as a bot received it."""

    def __init__(self) -> None:
        self.requests: list[Any] = []


def telling(side: Side, told: Told, **options: Any) -> Any:
    """A bot that keeps the requests."""

    class Own(side.fp.PoeBot):
        async def get_response(self, request: Any) -> AsyncIterator[Any]:
            told.requests.append(request)
            yield side.fp.PartialResponse(text="a")

        async def get_settings(self, setting: Any) -> Any:
            told.requests.append(setting)
            return side.fp.SettingsResponse(introduction_message="hello")

        async def on_feedback(self, feedback_request: Any) -> None:
            told.requests.append(feedback_request)

        async def on_reaction_with_context(self, reaction_request: Any, context: Any) -> None:
            told.requests.append(reaction_request)

        async def on_error(self, error_request: Any) -> None:
            told.requests.append(error_request)

    return Own(**options)


async def told(side: Side, payload: Any) -> Any:
    """The server's answer, and the request as the bot received it."""
    told = Told()
    answer = await call(side.fp.make_app(telling(side, told), access_key=KEY), payload)
    return without_null(answer.summary()), told.requests


async def answered(side: Side, payload: Any, **options: Any) -> Any:
    told = Told()
    answer = await call(side.fp.make_app(telling(side, told), access_key=KEY), payload, **options)
    return answer.summary(), answer.headers.get("www-authenticate"), len(told.requests)


async def plain_bot(side: Side, payload: Any) -> Any:
    return without_null((await call(side.fp.make_app(side.fp.PoeBot(), access_key=KEY), payload)).summary())


async def failing(side: Side, payload: Any) -> Any:
    async def fail(self: Any, request: Any, context: Any) -> Any:
        raise KeyError("secret")

    async def reply(self: Any, request: Any, context: Any) -> AsyncIterator[Any]:
        yield side.fp.PartialResponse(text="a")
        raise KeyError("secret")

    names = (
        "get_settings_with_context",
        "on_feedback_with_context",
        "on_reaction_with_context",
        "on_error_with_context",
    )
    methods = {**dict.fromkeys(names, fail), "get_response_with_context": reply}
    bot = type("Own", (side.fp.PoeBot,), methods)()
    return (await call(side.fp.make_app(bot, access_key=KEY), payload)).summary()


async def own_handler(side: Side, kind: str) -> Any:
    called: list[Any] = []

    class Own(side.fp.PoeBot):
        pass

    async def handle(self: Any, request: Any, context: Any) -> Any:
        called.append(kind)
        return await getattr(super(Own, self), f"handle_{kind}")(request, context)

    setattr(Own, f"handle_{kind}", handle)
    await call(side.fp.make_app(Own(), access_key=KEY), REQUESTS[kind])
    return called


async def refusing(side: Side, kind: str) -> Any:
    """A bot that raises FastAPI's exception, as one that serves several models does for an unknown one."""

    class Own(side.fp.PoeBot):
        pass

    async def handle(self: Any, request: Any, context: Any) -> Any:
        raise HTTPException(404, {"model": "none"}, headers={"X-Own": "1"})

    setattr(Own, "get_settings_with_context" if kind == "settings" else f"on_{kind[7:]}_with_context", handle)
    answer = await call(side.fp.make_app(Own(), access_key=KEY), REQUESTS[kind])
    return answer.summary(), answer.headers.get("x-own"), answer.body


# --- settings

SETTING_VALUES: dict[str, list[Any]] = {
    "response_version": [None, 0, 1, 2, 3],
    "server_bot_dependencies": [{}, {"Cat": 2}, {"Naïve": 0, "B": 100}],
    "introduction_message": [None, "", "naïve 🐈\n"],
    "parameter_controls": [
        None,
        {"sections": []},
        {
            "sections": [
                {
                    "name": "s",
                    "collapsed_by_default": True,
                    "controls": [
                        {"control": "divider"},
                        {"control": "text_field", "label": "l", "parameter_name": "a", "default_value": "d"},
                        {"control": "text_area", "label": "l", "parameter_name": "b", "placeholder": "p"},
                        {"control": "toggle_switch", "label": "l", "parameter_name": "c", "default_value": True},
                        {
                            "control": "slider",
                            "label": "l",
                            "parameter_name": "d",
                            "min_value": 0,
                            "max_value": 1,
                            "step": 0.1,
                        },
                        {
                            "control": "drop_down",
                            "label": "l",
                            "parameter_name": "e",
                            "options": [{"value": "v", "name": "n"}],
                        },
                        {
                            "control": "aspect_ratio",
                            "label": "l",
                            "parameter_name": "f",
                            "options": [{"width": 1, "height": 2}],
                        },
                        {
                            "control": "condition",
                            "condition": {
                                "comparator": "eq",
                                "left": {"parameter_name": "c"},
                                "right": {"literal": True},
                            },
                            "controls": [{"control": "divider"}],
                        },
                    ],
                },
                {"tabs": [{"name": "t", "controls": [{"control": "divider"}]}]},
            ]
        },
    ],
}


OTHER_SETTINGS: dict[tuple[str, str], str] = {
    ("response_version", "None"): "settings on the wire",  # which stands for version 0
    ("enable_multi_bot_chat_prompting", "True"): "settings on the wire",
    ("enable_multi_bot_chat_prompting", "False"): "settings on the wire",
}
SLIDER = {"control": "slider", "label": "l", "parameter_name": "d", "min_value": 1, "max_value": 0, "step": 0.1}
INVALID_SETTINGS: dict[str, dict[str, Any]] = {
    "no controls": {"parameter_controls": {"sections": [{"controls": []}]}},
    "a tab without controls": {"parameter_controls": {"sections": [{"tabs": [{"controls": []}]}]}},
    "a section without controls and tabs": {"parameter_controls": {"sections": [{}]}},
    "bounds in the wrong order": {"parameter_controls": {"sections": [{"controls": [SLIDER]}]}},
    "a negative number of calls": {"server_bot_dependencies": {"Cat": -1}},
}


def without_null(value: Any) -> Any:
    """JSON without keys that are null, or the empty dependencies, which mean the same as none."""
    if isinstance(value, dict):
        items = value.items()
        return {k: without_null(v) for k, v in items if v is not None and (k, v) != ("server_bot_dependencies", {})}
    return [without_null(item) for item in value] if isinstance(value, list) else value


def setting_cases() -> Iterator[Case]:
    for field, info in surface.models()["SettingsResponse"].model_fields.items():
        row = f"served SettingsResponse({field})"
        default = [True, False, None] if info.annotation == bool | None else [None, "x", 1]
        for value in SETTING_VALUES.get(field, default):
            differs = OTHER_SETTINGS.get((field, shown(value)))
            yield Case(row, shown(value), lambda side, f=field, v=value: served(side, {f: v}), differs)
    for name, fields in INVALID_SETTINGS.items():
        yield Case("settings that Poe refuses", name, lambda side, v=fields: served(side, v), "invalid settings")
    yield Case("request of type settings", "nulls", lambda side: raw_settings(side), "settings on the wire")
    for name, make in {
        "a dict": lambda side: {"allow_attachments": True},
        "None": lambda side: None,
        "an assigned field": lambda side: assigned(side.fp.SettingsResponse()),
    }.items():
        yield Case("request of type settings", f"a bot that returns {name}", lambda side, m=make: returning(side, m))


def assigned(settings: Any) -> Any:
    settings.introduction_message = "assigned"
    return settings


async def returning(side: Side, make: Callable[[Side], Any]) -> Any:
    async def get_settings(self: Any, setting: Any) -> Any:
        return make(side)

    bot = type("Own", (side.fp.PoeBot,), {"get_settings": get_settings})()
    answer = await call(side.fp.make_app(bot, access_key=KEY), REQUESTS["settings"])
    return without_null(answer.summary())


async def served(side: Side, fields: dict[str, Any]) -> Any:
    return await returning(side, lambda side: side.fp.SettingsResponse(**fields))


async def raw_settings(side: Side) -> Any:
    app = side.fp.make_app(side.fp.PoeBot(), access_key=KEY)
    return json.loads((await call(app, REQUESTS["settings"])).body)


# --- keys


def with_headers(*headers: tuple[str, str]) -> Callable[[Side], Any]:
    return lambda side: answered(side, REQUESTS["settings_free"], headers=headers)


REQUESTS["settings_free"] = REQUESTS["report_error"]  # whose answer is equal


async def keyless(side: Side, headers: list[tuple[str, str]], **options: Any) -> Any:
    app = side.fp.make_app(side.fp.PoeBot(**options), allow_without_key=True)
    return (await call(app, REQUESTS["report_error"], headers=headers)).summary()


class Counting(str):
    compared = 0

    def __eq__(self, other: object) -> bool:
        type(self).compared += 1
        return str.__eq__(self, other)

    def __ne__(self, other: object) -> bool:
        return not self == other

    __hash__ = str.__hash__


async def comparing(side: Side) -> Any:
    class Own(Counting):
        pass

    app = side.fp.make_app(side.fp.PoeBot(access_key=Own(KEY)))
    Own.compared = 0
    await call(app, REQUESTS["report_error"])
    return Own.compared > 0


KEYS: dict[str, Callable[[Side], Any]] = {
    "the right one": with_headers(("authorization", BEARER)),
    "a wrong one": with_headers(("authorization", "Bearer wrong")),
    "a longer one": with_headers(("authorization", f"{BEARER}x")),
    "an empty one": with_headers(("authorization", "Bearer ")),
    "no header": with_headers(),
    "an empty header": with_headers(("authorization", "")),
    "without a scheme": with_headers(("authorization", KEY)),
    "Basic": with_headers(("authorization", f"Basic {KEY}")),
    "bearer in small letters": with_headers(("authorization", f"bearer {KEY}")),
    "BEARER": with_headers(("authorization", f"BEARER {KEY}")),
    "two spaces": with_headers(("authorization", f"Bearer  {KEY}")),
    "a space at the end": with_headers(("authorization", f"{BEARER} ")),
    "of other letters": with_headers(("authorization", "Bearer \xe9")),
    "two headers, the first right": with_headers(("authorization", BEARER), ("authorization", "Bearer x")),
    "in the query": lambda side: answered(
        side, REQUESTS["report_error"], headers=[], query_string=b"access_key=" + KEY.encode()
    ),
    "of a bot without a key": lambda side: keyless(side, bearer("anything")),
    "none, of a bot without a key": lambda side: keyless(side, []),
    "Basic, of a bot without a key": lambda side: keyless(side, [("authorization", "Basic x")]),
    "a wrong one, with allow_without_key": lambda side: keyless(side, bearer("wrong"), access_key=KEY),
    "the right one, with allow_without_key": lambda side: keyless(side, bearer(KEY), access_key=KEY),
    "whether it is compared with ==": comparing,
}
KEY_DIFFERENCES: dict[str, str] = {
    "whether it is compared with ==": "key checks",
    "bearer in small letters": "answered requests",
    "BEARER": "answered requests",
    "two headers, the first right": "key checks",
    "none, of a bot without a key": "answered requests",
    "Basic, of a bot without a key": "answered requests",
}

# --- bodies


def body(data: bytes, **options: Any) -> Callable[[Side], Any]:
    return lambda side: answered(side, data, **options)


LONG = json.dumps({**QUERY, "query": [{**MESSAGE, "content": "x" * 1_000_000}]}).encode()
BODIES: dict[str, Callable[[Side], Any]] = {
    "nothing": body(b""),
    "text": body(b"hello"),
    "{": body(b"{"),
    "null": body(b"null"),
    "5": body(b"5"),
    "[]": body(b"[]"),
    "{}": body(b"{}"),
    "no UTF-8": body(b'{"type": "\xff"}'),
    "a byte order mark": body(b"\xef\xbb\xbf" + json.dumps(REQUESTS["report_error"]).encode()),
    "spaces around": body(b" \n" + json.dumps(REQUESTS["report_error"]).encode() + b"\n"),
    "a type twice": body(b'{"type": "x", "version": "1", "type": "report_error", "message": "", "metadata": {}}'),
    "NaN": body(b'{"type": "report_error", "version": "1", "message": "", "metadata": {"a": NaN}}'),
    "a large number": body(b'{"type": "report_error", "version": "1", "message": "", "metadata": {"a": 1e999}}'),
    "deep": body(
        b'{"type": "report_error", "version": "1", "message": "", "metadata": {"a": ' + b"[" * 500 + b"]" * 500 + b"}}"
    ),
    "a lone surrogate": body(b'{"type": "report_error", "version": "1", "message": "\\ud800", "metadata": {}}'),
    "a megabyte": body(LONG),
    "17 MiB": body(
        b'{"type": "report_error", "version": "1", "message": "' + b"x" * 17 * 2**20 + b'", "metadata": {}}'
    ),
    "another content type": body(
        json.dumps(REQUESTS["report_error"]).encode(),
        headers=[("authorization", BEARER), ("content-type", "text/plain")],
    ),
}
BODY_DIFFERENCES: dict[str, str] = {
    "17 MiB": "bounds",
    **dict.fromkeys(("nothing", "text", "{", "null", "5", "[]", "{}", "no UTF-8"), "invalid requests"),
    **dict.fromkeys(("a byte order mark", "NaN", "a large number", "deep"), "invalid requests"),
}

# --- methods and paths


def at(method: str, path: str = "/", bot_path: str = "/", key: bool = True) -> Callable[[Side], Any]:
    async def run(side: Side) -> Any:
        app = side.fp.make_app(side.fp.PoeBot(path=bot_path), access_key=KEY)
        headers = [("authorization", BEARER)] if key else []
        payload = REQUESTS["report_error"] if method == "POST" else b""
        answer = await call(app, payload, method=method, path=path, headers=headers)
        return answer.summary()

    return run


METHODS: dict[str, Callable[[Side], Any]] = {
    "GET /": at("GET"),
    "GET / without a key": at("GET", key=False),
    "HEAD /": at("HEAD"),
    "PUT /": at("PUT"),
    "DELETE /": at("DELETE"),
    "OPTIONS /": at("OPTIONS"),
    "GET /other": at("GET", "/other"),
    "POST /other": at("POST", "/other"),
    "POST /bot": at("POST", "/bot", "/bot"),
    "GET /bot": at("GET", "/bot", "/bot"),
    "POST /bot/": at("POST", "/bot/", "/bot"),
    "POST / of a bot at /bot": at("POST", "/", "/bot"),
    "POST /bot of a bot at /bot/": at("POST", "/bot", "/bot/"),
    "POST /a/b": at("POST", "/a/b", "/a/b"),
    "POST // of a bot at /": at("POST", "//"),
    "GET /docs": at("GET", "/docs"),
    "GET /openapi.json": at("GET", "/openapi.json"),
}
METHOD_DIFFERENCES: dict[str, str] = {
    "HEAD /": "answered requests",
    "POST /bot/": "application",
    "POST /bot of a bot at /bot/": "application",
    "GET /docs": "application",
    "GET /openapi.json": "application",
}

# --- the HTTP request


def of_request(read: Callable[[Any], Any]) -> Callable[[Side], Any]:
    async def run(side: Side) -> Any:
        seen: list[Any] = []

        class Own(side.fp.PoeBot):
            async def get_response_with_context(self, request: Any, context: Any) -> AsyncIterator[Any]:
                found = read(context.http_request)
                seen.append(await found if hasattr(found, "__await__") else found)
                yield side.fp.PartialResponse(text="a")

        headers = [("authorization", BEARER), ("host", "bots.invalid:8080"), ("x-own", "1"), ("cookie", "a=b; c=d")]
        app = side.fp.make_app(Own(path="/a/bot"), access_key=KEY)
        await call(app, QUERY, path="/a/bot", headers=headers, query_string=b"x=1&x=%20&y=")
        return seen

    return run


CONTEXT: dict[str, Callable[[Side], Any]] = {
    "method": of_request(lambda request: request.method),
    "url": of_request(lambda request: str(request.url)),
    "url.path": of_request(lambda request: (request.url.path, request.url.query, request.url.scheme, request.url.port)),
    "url.hostname": of_request(lambda request: (request.url.hostname, request.url.netloc, request.url.is_secure)),
    "base_url": of_request(lambda request: str(request.base_url)),
    "headers": of_request(lambda request: dict(request.headers)),
    "headers, one": of_request(lambda request: (request.headers["X-Own"], request.headers.get("none"))),
    "headers.getlist": of_request(lambda request: request.headers.getlist("x-own")),
    "headers, missing": of_request(lambda request: "none" in request.headers),
    "query_params": of_request(lambda request: (dict(request.query_params), request.query_params.getlist("x"))),
    "query_params.multi_items": of_request(lambda request: request.query_params.multi_items()),
    "path_params": of_request(lambda request: dict(request.path_params)),
    "cookies": of_request(lambda request: dict(request.cookies)),
    "client": of_request(lambda request: (request.client.host, request.client.port)),
    "body": of_request(lambda request: request.body()),
    "json": of_request(lambda request: request.json()),
    "is_disconnected": of_request(lambda request: request.is_disconnected()),
    "state": of_request(lambda request: [setattr(request.state, "own", 1), request.state.own]),
    "scope": of_request(lambda request: (request.scope["type"], request.scope["method"], request.scope["path"])),
    "an item": of_request(lambda request: request["method"]),
    "get": of_request(lambda request: request.get("path")),
    "stream": of_request(lambda request: joined(request.stream())),
}


async def joined(parts: Any) -> bytes:
    return b"".join([part async for part in parts])
