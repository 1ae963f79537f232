"""Each page of the site: axe-core finds no violation, light and dark, wide and narrow, and nothing is cut off."""

from __future__ import annotations

import re
from html import unescape
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote

import pytest

from ..playground.conftest import missing
from ..playground.test_page_accessibility import AXE, violations

if TYPE_CHECKING:
    from playwright.sync_api import Page


# The others are made of the same parts.
PAGES = [
    "index.html",
    "search.html",
    "tutorial.html",
    "howto/embed.html",
    "states.html",
    "howto/deploy.html",
    "playground.html",
    "reference/poeproto.http.html",
    "reference/command.html",
]


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("colours", ["light", "dark"])
@pytest.mark.parametrize("name", PAGES)
def test_a_page_has_no_violation(site_page: Page, site: Path, name: str, width: int, colours: str) -> None:
    if not AXE.exists():
        missing("axe-core is not installed: `make page` installs it")
    site_page.set_viewport_size({"width": width, "height": 800})
    site_page.emulate_media(color_scheme="dark" if colours == "dark" else "light")
    site_page.goto((site / name).as_uri())
    site_page.evaluate(AXE.read_text())
    assert violations(site_page) == []
    assert not site_page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth")


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
