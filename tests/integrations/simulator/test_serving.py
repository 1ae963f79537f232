"""The simulator as a server that stops, restarts, or fails."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Coroutine
from typing import Any

import anyio
import anyio.abc
import anyio.lowlevel
import pytest

from poeproto import Done, Error, Text
from poeproto_asgi import LifespanFailed, server
from poeproto_simulator import Canned, Simulator, simulator

from ...support.bots import KEY
from ...support.scripted_asgi import request

pytestmark = pytest.mark.anyio


async def test_a_simulator_serves_again_after_a_stop(caplog: pytest.LogCaptureFixture) -> None:
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
    assert not caplog.records, "it must not sync the settings of its bots: it fetches them itself"


@pytest.mark.parametrize("at_once", [True, False])
async def test_a_server_that_fails(at_once: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    dying = anyio.Event()

    async def serve(
        app: object, config: Any, *, shutdown_trigger: Callable[[], Coroutine[Any, Any, None]], mode: str
    ) -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(shutdown_trigger)
            if not at_once:
                await dying.wait()
            tasks.cancel_scope.cancel()
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    def hypercorn_serve(on_trio: bool) -> object:
        return serve

    monkeypatch.setattr(server, "load_hypercorn_serve", hypercorn_serve)
    ended = False
    with pytest.raises(OSError, match=os.strerror(errno.EMFILE)) as caught:
        async with Simulator().serving():
            dying.set()
            with anyio.fail_after(30):
                await anyio.sleep_forever()
            ended = True
    assert caught.value.errno == errno.EMFILE
    assert not ended


async def test_a_lifespan_that_fails_before_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    async def serve(app: object, *, bind: str, task_status: anyio.abc.TaskStatus[str]) -> None:
        task_status.started("http://127.0.0.1:9/")
        await anyio.lowlevel.checkpoint()
        raise LifespanFailed("the database cannot be used")

    monkeypatch.setattr(simulator, "serve", serve)
    with pytest.raises(LifespanFailed, match="the database cannot be used"):
        async with Simulator().serving():
            with anyio.fail_after(30):
                await anyio.sleep_forever()
