"""Test runs within a test: each writes a suite of its own, and runs it in this process."""

from __future__ import annotations

from collections.abc import Callable

import pytest

Run = Callable[..., pytest.RunResult]

HEAD = """
import pytest

from poeproto import *
from poeproto_pytest import *
from poeproto_simulator import Canned, Echo, Scripted

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend():
    return {backend!r}

"""


@pytest.fixture
def run(pytester: pytest.Pytester, anyio_backend: str) -> Run:
    """Runs a module of tests, on the event loop of this test."""

    def run(code: str, *arguments: str) -> pytest.RunResult:
        pytester.makepyfile(test_bot=HEAD.format(backend=anyio_backend) + code)
        return pytester.runpytest_inprocess("-p", "no:asyncio", "-p", "no:trio", "-p", "no:cacheprovider", *arguments)

    return run
