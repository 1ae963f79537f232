"""The application behind Hypercorn, over loopback sockets."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from poeproto import Context, Done, Error, Limits, QueryRequest, Text
from poeproto_asgi import BotApp, serve

from ...support.bots import FunctionBot
from ...support.hypercorn_servers import RefusedApp, app_of, on_each_event_loop, quick_config, serving
from ...support.raw_http import chunk, connect, fetch, http_request

pytestmark = [pytest.mark.anyio, on_each_event_loop]


async def echo(request: QueryRequest, context: Context) -> AsyncIterator[str]:
    yield request.query[-1].content


class WaitingBot:
    """A bot that says hello and waits to be cancelled; records its end and its cleanup."""

    def __init__(self) -> None:
        self.ended: list[str] = []
        self.closed: list[str] = []
        self._changed = anyio.Event()

    async def respond(self, request: QueryRequest, context: Context) -> AsyncIterator[str]:
        async def closer() -> None:
            await anyio.lowlevel.checkpoint()
            self.closed.append("closed")
            self._notify()

        context.on_close(closer)
        try:
            yield "hello"
            await anyio.sleep_forever()
        finally:
            self.ended.append("ended")
            self._notify()

    async def until_over(self, count: int = 1) -> None:
        while len(self.ended) < count or len(self.closed) < count:
            await self._changed.wait()

    def _notify(self) -> None:
        self._changed.set()
        self._changed = anyio.Event()


async def test_events_arrive_as_they_are_yielded() -> None:
    read = [anyio.Event(), anyio.Event()]

    async def bot(request: QueryRequest, context: Context) -> AsyncIterator[str]:
        yield "one"
        await read[0].wait()
        yield "two"
        yield "three"
        await read[1].wait()
        yield "four"

    async with serving(app_of(bot)) as address, connect(address) as connection:
        await connection.send(http_request())
        status, headers = await connection.read_head()
        assert status == 200
        assert headers["content-type"] == "text/event-stream; charset=utf-8"
        assert await connection.read_events() == [Text("one")]
        read[0].set()
        assert await connection.read_events(2) == [Text("two"), Text("three")]
        read[1].set()
        assert await connection.read_rest() == [Text("four"), Done()]


async def test_the_head_arrives_while_the_bot_is_silent() -> None:
    read = anyio.Event()

    async def bot(request: QueryRequest, context: Context) -> str:
        await read.wait()
        return "at last"

    async with serving(app_of(bot)) as address, connect(address) as connection:
        await connection.send(http_request())
        await connection.read_head()
        read.set()
        assert await connection.read_rest() == [Text("at last"), Done()]


async def test_heartbeats_arrive_while_the_bot_is_silent() -> None:
    read = anyio.Event()

    async def bot(request: QueryRequest, context: Context) -> str:
        await read.wait()
        return "at last"

    limits = Limits(heartbeat_seconds=0.01)
    async with serving(app_of(bot, limits)) as address, connect(address) as connection:
        await connection.send(http_request())
        await connection.read_head()
        assert await connection.read_chunk() == b": \n\n"
        assert await connection.read_chunk() == b": \n\n"
        read.set()
        assert await connection.read_rest() == [Text("at last"), Done()]


async def test_a_burst_arrives_whole_and_in_order() -> None:
    async def bot(request: QueryRequest, context: Context) -> AsyncIterator[str]:
        for number in range(3000):
            yield str(number)

    async with serving(app_of(bot)) as address:
        response = await fetch(address, http_request())
    assert response.events == [*(Text(str(number)) for number in range(3000)), Done()]


async def test_a_connection_is_used_again() -> None:
    async with serving(app_of(echo)) as address, connect(address) as connection:
        for number in range(3):
            await connection.send(http_request())
            response = await connection.read_response()
            assert response.events == [Text("hello"), Done()], number
        for body, status in ((b'{"type": "settings"}', 200), (b"[]", 400), (b'{"type": "dance"}', 501)):
            await connection.send(http_request(body))
            assert (await connection.read_response()).status == status
        await connection.send(http_request(b"", method="GET", key=None))
        assert (await connection.read_response()).status == 200


async def test_a_connection_that_is_not_to_be_used_again_is_closed() -> None:
    async with serving(app_of(echo)) as address:
        for body in (None, b'{"type": "settings"}', b"[]"):
            async with connect(address) as connection:
                await connection.send(http_request(body, headers=["Connection: close"]))
                await connection.read_response()
                assert await connection.read_to_end() == b""


async def test_an_idle_connection_is_closed_in_the_end() -> None:
    config = quick_config()
    config.keep_alive_timeout = 0.05
    async with serving(app_of(echo), config) as address, connect(address) as connection:
        await connection.send(http_request())
        assert (await connection.read_response()).status == 200
        assert await connection.read_to_end() == b""


async def test_the_index_page_and_its_head() -> None:
    async with serving(app_of(echo)) as address, connect(address) as connection:
        await connection.send(http_request(b"", method="GET", key=None))
        page = await connection.read_response()
        await connection.send(http_request(b"", method="HEAD", key=None))
        status, headers = await connection.read_head()
        assert (page.status, status) == (200, 200)
        assert int(headers["content-length"]) == len(page.body)
        # There was no body to read: the next response follows.
        await connection.send(http_request(b"", method="PUT"))
        refusal = await connection.read_response()
        assert (refusal.status, refusal.headers["allow"]) == (405, "GET, HEAD, POST")


async def test_a_disconnect_mid_stream_cancels_the_bot() -> None:
    bot = WaitingBot()
    async with serving(app_of(bot.respond)) as address:
        async with connect(address) as connection:
            await connection.send(http_request())
            await connection.read_head()
            assert await connection.read_events() == [Text("hello")]
        await bot.until_over()


async def test_many_clients_that_disconnect_at_once() -> None:
    bot = WaitingBot()

    async def come_and_go(address: str) -> None:
        async with connect(address) as connection:
            await connection.send(http_request())
            await connection.read_head()
            await connection.read_events()
            present.release()
            await leave.wait()

    present, leave = anyio.Semaphore(0), anyio.Event()
    async with serving(app_of(bot.respond)) as address:
        async with anyio.create_task_group() as tasks:
            for _ in range(20):
                tasks.start_soon(come_and_go, address)
            for _ in range(20):
                await present.acquire()
            assert bot.ended == []
            leave.set()
        await bot.until_over(20)
    assert (len(bot.ended), len(bot.closed)) == (20, 20)


async def test_a_client_that_does_not_read_holds_the_bot_back() -> None:
    made: list[int] = []
    ended = anyio.Event()

    async def bot(request: QueryRequest, context: Context) -> AsyncIterator[str]:
        try:
            for number in range(9000):
                made.append(number)
                yield "x" * 50_000
                await anyio.lowlevel.checkpoint()
        finally:
            ended.set()

    limits = Limits(text_length=10**9)
    async with serving(app_of(bot, limits)) as address:
        async with connect(address) as connection:
            await connection.send(http_request())
            await connection.read_head()
            seen = -1
            while len(made) != seen:
                seen = len(made)
                # Sockets' buffers fill in steps: only a bot that made nothing for a while is held back.
                await anyio.sleep(0.1)
            assert len(made) < 2000, "the system's buffers hold a few megabytes"
            assert not ended.is_set()
        await ended.wait()


async def test_a_body_that_grows_too_large_is_refused_while_it_arrives() -> None:
    async with serving(app_of(echo, Limits(request_body=1000))) as address, connect(address) as connection:
        await connection.send(http_request(chunked=True))
        for _ in range(4):
            await connection.send(chunk(b" " * 300))
        response = await connection.read_response()
        assert response.status == 413


async def test_a_body_that_is_declared_too_large_is_refused_before_it_arrives() -> None:
    async with serving(app_of(echo, Limits(request_body=1000))) as address, connect(address) as connection:
        await connection.send(http_request(b" " * 1001)[:-1001])
        assert (await connection.read_response()).status == 413


async def test_a_wrong_key_is_refused_with_a_large_body_in_flight() -> None:
    request = http_request(b" " * 1_000_000, key="Bearer wrong")
    async with serving(app_of(echo)) as address, connect(address) as connection:
        await connection.send(request[:200_000])
        response = await connection.read_response()
        assert response.status == 401
        assert response.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize(("key", "path"), [("Bearer wrong", "/"), (None, "/elsewhere")])
async def test_a_refusal_does_not_leave_a_connection_behind(key: str | None, path: str) -> None:
    # Many small parts at once: they fill the queue between the server and the application, which does not read them.
    async with serving(app_of(echo)) as address, connect(address) as connection:
        await connection.send(http_request(chunked=True, key=key, path=path) + chunk(b" ") * 1000)
        await connection.read_response()
        await connection.read_to_end()


async def test_a_chunked_body_is_read_to_its_end() -> None:
    body = http_request().partition(b"\r\n\r\n")[2]
    async with serving(app_of(echo)) as address, connect(address) as connection:
        await connection.send(http_request(chunked=True))
        for index in range(0, len(body), 20):
            await connection.send(chunk(body[index : index + 20]))
        await connection.send(b"0\r\n\r\n")
        assert (await connection.read_response()).events == [Text("hello"), Done()]


async def test_a_client_that_expects_100_continue_gets_it() -> None:
    request = http_request(headers=["Expect: 100-continue"])
    head, _, body = request.partition(b"\r\n\r\n")
    async with serving(app_of(echo)) as address, connect(address) as connection:
        await connection.send(head + b"\r\n\r\n")
        assert (await connection.read_head())[0] == 100
        await connection.send(body)
        assert (await connection.read_response()).events == [Text("hello"), Done()]


async def test_stopping_ends_open_streams_with_an_error_that_allows_a_retry() -> None:
    bot = WaitingBot()
    replies: list[list[Any]] = []
    async with anyio.create_task_group() as clients:

        async def read(address: str, started: anyio.Semaphore) -> None:
            async with connect(address) as connection:
                await connection.send(http_request())
                await connection.read_head()
                await connection.read_events()
                started.release()
                replies.append(await connection.read_rest())
                assert await connection.read_to_end() == b""

        async with serving(app_of(bot.respond)) as address:
            started = anyio.Semaphore(0)
            for _ in range(3):
                clients.start_soon(read, address, started)
            for _ in range(3):
                await started.acquire()
    assert len(replies) == 3
    for error, done in replies:
        assert isinstance(error, Error)
        assert error.allow_retry
        assert done == Done()
    assert (len(bot.ended), len(bot.closed)) == (3, 3)


async def test_stopping_does_not_wait_for_idle_connections() -> None:
    async with serving(app_of(echo), quick_config()) as address:
        connection = await anyio.connect_tcp("127.0.0.1", int(address.rstrip("/").rpartition(":")[2]))
        await fetch(address, http_request())  # connections are accepted in turn, so that one has been
    async with connection:
        with pytest.raises(anyio.EndOfStream):
            await connection.receive()


@pytest.mark.parametrize("seconds", [1e9, float("inf")])
async def test_a_client_may_be_given_any_time_to_read(seconds: float) -> None:
    async with serving(app_of(echo, limits=Limits(send_seconds=seconds))) as address:
        assert (await fetch(address, http_request())).status == 200


async def test_nothing_listens_afterwards() -> None:
    async with serving(app_of(echo)) as address:
        assert (await fetch(address, http_request())).status == 200
    with pytest.raises(OSError):
        await fetch(address, http_request())


@pytest.mark.parametrize("stage", ["startup", "shutdown"])
async def test_a_lifespan_that_raises_an_os_error(stage: str, caplog: pytest.LogCaptureFixture) -> None:
    app = RefusedApp(echo, stage)
    messages: list[str] = []

    async def run(*, task_status: anyio.abc.TaskStatus[str]) -> None:
        try:
            await serve(app, bind="127.0.0.1:0", task_status=task_status)
        except OSError as exc:
            messages.append(str(exc))

    async with anyio.create_task_group() as tasks:
        address = await tasks.start(run)
        if stage == "shutdown":
            assert (await fetch(address, http_request())).status == 200
            tasks.cancel_scope.cancel()
    assert messages == ["no space"]
    assert not caplog.records


async def test_a_socket_of_ones_own() -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]

    async def run(*, task_status: anyio.abc.TaskStatus[str]) -> None:
        await serve(app_of(echo), bind=listener, task_status=task_status)

    async with anyio.create_task_group() as tasks:
        address = await tasks.start(run)
        assert address == f"http://127.0.0.1:{port}/"
        assert (await fetch(address, http_request())).status == 200
        tasks.cancel_scope.cancel()


async def test_ipv6() -> None:
    if not socket.has_ipv6:
        pytest.skip("no IPv6 here")

    async def run(*, task_status: anyio.abc.TaskStatus[str]) -> None:
        await serve(app_of(echo), bind="[::1]:0", task_status=task_status)

    async with anyio.create_task_group() as tasks:
        address = await tasks.start(run)
        assert address.startswith("http://[::1]:")
        assert (await fetch(address, http_request())).status == 200
        tasks.cancel_scope.cancel()


@pytest.mark.parametrize("bind", ["", ":", "localhost", "localhost:", "localhost:http", "localhost:70000", "unix:"])
async def test_an_address_of_another_form(bind: str) -> None:
    with pytest.raises(ValueError, match="HOST:PORT"):
        await serve(app_of(echo), bind=bind)


async def test_an_address_that_is_in_use() -> None:
    async with serving(app_of(echo)) as address:
        bind = address.removeprefix("http://").rstrip("/")
        with pytest.raises(OSError, match=bind):
            await serve(app_of(echo), bind=bind)


async def test_a_worker_class_of_another_loop(anyio_backend_name: str) -> None:
    app = BotApp(FunctionBot(echo), allow_without_key=True)
    wrong = "asyncio" if anyio_backend_name == "trio" else "trio"
    with pytest.raises(RuntimeError, match="worker_class"):
        await serve(app, bind="127.0.0.1:0", worker_class=wrong)
