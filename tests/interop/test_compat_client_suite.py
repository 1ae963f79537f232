"""fastapi_poe's own tests of its client, run against poeproto_compat."""

from __future__ import annotations

from pathlib import Path

import pytest

from ..support.fastapi_poe_suite import fetch, outcomes

# In place of pytest-asyncio, for its fixtures.
PYTEST_ASYNCIO = """
import asyncio
import pytest


def fixture(function):
    @pytest.fixture(name=function.__name__)
    def run():
        return asyncio.run(anext(function()))

    return run
"""
# They replace what fastapi_poe itself calls, which is not called here: httpx_sse below a private class, httpx.post, and
# an httpx.AsyncClient whose `send` does not stream. `test_compat_client.py` shows the same streams and calls to both.
REPLACE_WHAT_IS_NOT_CALLED = [
    *(
        f"Test_BotContext::test_perform_query_request_{name}"
        for name in (
            "text_events",
            "non_text_events",
            "no_done_event_still_succeeds",
            "error_with_allow_retry_false",
            "error_with_allow_retry_true",
            "text_events_with_index",
            "non_text_events_with_index",
            "with_error",
        )
    ),
    "test_sync_bot_settings",
    *(f"test_upload_file_{name}" for name in ("via_url", "raw_bytes", "error_raises", "with_extra_headers")),
]


@pytest.mark.slow
@pytest.mark.parametrize(("name", "count"), [("test_client.py", 23), ("test_sync_utils.py", 4)])
def test_the_tests_of_the_client_pass(name: str, count: int, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    cache = request.config.cache
    assert cache is not None
    (tmp_path / "pytest_asyncio.py").write_text(PYTEST_ASYNCIO)
    left_out = REPLACE_WHAT_IS_NOT_CALLED if name == "test_client.py" else []
    found = outcomes(fetch(cache.mkdir("fastapi_poe")), name, tmp_path, left_out=left_out)
    assert set(found.values()) == {"passed"}, found
    assert len(found) == count
