"""The same bots under fastapi_poe and under poeproto_compat: what a server sends for each, side by side."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from typing import Any, cast

import fastapi_poe
import pytest
import sse_starlette

import poeproto_compat
from poeproto import SSEDecoder, encode_request
from poeproto.testing import sample_query

from ..support.bots import KEY
from ..support.scripted_asgi import body_messages, converse, http_scope

pytestmark = [
    pytest.mark.anyio,
    # fastapi_poe calls pydantic 2 by pydantic 1's names.
    pytest.mark.filterwarnings("ignore::pydantic.warnings.PydanticDeprecatedSince20"),
]

Respond = Callable[[Any, Any, Any], AsyncIterator[Any]]  # the module, the bot, the request

CASES: dict[str, Respond] = {}


def case(respond: Respond) -> Respond:
    """A bot's reply: what it yields, with the classes of the given module."""
    CASES[respond.__name__] = respond
    return respond


@case
async def texts(fp: Any, bot: Any, request: Any) -> AsyncIterator[Any]:
    yield fp.PartialResponse(text="naïve ")
    yield fp.PartialResponse(text="🐈\r\n\n")
    yield fp.PartialResponse(text="")


@case
async def what_the_query_holds(fp: Any, bot: Any, request: Any) -> AsyncIterator[Any]:
    yield fp.PartialResponse(text=request.model_dump_json(exclude={"query"}))
    for message in request.query:
        yield fp.PartialResponse(text=message.model_dump_json())


@case
async def flags(fp: Any, bot: Any, request: Any) -> AsyncIterator[Any]:
    yield fp.MetaResponse(text="", content_type="text/plain", suggested_replies=True, refetch_settings=True)
    yield fp.PartialResponse(text="a")
    yield fp.PartialResponse(text="b", is_replace_response=True)
    yield fp.PartialResponse(text="c", is_suggested_reply=True)
    yield fp.PartialResponse(text="d", is_suggested_reply=True, is_replace_response=True)
    yield fp.DataResponse(metadata='{"seen": 1}')


@case
async def fields_that_are_not_sent(fp: Any, bot: Any, request: Any) -> AsyncIterator[Any]:
    yield fp.PartialResponse(text="", data={"choices": [{"delta": {}}]})
    yield fp.PartialResponse(text="a", index=2, raw_response="raw", full_prompt="prompt", request_id="r")
    call = {"index": 0, "id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    yield fp.PartialResponse(text="", tool_calls=[call])


@case
async def a_file_beside_text(fp: Any, bot: Any, request: Any) -> AsyncIterator[Any]:
    file = fp.Attachment(url="https://files.invalid/a.png", content_type="image/png", name="a.png")
    named = fp.Attachment(url="https://files.invalid/b.png", content_type="image/png", name="b", inline_ref="ref")
    yield fp.PartialResponse(text="look", attachment=file)
    yield fp.PartialResponse(text="![b][ref]", attachment=named, is_replace_response=True)
    yield fp.PartialResponse(text="again?", attachment=file, is_suggested_reply=True)


@case
async def an_error(fp: Any, bot: Any, request: Any) -> AsyncIterator[Any]:
    yield fp.PartialResponse(text="so far")
    yield fp.ErrorResponse(
        text="no dogs", allow_retry=False, error_type="user_caused_error", raw_response={"status": 400}
    )


@case
async def an_error_alone(fp: Any, bot: Any, request: Any) -> AsyncIterator[Any]:
    yield fp.ErrorResponse(text="no dogs")


@case
async def no_funds(fp: Any, bot: Any, request: Any) -> AsyncIterator[Any]:
    yield fp.PartialResponse(text="so far")
    raise fp.InsufficientFundError


@case
async def records(fp: Any, bot: Any, request: Any) -> AsyncIterator[Any]:
    yield bot.meta_event(content_type="text/plain", linkify=False)
    yield bot.text_event("a")
    yield bot.replace_response_event("b")
    yield bot.file_event("https://files.invalid/a.png", "image/png", "a.png", "ref")
    yield bot.file_event(url="https://files.invalid/b.png", content_type="image/png", name="b.png")
    yield bot.suggested_reply_event("c")
    yield bot.data_event("d")
    yield bot.error_event("e", raw_response=[1], allow_retry=False, error_type="user_caused_error")


@case
async def an_error_record_without_text(fp: Any, bot: Any, request: Any) -> AsyncIterator[Any]:
    yield bot.error_event()


@case
async def records_of_sse_starlette(fp: Any, bot: Any, request: Any) -> AsyncIterator[Any]:
    yield sse_starlette.ServerSentEvent(data=json.dumps({"text": "a"}), event="text")
    yield sse_starlette.ServerSentEvent(data=json.dumps({"choices": [], "index": 1}), event="json")


@case
async def files_posted_before(fp: Any, bot: Any, request: Any) -> AsyncIterator[Any]:
    yield fp.PartialResponse(text="a")
    await bot.post_message_attachment(message_id=request.message_id, download_url="https://files.invalid/a.png")
    await bot.post_message_attachment(message_id=request.message_id, file_data=b"b", filename="b.png")
    yield fp.PartialResponse(text="b")
    await bot.post_message_attachment(message_id=request.message_id, file_data=b"c", filename="c.png")


@case
async def a_burst(fp: Any, bot: Any, request: Any) -> AsyncIterator[Any]:
    for number in range(10_500):  # more than Poe accepts; a server of fastapi_poe does not count
        yield fp.PartialResponse(text=f"{number} ")


@case
async def a_changed_request(fp: Any, bot: Any, request: Any) -> AsyncIterator[Any]:
    request.query = request.query[-1:]
    request.query[-1].content = "changed"
    request.temperature = 0.5
    yield fp.PartialResponse(text=f"{request.query[-1].content} {request.temperature} {len(request.query)}")


def bot_of(fp: Any, name: str, **options: Any) -> Any:
    """The bot of a case, made with the classes of a module."""

    class CaseBot(fp.PoeBot):
        async def get_response(self, request: Any) -> AsyncIterator[Any]:
            async for response in CASES[name](fp, self, request):
                yield response

        async def _upload_file(self, *, file_name: str | None, **options: Any) -> Any:
            name = file_name or "a.png"
            return fp.Attachment(url=f"https://files.invalid/{name}", content_type="image/png", name=name)

        async def get_settings(self, setting: Any) -> Any:
            return fp.SettingsResponse(
                allow_attachments=True,
                introduction_message="naïve 🐈",
                server_bot_dependencies={"Cat": 2},
                parameter_controls=fp.ParameterControls(
                    sections=[
                        fp.Section(
                            name="s",
                            controls=[
                                fp.Slider(label="l", parameter_name="p", min_value=0, max_value=1, step=0.1),
                                fp.DropDown(
                                    label="l", parameter_name="q", options=[fp.ValueNamePair(value="v", name="n")]
                                ),
                            ],
                        )
                    ]
                ),
            )

    return CaseBot(**options)


def app_of(fp: Any, name: str) -> Any:
    return fp.make_app(bot_of(fp, name), access_key=KEY)


async def records_of(app: Any, body: bytes) -> list[tuple[str, Any]]:
    """The records of the reply, with their data decoded."""
    answer = await converse(app, http_scope(), body_messages(body))
    assert answer.status == 200
    assert answer.headers["content-type"].startswith("text/event-stream")
    return [(record.event, json.loads(record.data)) for record in SSEDecoder().receive_data(answer.body)]


QUERY = encode_request(sample_query())


@pytest.mark.parametrize("name", CASES)
async def test_a_reply_is_the_same(name: str) -> None:
    ours = await records_of(app_of(poeproto_compat, name), QUERY)
    theirs = await records_of(app_of(fastapi_poe, name), QUERY)
    assert ours == theirs


async def response_of(app: Any, payload: dict[str, Any], **options: Any) -> tuple[int, Any]:
    body = json.dumps({"version": "1.2", **payload}).encode()
    answer = await converse(app, http_scope(**options), body_messages(body))
    return answer.status, json.loads(answer.body) if answer.body.startswith(b"{") else None


def without_null(value: Any) -> Any:
    """JSON without keys that are null, which mean the same as none."""
    if isinstance(value, dict):
        items = cast("dict[str, Any]", value).items()
        return {key: without_null(item) for key, item in items if item is not None}
    if isinstance(value, list):
        return [without_null(item) for item in cast("list[Any]", value)]
    return value


async def test_settings_are_the_same() -> None:
    ours = await response_of(app_of(poeproto_compat, "texts"), {"type": "settings"})
    theirs = await response_of(app_of(fastapi_poe, "texts"), {"type": "settings"})
    assert without_null(ours[1]) == without_null(theirs[1])
    assert ours[0] == theirs[0] == 200


REPORTS: list[dict[str, Any]] = [
    {"type": "report_feedback", "message_id": "m", "user_id": "u", "conversation_id": "c", "feedback_type": "like"},
    {"type": "report_reaction", "message_id": "m", "user_id": "u", "conversation_id": "c", "reaction": "joy"},
    {"type": "report_error", "message": "slow", "metadata": {"message_id": "m"}},
]


@pytest.mark.parametrize("report", REPORTS, ids=lambda report: report["type"])
async def test_a_report_reaches_the_bot_in_the_same_form(report: dict[str, Any]) -> None:
    seen: list[tuple[str, str, str]] = []

    def listening(fp: Any) -> Any:
        class Listening(fp.PoeBot):
            async def on_feedback(self, feedback_request: Any) -> None:
                seen.append(("feedback", feedback_request.model_dump_json(), ""))

            async def on_reaction_with_context(self, reaction_request: Any, context: Any) -> None:
                seen.append(("reaction", reaction_request.model_dump_json(), context.http_request.headers["X-Own"]))

            async def on_error_with_context(self, error_request: Any, context: Any) -> None:
                seen.append(
                    ("error", error_request.model_dump_json(), str((await context.http_request.json())["type"]))
                )

        return fp.make_app(Listening(), access_key=KEY)

    headers = [("authorization", f"Bearer {KEY}"), ("x-own", "1")]
    ours = await response_of(listening(poeproto_compat), report, headers=headers)
    theirs = await response_of(listening(fastapi_poe), report, headers=headers)
    assert ours == theirs == (200, {})
    assert len(seen) == 2
    assert seen[0] == seen[1]


@pytest.mark.parametrize(
    ("payload", "headers"),
    [
        ({"type": "settings"}, [("authorization", "Bearer wrong")]),
        ({"type": "settings"}, []),
        ({"type": "settings"}, [("authorization", f"Basic {KEY}")]),
        ({"type": "of another time"}, [("authorization", f"Bearer {KEY}")]),
    ],
    ids=["wrong key", "no key", "another scheme", "unknown type"],
)
async def test_a_refusal_has_the_same_status(payload: dict[str, Any], headers: list[tuple[str, str]]) -> None:
    ours = await response_of(app_of(poeproto_compat, "texts"), payload, headers=headers)
    theirs = await response_of(app_of(fastapi_poe, "texts"), payload, headers=headers)
    assert ours[0] == theirs[0]


async def test_the_http_request_reads_the_same() -> None:
    seen: list[list[Any]] = []

    def reading(fp: Any) -> Any:
        class Reading(fp.PoeBot):
            async def get_response_with_context(self, request: Any, context: Any) -> AsyncIterator[Any]:
                http = context.http_request
                url, query, headers = http.url, http.query_params, http.headers
                seen.append(
                    [
                        *(str(url), url.scheme, url.netloc, url.hostname, url.port, url.path, url.query, f"{url}"),
                        *(str(query), query["x"], query.get("none"), query.getlist("x"), dict(query), "x" in query),
                        *(headers["X-Own"], headers.get("x-OWN"), headers.get("none", 7), headers.getlist("x-own")),
                        *(dict(headers), len(dict(headers)), list(headers.values()), "Host" in headers),
                        *(http.method, http.client.host, http.client.port, http.cookies, http.path_params),
                        *(await http.body(), (await http.json())["query"]),
                    ]
                )
                yield fp.PartialResponse(text=f"{url} {query}")

        return fp.make_app(Reading(path="/a/bot"), access_key=KEY)

    headers = [("authorization", f"Bearer {KEY}"), ("host", "bots.invalid:8080"), ("x-own", "1"), ("cookie", "a=b")]
    scope = http_scope(path="/a/bot", headers=headers, query_string=b"x=1&x=%20&y=")
    texts = [
        (await converse(reading(fp), dict(scope), body_messages(QUERY))).events[0]
        for fp in (poeproto_compat, fastapi_poe)
    ]
    assert texts[0] == texts[1]
    assert seen[0] == seen[1]
