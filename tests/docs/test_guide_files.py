"""Examples of bots that send files, end to end over HTTP."""

from __future__ import annotations

import re

import pytest

from poeproto import File, SettingsResponse, Text

from ..support.example_stage import EXAMPLES, playing, settings_of

pytestmark = pytest.mark.anyio


async def test_sending_files(monkeypatch: pytest.MonkeyPatch) -> None:
    async with playing("sending_files") as stage:
        terms = await stage.poe.store_file(b"Do as you please.", "LICENSE-2.0.txt")
        monkeypatch.setattr(stage.module, "LICENSE", terms.url)
        reply = await stage.say("naïve 🐈")
        assert await settings_of(stage) == SettingsResponse()
    said, source, license_, dot = reply.files
    assert (said.name, said.content_type, said.data) == ("what-you-said.txt", "text/plain", "naïve 🐈".encode())
    assert (source.name, source.content_type) == ("sending_files.py", "text/x-python")
    assert source.data == (EXAMPLES / "sending_files.py").read_bytes()
    assert (license_.name, license_.content_type, license_.data) == ("license.txt", "text/plain", b"Do as you please.")
    assert (dot.name, dot.content_type) == ("dot.png", "image/png")
    assert dot.data is not None
    assert dot.data.startswith(b"\x89PNG\r\n\x1a\n")
    assert [file.inline_ref for file in (said, source, license_)] == [None] * 3
    head, found = reply.final_text().split("Signed: ")
    assert head == "Here is what you said, what I am made of, and what you may do with it.\n\n"
    assert found == f"![a red dot][{dot.inline_ref}]"
    # Each file comes where it was posted.
    kinds = "".join("f" if isinstance(event, File) else "t" for event in reply.events if isinstance(event, File | Text))
    assert re.fullmatch(r"ft+ft+ft+ft+", kinds)


@pytest.mark.parametrize(
    ("wish", "constant", "name", "content_type", "text"),
    [
        ("Sing!", "SOUND", "example.mp3", "audio/mpeg", "Listen to this."),
        ("A film, please", "FILM", "flower.mp4", "video/mp4", "Look how it opens."),
    ],
)
async def test_playing_media(
    wish: str, constant: str, name: str, content_type: str, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with playing("playing_media") as stage:
        media = await stage.poe.store_file(b"some frames", f"somewhere.{name[-3:]}")
        monkeypatch.setattr(stage.module, constant, media.url)
        reply = await stage.say(wish)
    [file] = reply.files
    assert (file.name, file.content_type, file.data) == (name, content_type, b"some frames")
    assert file.url != media.url, "Poe keeps a copy"
    assert reply.final_text() == text


async def test_playing_a_missing_file() -> None:
    async with playing("playing_media") as stage:
        reply = await stage.say("Sing!")  # the simulator fetches nothing from elsewhere
    assert reply.error is not None
    assert reply.files == []
