"""Each page of the site: axe-core finds no violation, light and dark, and nothing is cut off, wide and narrow."""

from __future__ import annotations

import re
from html import unescape
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote

import pytest

from ..playground.test_page_accessibility import violations
from .conftest import SITE

if TYPE_CHECKING:
    from playwright.sync_api import Page


PAGES = sorted(str(path.relative_to(SITE)) for path in SITE.rglob("*.html")) or ["index.html"]
WIDE, NARROW = 1280, 390
# Pages of each kind, which axe-core judges at both widths; the others at one of them.
OF_EACH_KIND = {
    "index.html",
    "search.html",
    "genindex.html",
    "guides.html",
    "howto/embed.html",
    "states.html",
    "checks.html",
    "reference/poeproto.http.html",
    "reference/command.html",
}

# What people miss who do not see the page, or use no mouse.
MISSING = """() => {
    const problems = [];
    const shown = (element) => element.outerHTML.slice(0, 150);
    const headings = [...document.querySelectorAll("article :is(h1, h2, h3, h4, h5, h6)")];
    const levels = headings.map((heading) => Number(heading.tagName[1]));
    if (levels.filter((level) => level === 1).length !== 1 || levels[0] !== 1) problems.push(`h1: ${levels}`);
    headings.forEach((heading, each) => {
        if (each && levels[each] > levels[each - 1] + 1) problems.push(`skips a level: ${shown(heading)}`);
    });
    for (const image of document.images) {
        if (!image.alt.trim()) problems.push(`no alt text: ${shown(image)}`);
        const isShown = getComputedStyle(image).display !== "none";
        if (isShown && image.naturalWidth === 0) problems.push(`not loaded: ${image.src}`);
    }
    for (const code of document.querySelectorAll("article div.highlight > pre")) {
        const button = code.parentElement.querySelector("button.copybtn");
        if (!button?.textContent.trim()) problems.push(`no copy button with a name: ${shown(code)}`);
    }
    return problems;
}"""
# Elements that are wider than the page, and no box around them that scrolls, or none that the keyboard reaches.
CUT_OFF = """() => {
    const width = document.documentElement.clientWidth;
    const whole = document.documentElement.scrollWidth;
    const problems = whole > width ? [`the page is ${whole} wide`] : [];
    for (const element of document.querySelectorAll("article *")) {
        const style = getComputedStyle(element);
        if (style.display === "inline" || element.clientWidth === 0) continue;
        const hides = element.scrollWidth > element.clientWidth + 1;
        const isReached = element.tabIndex >= 0 || element.querySelector("a, button");
        if (hides && ["auto", "scroll"].includes(style.overflowX) && !isReached) {
            problems.push(`the keyboard cannot scroll: ${element.outerHTML.slice(0, 150)}`);
        }
        if (hides && style.overflowX === "hidden" && element.tagName !== "svg" && style.position !== "absolute") {
            problems.push(`cut off: ${element.outerHTML.slice(0, 150)}`);
        }
    }
    return problems;
}"""


@pytest.mark.parametrize("name", PAGES)
def test_a_page(axe_page: Page, site: Path, name: str) -> None:
    at_first, then = (WIDE, NARROW) if PAGES.index(name) % 2 else (NARROW, WIDE)
    axe_page.set_viewport_size({"width": at_first, "height": 800})
    axe_page.goto((site / name).as_uri())
    problems = violations(axe_page, preload=False) + axe_page.evaluate(MISSING) + axe_page.evaluate(CUT_OFF)
    axe_page.set_viewport_size({"width": then, "height": 800})
    problems += axe_page.evaluate(CUT_OFF)
    if name in OF_EACH_KIND:
        problems += violations(axe_page, preload=False)
    assert problems == []


@pytest.mark.parametrize("width", [WIDE, NARROW])
def test_results_of_the_search_have_no_violation(axe_page: Page, site: Path, width: int) -> None:
    axe_page.set_viewport_size({"width": width, "height": 800})
    axe_page.goto((site / "search.html").as_uri() + "?q=send+a+file")
    axe_page.locator("#search-results li").first.wait_for()
    assert violations(axe_page, preload=False) + axe_page.evaluate(CUT_OFF) == []


@pytest.mark.parametrize("part", ["__navigation", "__toc"])
def test_a_drawer_on_a_phone_has_no_violation(axe_page: Page, site: Path, part: str) -> None:
    axe_page.set_viewport_size({"width": NARROW, "height": 800})
    axe_page.goto((site / "howto/embed.html").as_uri())
    axe_page.locator(f"label[for={part}]:not(.overlay):visible").first.click()
    drawer = axe_page.locator(".sidebar-drawer" if part == "__navigation" else ".toc-drawer")
    axe_page.wait_for_function(
        "drawer => { const {left, right} = drawer.getBoundingClientRect(); return left >= 0 && right <= innerWidth; }",
        arg=drawer.element_handle(),
    )
    assert violations(axe_page, preload=False) == []


def test_a_block_of_code_is_copied_without_prompts(site_page: Page, site: Path) -> None:
    site_page.goto((site / "tutorial.html").as_uri())
    block = site_page.locator("article div.highlight").first
    block.hover()
    block.get_by_role("button", name="Copy").click()
    assert site_page.evaluate("navigator.clipboard.readText()").strip() == block.locator("pre").inner_text().strip()


def test_a_printed_page_is_the_text_alone_in_black(site_page: Page, site: Path) -> None:
    site_page.goto((site / "howto/embed.html").as_uri())
    site_page.emulate_media(media="print", color_scheme="dark")
    for part in (".sidebar-drawer", ".toc-drawer", ".mobile-header", "button.copybtn", ".related-pages"):
        assert not site_page.locator(part).first.is_visible(), part
    body, code = (
        site_page.locator(part).first.evaluate("part => getComputedStyle(part).backgroundColor")
        for part in ("body", "div.highlight")
    )
    assert (body, code) == ("rgb(255, 255, 255)", "rgb(255, 255, 255)")
    # A line that is too long is continued below, since paper does not scroll.
    assert (
        site_page.locator("div.highlight pre").first.evaluate("part => getComputedStyle(part).whiteSpace") == "pre-wrap"
    )


def test_no_page_names_a_host_for_its_parts(site: Path) -> None:
    for path in site.rglob("*.html"):
        text = path.read_text(encoding="utf-8")
        for tag in ("<script src=", '<link rel="stylesheet" type="text/css" href=', "<img src="):
            assert f'{tag}"http' not in text, path


LINKS = re.compile(r'<\w[^<>]*\s(?:href|src)="([^"#:?]*)(?:\?[^"#]*)?(?:#([^"]*))?"')


def test_every_link_within_the_site_leads_somewhere(site: Path) -> None:
    texts = {path: path.read_text(encoding="utf-8") for path in site.rglob("*.html")}
    places = {path: set(re.findall(r'\bid="([^"]*)"', text)) for path, text in texts.items()}
    broken: set[str] = set()
    for path, text in texts.items():
        for name, place in LINKS.findall(text):
            target = (path.parent / unquote(name)).resolve() if name else path
            if not target.exists() or (place and target in places and unquote(unescape(place)) not in places[target]):
                broken.add(f"{path.relative_to(site)}: {name}#{place}")
    assert broken == set()


def test_each_page_has_a_title_an_icon_and_a_description(site: Path) -> None:
    titles: list[str] = []
    for path in site.rglob("*.html"):
        text = path.read_text(encoding="utf-8")
        titles.append(text.partition("<title>")[2].partition("</title>")[0])  # further ones are of diagrams
        assert "favicon.svg" in text, path
        if path.name not in ("genindex.html", "py-modindex.html", "search.html"):  # these are Sphinx's own
            assert len(re.findall('<meta name="description" content="[^"]{20,}"', text)) == 1, path
    assert len(titles) == len(set(titles))


def test_a_signature_shows_no_private_name_and_no_repr(site: Path) -> None:
    unreadable: list[str] = []
    for path in (site / "reference").glob("*.html"):
        for part in re.findall(r'<dt class="sig.*?</dt>', path.read_text(encoding="utf-8"), re.DOTALL):
            text = unescape(re.sub(r"<[^>]+>", "", part)).strip("\n¶")
            if re.search(r"NOTHING|attr_dict|<|~|[\s=|\[(,]_[A-Za-z]\w*|0x[0-9a-f]{6}", text):
                unreadable.append(f"{path.name}: {text[:200]}")
    assert unreadable == []


def test_no_first_line_of_a_property_became_its_type(site: Path) -> None:
    for path in (site / "reference").glob("*.html"):
        assert ">Type<span" not in path.read_text(encoding="utf-8"), path


def test_the_options_of_the_command_keep_their_two_dashes(site: Path) -> None:
    for path in site.rglob("*.html"):
        assert not re.search(r"[–—]\w{3}", path.read_text(encoding="utf-8")), path


@pytest.mark.parametrize("name", ["runtime.html", "states.html"])
def test_a_diagram_is_seen_as_a_whole(site_page: Page, site: Path, name: str) -> None:
    site_page.set_viewport_size({"width": 1280, "height": 800})
    site_page.goto((site / name).as_uri())
    widths = site_page.locator(".diagram").evaluate_all("all => all.map(each => [each.scrollWidth, each.clientWidth])")
    assert widths
    assert all(needed <= there for needed, there in widths)


def test_a_name_in_a_table_breaks_on_a_narrow_page_only(site_page: Page, site: Path) -> None:
    lines: list[int] = []
    for width in (WIDE, NARROW):
        site_page.set_viewport_size({"width": width, "height": 800})
        site_page.goto((site / "explanation" / "limits.html").as_uri())
        name = site_page.locator("td code", has_text="first_answer_seconds").first
        lines.append(name.evaluate("name => name.getClientRects().length"))
    assert lines[0] == 1 < lines[1]


def test_an_option_keeps_its_dashes(site_page: Page, site: Path) -> None:
    site_page.set_viewport_size({"width": NARROW, "height": 800})
    site_page.goto((site / "playground.html").as_uri())
    options = site_page.locator("article code .option")
    assert options.count() > 5
    assert set(options.evaluate_all("all => all.map(each => each.getClientRects().length)")) == {1}


def test_pictures_and_plots_have_dark_colours(site_page: Page, site: Path) -> None:
    site_page.emulate_media(color_scheme="dark")
    site_page.goto((site / "playground.html").as_uri())
    shown = site_page.locator("article img:visible").evaluate_all("all => all.map(each => each.src.split('/').at(-1))")
    assert shown
    assert all("-dark." in name for name in shown)
    for plot in (site / "_images").glob("*.svg"):
        assert "prefers-color-scheme: dark" in plot.read_text(encoding="utf-8"), plot
