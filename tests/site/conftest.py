"""Chromium, and the site that `make docs` has built."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from ..playground.conftest import browser, missing
from ..playground.test_page_accessibility import AXE

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page, Route

__all__ = ["browser", "site", "site_page"]

SITE = Path(__file__).parents[2] / "build" / "docs"


@pytest.fixture(scope="session")
def site() -> Path:
    """The folder of the site."""
    if not (SITE / "index.html").exists():
        pytest.fail("there is no site: `make docs` builds it, and `make docs-check` does both")
    return SITE


@pytest.fixture(scope="session")
def site_context(browser: Browser) -> Iterator[BrowserContext]:
    """For all pages, with axe-core in each of them. A request that leaves the folder fails."""

    def refuse(route: Route) -> None:
        route.abort()

    # Without motion, no colour is between two when the scheme changes, and nothing is half-way open.
    context = browser.new_context(reduced_motion="reduce", permissions=["clipboard-read", "clipboard-write"])
    context.route("http*://**", refuse)
    if AXE.exists():
        context.add_init_script(path=AXE)
    yield context
    context.close()


@pytest.fixture
def site_page(site_context: BrowserContext, site: Path) -> Iterator[Page]:
    """A page for the site. An error in its console fails the test, and so does a request that leaves the folder."""
    page = site_context.new_page()
    page.set_viewport_size({"width": 1280, "height": 800})
    problems: list[str] = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("console", lambda text: problems.append(text.text) if text.type == "error" else None)
    page.on("request", lambda request: problems.append(request.url) if request.url.startswith("http") else None)
    yield page
    page.close()
    assert problems == []


@pytest.fixture
def axe_page(site_page: Page) -> Page:
    """A page that axe-core can judge."""
    if not AXE.exists():
        missing("axe-core is not installed: `make page` installs it")
    return site_page
