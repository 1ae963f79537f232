"""axe-core finds no violation, and the keyboard alone is enough."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from . import states
from .conftest import missing
from .mock_backend import ASSETS, MockBackend, wait_until
from .states import CONVERSATION

if TYPE_CHECKING:
    from playwright.sync_api import Page

AXE = ASSETS.parent / "page" / "node_modules" / "axe-core" / "axe.min.js"
WIDTHS = [1280, 390]
# The rules of axe-core that depend on colours; the others have the same findings in dark and in light.
OF_COLOURS = ["color-contrast", "link-in-text-block"]


def violations(page: Page, within: str = "html", *, preload: bool = True) -> list[str]:
    """The violations that axe-core finds in a part of the page, in light and dark.

    Arguments:
        preload: whether axe-core may request the style sheets, which a browser forbids to a page from a folder.
    """
    page.emulate_media(color_scheme="light")
    found = _run_axe(page, within, {"preload": preload})
    page.emulate_media(color_scheme="dark")
    return found + _run_axe(page, within, {"preload": preload, "runOnly": {"type": "rule", "values": OF_COLOURS}})


def _run_axe(page: Page, within: str, options: dict[str, Any]) -> list[str]:
    result: dict[str, Any] = page.evaluate(
        "([within, options]) => axe.run(within, {resultTypes: ['violations'], ...options})", [within, options]
    )
    return [
        f"{violation['id']}: {node['html'][:200]} {node['failureSummary']}"
        for violation in result["violations"]
        for node in violation["nodes"]
    ]


@pytest.fixture(params=WIDTHS)
def axe_page(page: Page, request: pytest.FixtureRequest) -> Page:
    if not Path(AXE).exists():
        missing("axe-core is not installed: `make page` installs it")
    page.set_viewport_size({"width": request.param, "height": 800})
    page.emulate_media(reduced_motion="reduce")  # no colour is between two when the scheme changes
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
        assert violations(axe_page, ".inspector") == [], tab
    for tab in ("Bots", "Poe", "Logs", "Request editor"):
        axe_page.get_by_role("tablist", name="Inspector").get_by_role("tab", name=tab).click()
        assert violations(axe_page, ".inspector") == [], tab
    assert violations(axe_page) == []


def test_the_mentions_and_code_that_runs(axe_page: Page, backend: MockBackend) -> None:
    texts = [{"index": i, "epoch": 0, "text": "```html\n<b>x</b>\n```"} for i in range(2)]
    answer = states.message("m-4", "", texts=texts)
    backend.push({"type": "message", "conversation": CONVERSATION, "message": answer})
    axe_page.get_by_role("button", name="Run the html").first.click()
    axe_page.locator("iframe").wait_for()
    axe_page.get_by_label("Message", exact=True).press_sequentially("@")
    axe_page.get_by_role("listbox", name="Bots to ask").wait_for()
    assert violations(axe_page) == []


def test_errors_and_empty_parts(axe_page: Page, backend: MockBackend) -> None:
    error = {"text": "no fish", "type": "insufficient_fund", "allow_retry": True}
    failed = states.message("m-4", "x" * 500, status="failed", error=error)
    bots = [states.bot(status="failed", error="Traceback (most recent call last)"), states.bot("Dog", settings=None)]
    backend.push(
        {"type": "message", "conversation": CONVERSATION, "message": failed},
        *({"type": "bot", "bot": bot} for bot in bots),
        {"type": "exchanges", "exchanges": [], "exchanges_dropped": 1},
        {"type": "balance", "balance": 0, "charges": []},
    )
    axe_page.get_by_role("alert").get_by_text("no fish").wait_for()
    assert violations(axe_page) == []
    assert width_beyond_the_window(axe_page) == 0
    backend.push({"type": "messages", "conversation": CONVERSATION, "messages": []})
    show(axe_page, "Inspector")
    for tab in ("Exchanges", "Bots", "Poe", "Logs"):
        axe_page.get_by_role("tablist", name="Inspector").get_by_role("tab", name=tab).click()
        assert violations(axe_page, ".inspector") == [], tab
        assert width_beyond_the_window(axe_page) == 0


def width_beyond_the_window(page: Page) -> int:
    """How far the page can be scrolled sideways. Wide tables and code scroll within themselves."""
    return page.evaluate("document.documentElement.scrollWidth - innerWidth")


WIDE = "\n\n".join(
    [
        "w" * 300,
        "[" + "l" * 300 + "](https://example.com)",
        "| " + " | ".join(f"column {i}" for i in range(30)) + " |\n" + "|---" * 30 + "|\n" + "| cell " * 30 + "|",
        "```python\n" + "c" * 300 + "\n```",
        "`" + "i" * 300 + "`",
        "# " + "h" * 300,
        "$" + "m" * 300 + "$",
    ]
)


def test_nothing_is_wider_than_the_window(axe_page: Page, backend: MockBackend) -> None:
    name = "N" * 100
    answer = states.message("m-4", WIDE, bot=name, suggested_replies=["s" * 300])
    question = states.message("m-3", "q" * 300, "user", bot=name)
    attachment = {
        "url": "https://example.com/x",
        "content_type": "a/b",
        "name": "f" * 300,
        "inline_ref": None,
        "size": 1,
    }
    answer["attachments"] = [attachment]
    for message in (question, answer):
        backend.push({"type": "message", "conversation": CONVERSATION, "message": message})
    backend.push({"type": "bot", "bot": states.bot(name)})
    axe_page.get_by_role("button", name="s" * 300).wait_for()
    assert width_beyond_the_window(axe_page) == 0
    messages = axe_page.get_by_role("region", name="Messages")
    assert messages.evaluate("element => element.scrollWidth - element.clientWidth") == 0
    for name in ("table", "code: python"):
        box = axe_page.locator("[data-message=m-4]").get_by_role("group", name=name)
        assert box.evaluate("element => element.scrollWidth > element.clientWidth")
    assert violations(axe_page) == []


def focus(page: Page, name: str, key: str = "Tab") -> None:
    """Move the focus with the key until it is at the element of that name."""
    for _ in range(80):
        page.keyboard.press(key)
        focused = page.locator(":focus")
        label = focused.get_attribute("aria-label") or focused.text_content() or ""
        if label.strip().startswith(name):
            return
    raise AssertionError(f"the focus does not reach {name!r}")


def test_the_chat_needs_the_keyboard_only(page: Page, backend: MockBackend) -> None:
    focus(page, "Tell me more")
    page.keyboard.press("Enter")
    assert backend.next_call("POST", f"/api/conversations/{CONVERSATION}/messages").json["text"] == "Tell me more"
    while page.locator(":focus").get_attribute("id") != "draft":
        page.keyboard.press("Tab")
    page.keyboard.type("@")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    page.keyboard.type("sit")
    page.keyboard.press("Enter")
    assert backend.next_call("POST", f"/api/conversations/{CONVERSATION}/messages").json["text"] == "@Dog sit"
    backend.push({"type": "conversation", "conversation": states.conversation(streaming=True)})
    page.get_by_role("button", name="Stop", exact=True).last.wait_for()
    page.keyboard.press("Escape")
    backend.next_call("POST", f"/api/conversations/{CONVERSATION}/stop")
    focus(page, "Stop")
    page.keyboard.press("Enter")
    backend.next_call("POST", f"/api/conversations/{CONVERSATION}/stop")


def test_the_inspector_needs_the_keyboard_only(page: Page) -> None:
    inspector = page.get_by_role("region", name="Inspector")
    focus(page, "Inspector")
    page.keyboard.press("Space")
    inspector.wait_for(state="detached")
    focus(page, "Inspect", "Tab")
    page.keyboard.press("Enter")
    exchange = page.get_by_role("region", name="Exchange 2")
    exchange.wait_for()
    wait_until(page, "() => document.activeElement.className === 'exchange'")
    page.keyboard.press("Escape")
    exchange.wait_for(state="detached")
    assert page.locator(":focus").get_attribute("aria-label") == "Exchanges: 3"
    page.keyboard.press("End")
    page.get_by_role("region", name="Exchange 3").wait_for()
    page.keyboard.press("ArrowUp")
    exchange.wait_for()
    focus(page, "Events 300")
    page.keyboard.press("ArrowRight")
    reads = page.get_by_role("listbox", name="Reads: 300")
    reads.wait_for()
    focus(page, "Reads")
    page.keyboard.press("PageDown")
    page.keyboard.press("End")
    page.get_by_text("read 299").wait_for()
    focus(page, "Close the exchange", "Shift+Tab")
    page.keyboard.press("Enter")
    exchange.wait_for(state="detached")


def test_a_focus_is_seen(page: Page) -> None:
    """Each element that the Tab key reaches has an outline while it has the focus, or its frame has."""
    for _ in range(40):
        page.keyboard.press("Tab")
        seen = page.evaluate("""() => {
            const element = document.activeElement;
            if (element === document.body) return true;
            const style = getComputedStyle(element.id === "draft" ? element.closest(".row") : element);
            return style.outlineStyle !== "none" || style.boxShadow !== "none";
        }""")
        assert seen, page.locator(":focus").evaluate("element => element.outerHTML.slice(0, 200)")


def test_reduced_motion_has_no_animation(page: Page, backend: MockBackend) -> None:
    waiting = states.message("m-4", "", status="streaming", texts=[])
    backend.push({"type": "message", "conversation": CONVERSATION, "message": waiting})
    page.locator(".text.waiting").wait_for()
    animation = "() => getComputedStyle(document.querySelector('.text.waiting'), '::after').animationName"
    page.emulate_media(reduced_motion="no-preference")
    assert page.evaluate(animation) == "pulse"
    page.emulate_media(reduced_motion="reduce")
    assert page.evaluate(animation) == "none"
    assert page.evaluate("""() => [...document.querySelectorAll("*")].every((element) => {
        const style = getComputedStyle(element);
        return style.animationName === "none" && style.transitionDuration === "0s" && style.scrollBehavior === "auto";
    })""")


def test_a_stream_is_read_out_once(page: Page, backend: MockBackend) -> None:
    """The live region says that a reply begins, and how it reads when it is complete: not each of its events."""
    page.evaluate("""() => {
        window.spoken = [];
        for (const region of document.querySelectorAll("[role=status], [aria-live]")) {
            new MutationObserver(() => region.textContent && window.spoken.push(region.textContent)).observe(
                region, {childList: true, characterData: true, subtree: true});
        }
    }""")
    streaming = states.message("m-4", "", status="streaming", texts=[])
    backend.push({"type": "message", "conversation": CONVERSATION, "message": streaming})
    words = [f"**word{i}** " for i in range(200)]
    for i, word in enumerate(words):
        start = sum(map(len, words[:i]))
        fields = {"conversation": CONVERSATION, "message": "m-4", "index": 0, "epoch": 0}
        backend.push({"type": "text", **fields, "start": start, "append": word})
    page.locator("[data-message=m-4]").get_by_text("word199").wait_for()
    assert page.evaluate("window.spoken") == ["Cat is answering."]
    backend.push(
        {"type": "message", "conversation": CONVERSATION, "message": states.message("m-4", "".join(words))},
    )
    wait_until(page, "() => window.spoken.length > 1")
    [_, read] = page.evaluate("window.spoken")
    assert read.startswith("Cat has answered: word0 word1 word2 ")
    assert read.endswith("…")
    assert len(read) < 350
    assert page.locator("[data-message=m-4]").evaluate("element => element.closest('[aria-live], [role=log]')") is None
