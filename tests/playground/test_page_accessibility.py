"""axe-core finds no violation, and the keyboard alone is enough."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from .conftest import missing
from .mock_backend import ASSETS, MockBackend

if TYPE_CHECKING:
    from playwright.sync_api import Page

AXE = ASSETS.parent / "page" / "node_modules" / "axe-core" / "axe.min.js"
WIDTHS = [1280, 390]
COLOURS = ["light", "dark"]


def violations(page: Page) -> list[str]:
    result: dict[str, Any] = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    return [
        f"{violation['id']}: {node['html'][:200]} {node['failureSummary']}"
        for violation in result["violations"]
        for node in violation["nodes"]
    ]


@pytest.fixture(
    params=[(width, colours) for width in WIDTHS for colours in COLOURS], ids=lambda pair: f"{pair[0]}-{pair[1]}"
)
def axe_page(page: Page, request: pytest.FixtureRequest) -> Page:
    if not Path(AXE).exists():
        missing("axe-core is not installed: `make page` installs it")
    width, colours = request.param
    page.set_viewport_size({"width": width, "height": 800})
    page.emulate_media(color_scheme=colours)
    page.evaluate(AXE.read_text())
    return page


def show(page: Page, name: str) -> None:
    """On a narrow page, show this part."""
    button = page.get_by_role("group", name="Parts of the page").get_by_role("button", name=name)
    if button.is_visible():
        button.click()


def test_the_chat_and_each_control(axe_page: Page) -> None:
    axe_page.get_by_text("Parameters", exact=True).click()
    axe_page.get_by_role("switch", name="Purr").check()
    axe_page.get_by_role("button", name="React", exact=True).click()
    assert violations(axe_page) == []
    axe_page.get_by_role("tab", name="Picture").click()
    assert violations(axe_page) == []
    show(axe_page, "Conversations")
    assert violations(axe_page) == []


def test_the_inspector(axe_page: Page) -> None:
    show(axe_page, "Inspector")
    axe_page.get_by_role("option", name="query").click()
    for tab in ("Findings", "Request", "Events", "Raw", "Times", "Logs", "Edit"):
        exchange = axe_page.get_by_role("region", name="Exchange 2")
        exchange.get_by_role("tab", name=tab).click()
        assert violations(axe_page) == [], tab
    for tab in ("Bots", "Poe", "Logs", "Request editor"):
        axe_page.get_by_role("tablist", name="Inspector").get_by_role("tab", name=tab).click()
        assert violations(axe_page) == [], tab


def test_the_keyboard_alone_is_enough(page: Page, backend: MockBackend) -> None:
    def tab_to(name: str) -> None:
        for _ in range(60):
            page.keyboard.press("Tab")
            focused = page.locator(":focus")
            label = focused.get_attribute("aria-label") or focused.text_content() or ""
            if label.strip().startswith(name):
                return
        raise AssertionError(f"the focus does not reach {name!r}")

    tab_to("Tell me more")
    page.keyboard.press("Enter")
    assert backend.next_call("POST", "/api/conversations/c-1/messages").json["text"] == "Tell me more"
    tab_to("Exchanges: 3")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    page.get_by_role("region", name="Exchange 2").wait_for()
    tab_to("Events 300")
    page.keyboard.press("ArrowRight")
    page.get_by_role("listbox", name="Reads: 300").wait_for()
