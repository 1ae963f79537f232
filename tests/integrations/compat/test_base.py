"""`PoeBot`: how programs write it, its helpers, and `handle_query`."""

from __future__ import annotations

import json
from collections.abc import AsyncIterable, AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest

import poeproto_compat as fp
from poeproto_compat import client
from poeproto_compat.base import InvalidParameterError
from poeproto_compat.server_sent_events import ServerSentEvent

pytestmark = pytest.mark.anyio

CONTEXT = fp.RequestContext(http_request=None)


def a_query(*contents: str, **fields: Any) -> fp.QueryRequest:
    messages = [fp.ProtocolMessage(role="user", content=content) for content in contents or ("hello",)]
    return fp.QueryRequest(
        version="1.2", type="query", query=messages, user_id="u", conversation_id="c", message_id="m", **fields
    )


async def handled(bot: fp.PoeBot, query: fp.QueryRequest | None = None) -> list[tuple[str | None, Any]]:
    """The records of a reply, with their data decoded."""
    return [(event.event, json.loads(event.data)) async for event in bot.handle_query(query or a_query(), CONTEXT)]


class Echo(fp.PoeBot):
    async def get_response(self, request: fp.QueryRequest) -> AsyncIterable[fp.PartialResponse]:
        yield fp.PartialResponse(text=request.query[-1].content)


# --- how programs write a bot


@dataclass
class OfFields(Echo):
    model: str = "m"
    should_insert_attachment_messages: bool = False


@dataclass
class OfRequiredFields(fp.PoeBot):
    path: str = "/required"
    name: str = ""

    def __post_init__(self) -> None:
        self.name = self.path[1:]

    async def get_response(self, request: fp.QueryRequest) -> AsyncIterable[fp.PartialResponse]:
        yield fp.PartialResponse(text=self.name)


class OfClassAttributes(Echo):
    path = "/attributes"
    bot_name = "attributes"


class WithoutSuper(Echo):
    def __init__(self, model: str) -> None:
        self.model = model


class WithSuper(Echo):
    def __init__(self, model: str, **options: Any) -> None:
        super().__init__(**options)
        self.model = model


class Mixin:
    def __init__(self, *, suffix: str = "!", **options: Any) -> None:
        super().__init__(**options)
        self.suffix = suffix


class OfSeveralBases(Mixin, Echo):
    async def get_response(self, request: fp.QueryRequest) -> AsyncIterable[fp.PartialResponse]:
        async for part in super().get_response(request):
            yield fp.PartialResponse(text=part.text + self.suffix)


@pytest.mark.parametrize(
    ("bot", "text"),
    [
        (OfFields(model="other", path="/fields"), "hello"),
        (OfRequiredFields(), "required"),
        (OfClassAttributes(), "hello"),
        (WithoutSuper("m"), "hello"),
        (WithSuper("m", bot_name="b", access_key="k"), "hello"),
        (OfSeveralBases(suffix="?", path="/several"), "hello?"),
        (fp.PoeBot(), "hello"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, fp.PoeBot) else "",
)
async def test_a_bot_may_be_written_in_any_of_these_ways(bot: fp.PoeBot, text: str) -> None:
    assert await handled(bot) == [("text", {"text": text}), ("done", {})]


async def test_a_method_may_be_replaced() -> None:
    async def answer(request: fp.QueryRequest) -> AsyncIterator[fp.PartialResponse]:
        yield fp.PartialResponse(text="replaced")

    bot = Echo()
    bot.get_response = answer
    assert await handled(bot) == [("text", {"text": "replaced"}), ("done", {})]


def test_a_repr_has_no_key() -> None:
    assert "swordfish" not in repr(Echo(access_key="swordfish"))


async def test_an_override_with_the_context_is_called() -> None:
    class WithContext(Echo):
        async def get_response_with_context(
            self, request: fp.QueryRequest, context: fp.RequestContext
        ) -> AsyncIterable[Any]:
            yield fp.PartialResponse(text=f"{context.http_request} ")
            async for part in super().get_response_with_context(request, context):
                yield part

    assert await handled(WithContext()) == [("text", {"text": "None "}), ("text", {"text": "hello"}), ("done", {})]


# --- failures


class Failing(fp.PoeBot):
    def __init__(self, failure: Exception) -> None:
        super().__init__()
        self._failure = failure

    async def get_response(self, request: fp.QueryRequest) -> AsyncIterable[fp.PartialResponse]:
        yield fp.PartialResponse(text="so far")
        raise self._failure


async def test_an_exception_is_logged_and_not_sent(caplog: pytest.LogCaptureFixture) -> None:
    events = await handled(Failing(RuntimeError("swordfish")))
    assert events[0] == ("text", {"text": "so far"})
    assert events[1:] == [
        ("error", {"allow_retry": False, "text": "Something went wrong in this bot."}),
        ("done", {}),
    ]
    assert "swordfish" in caplog.text


async def test_a_lack_of_funds_is_an_error_of_its_own() -> None:
    events = await handled(Failing(fp.InsufficientFundError()))
    assert events[1:] == [
        ("error", {"allow_retry": True, "text": "", "error_type": "insufficient_fund"}),
        ("done", {}),
    ]


async def test_the_inherited_method_says_so_of_a_lack_of_funds_too() -> None:
    bot = Failing(fp.InsufficientFundError())
    events = [event async for event in bot.get_response_with_context(a_query(), CONTEXT)]
    assert isinstance(events[-1], fp.ErrorResponse)
    assert events[-1].error_type == "insufficient_fund"


async def test_a_value_that_is_not_a_response_is_named(caplog: pytest.LogCaptureFixture) -> None:
    class Wrong(fp.PoeBot):
        async def get_response(self, request: fp.QueryRequest) -> AsyncIterable[Any]:
            yield 7

    assert (await handled(Wrong()))[0][0] == "error"
    assert "get_response yielded 7; expected a PartialResponse" in caplog.text


# --- attachments


def a_file(content_type: str, parsed_content: str | None, name: str = "a") -> fp.Attachment:
    return fp.Attachment(
        url=f"https://files.invalid/{name}", content_type=content_type, name=name, parsed_content=parsed_content
    )


def a_query_with(*files: fp.Attachment) -> fp.QueryRequest:
    query = a_query("before", "look")
    query.query[-1].attachments = list(files)
    return query


FILES = (
    a_file("image/png", "cat.png***a cat", "cat.png"),
    a_file("text/plain", "some text", "a.txt"),
    a_file("image/png", "a dog", "dog.png"),
    a_file("text/html", "a page", "https://page.invalid"),
    a_file("application/pdf", "{a paper}", "a.pdf"),
    a_file("video/mp4", "a film", "a.mp4"),
    a_file("text/plain", None, "unparsed.txt"),
)


def test_contents_of_attachments_become_messages() -> None:
    query = a_query_with(*FILES)
    changed = fp.PoeBot().insert_attachment_messages(query)
    assert len(query.query) == 2  # unchanged
    contents = [message.content for message in changed.query]
    assert contents[0] == "before"
    assert contents[-1] == "look"
    for content, pieces in zip(
        contents[1:-1],
        [
            ("a.txt", "some text"),
            ("https://page.invalid", "a page"),
            ("a.pdf", "{a paper}"),
            ("cat.png", "a cat"),
            ("dog.png", "a dog"),
        ],
        strict=True,
    ):
        assert all(piece in content for piece in pieces)
    assert "***" not in "".join(contents)
    assert {message.role for message in changed.query[1:-1]} == {"user"}


async def test_a_bot_gets_them_unless_it_does_not_want_them() -> None:
    class Counting(fp.PoeBot):
        async def get_response(self, request: fp.QueryRequest) -> AsyncIterable[fp.PartialResponse]:
            yield fp.PartialResponse(text=str(len(request.query)))

    query = a_query_with(*FILES)
    assert (await handled(Counting(), query))[0] == ("text", {"text": "7"})
    assert (await handled(Counting(should_insert_attachment_messages=False), query))[0] == ("text", {"text": "2"})


async def test_contents_may_be_appended_to_the_last_message() -> None:
    bot = Echo(should_insert_attachment_messages=False, concat_attachments_to_message=True)
    with pytest.warns(DeprecationWarning, match="insert_attachment_messages"):
        [(_, payload), _] = await handled(bot, a_query_with(*FILES))
    for piece in ("look\n\n", "some text", "a page", "a cat"):
        assert piece in payload["text"]


def test_consecutive_messages_of_a_role_are_merged() -> None:
    one, two = a_file("text/plain", "1", "1"), a_file("text/plain", "2", "2")
    messages = [
        fp.ProtocolMessage(role="user", content="a", attachments=[one]),
        fp.ProtocolMessage(role="user", content="b", attachments=[two, one]),
        fp.ProtocolMessage(role="bot", content="c"),
        fp.ProtocolMessage(role="user", content="d"),
    ]
    merged = fp.PoeBot().make_prompt_author_role_alternated(messages)
    assert [message.content for message in merged] == ["a\n\nb", "c", "d"]
    assert merged[0].attachments == [two, one]
    assert messages[0].content == "a"


# --- posting files


class Uploads:
    """Stands in for the uploads of a bot."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.calls: list[dict[str, Any]] = []

        async def upload_file(**options: Any) -> fp.Attachment:
            self.calls.append(options)
            return a_file("image/png", None, "uploaded")

        monkeypatch.setattr(client, "upload_file", upload_file)


@pytest.fixture
def uploads(monkeypatch: pytest.MonkeyPatch) -> Uploads:
    return Uploads(monkeypatch)


async def test_files_are_sent_before_the_next_event(uploads: Uploads) -> None:
    class Posting(fp.PoeBot):
        async def get_response(self, request: fp.QueryRequest) -> AsyncIterable[fp.PartialResponse]:
            posted = await self.post_message_attachment(
                message_id=request.message_id, download_url="https://files.invalid/a%20b.png?x=1", is_inline=True
            )
            yield fp.PartialResponse(text=f"![a][{posted.inline_ref}]")
            await self.post_message_attachment(message_id=request.message_id, file_data="é", filename="b.png")

    bot = Posting(access_key="k")
    events = await handled(bot)
    assert [name for name, _ in events] == ["file", "text", "file", "done"]
    assert events[0][1]["name"] == "a b.png"
    assert len(events[0][1]["inline_ref"]) == 8
    assert events[0][1]["inline_ref"] in events[1][1]["text"]
    assert events[2][1] | {"url": ""} == {"url": "", "content_type": "image/png", "name": "b.png", "inline_ref": None}
    assert uploads.calls[0]["file_url"] == "https://files.invalid/a%20b.png?x=1"
    assert uploads.calls[1]["file"] == "é".encode()
    assert {call["api_key"] for call in uploads.calls} == {"k"}
    assert not bot._file_events_to_yield  # pyright: ignore


async def test_files_of_a_reply_that_was_cut_short_are_dropped(uploads: Uploads) -> None:
    class Posting(fp.PoeBot):
        async def get_response(self, request: fp.QueryRequest) -> AsyncIterable[fp.PartialResponse]:
            yield fp.PartialResponse(text="a")
            await self.post_message_attachment(message_id=request.message_id, file_data=b"b", filename="b.png")
            raise RuntimeError

    bot = Posting(access_key="k")
    await handled(bot)
    assert len(uploads.calls) == 1
    assert not bot._file_events_to_yield  # pyright: ignore


async def test_the_older_way_to_post_a_file(uploads: Uploads) -> None:
    answer = await fp.PoeBot().post_message_attachment(
        "old", "m", download_url="https://files.invalid/a.png", download_filename="c.png"
    )
    assert answer.attachment_url == "https://files.invalid/uploaded"
    assert answer.mime_type == "image/png"
    assert answer.inline_ref is None
    assert uploads.calls[0]["api_key"] == "old"
    assert uploads.calls[0]["file_name"] == "c.png"
    with pytest.warns(DeprecationWarning, match="omit") as warnings:
        await fp.PoeBot(access_key="k").post_message_attachment(
            access_key="other", message_id="m", file_data=b"a", filename="a", content_type="text/plain"
        )
    assert [str(each.message).partition(" ")[0] for each in warnings] == ["the", "content_type"]
    assert uploads.calls[1]["api_key"] == "other"


@pytest.mark.parametrize(
    ("key", "arguments", "message"),
    [
        ("k", {"download_url": "https://files.invalid/a.png"}, "message_id is missing"),
        ("k", {"message_id": "m", "file_data": b"a"}, "the file has no name"),
        (None, {"message_id": "m", "file_data": b"a", "filename": "a"}, "access_key"),
    ],
)
async def test_requirements_of_a_posted_file(key: str | None, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidParameterError, match=message):
        await fp.PoeBot(access_key=key).post_message_attachment(**arguments)


# --- costs


@pytest.mark.parametrize("call", ["authorize_cost", "capture_cost"])
async def test_costs_need_a_key_and_a_query(call: str) -> None:
    cost = fp.CostItem(amount_usd_milli_cents=1)
    with pytest.raises(fp.CostRequestError, match="access_key"):
        await getattr(fp.PoeBot(), call)(a_query(bot_query_id="q"), cost)
    with pytest.raises(InvalidParameterError, match="bot_query_id"):
        await getattr(fp.PoeBot(access_key="k"), call)(a_query(), cost)


# --- the surface


async def test_the_methods_that_a_server_calls() -> None:
    bot = Echo()
    settings = await bot.handle_settings(fp.SettingsRequest(version="1.2", type="settings"), CONTEXT)
    assert settings.status_code == 200
    assert json.loads(settings.body)["response_version"] == 2
    feedback = {"message_id": "m", "user_id": "u", "conversation_id": "c"}
    reports = [
        await bot.handle_report_feedback(
            fp.ReportFeedbackRequest(version="1", type="report_feedback", feedback_type="like", **feedback), CONTEXT
        ),
        await bot.handle_report_reaction(
            fp.ReportReactionRequest(version="1", type="report_reaction", reaction="joy", **feedback), CONTEXT
        ),
        await bot.handle_report_error(
            fp.ReportErrorRequest(version="1", type="report_error", message="m", metadata={}), CONTEXT
        ),
    ]
    assert [each.body for each in reports] == [b"{}"] * 3


def test_a_record_is_encoded() -> None:
    assert fp.PoeBot.text_event("a\nb").encode() == b'event: text\r\ndata: {"text": "a\\nb"}\r\n\r\n'
    whole = ServerSentEvent("a\nb", event="e\r\n", id="1", retry=5, comment="c")
    assert whole.encode() == b": c\r\nid: 1\r\nevent: e\r\ndata: a\r\ndata: b\r\nretry: 5\r\n\r\n"
    assert repr(fp.PoeBot.done_event()) == "ServerSentEvent(event='done', data='{}')"
