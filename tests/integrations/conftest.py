"""Every test here runs on asyncio and on trio, and none may hang."""

from __future__ import annotations

import functools
import inspect
import logging
import signal
from collections.abc import Awaitable, Callable, Generator
from typing import Any

import anyio
import pytest
from anyio.from_thread import BlockingPortal, start_blocking_portal

# No test asserts a time; this is for the one that would never end.
LONGEST_TEST_SECONDS = 30


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    """The event loop a test runs in; a module that cares for uvloop has a fixture of its own."""
    return request.param


@pytest.fixture(scope="session", autouse=True)
def interruptible() -> None:
    """Have processes end on SIGINT and SIGHUP: a process in the background inherits that it ignores them."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
        signal.signal(signal.SIGHUP, signal.SIG_DFL)


@pytest.fixture(autouse=True)
def logs_of_loop_watch() -> Generator[None]:
    """Drop them, but in the tests of the watch: on a busy machine any bot may seem to block the event loop."""

    def is_other(record: logging.LogRecord) -> bool:
        return record.module != "loop_watch"

    logger = logging.getLogger("poeproto")
    logger.addFilter(is_other)
    yield
    logger.removeFilter(is_other)


@pytest.fixture
def portal(anyio_backend: str) -> Generator[BlockingPortal]:
    """An event loop in another thread, for the servers of clients that block."""
    with start_blocking_portal(anyio_backend) as portal:
        yield portal


@pytest.fixture(autouse=True)
def deadline(request: pytest.FixtureRequest) -> None:
    """Fail a test that hangs, in the test's own task and so with a traceback that shows where."""
    test: Callable[..., Awaitable[None]] = request.node.obj
    if not inspect.iscoroutinefunction(test):
        return

    @functools.wraps(test)
    async def bounded(**arguments: Any) -> None:
        with anyio.fail_after(LONGEST_TEST_SECONDS):
            await test(**arguments)

    request.node.obj = bounded
