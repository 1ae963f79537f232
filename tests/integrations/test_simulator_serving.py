"""The simulator as a server that dies."""

from __future__ import annotations

import errno
import os
from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import pytest

from poeproto_asgi import serving
from poeproto_simulator import Simulator

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("at_once", [True, False])
async def test_a_server_that_dies(at_once: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    dying = anyio.Event()

    async def serve(app: object, config: Any, *, shutdown_trigger: Callable[[], Awaitable[None]], mode: str) -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(shutdown_trigger)
            if not at_once:
                await dying.wait()
            tasks.cancel_scope.cancel()
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    monkeypatch.setattr(serving, "_hypercorn_serve", lambda on_trio: serve)
    ended = False
    with pytest.raises(OSError, match=os.strerror(errno.EMFILE)) as caught:
        async with Simulator().serving():
            dying.set()
            with anyio.fail_after(30):
                await anyio.sleep_forever()
            ended = True
    assert caught.value.errno == errno.EMFILE
    assert not ended
