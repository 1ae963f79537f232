"""The context's file uploads, and the events of the files."""

from __future__ import annotations

import io
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import attrs
import pytest

from poeproto import (
    Attachment,
    Context,
    Done,
    Error,
    Event,
    File,
    FileTooLarge,
    Limits,
    LocalProtocolError,
    Message,
    Meta,
    QueryRequest,
    Text,
    TooManyFiles,
    UploadRefused,
    encode_request,
)
from poeproto.conversation import AttachmentTemplates
from poeproto.markdown import inline_reference

from ...support.bots import KEY
from ...support.calling_bots import QUERY, CallingBot, calling
from ...support.memory_channel import MemoryChannel
from ...support.scripted_peer import Peer, answering, response

pytestmark = pytest.mark.anyio


def kept(name: str = "a.txt", content_type: str = "text/plain") -> bytes:
    """The response of Poe's file service."""
    return response(
        200, json.dumps({"attachment_url": f"https://files.invalid/{name}", "mime_type": content_type}).encode()
    )


A_FILE = File("https://files.invalid/a.txt", "a.txt", "text/plain")


async def stream() -> AsyncIterator[bytes]:
    yield b"con"
    yield b"tent"


@pytest.mark.parametrize("kind", ["text", "bytes", "path", "file", "stream"])
async def test_a_file_of_every_form(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(b"content")
    sources: dict[str, Any] = {
        "text": "content",
        "bytes": b"content",
        "path": path,
        "file": io.BytesIO(b"content"),
        "stream": stream(),
    }

    async def bot(request: QueryRequest, context: Context) -> AsyncIterator[str]:
        file = await context.post_attachment(sources[kind], name=None if kind == "path" else "a.txt")
        yield file.url

    async with calling(CallingBot(bot), answering(kept())) as served:
        assert await served.answer() == [A_FILE, Text(A_FILE.url), Done()]
        (request,) = served.poe.requests
        assert request.line == "POST /poe_api/file_upload_3RD_PARTY_POST HTTP/1.1"
        assert request.all("authorization") == [KEY]
        assert b"\r\n\r\ncontent\r\n--" in request.body
        assert b'filename="a.txt"\r\ncontent-type: text/plain\r\n' in request.body


async def test_a_file_that_poe_fetches() -> None:
    async def bot(request: QueryRequest, context: Context) -> AsyncIterator[str]:
        await context.post_attachment(url="https://elsewhere.invalid/b.mp3")
        await context.post_attachment(url="https://elsewhere.invalid/b", name="c.mp3", content_type="audio/mpeg")
        yield "listen"

    answer = kept("b.mp3", "application/octet-stream")
    async with calling(CallingBot(bot), answering(answer)) as served:
        url = "https://files.invalid/b.mp3"
        assert await served.answer() == [
            File(url, "b.mp3", "application/octet-stream"),
            File(url, "c.mp3", "audio/mpeg"),
            Text("listen"),
            Done(),
        ]
        assert [request.body for request in served.poe.requests] == [
            b"download_url=https%3A%2F%2Felsewhere.invalid%2Fb.mp3",
            b"download_url=https%3A%2F%2Felsewhere.invalid%2Fb&download_filename=c.mp3",
        ]


async def test_a_file_within_the_text() -> None:
    async def bot(request: QueryRequest, context: Context) -> AsyncIterator[str]:
        yield inline_reference(await context.post_attachment(b"x", name="a.txt", inline=True))

    async with calling(CallingBot(bot), answering(kept())) as served:
        file, text, _ = await served.answer()
    assert isinstance(file, File)
    assert file.inline_ref
    assert text == Text(f"![a.txt][{file.inline_ref}]")


def first_line_of(function: Any) -> int:
    return function.__code__.co_firstlineno


async def test_where_the_events_go() -> None:
    async def bot(request: QueryRequest, context: Context) -> AsyncIterator[Event]:
        await context.post_attachment(b"1", name="1")
        yield Meta("text/plain")  # valid only as the first event, so it goes before the file
        yield Text("a")
        await context.post_attachment(b"2", name="2")
        await context.post_attachment(b"3", name="3")
        yield Text("b")
        await context.post_attachment(b"4", name="4")

    async with calling(CallingBot(bot), answering(kept())) as served:
        events = await served.answer()
    shown = [event.name if isinstance(event, File) else type(event).__name__ for event in events]
    assert shown == ["Meta", "1", "Text", "2", "3", "Text", "4", "Done"]


@pytest.mark.parametrize("suspended", [False, True])
@pytest.mark.parametrize("copied", [False, True])
async def test_a_posted_file_that_the_bot_yields_is_sent_once(
    copied: bool, suspended: bool, caplog: pytest.LogCaptureFixture
) -> None:
    async def bot(request: QueryRequest, context: Context) -> AsyncIterator[Event]:
        yield Text("a")
        file = await context.post_attachment(b"1", name="a.txt")
        file = File(file.url, file.name, file.content_type) if copied else file
        yield file  # before its event was sent
        if suspended:
            await anyio.lowlevel.checkpoint()
        yield file  # and after it
        yield Text("b")
        yield File("https://elsewhere.invalid/c", "c", "text/plain")

    async with calling(CallingBot(bot), answering(kept())) as served:
        *events, other, _ = await served.answer()
    assert events == [Text("a"), A_FILE, Text("b")]
    assert isinstance(other, File)
    (record,) = caplog.records
    line = first_line_of(bot) + 4
    assert record.getMessage() == (
        f"CallingBot: {__file__}:{line}: this yield is ignored: context.post_attachment has attached the file, and its"
        " event is sent once; remove the yield"
    )


async def test_a_bot_that_yields_nothing_but_a_posted_file_does_not_block_the_event_loop() -> None:
    posted, released = anyio.Event(), anyio.Event()

    async def bot(request: QueryRequest, context: Context) -> AsyncIterator[Event]:
        file = await context.post_attachment(b"1", name="a.txt")
        posted.set()
        while not released.is_set():
            yield file

    async def release() -> None:
        await posted.wait()
        released.set()

    async with calling(CallingBot(bot), answering(kept())) as served, anyio.create_task_group() as tasks:
        tasks.start_soon(release)
        assert await served.answer() == [A_FILE, Done()]


async def test_a_file_that_is_posted_twice_is_sent_twice() -> None:
    async def bot(request: QueryRequest, context: Context) -> AsyncIterator[Event]:
        await context.post_attachment(b"1", name="a.txt")
        yield await context.post_attachment(b"1", name="a.txt")

    async with calling(CallingBot(bot), answering(kept())) as served:
        assert await served.answer() == [A_FILE, A_FILE, Done()]


@pytest.mark.parametrize("last", [None, Done(), Error(text="no")])
async def test_a_file_comes_before_the_end(last: Event | None) -> None:
    async def bot(request: QueryRequest, context: Context) -> AsyncIterator[Event]:
        await context.post_attachment(b"x", name="a.txt")
        if last is not None:
            yield last

    async with calling(CallingBot(bot), answering(kept())) as served:
        assert await served.answer() == [A_FILE, *([last] if isinstance(last, Error) else []), Done()]


async def test_a_file_is_an_answer_of_a_bot_that_returns_nothing() -> None:
    async def bot(request: QueryRequest, context: Context) -> None:
        await context.post_attachment(b"x", name="a.txt")

    async with calling(CallingBot(bot), answering(kept())) as served:
        assert await served.answer() == [A_FILE, Done()]


async def test_files_posted_at_once_belong_to_their_own_requests() -> None:
    async def bot(request: QueryRequest, context: Context) -> AsyncIterator[str]:
        async with anyio.create_task_group() as tasks:
            for number in range(3):
                name = f"{request.query[-1].content}-{number}"

                async def post(name: str = name) -> None:
                    await context.post_attachment(name, name=name)

                tasks.start_soon(post)
        yield request.query[-1].content

    answers: dict[str, list[Event]] = {}
    async with calling(CallingBot(bot), answering(kept())) as served:

        async def ask(text: str) -> None:
            answers[text] = await served.answer(attrs.evolve(QUERY, query=[Message("user", text)]))

        async with anyio.create_task_group() as tasks:
            for text in "abcde":
                tasks.start_soon(ask, text)
    for text, events in answers.items():
        names = sorted(event.name for event in events if isinstance(event, File))
        assert names == [f"{text}-{number}" for number in range(3)]
        assert events[-2:] == [Text(text), Done()]


async def test_a_file_of_a_request_that_fails_appears_in_no_later_reply() -> None:
    async def bot(request: QueryRequest, context: Context) -> AsyncIterator[str]:
        if request.query[-1].content == "fail":
            await context.post_attachment(b"x", name="a.txt")
            raise LookupError
        yield "fine"

    async with calling(CallingBot(bot), answering(kept())) as served:
        events = await served.answer(attrs.evolve(QUERY, query=[Message("user", "fail")]))
        assert [type(event) for event in events] == [Error, Done]
        assert await served.answer() == [Text("fine"), Done()]


async def test_a_cancelled_upload_leaves_no_file() -> None:
    channel = MemoryChannel(encode_request(QUERY))
    uploading = anyio.Event()

    async def bot(request: QueryRequest, context: Context) -> AsyncIterator[str]:
        if request.query[-1].content == "hello":
            await context.post_attachment(b"x", name="a.txt")
        yield "fine"

    async def silent(peer: Peer) -> None:
        await peer.read_request()
        uploading.set()
        await peer.until_left()

    async with calling(CallingBot(bot), silent, answering(kept())) as served:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(served.answer, QUERY, channel)
            await uploading.wait()
            channel.gone.set()
        await served.poe.until_closed(1)
        assert await served.answer(attrs.evolve(QUERY, query=[Message("user", "a")])) == [Text("fine"), Done()]


async def test_the_twenty_first_file() -> None:
    seen: list[str] = []

    async def bot(request: QueryRequest, context: Context) -> AsyncIterator[Event | str]:
        yield A_FILE
        for number in range(18):
            await context.post_attachment(b"x", name=str(number))
        yield "a"
        await context.post_attachment(b"x", name="20")
        with pytest.raises(TooManyFiles, match="more than 20 files"):
            await context.post_attachment(b"x", name="21")
        seen.append("refused")

    async with calling(CallingBot(bot), answering(kept())) as served:
        events = await served.answer()
        assert len(served.poe.requests) == 19  # the last was not even uploaded
    assert sum(isinstance(event, File) for event in events) == 20
    assert (seen, events[-1]) == (["refused"], Done())


async def test_uploads_under_way_count() -> None:
    async def bot(request: QueryRequest, context: Context) -> AsyncIterator[str]:
        async def post() -> None:
            try:
                await context.post_attachment(b"x", name="a.txt")
            except TooManyFiles:
                refused.append("refused")

        refused: list[str] = []
        async with anyio.create_task_group() as tasks:
            for _ in range(5):
                tasks.start_soon(post)
        yield f"{len(refused)} refused"

    async with calling(CallingBot(bot), answering(kept()), limits=Limits(files=2)) as served:
        assert await served.answer() == [A_FILE, A_FILE, Text("3 refused"), Done()]


async def test_a_file_beyond_the_limit_of_events_is_a_failure_of_the_bot(caplog: pytest.LogCaptureFixture) -> None:
    async def bot(request: QueryRequest, context: Context) -> AsyncIterator[str]:
        yield "a"
        await context.post_attachment(b"x", name="a.txt")

    async with calling(CallingBot(bot), answering(kept()), limits=Limits(events=1)) as served:
        assert [type(event) for event in await served.answer()] == [Text, Error, Done]
    assert "more than 1 events" in caplog.text


@pytest.mark.parametrize("source", [b"content", None], ids=["bytes", "stream"])
async def test_a_file_that_is_too_large(source: bytes | None) -> None:
    async def bot(request: QueryRequest, context: Context) -> AsyncIterator[str]:
        with pytest.raises(FileTooLarge, match="limit"):
            await context.post_attachment(source or stream(), name="a.txt")
        yield "too large"

    async with calling(CallingBot(bot), answering(kept()), limits=Limits(file_size=5)) as served:
        assert await served.answer() == [Text("too large"), Done()]
        assert served.poe.requests == []


async def test_an_upload_that_poe_refuses() -> None:
    async def bot(request: QueryRequest, context: Context) -> AsyncIterator[str]:
        with pytest.raises(UploadRefused) as caught:
            await context.post_attachment(b"x", name="a.txt")
        yield f"status {caught.value.status}"

    async with calling(CallingBot(bot), answering(response(403, b"wrong key"))) as served:
        assert await served.answer() == [Text("status 403"), Done()]


@pytest.mark.parametrize("url", ["http://[bad", "https://me:secret@\u2100.invalid/"])
@pytest.mark.parametrize("name", [None, "a.txt"])
async def test_a_malformed_url(url: str, name: str | None) -> None:
    async def bot(request: QueryRequest, context: Context) -> AsyncIterator[str]:
        with pytest.raises(LocalProtocolError, match="not a URL") as caught:
            await context.post_attachment(url=url, name=name)
        yield str(caught.value)

    async with calling(CallingBot(bot), answering(kept())) as served:
        (told, _) = await served.answer()
        assert isinstance(told, Text)
        assert "secret" not in told.text
        assert served.poe.requests == []


@pytest.mark.parametrize("arguments", [{}, {"source": b"x", "url": "https://files.invalid/a"}])
async def test_a_file_has_one_source(arguments: Any) -> None:
    async def bot(request: QueryRequest, context: Context) -> AsyncIterator[str]:
        with pytest.raises(TypeError, match="either a source or a url"):
            await context.post_attachment(**arguments, name="a")
        yield "no"

    async with calling(CallingBot(bot), answering(kept())) as served:
        assert await served.answer() == [Text("no"), Done()]


@pytest.mark.parametrize(
    ("name", "access_key", "message"), [(None, KEY, "needs a name"), ("a", None, "needs an access key")]
)
async def test_requirements_of_an_upload(name: str | None, access_key: str | None, message: str) -> None:
    async def bot(request: QueryRequest, context: Context) -> AsyncIterator[str]:
        with pytest.raises(LocalProtocolError, match=message):
            await context.post_attachment(b"x", name=name)
        yield "no"

    async with calling(CallingBot(bot), answering(kept()), access_key=access_key) as served:
        assert await served.answer() == [Text("no"), Done()]


WITH_FILES = attrs.evolve(
    QUERY,
    query=[
        Message(
            "user",
            "look",
            attachments=[
                Attachment("https://files.invalid/a.png", "image/png", "a.png", parsed_content="a.png***A cat."),
                Attachment("https://files.invalid/a.txt", "text/plain", "a.txt", parsed_content="{meow}"),
            ],
        )
    ],
)


OWN_WORDS = AttachmentTemplates(text="[{name}: {content}]", image="<{name}: {content}>")


@pytest.mark.parametrize(
    ("templates", "texts"), [(OWN_WORDS, ["[a.txt: {meow}]", "<a.png: A cat.>", "look"]), (None, ["look"])]
)
async def test_attachments_are_inserted_into_the_conversation(
    templates: AttachmentTemplates | None, texts: list[str]
) -> None:
    async def bot(request: QueryRequest, context: Context) -> AsyncIterator[str]:
        for message in request.query:
            yield message.content

    called = CallingBot(bot)
    called.attachment_templates = templates
    async with calling(called, answering(kept())) as served:
        assert await served.answer(WITH_FILES) == [*map(Text, texts), Done()]
        assert len(await served.answer(WITH_FILES)) == len(texts) + 1


async def test_attachments_are_inserted_into_the_conversation_by_default() -> None:
    async def bot(request: QueryRequest, context: Context) -> AsyncIterator[str]:
        yield request.query[0].content

    async with calling(CallingBot(bot), answering(kept())) as served:
        (text, _) = await served.answer(WITH_FILES)
    assert isinstance(text, Text)
    assert "{meow}" in text.text
