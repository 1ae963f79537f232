"""Cases: calls of Poe itself: uploads, files of a reply, settings, costs; and `run_sync`."""

# The arguments of both libraries, many of them wrong, in lambdas without annotations.
# pyright: basic, reportArgumentType=false, reportInvalidTypeForm=false

from __future__ import annotations

import asyncio
import concurrent.futures
import io
import json
import re
from collections.abc import Callable, Iterator
from typing import Any

import httpx

from .bots import KEY, a_query
from .call_outcomes import LEFT_OUT, without_null
from .cases import Case, Side, each_case, shown
from .peer import cut, record, response, stream

UPLOADED = response(200, {"attachment_url": "https://files.invalid/f", "mime_type": "text/plain"})
REFUSED = response(403, "no", "text/plain")


def cases() -> Iterator[Case]:
    for name in ("upload_file", "upload_file_sync"):
        for parameter, inputs in uploads(name).items():
            yield from each_case(f"client.{name}({parameter})", inputs, UPLOAD_DIFFERENCES.get(parameter))
    for parameter, inputs in SYNC.items():
        yield from each_case(f"client.sync_bot_settings({parameter})", inputs, SYNC_DIFFERENCES.get(parameter))
    for parameter, inputs in FILES.items():
        yield from each_case(f"PoeBot.post_message_attachment({parameter})", inputs, FILE_DIFFERENCES.get(parameter))
    for name in ("authorize_cost", "capture_cost"):
        for parameter, inputs in costs(name).items():
            yield from each_case(f"PoeBot.{name}({parameter})", inputs, COST_DIFFERENCES.get(parameter))
    yield from each_case("sync_utils.run_sync(coro)", RUN_SYNC)
    yield from each_case("sync_utils.run_sync(session)", RUN_SYNC_SESSION)


# --- uploads


class Named(io.BytesIO):
    name = "/a/b/named.txt"


class Numbered(io.BytesIO):
    name = 5


class OnlyRead:
    name = "read.txt"

    def read(self, size: int = -1) -> bytes:
        return b""


async def uploaded(side: Side, name: str, *responses: bytes, **options: Any) -> Any:
    """The attachment, the errors reported, and the requests with their fields."""
    base_url = side.serve(*(responses or (UPLOADED,)))
    errors: list[str] = []

    def on_error(exc: Exception, message: str) -> None:
        errors.append(kind_of(side, exc))

    given = {"api_key": KEY, "on_error": on_error, "retry_sleep_time": 0, "base_url": base_url, **options}
    given = {key: value for key, value in given.items() if value is not LEFT_OUT}
    try:
        if name == "upload_file":
            found = await side.client.upload_file(**given)
        else:
            found = await asyncio.to_thread(side.client.upload_file_sync, **given)
    except Exception as exc:  # noqa: BLE001  # any exception is an outcome
        found = kind_of(side, exc)
    return found, errors, [(path, fields_of(*rest)) for _, path, *rest in side.exchange.requests]


def kind_of(side: Side, exc: Exception) -> str:
    """The type of an exception; those of the HTTP libraries are AttachmentUploadErrors in one of them."""
    is_http = type(exc).__module__.partition(".")[0] in ("httpx", "json")
    return "AttachmentUploadError" if is_http else type(exc).__name__


def fields_of(headers: dict[str, str], body: bytes) -> Any:
    """The form of an upload: the key, and each field with its name, file name and value."""
    kind = headers["content-type"].partition(";")[0]
    if kind != "multipart/form-data":
        return headers.get("authorization"), kind, body
    boundary = headers["content-type"].partition("boundary=")[2].strip('"').encode()
    parts = [part.strip(b"\r\n").partition(b"\r\n\r\n") for part in body.split(b"--" + boundary)[1:-1]]
    found = [
        (re.findall(rb'(?:file)?name\*?="?([^";\r]*)"?', head.partition(b"\r\n")[0]), value) for head, _, value in parts
    ]
    return headers.get("authorization"), kind, found


def uploads(name: str) -> dict[str, dict[str, Callable[[Side], Any]]]:
    def run(*responses: bytes, **options: Any) -> Callable[[Side], Any]:
        return lambda side: uploaded(side, name, *responses, **options)

    def of_file(make: Callable[[], Any], **options: Any) -> Callable[[Side], Any]:
        return lambda side: uploaded(side, name, file=make(), **options)

    whole = {"file": b"data", "file_name": "a.txt"}
    return {
        "file": {
            "bytes": run(**whole),
            "bytes without a name": run(file=b"data"),
            "empty bytes": run(file=b"", file_name="a.txt"),
            "bytearray": run(file=bytearray(b"data"), file_name="a.txt"),
            "a named file": of_file(lambda: Named(b"data")),
            "a file without a name": of_file(lambda: io.BytesIO(b"data")),
            "a file with a name given": of_file(lambda: io.BytesIO(b"data"), file_name="b.txt"),
            "a file that has been read in part": of_file(lambda: read_in_part(), file_name="b.txt"),
            "a file whose name is a number": of_file(lambda: Numbered(b"data")),
            "an object that reads": of_file(OnlyRead),
            "a string": run(file="data", file_name="a.txt"),
            "a string without a name": run(file="data"),
            "a text file": of_file(lambda: io.StringIO("data"), file_name="a.txt"),
            "a number": run(file=5, file_name="a.txt"),
            "None": run(),
            "both": run(**whole, file_url="https://a.invalid/f"),
            "a file object retried": of_file_retried(name),
        },
        "file_url": {
            "a URL": run(file_url="https://a.invalid/f.txt"),
            "with a name": run(file_url="https://a.invalid/f.txt", file_name="é.txt"),
            "empty": run(file_url=""),
            "of another scheme": run(file_url="ftp://a.invalid"),
            "with a query": run(file_url="https://a.invalid/?a=b&c=d"),
        },
        "file_name": {
            shown(value): run(file=b"data", file_name=value)
            for value in ("a.txt", "é 🐈.txt", 'a"b.txt', "a/b.txt", "a\\b", "")
        },
        "api_key": {
            "empty": run(**whole, api_key=""),
            "left out": run(**whole, api_key=LEFT_OUT),
            "a short one": run(**whole, api_key="k"),
        },
        "session": {"None": run(**whole, session=None), "httpx": lambda side: upload_with_session(side, name)},
        "on_error": {
            "a refusal": run(REFUSED, **whole),
            "a refusal, then success": run(REFUSED, UPLOADED, **whole),
            "no JSON": run(response(200, "x"), **whole),
            "JSON without the keys": run(response(200, {"a": 1}), **whole),
            "JSON of other values": run(response(200, {"attachment_url": 5, "mime_type": None}), **whole),
            "a list": run(response(200, "[]"), **whole),
            "no answer": run(b"", **whole),
            "the default": run(REFUSED, UPLOADED, **whole, on_error=LEFT_OUT),
        },
        "num_tries": {
            str(number): run(REFUSED, REFUSED, UPLOADED, **whole, num_tries=number) for number in (1, 2, 3, 0)
        },
        "retry_sleep_time": {
            str(seconds): run(REFUSED, UPLOADED, **whole, retry_sleep_time=seconds) for seconds in (0, 0.01)
        },
        "base_url": {
            "no URL": run(**whole, base_url="x"),
            "nobody listens": run(**whole, base_url="http://127.0.0.1:1/"),
            "without a slash": lambda side: without_slash(side, name),
        },
        "extra_headers": {
            "a header": lambda side: upload_headers(side, name, "x-own", extra_headers={"X-Own": "1"}),
            "None": run(**whole, extra_headers=None),
            "Authorization": lambda side: upload_headers(
                side, name, "authorization", extra_headers={"Authorization": "own"}
            ),
        },
    }


UPLOAD_DIFFERENCES: dict[str, dict[str, str]] = {
    "file": {
        "a file whose name is a number": "wrong arguments",
        "an object that reads": "wrong arguments",
        "a file object retried": "bugs",
        "a string": "wrong arguments",
        "bytearray": "wrong arguments",
        "a number": "wrong arguments",
    },
    "file_url": {"empty": "wrong arguments"},
    "file_name": {shown("a\\b"): "wrong arguments"},
    "on_error": {"JSON of other values": "errors of calls"},
    "num_tries": {"0": "wrong arguments"},
    "session": {"httpx": "sessions"},
}


def read_in_part() -> Any:
    file = io.BytesIO(b"data")
    file.read(2)
    return file


def of_file_retried(name: str) -> Callable[[Side], Any]:
    return lambda side: uploaded(side, name, REFUSED, UPLOADED, file=Named(b"data"))


async def without_slash(side: Side, name: str) -> Any:
    base_url = side.serve(UPLOADED)
    options = {"file": b"data", "file_name": "a", "api_key": KEY, "base_url": base_url.rstrip("/") + "/x"}
    if name == "upload_file":
        await side.client.upload_file(**options)
    else:
        await asyncio.to_thread(side.client.upload_file_sync, **options)
    return side.exchange.paths


async def upload_headers(side: Side, name: str, header: str, **options: Any) -> Any:
    await uploaded(side, name, file=b"data", file_name="a", **options)
    return side.exchange.headers(header)


async def upload_with_session(side: Side, name: str) -> Any:
    session = httpx.AsyncClient(headers={"x-session": "1"})
    result = await uploaded(side, name, file=b"data", file_name="a", session=session)
    closed = session.is_closed
    if name == "upload_file":
        await session.aclose()
    return result, side.exchange.headers("x-session"), closed


# --- settings


async def synced(side: Side, answer: bytes = b"", **options: Any) -> Any:
    """The requests."""
    base_url = side.serve(answer or response(200, "ok", "text/plain"))
    given = {"bot_name": "Cat", "access_key": KEY, "base_url": base_url, **options}
    try:
        result = await asyncio.to_thread(lambda: side.client.sync_bot_settings(**given))
    except httpx.HTTPError:
        result = "an HTTP error"
    bodies = [json.loads(body) if body else None for _, _, _, body in side.exchange.requests]
    return result, side.exchange.paths, bodies, side.exchange.headers("content-type")


async def positional(side: Side) -> Any:
    base_url = side.serve(response(200, "ok", "text/plain"))
    await asyncio.to_thread(lambda: side.client.sync_bot_settings("Cat", KEY, base_url=base_url))
    return side.exchange.paths


SYNC: dict[str, dict[str, Callable[[Side], Any]]] = {
    "bot_name": {
        **{value: lambda side, v=value: synced(side, bot_name=v) for value in ("Cat", "A Cat", "é")},
        "positional": positional,
    },
    "access_key": {
        "a key": lambda side: synced(side, access_key=KEY),
        "empty": lambda side: synced(side, access_key=""),
        "refused": lambda side: synced(side, response(401, "no", "text/plain")),
    },
    "settings": {
        "None": lambda side: synced(side, settings=None),
        "a dict": lambda side: synced(side, settings={"allow_attachments": True, "introduction_message": "é"}),
        "an empty dict": lambda side: synced(side, settings={}),
        "what model_dump gives": lambda side: synced(side, settings=side.types.SettingsResponse().model_dump()),
        "an object": lambda side: synced(side, settings=side.types.SettingsResponse()),
        "refused": lambda side: synced(side, response(400, "bad", "text/plain"), settings={}),
        "refused with JSON": lambda side: synced(side, response(500, {"error": "bad"}), settings={}),
        "no JSON": lambda side: synced(side, settings={"a": object()}),
    },
    "base_url": {
        "no URL": lambda side: synced(side, base_url="x"),
        "nobody listens": lambda side: synced(side, base_url="http://127.0.0.1:1/"),
        "no answer": lambda side: synced(side, b"\r\n"),
    },
}
SYNC_DIFFERENCES: dict[str, dict[str, str]] = {
    "settings": {"an object": "accepted"},
    "base_url": dict.fromkeys(("no URL", "nobody listens", "no answer"), "errors of calls"),
}

# --- files of a reply


async def posted(side: Side, answer: bytes = UPLOADED, bot: dict[str, Any] | None = None, **options: Any) -> Any:
    """The return value, the pending event, and the form of the upload."""
    base_url = side.serve(answer)
    made = side.fp.PoeBot(**({"access_key": KEY} if bot is None else bot))
    given = {"message_id": "m", "base_url": base_url, **options}
    given = {key: value for key, value in given.items() if value is not LEFT_OUT}
    try:
        result = await made.post_message_attachment(**given)
    except Exception as exc:  # noqa: BLE001  # any exception is an outcome
        result = kind_of(side, exc)
    found = made._file_events_to_yield if hasattr(made, "_file_events_to_yield") else {}
    events = {key: [(each.event, json.loads(each.data)) for each in waiting] for key, waiting in found.items()}
    reference = getattr(result, "inline_ref", None)
    text = repr((getattr(result, "model_dump", lambda: result)(), ordered_events(events)))
    return text.replace(reference or "\0", "REF"), [
        (path, fields_of(*rest)) for _, path, *rest in side.exchange.requests
    ]


def ordered_events(events: dict[str, Any]) -> Any:
    return {key: [(name, sorted(data.items())) for name, data in waiting] for key, waiting in events.items() if waiting}


def post(*args: Any, **options: Any) -> Callable[[Side], Any]:
    return lambda side: posted(side, *args, **options)


DATA = {"file_data": b"data", "filename": "a.txt"}
FILES: dict[str, dict[str, Callable[[Side], Any]]] = {
    "access_key": {
        "none, of a bot with a key": post(**DATA),
        "one, of a bot with a key": post(**DATA, access_key="own"),
        "one, of a bot without a key": post(**DATA, access_key="own", bot={}),
        "none, of a bot without a key": post(**DATA, bot={}),
        "empty, of a bot without a key": post(**DATA, access_key="", bot={}),
        "positional": lambda side: posted_positionally(side),
    },
    "message_id": {
        "an id": post(**DATA, message_id="n"),
        "None": post(**DATA, message_id=None),
        "left out": post(**DATA, message_id=LEFT_OUT),
        "empty": post(**DATA, message_id=""),
    },
    "download_url": {
        "a URL": post(download_url="https://a.invalid/f.txt"),
        "without a name in it": post(download_url="https://a.invalid"),
        "with a filename": post(download_url="https://a.invalid/f.txt", filename="b.txt"),
        "empty": post(download_url=""),
        "and data": post(download_url="https://a.invalid/f.txt", **DATA),
    },
    "download_filename": {
        "with a URL": post(download_url="https://a.invalid/f.txt", download_filename="c.txt"),
        "with data": post(file_data=b"data", download_filename="c.txt"),
        "beside filename": post(file_data=b"data", filename="a.txt", download_filename="c.txt"),
    },
    "file_data": {
        "bytes": post(**DATA),
        "a file": lambda side: posted(side, file_data=Named(b"data"), filename="a.txt"),
        "a file without a name given": lambda side: posted(side, file_data=Named(b"data")),
        "a string": post(file_data="naïve", filename="a.txt"),
        "empty": post(file_data=b"", filename="a.txt"),
        "None": post(filename="a.txt"),
        "nothing": post(),
    },
    "filename": {shown(name): post(file_data=b"data", filename=name) for name in ("a.txt", "é.txt", "", None)},
    "content_type": {"text/plain": post(**DATA, content_type="text/plain"), "None": post(**DATA, content_type=None)},
    "is_inline": {"True": post(**DATA, is_inline=True), "False": post(**DATA, is_inline=False)},
    "base_url": {
        "no URL": post(**DATA, base_url="x"),
        "refused": post(REFUSED, **DATA),
        "no keys in the answer": post(response(200, {}), **DATA),
    },
}
FILE_DIFFERENCES: dict[str, dict[str, str]] = {
    "access_key": {"empty, of a bot without a key": "wrong arguments"},
    "message_id": {"None": "wrong arguments", "left out": "wrong arguments"},
    "file_data": {"a string": "accepted"},
}


async def posted_positionally(side: Side) -> Any:
    base_url = side.serve(UPLOADED)
    result = await side.fp.PoeBot().post_message_attachment("own", "m", **DATA, base_url=base_url)
    return result, side.exchange.paths


# --- costs

SUCCESS = stream(record("result", {"status": "success"}))


async def charged(side: Side, name: str, *responses: bytes, query: dict[str, Any] | None = None, **options: Any) -> Any:
    """The requests, or the exception."""
    base_url = side.serve(*(responses or (SUCCESS,)))
    bot = side.fp.PoeBot(access_key=options.pop("key", KEY))
    amounts = options.pop("amounts", None) or cost(side)
    request = a_query(side, **({"bot_query_id": "q"} if query is None else query))
    given = {"base_url": base_url, **options}
    await getattr(bot, name)(request, amounts, **given)
    return side.exchange.paths, [without_null(body) for body in side.exchange.bodies()]


def cost(side: Side, amount: Any = 5, **fields: Any) -> Any:
    return side.types.CostItem(amount_usd_milli_cents=amount, **fields)


def costs(name: str) -> dict[str, dict[str, Callable[[Side], Any]]]:
    def run(*responses: bytes, **options: Any) -> Callable[[Side], Any]:
        return lambda side: charged(side, name, *responses, **options)

    def of(make: Callable[[Side], Any]) -> Callable[[Side], Any]:
        return lambda side: charged(side, name, amounts=make(side))

    return {
        "request": {
            "with bot_query_id": run(),
            "without bot_query_id": run(query={}),
            "of a bot without a key": run(key=None),
            "with bot_query_id of other letters": run(query={"bot_query_id": "a b"}),
        },
        "amounts": {
            "one": of(cost),
            "a list": of(lambda side: [cost(side), cost(side, 7, description="d")]),
            "a description": of(lambda side: cost(side, 7, description="naïve")),
            "zero": of(lambda side: cost(side, 0)),
            "a float": of(lambda side: cost(side, 1.2)),
            "negative": of(lambda side: cost(side, -1)),
            "a number": of(lambda side: 5),
            "a tuple": of(lambda side: (cost(side),)),
            "dicts": of(lambda side: [{"amount_usd_milli_cents": 5}]),
        },
        "base_url": {
            "success": run(SUCCESS),
            "no funds": run(stream(record("result", {"status": "insufficient_funds"}))),
            "another status": run(stream(record("result", {"status": "other"}))),
            "other events before": run(stream(record("own", {}), record("result", {"status": "success"}))),
            "other keys": run(stream(record("result", {"status": "success", "own": 1}))),
            "nothing": run(stream()),
            "a stream that is cut": run(cut()),
            "no status": run(stream(record("result", {}))),
            "no JSON": run(stream(record("result", "x"))),
            "403": run(response(403, record("error", {"message": "no"}), "text/event-stream")),
            "500": run(response(500, "oh", "text/plain")),
            "200 without a stream": run(response(200, {"status": "success"})),
            "no answer": run(b""),
            "nobody listens": run(base_url="http://127.0.0.1:1/"),
            "no URL": run(base_url="x"),
        },
    }


COST_DIFFERENCES: dict[str, dict[str, str]] = {
    "amounts": {"zero": "costs", "negative": "costs"},
    "base_url": dict.fromkeys(
        (
            "nothing", "a stream that is cut", "no status", "no JSON", "500", "200 without a stream", "no answer",
            "nobody listens", "no URL",
        ),
        "costs",
    ),
}  # fmt: skip

# --- run_sync


async def value(given: Any = "value") -> Any:
    await asyncio.sleep(0)
    return given


async def failing() -> Any:
    raise KeyError("k")


async def outside(side: Side, make: Callable[[], Any], **options: Any) -> Any:
    """In a thread without an event loop."""
    return await asyncio.to_thread(lambda: side.sync_utils.run_sync(make(), **options))


def inside(side: Side, make: Callable[[], Any], **options: Any) -> Any:
    return side.sync_utils.run_sync(make(), **options)


class Executor(concurrent.futures.Executor):
    def submit(self, function: Any, *args: Any, **options: Any) -> Any:
        future: concurrent.futures.Future[Any] = concurrent.futures.Future()
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            future.set_result(("own", pool.submit(function, *args).result()))
        return future


RUN_SYNC: dict[str, Callable[[Side], Any]] = {
    "outside of a loop": lambda side: outside(side, value),
    "inside of a loop": lambda side: in_loop(side, value),
    "that fails, outside": lambda side: outside(side, failing),
    "that fails, inside": lambda side: in_loop(side, failing),
    "None": lambda side: outside(side, lambda: None),
    "an own executor": lambda side: in_loop(side, value, _executor_factory=Executor),
}


async def in_loop(side: Side, make: Callable[[], Any], **options: Any) -> Any:
    return inside(side, make, **options)


RUN_SYNC_SESSION: dict[str, Callable[[Side], Any]] = {
    "outside of a loop": lambda side: outside(side, value, session=object()),
    "inside of a loop": lambda side: session_inside(side),
    "None inside of a loop": lambda side: in_loop(side, value, session=None),
}


async def session_inside(side: Side) -> Any:
    coroutine = value()
    try:
        return side.sync_utils.run_sync(coroutine, session=object())
    finally:
        coroutine.close()  # fastapi_poe leaves it
