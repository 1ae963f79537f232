"""Examples of bots that are given files, end to end over HTTP."""

from __future__ import annotations

from io import BytesIO

import pytest
from pypdf import PdfWriter

from poeproto import Attachment, SettingsResponse
from poeproto_simulator import ReceivedReply, Scripted

from ..support.example_stage import Stage, playing, settings_of

pytestmark = pytest.mark.anyio

PNG = b"\x89PNG\r\n\x1a\n"


def pdf(pages: int, password: str | None = None) -> bytes:
    """A PDF with the given number of empty pages."""
    writer = PdfWriter()
    for _ in range(pages):
        writer.add_blank_page(200, 200)
    if password is not None:
        writer.encrypt(password)
    written = BytesIO()
    writer.write(written)
    return written.getvalue()


async def say_with_files(stage: Stage, text: str) -> ReceivedReply:
    """Let a user attach a letter and two pictures, one of which Poe has described."""
    letter = await stage.poe.store_file(b"Dear {name},\nall is well.", "letter.txt")
    drawing = await stage.poe.store_file(PNG, "drawing.png")
    described = Attachment("https://elsewhere.invalid/cat.png", "image/png", "x.png", None, "cat.png***A cat, asleep.")
    return await stage.say(text, attachments=[drawing, letter, described])


async def test_reading_attachments() -> None:
    model = Scripted(lambda request: f"Of {len(request.query)} messages, the last has {request.query[-1].content!r}.")
    async with playing("reading_attachments", {"GPT-4o-Mini": model}) as stage:
        reply = await say_with_files(stage, "What is this?")
        assert await settings_of(stage) == SettingsResponse(
            allow_attachments=True,
            expand_text_attachments=True,
            enable_image_comprehension=True,
            server_bot_dependencies={"GPT-4o-Mini": 1},
        )
    assert reply.final_text() == "Of 4 messages, the last has 'What is this?'."
    letter, drawing, cat, question = model.requests[0].query
    assert {message.role for message in (letter, drawing, cat, question)} == {"user"}
    assert "letter.txt" in letter.content
    assert letter.content.endswith("Dear {name},\nall is well.")
    assert "drawing.png" in drawing.content
    assert f"an image of {len(PNG)} bytes" in drawing.content
    assert "cat.png" in cat.content
    assert "A cat, asleep." in cat.content
    assert "***" not in drawing.content + cat.content
    assert [file.name for file in question.attachments] == ["drawing.png", "letter.txt", "x.png"]


async def test_attachments_in_own_words() -> None:
    model = Scripted(lambda _: "Well, it says: all is well.")
    async with playing("attachments_in_own_words", {"Gemma-2-27b": model}) as stage:
        reply = await say_with_files(stage, "Well?")
        await stage.say("Thanks.", conversation=reply)
    assert reply.final_text() == "Well, it says: all is well."
    [first], second = (request.query for request in model.requests)
    assert (first.role, first.content.split("\n\n")) == (
        "user",
        [
            "Quote from this letter, letter.txt, word for word:",
            "Dear {name},\nall is well.",
            f"Someone drew drawing.png in the margin: an image of {len(PNG)} bytes",
            "Someone drew cat.png in the margin: A cat, asleep.",
            "Well?",
        ],
    )
    assert len(first.attachments) == 3
    assert [message.role for message in second] == ["user", "bot", "user"]
    assert [second[0].content, second[2].content] == ["Well?", "Thanks."], "only the last message's files are read"


async def test_attachments_as_they_came() -> None:
    async with playing("attachments_as_they_came") as stage:
        reply = await say_with_files(stage, "Well?")
        assert await settings_of(stage) == SettingsResponse(allow_attachments=True, expand_text_attachments=True)
    assert reply.final_text() == (
        "- drawing.png (image/png): 0 words\n"
        "- letter.txt (text/plain): 5 words\n"
        "- x.png (image/png): 3 words\n"
        "\nMessages so far: 1"
    )


@pytest.mark.parametrize(
    ("content", "answer"),
    [
        (pdf(3), "report.pdf has 3 pages."),
        (pdf(1), "report.pdf has 1 page."),
        (pdf(1, "swordfish"), "report.pdf is not a PDF that I can read."),
        (pdf(3)[:200], "report.pdf is not a PDF that I can read."),
        (b"%PDF-1.7 and so on", "report.pdf is not a PDF that I can read."),
        (b"", "report.pdf is not a PDF that I can read."),
        # Here pypdf fails with an exception that is not its own.
        (pdf(1).replace(b"trailer\n", b"trailer/"), "report.pdf is not a PDF that I can read."),
    ],
)
async def test_counting_pages(content: bytes, answer: str) -> None:
    async with playing("counting_pages") as stage:
        file = await stage.poe.store_file(content, "report.pdf")
        assert (await stage.say("How long is it?", attachments=[file])).final_text() == answer
        assert await settings_of(stage) == SettingsResponse(allow_attachments=True)


async def test_counting_pages_of_an_earlier_file() -> None:
    async with playing("counting_pages") as stage:
        first = await stage.say("How long is it?")
        files = [await stage.poe.store_file(pdf(pages), f"{pages}.pdf") for pages in (2, 4)]
        note = await stage.poe.store_file(b"by the way", "note.txt")
        second = await stage.say("This one.", conversation=first, attachments=[*files, note])
        third = await stage.say("Sure?", conversation=first)
    assert first.final_text() == "Attach a PDF, and I count its pages."
    assert second.final_text() == third.final_text() == "4.pdf has 4 pages."


async def test_counting_pages_behind_an_expired_link() -> None:
    async with playing("counting_pages") as stage:
        file = await stage.poe.store_file(pdf(2), "report.pdf")
        stage.poe.files.expire(file.url)
        reply = await stage.say("How long is it?", attachments=[file])
    assert reply.final_text() == "The link to report.pdf has expired. Attach it once more, please."


async def test_counting_pages_of_too_large_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    async with playing("counting_pages") as stage:
        monkeypatch.setattr(stage.module, "LARGEST", 100)
        file = await stage.poe.store_file(pdf(2), "report.pdf")
        reply = await stage.say("How long is it?", attachments=[file])
    assert reply.final_text() == "report.pdf is larger than 0 MB."


async def test_counting_pages_where_the_server_may_not_fetch() -> None:
    async with playing("counting_pages", fetch_policy=None) as stage:
        file = await stage.poe.store_file(pdf(2), "report.pdf")
        reply = await stage.say("How long is it?", attachments=[file])
    assert reply.error is not None
    assert reply.text == ""
