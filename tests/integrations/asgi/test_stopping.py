"""Hypercorn shuts down: queries that are incomplete then, and another server's replies."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager

import anyio
import anyio.abc
import pytest

from poeproto import Context, Done, Error, Event, QueryRequest, Text
from poeproto_asgi import BotApp, serve

from ...support.hypercorn_servers import app_of, on_each_event_loop, quick_config
from ...support.raw_http import Connection, connect, http_request

pytestmark = [pytest.mark.anyio, on_each_event_loop]


async def waits(request: QueryRequest, context: Context) -> AsyncIterator[str]:
    yield "hello"
    await anyio.sleep_forever()


@asynccontextmanager
async def with_long_grace(app: BotApp) -> AsyncGenerator[tuple[str, anyio.CancelScope]]:
    """The address of a server, and the scope that stops it; its graceful timeout is long."""
    scope = anyio.CancelScope()
    config = quick_config()
    config.graceful_timeout = 3600.0

    async def run(*, task_status: anyio.abc.TaskStatus[str]) -> None:
        with scope:
            await serve(app, bind="127.0.0.1:0", config=config, task_status=task_status)

    async with anyio.create_task_group() as tasks:
        yield await tasks.start(run), scope
        scope.cancel()


async def greeted(connection: Connection) -> None:
    await connection.send(http_request())
    await connection.read_head()
    assert await connection.read_events() == [Text("hello")]


def assert_retryable(events: list[Event]) -> None:
    error, done = events
    assert isinstance(error, Error)
    assert error.allow_retry
    assert done == Done()


async def test_a_query_that_is_complete_only_after_the_stop_began() -> None:
    request = http_request(headers=["Connection: close"])
    async with (
        with_long_grace(app_of(waits)) as (address, scope),
        connect(address) as late,
        connect(address) as open_reply,
    ):
        await late.send(request[:-5])
        await greeted(open_reply)
        scope.cancel()
        assert_retryable(await open_reply.read_rest())
        await late.send(request[-5:])
        assert_retryable((await late.read_response()).events)


async def test_one_of_two_servers_of_an_application() -> None:
    """The other keeps its active replies, and accepts new queries."""
    app = app_of(waits)
    async with (
        with_long_grace(app) as (one, stop_one),
        with_long_grace(app) as (two, stop_two),
        connect(one) as of_one,
        connect(two) as of_two,
        connect(two) as later,
    ):
        await greeted(of_one)
        await greeted(of_two)
        stop_one.cancel()
        assert_retryable(await of_one.read_rest())
        await greeted(later)
        stop_two.cancel()
        for connection in (of_two, later):
            assert_retryable(await connection.read_rest())


async def test_all_servers_of_an_application_are_stopped_from_another_thread() -> None:
    app = app_of(waits)
    async with (
        with_long_grace(app) as (one, _),
        with_long_grace(app) as (two, _),
        connect(one) as of_one,
        connect(two) as of_two,
    ):
        for connection in (of_one, of_two):
            await greeted(connection)
        await anyio.to_thread.run_sync(app.stop_streams)
        for connection in (of_one, of_two):
            assert_retryable(await connection.read_rest())
