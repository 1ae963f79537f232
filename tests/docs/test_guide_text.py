"""Examples of elements in an answer's text, end to end over HTTP."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from urllib.parse import parse_qs, urlsplit

import pytest

from poeproto import SettingsResponse

from ..support.example_stage import playing, settings_of

pytestmark = pytest.mark.anyio

# A user's text, harmless at first and then hostile.
RUDE = "<script>alert('hi')</script> ```\n\n![x](y)] & so on"


class Page(HTMLParser):
    """The tags of a page in their order, and its text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.text = ""
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)

    def handle_data(self, data: str) -> None:
        self.text += data


async def test_showing_an_image() -> None:
    async with playing("showing_an_image") as stage:
        plain = await stage.say("The view from the top")
        rude = await stage.say("[a]\n\n(b)")
        image = stage.module.IMAGE
    assert plain.final_text() == f"Greetings from the mountains!\n\n![The view from the top]({image})"
    assert rude.final_text().endswith(f"\n\n![\\[a\\] (b)]({image})")


async def test_showing_html_beside_its_code() -> None:
    async with playing("showing_html") as stage:
        reply = await stage.say("Code")
    assert reply.final_text() == "```html\n<html>\n<h1>You said</h1>\n<p>Code</p>\n</html>\n```\n"


async def test_showing_html_in_the_text() -> None:
    async with playing("showing_html") as stage:
        reply = await stage.say(RUDE)
    block = reply.final_text().removesuffix("\n")
    assert block.startswith("<html>\n")
    assert all(line.strip() for line in block.split("\n")), "an empty line would end the block"
    page = Page(block)
    assert page.tags == ["html", "h1", "p", "p"]
    assert page.text.split("\n") == ["", "You said", *RUDE.split("\n\n"), ""]


async def test_showing_a_frame() -> None:
    async with playing("showing_html") as stage:
        reply = await stage.say("frame")
        address = stage.module.MAP
    found = re.fullmatch(r'<iframe height="400" src="([^"]*)"></iframe>\n', reply.final_text())
    assert found is not None
    assert found[1].replace("&amp;", "&") == address


@pytest.mark.parametrize("part", ["a pirate", "half & half = [whole](?)\n“naïve” 🐈"])
async def test_making_prompt_bots(part: str) -> None:
    async with playing("making_prompt_bots") as stage:
        reply = await stage.say(f" {part} ")
    found = re.fullmatch(
        r"I have written a prompt for GPT-4o-Mini\. \[Make this bot\]\(([^()\s]*)\)", reply.final_text()
    )
    assert found is not None
    address = urlsplit(found[1])
    assert (address.scheme, address.netloc, address.path) == ("https", "poe.com", "/create_bot")
    assert parse_qs(address.query) == {
        "prompt": [f"You play this part, and never step out of it: {part}"],
        "base_bot": ["GPT-4o-Mini"],
    }


async def test_introducing_itself() -> None:
    async with playing("introducing_itself") as stage:
        assert await settings_of(stage) == SettingsResponse(
            introduction_message="Give me **two phrases**, one after the other. They are anagrams if I answer the same."
        )
        replies = [(await stage.say(phrase)).final_text() for phrase in ("Dormitory", "dirty room", "Library")]
    assert replies == ["dimoorrty", "dimoorrty", "abilrry"]
