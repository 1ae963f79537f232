"""Chromium, a page of the playground, and the mock of its backend."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from . import states
from .mock_backend import MockBackend, serving

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

CHROMIUM = shutil.which("chromium")


def missing(what: str) -> None:
    """Skip the test where its tool is missing; fail in CI, where all tools are installed."""
    if os.environ.get("CI"):
        pytest.fail(f"{what}: .ci/run installs it")
    pytest.skip(what)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        missing("the page of the playground is not tested: Playwright is not installed")
        raise
    if CHROMIUM is None:
        missing("the page of the playground is not tested: Chromium is not installed")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        yield browser
        browser.close()


@pytest.fixture
def backend() -> Iterator[MockBackend]:
    with serving(MockBackend(states.state(), states.answers())) as backend:
        yield backend


@pytest.fixture
def bare_page(browser: Browser, backend: MockBackend) -> Iterator[Page]:
    """The page, connected to the mock."""
    context = browser.new_context(
        viewport={"width": 1280, "height": 800}, permissions=["clipboard-read", "clipboard-write"]
    )
    page = context.new_page()
    page.goto(backend.address)
    page.locator('[data-message="m-2"] blockquote').wait_for()
    yield page
    context.close()


@pytest.fixture
def page(bare_page: Page) -> Iterator[Page]:
    """The page, connected to the mock. An error in its console fails the test."""
    problems: list[str] = []
    bare_page.on("pageerror", lambda error: problems.append(str(error)))
    bare_page.on("console", lambda text: problems.append(text.text) if text.type == "error" else None)
    yield bare_page
    assert problems == []
