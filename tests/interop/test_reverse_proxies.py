"""Reverse proxies in front of our servers, configured as docs/howto/reverse_proxy.md says."""

from __future__ import annotations

import re
import shutil
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import anyio
import anyio.abc
import pytest
from hypercorn.config import Config

from poeproto import Context, Done, Limits, QueryRequest, Text
from poeproto_asgi import BotApp
from poeproto_h11 import ServerLimits
from poeproto_runtime import Observation

from ..support import embedded_servers, hypercorn_servers, raw_http, reverse_proxies
from ..support.bots import KEY, FunctionBot, Respond, events_in, query_body
from ..support.curl_process import curl, read_rest, read_until
from ..support.hypercorn_servers import app_of
from ..support.raw_http import Connection, chunk, http_request
from ..support.reverse_proxies import Proxy
from ..support.tls_peer import Certificate, certificate

__all__ = ["certificate"]

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed"),
]

HEARTBEAT = b": \n\n"
LARGE = 5_000_000  # characters of a message

Serving = Callable[[BotApp], AbstractAsyncContextManager[object]]


@pytest.fixture
def anyio_backend() -> str:
    """One event loop suffices: a proxy does not depend on the server's."""
    return "asyncio"


@pytest.fixture(params=reverse_proxies.KINDS, scope="module")
def proxy(
    request: pytest.FixtureRequest, certificate: Certificate, tmp_path_factory: pytest.TempPathFactory
) -> Generator[Proxy]:
    with reverse_proxies.running(request.param, tmp_path_factory.mktemp(request.param), certificate) as proxy:
        yield proxy


@pytest.fixture(params=reverse_proxies.KINDS)
def quick_proxy(request: pytest.FixtureRequest, certificate: Certificate, tmp_path: Path) -> Generator[Proxy]:
    """A proxy whose timeouts a test can wait for."""
    with reverse_proxies.running(request.param, tmp_path, certificate, is_quick=True) as proxy:
        yield proxy


@pytest.fixture(params=["hypercorn", "embedded"])
def serving(request: pytest.FixtureRequest, proxy: Proxy) -> Serving:
    """Runs a server with an application where the proxy expects it."""

    def serve(app: BotApp) -> AbstractAsyncContextManager[object]:
        module = hypercorn_servers if request.param == "hypercorn" else embedded_servers
        return module.serving(app, bind=proxy.upstream.listen())

    return serve


class SteppingBot:
    """Yields "one", and "two" as soon as the test has read that. Says whether it has ended."""

    def __init__(self) -> None:
        self.read = anyio.Event()
        self.ended = anyio.Event()

    async def respond(self, request: QueryRequest, context: Context) -> AsyncIterator[str]:
        try:
            yield "one"
            await self.read.wait()
            yield "two"
        finally:
            self.ended.set()


async def echo(request: QueryRequest, context: Context) -> AsyncIterator[str]:
    yield request.query[-1].content


async def count(request: QueryRequest, context: Context) -> AsyncIterator[str]:
    yield str(len(request.query[-1].content))


def observed(respond: Respond, on_start: Callable[[Observation], object]) -> BotApp:
    return BotApp(FunctionBot(respond), access_key=KEY, on_start=on_start)


@asynccontextmanager
async def connect(proxy: Proxy) -> AsyncGenerator[Connection]:
    """A connection to the proxy, with HTTP/1.1."""
    context = proxy.certificate.trusting_client()
    # A peer that resets the connection says less than TLS wants, and no less than these tests do.
    context.options |= ssl.OP_IGNORE_UNEXPECTED_EOF
    stream = await anyio.connect_tcp("127.0.0.1", proxy.port, ssl_context=context, tls_standard_compatible=False)
    async with stream:
        yield Connection(stream)


def over_http2(proxy: Proxy, body: bytes | None = None) -> AbstractAsyncContextManager[anyio.abc.Process]:
    """curl, which sends a query with HTTP/2 and prints the version at the end."""
    options = ["--http2", "--cacert", str(proxy.certificate.file), "--write-out", "%{http_version}"]
    return curl(proxy.address, *options, body=body)


class TestHttp1:
    async def test_events_arrive_as_they_are_yielded(self, proxy: Proxy, serving: Serving) -> None:
        bot = SteppingBot()
        async with serving(app_of(bot.respond)), connect(proxy) as connection:
            await connection.send(http_request())
            assert (await connection.read_head())[0] == 200
            assert await connection.read_events() == [Text("one")]
            bot.read.set()
            assert await connection.read_rest() == [Text("two"), Done()]

    async def test_heartbeats_pass(self, proxy: Proxy, serving: Serving) -> None:
        bot = SteppingBot()
        async with serving(app_of(bot.respond, Limits(heartbeat_seconds=0.01))), connect(proxy) as connection:
            await connection.send(http_request())
            await connection.read_head()
            assert await connection.read_events() == [Text("one")]
            for _ in range(3):
                assert (await connection.read_chunk()).startswith(HEARTBEAT)
            bot.read.set()
            assert await connection.read_rest() == [Text("two"), Done()]

    async def test_a_client_that_disconnects_ends_the_bot(self, proxy: Proxy, serving: Serving) -> None:
        bot = SteppingBot()
        async with serving(app_of(bot.respond)):
            async with connect(proxy) as connection:
                await connection.send(http_request())
                await connection.read_head()
                assert await connection.read_events() == [Text("one")]
            await bot.ended.wait()

    async def test_large_bodies_pass(self, proxy: Proxy, serving: Serving) -> None:
        body = query_body("a" * LARGE)
        parts = [chunk(data) for data in (body[:100_000], body[100_000:], b"")]
        async with serving(app_of(count)), connect(proxy) as connection:
            for request in (http_request(body), http_request(chunked=True) + b"".join(parts)):
                await connection.send(request)
                assert (await connection.read_response()).events == [Text(str(LARGE)), Done()]

    async def test_the_last_request_of_a_connection(self, proxy: Proxy, serving: Serving) -> None:
        # Some clients send an empty line after a body. Hypercorn alone answers it with 400, and not the request.
        async with serving(app_of(echo)):
            for stray in (b"", b"\r\n"):
                async with connect(proxy) as connection:
                    await connection.send(http_request(headers=["Connection: close"]) + stray)
                    assert (await connection.read_head())[0] == 200
                    assert await connection.read_rest() == [Text("hello"), Done()]
                    assert await connection.read_to_end() == b""

    async def test_connections_to_the_server_are_used_again(self, proxy: Proxy, serving: Serving) -> None:
        clients: set[object] = set()

        def on_start(observation: Observation) -> None:
            clients.add(observation.http_request.client)

        async with serving(observed(echo, on_start)), connect(proxy) as connection:
            for _ in range(3):
                await connection.send(http_request())
                assert (await connection.read_response()).events == [Text("hello"), Done()]
        assert len(clients) == 1
        assert clients != {None}

    async def test_two_lengths_never_reach_the_server(self, proxy: Proxy, serving: Serving) -> None:
        """A request with Content-Length and Transfer-Encoding is refused or arrives with one of them."""
        heads: list[list[bytes]] = []

        def on_start(observation: Observation) -> None:
            heads.append([name for name, _ in observation.http_request.headers])

        length = f"Content-Length: {len(query_body())}"
        request = http_request(headers=[length], chunked=True) + chunk(query_body()) + chunk(b"")
        async with serving(observed(echo, on_start)), connect(proxy) as connection:
            await connection.send(request)
            answer = await connection.read_response()
            assert answer.status == (400 if proxy.name == "nginx" else 200)
        assert len(heads) == (0 if proxy.name == "nginx" else 1)
        assert all((b"content-length" in names) != (b"transfer-encoding" in names) for names in heads)


class TestHttp2:
    async def test_events_arrive_as_they_are_yielded(self, proxy: Proxy, serving: Serving) -> None:
        bot = SteppingBot()
        async with serving(app_of(bot.respond)), over_http2(proxy) as process:
            assert events_in(await read_until(process, b"\n\n")) == [Text("one")]
            bot.read.set()
            printed = await read_rest(process)
            assert events_in(printed.removesuffix(b"2")) == [Text("two"), Done()]
            assert printed.endswith(b"2")

    async def test_heartbeats_pass(self, proxy: Proxy, serving: Serving) -> None:
        bot = SteppingBot()
        async with serving(app_of(bot.respond, Limits(heartbeat_seconds=0.01))), over_http2(proxy) as process:
            await read_until(process, HEARTBEAT)
            await read_until(process, HEARTBEAT)
            bot.read.set()
            assert (await read_rest(process)).endswith(b"2")

    async def test_a_client_that_disconnects_ends_the_bot(self, proxy: Proxy, serving: Serving) -> None:
        bot = SteppingBot()
        async with serving(app_of(bot.respond)):
            async with over_http2(proxy) as process:
                await read_until(process, b"\n\n")
                process.terminate()
            await bot.ended.wait()

    async def test_large_bodies_pass(self, proxy: Proxy, serving: Serving, tmp_path: Path) -> None:
        (tmp_path / "body").write_bytes(query_body("a" * LARGE))
        file = f"@{tmp_path}/body".encode()  # more than fits into a command line
        async with serving(app_of(count)), over_http2(proxy, file) as process:
            printed = await read_rest(process)
            assert events_in(printed.removesuffix(b"2")) == [Text(str(LARGE)), Done()]


async def test_while_the_server_is_down(quick_proxy: Proxy) -> None:
    async with connect(quick_proxy) as connection:
        await connection.send(http_request())
        assert (await connection.read_head())[0] == (503 if quick_proxy.name == "haproxy" else 502)


async def test_a_body_that_stops_halfway(quick_proxy: Proxy) -> None:
    """The proxy ends it, as docs/security.md says, and before that the bots' server does not see it, except Caddy's."""
    started = anyio.Event()
    app = observed(echo, lambda observation: started.set())
    async with hypercorn_servers.serving(app, bind=quick_proxy.upstream.listen()), connect(quick_proxy) as connection:
        await connection.send(http_request()[:-10])
        if quick_proxy.name == "caddy":
            await started.wait()
        answer = await connection.read_to_end()
        assert (b" 408 " in answer) == (quick_proxy.name == "haproxy")
        assert started.is_set() == (quick_proxy.name == "caddy")


async def test_a_body_that_arrives_in_drops_behind_nginx(certificate: Certificate, tmp_path: Path) -> None:
    """Hypercorn waits for it for ever. nginx buffers it, however long it takes, and forwards it when it is complete."""
    started: list[str] = []
    app = observed(echo, lambda observation: started.append(observation.http_request.method))
    with reverse_proxies.running("nginx", tmp_path, certificate) as proxy:
        request = http_request()
        async with (
            hypercorn_servers.serving(app, bind=proxy.upstream.listen()),
            connect(proxy) as slow,
            connect(proxy) as other,
        ):
            await slow.send(request[:-6])
            for drop in (request[-6:-4], request[-4:-2]):
                await slow.send(drop)
                # By now nginx has forwarded all that it forwards.
                await other.send(http_request(b"", method="GET"))
                assert (await other.read_response()).status == 200
            assert started == ["GET", "GET"]
            await slow.send(request[-2:])
            assert (await slow.read_response()).events == [Text("hello"), Done()]
            assert started == ["GET", "GET", "POST"]


async def test_a_reply_that_the_server_breaks_off(proxy: Proxy) -> None:
    """The client must not report it as a complete reply."""
    lines = [
        "HTTP/1.1 200 OK",
        "Content-Type: text/event-stream",
        "X-Accel-Buffering: no",
        "Transfer-Encoding: chunked",
    ]
    head = "\r\n".join([*lines, "", ""]).encode()

    async def break_off(stream: anyio.abc.SocketStream) -> None:
        async with stream:
            await stream.receive()
            await stream.send(head + chunk(b'event: text\ndata: {"text":"one"}\n\n'))
            await stop.wait()

    stop = anyio.Event()
    with proxy.upstream.listen() as listener:
        listener.setblocking(False)
        async with await anyio.abc.SocketListener.from_socket(listener) as server, anyio.create_task_group() as tasks:
            tasks.start_soon(server.serve, break_off)
            async with connect(proxy) as connection:
                await connection.send(http_request(headers=["Connection: close"]))
                await connection.read_head()
                assert await connection.read_events() == [Text("one")]
                stop.set()
                rest = await connection.read_to_end()
                # Caddy 2.6 ends the response in order, so that only the missing `done` shows it.
                assert not rest.endswith(b"0\r\n\r\n") or (proxy.name == "caddy" and b"done" not in rest)
            tasks.cancel_scope.cancel()


async def test_behaviour_of_hypercorn_alone() -> None:
    """Why docs/security.md wants a proxy. Where this fails, Hypercorn has improved, and the page can say less."""
    async with hypercorn_servers.serving(app_of(echo)) as address:
        stray = http_request(headers=["Connection: close"]) + b"\r\n"
        assert (await raw_http.fetch(address, stray)).status == 400


def test_the_lines_of_the_security_page_are_those_that_are_tested() -> None:
    page = (reverse_proxies.PAGE.parents[1] / "security.md").read_text(encoding="utf-8")
    [rest] = re.findall(r"these\s+lines\s+do\s+that:(.*?)\n\n", page, re.DOTALL)
    named = re.findall(r"`(\w+)`", rest)
    tested = [line.strip().partition(" ")[0] for line in reverse_proxies.configuration("nginx").splitlines()]
    assert named
    assert set(named) <= set(tested)


@pytest.mark.parametrize(("language", "line"), [("nginx", "keepalive_timeout 4s"), ("caddyfile", "keepalive 4s")])
def test_the_proxy_closes_an_idle_connection_before_the_server_does(language: str, line: str) -> None:
    assert line in reverse_proxies.configuration(language)
    assert min(Config().keep_alive_timeout, ServerLimits().idle_seconds) > 4
