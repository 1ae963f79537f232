"""Files of the simulator, fetched as a browser does, which resolves dots in a path."""

from __future__ import annotations

import httpx
import pytest

from poeproto_simulator import Simulator

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("name", [".", "..", "a/..", "..\\", "\x00\x1b\n", "%2e%2e", "a?b#c"])
@pytest.mark.parametrize("content_type", ["text/x; name=\u00e9", " text/x ", "text/x"])
async def test_any_stored_file_can_be_fetched(name: str, content_type: str) -> None:
    simulator = Simulator()
    async with simulator.serving():
        stored = await simulator.store_file(b"warm", name, content_type)
        assert httpx.URL(stored.url).path.startswith("/files/")
        async with httpx.AsyncClient() as browser:  # which resolves dots
            response = await browser.get(stored.url)
    assert (response.status_code, response.content) == (200, b"warm")
    assert response.headers["content-type"].startswith("text/x")
