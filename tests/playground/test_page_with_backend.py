"""The page with `poeproto play` itself and a bot: what the mock of the backend cannot show."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from ..support.command import Serving, started
from .mock_backend import wait_until

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

BOT = """
from poeproto import Bot, Context, Error, QueryRequest, ReplaceResponse, SuggestedReply, Text
import anyio

class Parrot(Bot):
    async def get_response(self, request: QueryRequest, context: Context):
        said = request.query[-1].content
        if said == "wait":
            yield Text("I wait")
            await anyio.sleep_forever()
        if said == "fail":
            yield Error(text="no seeds", allow_retry=True)
        elif said == "two":
            yield Text("first", index=0)
            yield Text("second", index=1)
        else:
            yield Text("thinking")
            yield ReplaceResponse(f"**{said}** {len(request.query)} {len(request.query[-1].attachments)}")
            yield SuggestedReply("again")

bot = Parrot()
"""


@pytest.fixture(scope="module")
def playground(tmp_path_factory: pytest.TempPathFactory, browser: Browser) -> Iterator[Serving]:
    folder = tmp_path_factory.mktemp("bot")
    (folder / "parrot.py").write_text(BOT)
    with started("play", str(folder / "parrot.py") + ":bot", "--bind", "127.0.0.1:0", "--name", "Parrot") as process:
        yield Serving(process)


@pytest.fixture
def page(browser: Browser, playground: Serving) -> Iterator[Page]:
    context = browser.new_context(
        viewport={"width": 1280, "height": 800}, permissions=["clipboard-read", "clipboard-write"]
    )
    page = context.new_page()
    page.set_default_timeout(10_000)
    problems: list[str] = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("console", lambda text: problems.append(text.text) if text.type == "error" else None)
    page.goto(playground.address)
    page.get_by_text("running").first.wait_for()
    page.get_by_role("button", name="New conversation").first.click()
    wait_until(page, "() => document.querySelectorAll('[data-message]').length === 0")
    yield page
    context.close()
    assert problems == []


def say(page: Page, text: str) -> None:
    page.get_by_label("Message", exact=True).fill(text)
    page.keyboard.press("Enter")


def wait_for_answer(page: Page, text: str) -> None:
    page.locator("article.bot .text", has_text=re.compile(rf"^\s*{re.escape(text)}\s*$")).last.wait_for()


def test_a_conversation_over_reload_fork_edit_and_retry(page: Page) -> None:
    say(page, "hello")
    wait_for_answer(page, "hello 1 0")
    page.get_by_role("button", name="again").click()
    wait_for_answer(page, "again 3 0")
    page.reload()
    wait_for_answer(page, "again 3 0")

    page.locator("article.bot").first.get_by_role("button", name="Fork").click()
    wait_until(page, "() => document.querySelectorAll('[data-message]').length === 2")
    wait_for_answer(page, "hello 1 0")
    page.locator("article.user").first.get_by_role("button", name="Edit").click()
    wait_until(page, "() => document.getElementById('draft').value === 'hello'")
    say(page, "goodbye")
    wait_for_answer(page, "goodbye 1 0")

    say(page, "fail")
    page.get_by_role("alert").get_by_text("no seeds").wait_for()
    failed = page.locator("article.bot").last.get_attribute("data-message")
    page.get_by_role("alert").get_by_role("button", name="Retry").click()
    wait_until(page, "id => !document.querySelector(`[data-message='${id}']`)", failed)
    page.get_by_role("alert").get_by_text("no seeds").wait_for()


def test_stop_cancels_the_bot(page: Page) -> None:
    say(page, "wait")
    wait_for_answer(page, "I wait")
    page.get_by_role("button", name="Stop", exact=True).click()
    page.locator(".facts", has_text="stopped").wait_for()
    page.get_by_role("button", name="Send", exact=True).wait_for()


def test_two_answers_and_an_upload(page: Page) -> None:
    say(page, "two")
    page.get_by_role("heading", name="Answer 2").wait_for()
    page.get_by_label("Files to attach").set_input_files(
        {"name": "seed.txt", "mimeType": "text/plain", "buffer": b"seed"}
    )
    page.get_by_role("button", name="Remove seed.txt").wait_for()
    say(page, "see")
    # The runtime adds the file's text to the conversation, as messages before this one.
    page.locator("article.bot .text", has_text=re.compile(r"see \d 1")).wait_for()


def test_the_copied_curl_line_gets_the_same_reply(page: Page) -> None:
    say(page, "curled")
    wait_for_answer(page, "curled 1 0")
    page.locator("article.bot").last.get_by_role("button", name="Inspect").click()
    page.get_by_label("with key").check()
    page.get_by_role("button", name="Copy as curl").click()
    page.get_by_text("Copied as curl.").wait_for()
    line = page.evaluate("navigator.clipboard.readText()")
    reply = subprocess.run(["sh", "-c", line], capture_output=True, text=True, check=True, timeout=20).stdout
    assert "event: replace_response" in reply
    assert "**curled** 1 0" in reply


def test_an_exchange_is_exported_and_opened_again(page: Page, tmp_path: Path) -> None:
    say(page, "recorded")
    wait_for_answer(page, "recorded 1 0")
    page.locator("article.bot").last.get_by_role("button", name="Inspect").click()
    with page.expect_download() as download:
        page.get_by_role("button", name="Export recording").click()
    path = tmp_path / "one.jsonl"
    download.value.save_as(path)
    page.get_by_label("Recording to open").set_input_files(path)
    opened = page.get_by_role("region", name=re.compile(r"^Exchange r\d+-1$"))
    opened.get_by_role("tab", name=re.compile("^Events")).click()
    opened.get_by_role("option", name="replace_response").wait_for()


def test_edit_and_resend(page: Page) -> None:
    say(page, "before")
    wait_for_answer(page, "before 1 0")
    page.locator("article.bot").last.get_by_role("button", name="Inspect").click()
    page.get_by_role("tab", name="Edit", exact=True).click()
    body = page.get_by_label("Body", exact=True)
    body.fill(body.input_value().replace('"before"', '"after"'))
    page.get_by_role("region", name="Exchange").get_by_role("button", name="Send", exact=True).click()
    page.get_by_text("resent from").wait_for()
    page.get_by_role("tab", name=re.compile("^Events")).click()
    page.get_by_role("option", name="**after** 1 0").wait_for()
