"""Each page of the site: axe-core finds no violation, light and dark, wide and narrow, and nothing is cut off."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

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
    "deployment.html",
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
