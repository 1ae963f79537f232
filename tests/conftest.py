"""Every test is without the proxies of the machine that it runs on."""

from __future__ import annotations

import os

import pytest

_VARIABLES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "REQUEST_METHOD")


@pytest.fixture(scope="session", autouse=True)
def without_proxies() -> None:
    """Remove the variables that name proxies: the clients read them, and tests call servers on loopback."""
    for name in _VARIABLES:
        os.environ.pop(name, None)
        os.environ.pop(name.lower(), None)
