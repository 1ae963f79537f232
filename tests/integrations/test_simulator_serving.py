"""The simulator as a server that stops, begins anew, or dies."""

from __future__ import annotations

import errno
import os
from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from poeproto import Done, Error, Text
from poeproto_asgi import serving
from poeproto_simulator import Canned, Simulator

from .bots import KEY
from .scripted_asgi import request

pytestmark = pytest.mark.anyio


async def test_it_serves_again_after_it_was_told_to_stop(caplog: pytest.LogCaptureFixture) -> None:
    simulator = Simulator()
    simulator.register("Cat", Canned("Meow"), access_key=KEY)
    for _ in range(2):
        async with simulator.lifespan():
            assert (await request(simulator, path="/bot/Cat")).events == [Text("Meow"), Done()]
            simulator.stop_streams()
            await anyio.lowlevel.checkpoint()
            error, done = (await request(simulator, path="/bot/Cat")).events
            assert isinstance(error, Error)
            assert error.allow_retry
            assert done == Done()
    assert not caplog.records, "nobody is to be told the settings of its bots but itself, which asks for them"


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
