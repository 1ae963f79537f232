"""The ASGI application: which request gets which answer."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import anyio
import pytest

from poeproto import (
    Bot,
    Context,
    Done,
    Limits,
    QueryRequest,
    ReportErrorRequest,
    ReportFeedbackRequest,
    ReportReactionRequest,
    RequestHead,
    SettingsRequest,
    SettingsResponse,
    Text,
)
from poeproto_asgi import BotApp

from ...support.bots import BEARER, KEY, SECRET, FunctionBot, query_body
from ...support.hypercorn_servers import RefusedApp
from ...support.scripted_asgi import DISCONNECT, body_messages, converse, http_scope, request

pytestmark = pytest.mark.anyio


async def echo(request: QueryRequest, context: Context) -> AsyncIterator[str]:
    yield request.query[-1].content


def an_app(limits: Limits | None = None) -> BotApp:
    return BotApp(FunctionBot(echo), access_key=KEY, limits=limits)


async def test_a_query_is_answered_with_a_stream() -> None:
    answer = await request(an_app())
    assert answer.events == [Text("hello"), Done()]
    assert answer.headers == {
        "content-type": "text/event-stream; charset=utf-8",
        "cache-control": "no-cache, no-transform",
        "x-accel-buffering": "no",
    }
    assert answer.complete


@pytest.mark.parametrize("count", [1, 3, 20])
async def test_a_large_event_is_sent_in_parts(count: int) -> None:
    # A server holds several copies of its data for as long as the peer does not read.
    text = "a" * 20_000

    async def bot(request: QueryRequest, context: Context) -> AsyncIterator[str]:
        yield "hello"
        yield text * count

    answer = await request(BotApp(FunctionBot(bot), access_key=KEY))
    assert answer.events == [Text("hello"), Text(text * count), Done()]
    assert answer.complete
    assert max(len(message["body"]) for message in answer.messages[1:]) <= 48 * 1024


async def test_a_body_in_parts() -> None:
    body = query_body("in parts")
    parts = [body[index : index + 7] for index in range(0, len(body), 7)]
    answer = await converse(an_app(), http_scope(), body_messages(*parts, b""))
    assert answer.events == [Text("in parts"), Done()]


async def test_a_bodys_keys_may_be_left_out() -> None:
    messages: list[dict[str, Any]] = [
        {"type": "http.request", "more_body": True},
        {"type": "http.request", "body": query_body()},
    ]
    assert (await converse(an_app(), http_scope(), messages)).events == [Text("hello"), Done()]


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_the_index_page_needs_no_key(method: str) -> None:
    answer = await request(an_app(), b"", method, key=None)
    assert answer.status == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert int(answer.headers["content-length"]) == len(answer.body)
    assert b"Poe" in answer.body


@pytest.mark.parametrize("method", ["PUT", "DELETE", "OPTIONS", "PATCH", "post"])
async def test_other_methods_are_refused(method: str) -> None:
    answer = await request(an_app(), method=method)
    assert answer.status == 405
    assert answer.headers["allow"] == "GET, HEAD, POST"


@pytest.mark.parametrize("key", [None, "Bearer wrong", f"Basic {KEY}", KEY, "Bearer ", f"{BEARER}x"])
async def test_without_the_key_the_body_is_not_read(key: str | None) -> None:
    answer = await request(an_app(), key=key)
    assert answer.status == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    assert answer.received == 0
    assert answer.complete
    assert KEY.encode() not in answer.body


async def test_the_schemes_case_does_not_matter() -> None:
    assert (await request(an_app(), key=f"bEARER {KEY}")).status == 200


ABSENT = "absent"


@pytest.mark.parametrize(
    ("field", "value", "seen"),
    [
        ("client", ("10.0.0.1", 5), ("10.0.0.1", 5)),
        ("client", ("10.0.0.1", "53386"), ("10.0.0.1", 53386)),  # Granian
        ("client", ["10.0.0.1", 5], ("10.0.0.1", 5)),
        ("client", [b"10.0.0.1", b"5"], ("10.0.0.1", 5)),
        ("client", ("10.0.0.1",), ("10.0.0.1", 0)),
        ("client", ("10.0.0.1", None), ("10.0.0.1", 0)),
        ("client", ("10.0.0.1", "http"), ("10.0.0.1", 0)),
        ("client", ("10.0.0.1", "9" * 5000), ("10.0.0.1", 0)),
        ("client", ("10.0.0.1", True), ("10.0.0.1", 0)),
        ("client", ("10.0.0.1", 5.0), ("10.0.0.1", 0)),
        ("client", ("::1", 5, 0, 0), ("::1", 5)),
        ("client", ("", 0), None),
        ("client", (None, 5), None),
        ("client", (), None),
        ("client", "10.0.0.1:5", None),
        ("client", {"host": "10.0.0.1"}, None),
        ("client", None, None),
        ("client", ABSENT, None),
    ],
)
async def test_the_client_is_the_address_that_the_server_knows(field: str, value: object, seen: object) -> None:
    assert (await seen_in(**{field: value})).client == seen


@pytest.mark.parametrize(
    ("changes", "target"),
    [
        ({"root_path": ABSENT}, "/"),
        ({"root_path": None}, "/"),
        ({"root_path": b""}, "/"),
        ({"query_string": "a=%20b"}, "/?a=%20b"),
        ({"query_string": ABSENT}, "/"),
        ({"query_string": None}, "/"),
        ({"raw_path": "/"}, "/"),
        ({"raw_path": b"/?a=b"}, "/?a=b"),
        ({"raw_path": b"/?a=b", "query_string": b"a=b"}, "/?a=b"),
        ({"raw_path": b"/?a=b", "path": ABSENT}, "/?a=b"),
        ({"raw_path": ABSENT}, "/"),
        ({"raw_path": None, "path": b"/"}, "/"),
        ({"raw_path": ABSENT, "path": ""}, "/"),
        ({"raw_path": ABSENT, "path": ABSENT}, "/"),
        ({"raw_path": 7, "query_string": 7, "root_path": 7}, "/"),
        ({"extensions": None}, "/"),
        ({"extensions": ["tls"]}, "/"),
        *(({name: ABSENT}, "/") for name in ("asgi", "http_version", "scheme", "server", "extensions")),
    ],
    ids=str,
)
async def test_no_field_that_only_informs_makes_a_request_fail(changes: dict[str, Any], target: str) -> None:
    assert (await seen_in(**changes)).target == target


async def seen_in(**changes: object) -> RequestHead:
    """The head that a bot sees of a request whose scope has these fields instead of the usual ones."""
    heads: list[RequestHead] = []

    async def bot(request: QueryRequest, context: Context) -> str:
        heads.append(context.http_request)
        return "hello"

    scope = {key: value for key, value in (http_scope() | changes).items() if value is not ABSENT}
    answer = await converse(BotApp(FunctionBot(bot), access_key=KEY), scope, body_messages(query_body()))
    assert answer.events == [Text("hello"), Done()]
    return heads[0]


async def test_headers_may_be_lists_and_strings() -> None:
    headers = [["Authorization", BEARER], [b"content-type", b"application/json"]]
    assert (await converse(an_app(), {**http_scope(), "headers": headers}, body_messages(query_body()))).status == 200
    scope = {key: value for key, value in http_scope().items() if key != "headers"}
    assert (await converse(an_app(), scope, body_messages(query_body()))).status == 401


async def test_a_message_without_a_body_or_with_none() -> None:
    messages: list[dict[str, Any]] = [
        {"type": "http.request", "body": None, "more_body": True},
        {"type": "http.request", "body": query_body(), "more_body": True},
        {"type": "http.request", "more_body": None},
    ]
    assert (await converse(an_app(), http_scope(), messages)).events == [Text("hello"), Done()]


async def test_no_key_is_needed_where_anyone_is_answered() -> None:
    app = BotApp(FunctionBot(echo), allow_without_key=True)
    assert (await request(app, key=None)).status == 200
    assert (await request(app, key="Bearer whatever")).status == 200


async def test_a_body_that_is_declared_too_large_is_not_read() -> None:
    answer = await request(an_app(Limits(request_body=100)), headers=[("content-length", "101")])
    assert answer.status == 413
    assert answer.received == 0
    assert answer.complete


async def test_a_body_that_grows_too_large_is_not_read_to_its_end() -> None:
    messages = body_messages(b" " * 60, b" " * 60, b" " * 60, b" " * 60)
    answer = await converse(an_app(Limits(request_body=100)), http_scope(), messages)
    assert answer.status == 413
    assert answer.received == 2
    assert answer.complete


async def test_a_body_of_just_the_limit_is_read() -> None:
    body = query_body()
    app = an_app(Limits(request_body=len(body)))
    answer = await request(app, body, headers=[("content-length", str(len(body)))])
    assert answer.status == 200


async def test_a_length_that_is_not_a_number_is_refused() -> None:
    assert (await request(an_app(), headers=[("content-length", "+5")])).status == 400


SPECIFICATIONS_SAMPLE = {
    "version": "1.0",
    "type": "query",
    "query": [
        {
            "role": "user",
            "content": "What is the capital of Nepal?",
            "content_type": "text/markdown",
            "timestamp": 1678299819427621,
        }
    ],
    "user": "u-1234abcd5678efgh",
    "conversation": "c-jklm9012nopq3456",
}


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b'{"version": "1.0", "type": "query"', 400),
        (b"[]", 400),
        (b"{}", 400),
        (b'{"version": "1.0", "type": "dance"}', 501),
        (b'{"version": "1.0", "type": "query", "query": [{"role": "ghost", "content": "boo"}]}', 200),
        (
            b'{"version": "1.0", "type": "query", "query": [{"role": "user", "content": "a", "attachments": null}]}',
            200,
        ),
        (json.dumps(SPECIFICATIONS_SAMPLE).encode(), 200),
        (b"", 400),
        (b"\xff\xfe", 400),
        (b"null", 400),
        (b'"query"', 400),
        (b'{"type": 5}', 400),
        (b'{"type": null}', 400),
        (b'{"type": "query"}', 400),
        (b'{"type": "query", "query": {}}', 400),
        (b'{"type": "query", "query": [5]}', 400),
        (b'{"type": "query", "query": [{"role": "user"}]}', 400),
        (b'{"type": "query", "query": [{"role": "user", "content": 5}]}', 400),
        (b'{"type": "query", "query": [{"role": "user", "content": NaN}]}', 400),
        (b'{"type": "query", "query": ' + b"[" * 100_000, 400),
        (b'{"type": "query", "query": ' + b'[{"role": "user", "content": "a"}]' + b', "temperature": 1e999}', 400),
        (b'{"type": "settings"}', 200),
        (b'{"type": "report_error"}', 200),
        (b'{"type": "report_reaction", "reaction": 5}', 400),
    ],
)
async def test_bad_input_is_never_our_fault(body: bytes, status: int) -> None:
    answer = await request(an_app(), body)
    assert answer.status == status
    assert answer.complete
    if status != 200:
        assert "error" in json.loads(answer.body)
        assert answer.headers["content-type"] == "application/json"
        assert int(answer.headers["content-length"]) == len(answer.body)


async def test_a_refusal_names_the_field() -> None:
    answer = await request(an_app(), b'{"type": "query", "query": [{"role": 5, "content": "a"}]}')
    assert json.loads(answer.body)["path"] == "query[0].role"


class Listener(Bot):
    """Keeps the reports to it."""

    def __init__(self) -> None:
        self.heard: list[object] = []

    async def get_settings(self, request: SettingsRequest, context: Context) -> SettingsResponse:
        return SettingsResponse(allow_attachments=True, introduction_message="Hello!")

    async def on_feedback(self, request: ReportFeedbackRequest, context: Context) -> None:
        self.heard.append(request)

    async def on_reaction(self, request: ReportReactionRequest, context: Context) -> None:
        self.heard.append(request)

    async def on_error(self, request: ReportErrorRequest, context: Context) -> None:
        self.heard.append(request)


async def test_settings() -> None:
    answer = await request(BotApp(Listener(), access_key=KEY), b'{"version": "1.2", "type": "settings"}')
    assert answer.status == 200
    assert answer.headers["content-type"] == "application/json"
    assert json.loads(answer.body) == {
        "response_version": 2,
        "allow_attachments": True,
        "introduction_message": "Hello!",
    }


async def test_reports_reach_the_bot(caplog: pytest.LogCaptureFixture) -> None:
    bot = Listener()
    app = BotApp(bot, access_key=KEY)
    for body in (
        b'{"type": "report_feedback", "feedback_type": "like", "message_id": "m"}',
        b'{"type": "report_reaction", "reaction": "heart", "message_id": "m"}',
        b'{"type": "report_error", "message": "you sent no done", "metadata": {"message_id": "m"}}',
    ):
        answer = await request(app, body)
        assert (answer.status, answer.body) == (200, b"{}")
    assert bot.heard == [
        ReportFeedbackRequest(feedback_type="like", message_id="m"),
        ReportReactionRequest(reaction="heart", message_id="m"),
        ReportErrorRequest(message="you sent no done", metadata={"message_id": "m"}),
    ]
    (record,) = (record for record in caplog.records if "get_response" not in record.message)
    assert record.levelname == "WARNING"
    assert "you sent no done" in record.getMessage()


async def test_a_bot_that_overrides_nothing_answers_everything() -> None:
    app = BotApp(Bot(), access_key=KEY)
    for kind in ("settings", "report_feedback", "report_reaction", "report_error"):
        assert (await request(app, json.dumps({"type": kind}).encode())).status == 200
    assert (await request(app)).status == 200


class Faulty(Bot):
    """Fails at every request."""

    async def get_settings(self, request: SettingsRequest, context: Context) -> SettingsResponse:
        raise LookupError(SECRET)

    async def on_feedback(self, request: ReportFeedbackRequest, context: Context) -> None:
        raise LookupError(SECRET)

    on_reaction = on_error = on_feedback  # pyright: ignore[reportAssignmentType]


@pytest.mark.parametrize("kind", ["settings", "report_feedback", "report_reaction", "report_error"])
async def test_a_method_that_raises(kind: str, caplog: pytest.LogCaptureFixture) -> None:
    answer = await request(BotApp(Faulty(), access_key=KEY), json.dumps({"type": kind}).encode())
    assert answer.status == 500
    assert SECRET.encode() not in answer.body
    error_id = json.loads(answer.body)["error_id"]
    assert error_id in answer.body.decode()
    assert f"error id {error_id}" in caplog.text
    assert SECRET in caplog.text


@pytest.mark.parametrize("settings", [None, {"response_version": 2}, SettingsResponse(extra={"later": 1})])
async def test_settings_that_cannot_be_sent(settings: Any, caplog: pytest.LogCaptureFixture) -> None:
    class Wrong(Bot):
        async def get_settings(self, request: SettingsRequest, context: Context) -> SettingsResponse:
            return settings

    answer = await request(BotApp(Wrong(), access_key=KEY), b'{"type": "settings"}')
    assert answer.status == 500
    assert json.loads(answer.body)["error_id"] in caplog.text


async def test_a_method_that_takes_too_long(caplog: pytest.LogCaptureFixture) -> None:

    closed: list[str] = []

    class Slow(Bot):
        async def get_settings(self, request: SettingsRequest, context: Context) -> SettingsResponse:
            async def closer() -> None:
                closed.append("closed")

            context.on_close(closer)
            await anyio.sleep_forever()
            raise AssertionError

    app = BotApp(Slow(), access_key=KEY, limits=Limits(answer_seconds=0.02))
    assert (await request(app, b'{"type": "settings"}')).status == 500
    assert closed == ["closed"]


async def test_a_client_that_disconnects_while_its_body_is_read() -> None:
    asked: list[str] = []

    async def bot(request: QueryRequest, context: Context) -> str:
        asked.append("asked")
        return "hello"

    messages = [*body_messages(query_body()[:10], b"")[:1], DISCONNECT]
    answer = await converse(BotApp(FunctionBot(bot), access_key=KEY), http_scope(), messages)
    assert answer.messages == []
    assert asked == []


async def test_a_client_that_disconnects_during_its_reply() -> None:

    seen: list[str] = []

    async def bot(request: QueryRequest, context: Context) -> AsyncIterator[str]:
        try:
            yield "hello"
            await anyio.sleep_forever()
        finally:
            seen.append("finally")

    messages = [*body_messages(query_body()), DISCONNECT]
    answer = await converse(BotApp(FunctionBot(bot), access_key=KEY), http_scope(), messages)
    assert seen == ["finally"]
    assert not answer.complete


@pytest.mark.parametrize("body", [query_body(), b"[]", b'{"type": "settings"}'])
async def test_a_send_after_a_disconnect(body: bytes) -> None:
    answer = await converse(an_app(), http_scope(), body_messages(body), send_error=ConnectionResetError("closed"))
    assert len(answer.messages) == 1


async def test_lifespan() -> None:
    messages = [{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}]
    answer = await converse(an_app(), {"type": "lifespan", "asgi": {"version": "3.0"}}, messages)
    assert [message["type"] for message in answer.messages] == [
        "lifespan.startup.complete",
        "lifespan.shutdown.complete",
    ]


@pytest.mark.parametrize("stage", ["startup", "shutdown"])
async def test_a_lifespan_that_the_machine_refuses(stage: str) -> None:
    messages = [{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}]
    answer = await converse(RefusedApp(echo, stage), {"type": "lifespan", "asgi": {"version": "3.0"}}, messages)
    assert answer.messages[-1] == {"type": f"lifespan.{stage}.failed", "message": "no space"}


async def test_the_lifespan_for_hosts_that_have_their_own() -> None:
    app = an_app()
    async with app.lifespan():
        pass
    async with app.lifespan(object()):
        assert (await request(app)).status == 200


async def test_a_websocket_is_closed() -> None:
    scope = {"type": "websocket", "path": "/", "headers": []}
    answer = await converse(an_app(), scope, [{"type": "websocket.connect"}])
    assert [message["type"] for message in answer.messages] == ["websocket.close"]


async def test_other_scopes_are_an_error() -> None:
    with pytest.raises(RuntimeError, match="telepathy"):
        await converse(an_app(), {"type": "telepathy"}, [])
