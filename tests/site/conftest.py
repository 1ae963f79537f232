"""Chromium, and the site that `make docs` has built."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from ..playground.conftest import browser

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page, Route

__all__ = ["browser", "site", "site_page"]


@pytest.fixture(scope="session")
def site() -> Path:
    """The folder of the site."""
    folder = Path(__file__).parents[2] / "build" / "docs"
    if not (folder / "index.html").exists():
        pytest.fail("there is no site: `make docs` builds it, and `make docs-check` does both")
    return folder


@pytest.fixture
def site_page(browser: Browser, site: Path) -> Iterator[Page]:
    """The first page, from its folder; a request that leaves it fails the test."""
    outside: list[str] = []

    def refuse(route: Route) -> None:
        outside.append(route.request.url)
        route.abort()

    context = browser.new_context(viewport={"width": 1280, "height": 800})
    context.route("http*://**", refuse)
    page = context.new_page()
    page.goto((site / "index.html").as_uri())
    yield page
    context.close()
    assert outside == []
