"""fastapi_poe's own tests of its server side, run against poeproto_compat."""

from __future__ import annotations

from pathlib import Path

import pytest

from ..support.fastapi_poe_suite import fetch, outcomes

# Calls about costs go through poeproto's own client, so a replacement of httpx_sse has no effect.
# `integrations/compat/test_poe_calls.py` tests the same against the simulator.
_REPLACE_HTTPX_SSE = [
    f"TestCostCapture::test_{call}_cost_{outcome}"
    for call in ("authorize", "capture")
    for outcome in ("success", "failure")
]


@pytest.mark.slow
def test_the_tests_of_the_server_side_pass(request: pytest.FixtureRequest, tmp_path: Path) -> None:
    cache = request.config.cache
    assert cache is not None
    found = outcomes(fetch(cache.mkdir("fastapi_poe")), "test_base.py", tmp_path, left_out=_REPLACE_HTTPX_SSE)
    assert len(found) == 10
    assert set(found.values()) == {"passed"}, found
