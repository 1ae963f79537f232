"""A target in a process of its own: started, started again when its files change, and never worse off for a mistake."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from poeproto_playground import PlayedBot

from ...support.playground_page import PlaygroundPage, playing

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

CAT = """
import logging
from poeproto import Bot, CostItem, SettingsResponse
from noises import NOISE

class Cat(Bot):
    async def get_settings(self, request, context):
        return SettingsResponse(introduction_message=NOISE, server_bot_dependencies={"Dog": 1})

    async def get_response(self, request, context):
        logging.getLogger("cat").info("asked with %s", "a key")
        print("purring")
        if request.query[-1].content == "call":
            await context.capture_cost(CostItem(50, "milk"))
            yield await context.final_text("Dog", "Woof")
            yield await context.post_attachment(b"x", name="x.txt")
        yield NOISE
"""


def write(file: Path, text: str) -> None:
    """Write a file at once, as editors do: the watcher never sees half of it."""
    new = file.with_suffix(".new")
    new.write_text(text)
    new.replace(file)


@asynccontextmanager
async def played(folder: Path, source: str = CAT) -> AsyncGenerator[PlaygroundPage]:
    (folder / "noises.py").write_text('NOISE = "meow"\n')
    (folder / "cat.py").write_text(source)
    async with playing(PlayedBot(target=f"{folder / 'cat.py'}:Cat", name="Cat")) as page:
        yield page


@pytest.fixture(autouse=True)
def importable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))


NOISY = """
import os, subprocess, sys
from poeproto import Bot

class Cat(Bot):
    async def get_response(self, request, context):
        subprocess.run([sys.executable, "-c", "print('of a child')"], check=True)
        os.write(1, b"past the stream\\n")
        sys.stdout.buffer.write("as bytes: \u00e9\\n".encode())
        print("with", sys.stdout.encoding)
        yield "meow"
"""


async def test_all_output_of_a_bot_is_logged(tmp_path: Path) -> None:
    async with played(tmp_path, NOISY) as page:
        await page.until(lambda: page.bot("Cat").get("generation"))
        assert (await page.ask("hello"))["status"] == "complete"
        expected = {"of a child", "past the stream", "as bytes: \u00e9", "with utf-8"}
        await page.until(lambda: expected <= {line["text"] for line in page.state["logs"]})


async def test_a_target_is_started_and_queried(tmp_path: Path) -> None:
    async with played(tmp_path) as page:
        await page.until(lambda: page.bot("Cat").get("settings"))
        reply = await page.ask("hello")
        assert reply["texts"][0]["text"] == "meow"
        await page.until(lambda: len(page.state["logs"]) >= 2)
        lines = [(line["level"], line["text"], line["exchange"]) for line in page.state["logs"]]
        assert ("INFO", "asked with a key", reply["exchange"]) in lines
        assert ("PRINT", "purring", reply["exchange"]) in lines
        shown = await page.get(f"exchanges/{reply['exchange']}")
        assert len(shown["log_list"]) == shown["logs"] >= 2
        # The header that marks the exchange is not the bot's business.
        assert "playground" not in json.dumps(shown["request"]["headers"])


async def test_calls_of_a_bot_belong_to_its_query(tmp_path: Path) -> None:
    async with played(tmp_path) as page:
        await page.until(lambda: page.bot("Cat").get("settings"))
        reply = await page.ask("call")
        assert reply["status"] == "complete", (reply, page.state["logs"])
        assert reply["spent"] == 50
        assert reply["attachments"][0]["name"] == "x.txt"
        calls = [each for each in (await page.get("state"))["exchanges"] if each["direction"] == "from-bot"]
        assert [(each["kind"], each["bot"]) for each in calls] == [("cost", "Cat"), ("call", "Cat"), ("upload", "Cat")]
        assert [each["parent"] for each in calls] == [reply["exchange"]] * 3
        assert [each["outcome"] for each in calls] == ["eof"] * 3
        shown = json.dumps([await page.get(f"exchanges/{each['id']}") for each in calls])
        key = page.playground.engine.bots["Cat"].access_key
        assert key is not None
        assert key not in shown
        assert page.playground.poe_secret not in shown
        await page.until(lambda: page.state["charges"])
        assert page.state["balance"] == 1_000_000 - 50


FILMS = [("film.mp4", "video/mp4"), ("purr.mp3", "audio/mpeg"), ("cat.png", "image/png")]
FILMING = f"""
from poeproto import Bot

class Cat(Bot):
    async def get_response(self, request, context):
        if request.query[-1].content == "films":
            for name, kind in {FILMS!r}:
                await context.post_attachment(b"film", name=name, content_type=kind, inline=True)
        yield repr([[each.name, each.content_type, each.inline_ref] for each in request.query[1].attachments]
                   if len(request.query) > 1 else [])
"""


async def test_files_of_a_bot_have_all_their_fields(tmp_path: Path) -> None:
    async with played(tmp_path, FILMING) as page:
        await page.until(lambda: page.bot("Cat").get("settings"))
        reply = await page.ask("films")
        shown = [[each["name"], each["content_type"], each["inline_ref"]] for each in reply["attachments"]]
        assert [(name, kind) for name, kind, _ in shown] == FILMS
        assert all(ref for _, _, ref in shown)
        for attachment, (_, kind) in zip(reply["attachments"], FILMS, strict=True):
            assert attachment["url"].startswith(page.address)  # the page shows attachments of its own origin inline
            served = await page.fetch("GET", attachment["url"].removeprefix(page.address))
            assert (served.status, served.body, served.headers["content-type"]) == (200, b"film", kind)
        # The bot gets its files with its message.
        seen = await page.ask("hello", reply["conversation"])
        assert seen["texts"][0]["text"] == repr(shown)


async def test_a_changed_file_starts_the_bot_again(tmp_path: Path) -> None:
    async with played(tmp_path) as page:
        await page.until(lambda: page.bot("Cat").get("settings"))
        first = await page.ask("hello")
        write(tmp_path / "noises.py", 'NOISE = "purr"\n')  # which its file imports
        await page.until(lambda: page.bot("Cat")["generation"] == 2)
        await page.until(lambda: "purr" in json.dumps(page.bot("Cat")["settings"]))
        # The conversation continues.
        again = await page.ask("hello", first["conversation"])
        assert again["texts"][0]["text"] == "purr"


async def test_a_broken_file_is_shown_and_the_old_bot_still_runs(tmp_path: Path) -> None:
    async with played(tmp_path) as page:
        await page.until(lambda: page.bot("Cat").get("settings"))
        write(tmp_path / "cat.py", "def broken(:\n")
        await page.until(lambda: page.bot("Cat")["error"])
        assert "SyntaxError" in page.bot("Cat")["error"]
        assert page.bot("Cat")["status"] == "running"
        assert (await page.ask("hello"))["texts"][0]["text"] == "meow"
        write(tmp_path / "cat.py", CAT.replace("yield NOISE", 'yield "hiss"'))
        await page.until(lambda: page.bot("Cat")["generation"] == 2)
        assert page.bot("Cat")["error"] is None
        assert (await page.ask("hello"))["texts"][0]["text"] == "hiss"


async def test_a_target_that_is_broken_at_first(tmp_path: Path) -> None:
    async with played(tmp_path, "raise RuntimeError('not yet')\n") as page:
        await page.until(lambda: page.bot("Cat").get("error"))
        assert "RuntimeError: not yet" in page.bot("Cat")["error"]
        assert page.bot("Cat")["status"] == "failed"
        conversation = (await page.post("conversations"))["id"]
        error = await page.post(f"conversations/{conversation}/messages", 409, text="hello")
        assert "not yet" in error["error"]
        write(tmp_path / "cat.py", CAT)
        await page.until(lambda: page.bot("Cat")["generation"] == 1)
        assert (await page.ask("hello"))["status"] == "complete"


async def test_a_page_that_is_opened_before_the_bot_has_a_name(tmp_path: Path) -> None:
    write(tmp_path / "noises.py", 'NOISE = "meow"\n')
    write(tmp_path / "cat.py", CAT.replace("class Cat", "print('at import')\nclass Cat"))
    async with playing(PlayedBot(target=f"{tmp_path / 'cat.py'}:Cat")) as page:
        assert page.state["default_bot"] is None
        await page.until(lambda: page.state["default_bot"] == page.state["title"] == "Cat")
        await page.until(lambda: page.bot("Cat").get("settings"))
        assert [line["text"] for line in page.state["logs"] if line["level"] == "PRINT"] == ["at import"]


async def test_the_error_of_a_target_is_shown_while_another_starts(tmp_path: Path) -> None:
    write(tmp_path / "noises.py", 'NOISE = "meow"\n')
    write(tmp_path / "cat.py", CAT)
    write(tmp_path / "dog.py", "raise RuntimeError('no dog')\n")
    dog = f"{tmp_path / 'dog.py'}:Dog"
    async with playing(PlayedBot(target=f"{tmp_path / 'cat.py'}:Cat", name="Cat"), PlayedBot(target=dog)) as page:
        await page.until(lambda: page.bot("Cat").get("generation") and page.bot(dog).get("error"))
        await page.post("bots/Cat/reload")
        await page.until(lambda: page.bot("Cat")["generation"] == 2 and page.bot("Cat").get("settings"))
        assert "no dog" in page.bot(dog)["error"]
        write(tmp_path / "dog.py", CAT.replace("class Cat", "class Dog"))
        await page.until(lambda: page.bot("Dog").get("settings"))
        assert not page.bot(dog)


async def test_a_process_that_ends_by_itself(tmp_path: Path) -> None:
    ending = CAT.replace("        yield NOISE", "        import os; os._exit(3)\n        yield NOISE")
    async with played(tmp_path, ending) as page:
        await page.until(lambda: page.bot("Cat").get("settings"))
        assert (await page.ask("hello"))["status"] == "failed"
        await page.until(lambda: page.bot("Cat")["status"] == "failed")
        await page.post("bots/Cat/reload")
        await page.until(lambda: page.bot("Cat")["generation"] == 2)


async def test_the_process_ends_with_the_playground(tmp_path: Path) -> None:
    async with played(tmp_path) as page:
        await page.until(lambda: page.bot("Cat").get("settings"))
        [runner] = page.playground.bots.runners.values()
    assert runner.current is not None
    assert runner.current.process.returncode is not None


async def test_no_running_process_of_others_is_started_again(tmp_path: Path) -> None:
    async with playing(PlayedBot(url="http://127.0.0.1:9/", name="Remote")) as page:
        await page.until(lambda: page.bot("Remote").get("settings_error"))
        assert "not started" in (await page.post("bots/Remote/reload", 409))["error"]
