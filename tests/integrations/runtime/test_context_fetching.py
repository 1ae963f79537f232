"""Files that the context fetches, and above all those that it does not."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Generator
from contextlib import ExitStack, contextmanager
from typing import Any

import anyio
import pytest

from poeproto import (
    Attachment,
    AttachmentExpired,
    ConnectFailed,
    Context,
    Done,
    FetchForbidden,
    LimitExceeded,
    Limits,
    QueryRequest,
    RemoteProtocolError,
    RequestRefused,
    RetryPolicy,
    Text,
)
from poeproto_h11 import Timeouts
from poeproto_runtime import FetchPolicy
from poeproto_runtime.client.urls import split_url
from poeproto_runtime.fetch_policy import check_address

from ...support.bots import KEY
from ...support.calling_bots import CallingBot, calling
from ...support.scripted_peer import Script, answering, response, scripted

pytestmark = pytest.mark.anyio


def fetching(seen: list[Any], url: str, **more: Any) -> Any:
    async def bot(request: QueryRequest, context: Context) -> AsyncIterator[str]:
        try:
            seen.append(await context.fetch_attachment(url, **more))
        except Exception as exc:  # noqa: BLE001 - what it is, is what the test is about
            seen.append(exc)
        yield "over"

    return bot


async def fetched(
    *scripts: Script, path: str = "a.pdf", allowed: bool = True, limits: Limits | None = None, **more: Any
) -> Any:
    """The result of fetching from a server that follows these scripts."""
    seen: list[Any] = []
    async with scripted(*scripts) as files:
        policy = FetchPolicy(origins=[files.address.rstrip("/")]) if allowed else FetchPolicy()
        bot = CallingBot(fetching(seen, files.address + path, **more))
        async with calling(bot, answering(b""), fetch_policy=policy, limits=limits) as served:
            assert await served.answer() == [Text("over"), Done()]
        await files.until_closed(files.connections)
        for request in files.requests:
            assert request.line == f"GET /{path} HTTP/1.1"
            assert not request.all("authorization")
            assert not request.all("cookie")
            assert request.all("accept-encoding") == ["identity"]
            assert KEY not in str(request)
    [result] = seen
    return result


async def test_an_attachment_is_fetched() -> None:
    assert await fetched(answering(response(200, b"%PDF")), path="a%20b.pdf?sig=1") == b"%PDF"


async def test_an_attachment_as_it_came() -> None:
    async def bot(request: QueryRequest, context: Context) -> AsyncIterator[str]:
        attachment = Attachment(files.address, "text/plain", "a.txt")
        yield (await context.fetch_attachment(attachment)).decode()

    async with scripted(answering(response(200, b"content"))) as files:
        policy = FetchPolicy(origins=[files.address])
        async with calling(CallingBot(bot), answering(b""), fetch_policy=policy) as served:
            assert await served.answer() == [Text("content"), Done()]
        await files.until_closed(1)


@pytest.mark.parametrize("status", [403, 404, 410])
async def test_an_attachment_that_has_expired(status: int) -> None:
    error = await fetched(answering(response(status, b"expired")), path="a?signature=5")
    assert isinstance(error, AttachmentExpired)
    assert (error.status, error.body_start) == (status, b"expired")
    assert "signature" not in str(error)


async def test_no_redirect_is_followed() -> None:
    error = await fetched(answering(response(302, b"", "Location: http://127.0.0.1:1/")))
    assert type(error) is RequestRefused
    assert error.status == 302


async def test_other_refusals() -> None:
    error = await fetched(answering(response(500, b"")))
    assert type(error) is RequestRefused


@pytest.mark.parametrize("more", [{"max_size": 5}, {"limits": Limits(file_size=5)}])
async def test_a_bound_on_the_size(more: dict[str, Any]) -> None:
    error = await fetched(answering(response(200, b"123456")), **more)
    assert isinstance(error, LimitExceeded)
    assert error.limit == "file_size"
    assert "larger than the 5 bytes" in str(error)
    assert await fetched(answering(response(200, b"12345")), **more) == b"12345"


async def test_a_compressed_attachment_is_refused() -> None:
    error = await fetched(answering(response(200, b"\x1f\x8b", "Content-Encoding: gzip")))
    assert isinstance(error, RemoteProtocolError)
    assert "compressed ('gzip')" in str(error)


async def test_nothing_is_fetched_without_a_policy() -> None:
    seen: list[Any] = []
    bot = CallingBot(fetching(seen, "https://files.invalid/a"))
    async with calling(bot, answering(b"")) as served:
        await served.answer()
    assert isinstance(seen[0], FetchForbidden)
    assert "FetchPolicy" in str(seen[0])


async def test_only_https() -> None:
    error = await fetched(answering(response(200, b"secret")), allowed=False)
    assert isinstance(error, FetchForbidden)
    assert "only https" in str(error)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "0.0.0.0", "2130706433", "[::ffff:127.0.0.1]"])
async def test_no_address_of_this_machine(host: str) -> None:
    seen: list[Any] = []
    bot = CallingBot(fetching(seen, f"https://{host}/"))
    async with calling(bot, answering(b""), fetch_policy=FetchPolicy()) as served:
        await served.answer()
    assert isinstance(seen[0], FetchForbidden), seen
    assert "not public" in str(seen[0])


@pytest.mark.parametrize(
    "address",
    [
        "0.0.0.0", "10.1.2.3", "100.64.0.1", "127.0.0.1", "127.255.255.254", "169.254.169.254", "172.16.0.1",
        "172.31.255.255", "192.0.0.1", "192.0.2.1", "192.168.0.1", "198.18.0.1", "198.51.100.1", "203.0.113.1",
        "224.0.0.1", "239.255.255.250", "240.0.0.1", "255.255.255.255",
        "::", "::1", "fe80::1", "fe80::1%1", "fc00::1", "fd12::1", "fec0::1", "ff02::1", "2001:db8::1", "100::1",
        "::ffff:127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::7f00:1", "64:ff9b::a00:1", "64:ff9b:1::1", "2002:7f00:1::",
        "2002:808:808::", "2001:0:808:808::1", "::127.0.0.1", "4000::1",
        "192.0.0.8", "192.0.0.192", "192.0.0.255", "192.88.99.1", "168.63.129.16", "3fff::1", "3fff:fff::1",
        "2606:4700::5efe:7f00:1", "2606:4700::200:5efe:7f00:1", "::ffff:168.63.129.16", "64:ff9b::a83f:8110",
    ],
)  # fmt: skip
def test_addresses_that_are_not_public(address: str) -> None:
    with pytest.raises(FetchForbidden):
        check_address(address)


@pytest.mark.parametrize(
    "address",
    [
        "8.8.8.8",
        "1.1.1.1",
        "2606:4700::1111",
        "2a00:1450:4001::1",
        "::ffff:8.8.8.8",
        "64:ff9b::808:808",
        "192.0.1.1",
        "192.88.98.1",
        "168.63.129.17",
        "2606:4700::5eff:7f00:1",
    ],
)
def test_addresses_that_are_public(address: str) -> None:
    check_address(address)


async def test_the_address_that_was_checked_is_the_one_connected_to(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that resolves to another address the second time does not bypass the check."""
    connected: list[str] = []
    answers = [["93.184.215.14", "2606:2800::1"], ["127.0.0.1"]]

    async def getaddrinfo(host: str, port: int, **more: Any) -> list[Any]:
        assert host == "files.example"
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in answers.pop(0)]

    async def connect_tcp(host: str, port: int, **more: Any) -> Any:
        connected.append(host)
        raise ConnectionRefusedError

    monkeypatch.setattr(anyio, "getaddrinfo", getaddrinfo)
    monkeypatch.setattr(anyio, "connect_tcp", connect_tcp)
    for expected in (ConnectFailed, FetchForbidden):
        seen: list[Any] = []
        bot = CallingBot(fetching(seen, "https://files.example/a"))
        once = RetryPolicy(attempts=1)
        async with calling(bot, answering(b""), fetch_policy=FetchPolicy(), retry=once) as served:
            await served.answer()
        assert type(seen[0]) is expected
    assert connected == ["93.184.215.14", "2606:2800::1"]


def resolving_to(*addresses: str) -> Any:
    async def getaddrinfo(host: str, port: int, **more: Any) -> list[Any]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in addresses]

    return getaddrinfo


@contextmanager
def swallowing(address: str, port: int) -> Generator[None]:
    """An address that neither accepts connections nor rejects them: its listen queue is full."""
    with ExitStack() as stack:
        full = stack.enter_context(socket.socket())
        full.bind((address, port))
        full.listen(0)
        for _ in range(2):  # Linux queues one more than the backlog
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex((address, port))
        yield


async def test_an_address_that_never_answers_leaves_time_for_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(anyio, "getaddrinfo", resolving_to("127.0.0.2", "127.0.0.1"))
    seen: list[Any] = []
    more: Any = {"timeouts": Timeouts(connect=2), "retry": RetryPolicy(attempts=1)}
    async with scripted(answering(response(200, b"content"))) as files:
        port = int(files.address.rstrip("/").rpartition(":")[2])
        origin = f"http://files.example:{port}"
        bot = CallingBot(fetching(seen, f"{origin}/a"))
        with swallowing("127.0.0.2", port):
            async with calling(bot, answering(b""), fetch_policy=FetchPolicy(origins=[origin]), **more) as served:
                await served.answer()
        await files.until_closed(files.connections)
    assert seen == [b"content"]


async def test_a_name_without_an_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(anyio, "getaddrinfo", resolving_to())
    seen: list[Any] = []
    bot = CallingBot(fetching(seen, "https://files.example/a"))
    once = RetryPolicy(attempts=1)
    async with calling(bot, answering(b""), fetch_policy=FetchPolicy(), retry=once) as served:
        await served.answer()
    assert type(seen[0]) is ConnectFailed
    assert str(seen[0]).endswith("the name has no address")


async def test_a_name_with_one_private_address_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    async def getaddrinfo(host: str, port: int, **more: Any) -> list[Any]:
        return [(0, 0, 0, "", (address, port)) for address in ("93.184.215.14", "10.0.0.1")]

    monkeypatch.setattr(anyio, "getaddrinfo", getaddrinfo)
    seen: list[Any] = []
    async with calling(
        CallingBot(fetching(seen, "https://files.example/a")), answering(b""), fetch_policy=FetchPolicy()
    ) as served:
        await served.answer()
    assert isinstance(seen[0], FetchForbidden)


@pytest.mark.parametrize(
    "origin",
    [
        "", "files.example", "https://", "https://files.example/a", "ftp://a", "https://user:pass@a", "https://a?b",
        "http://[bad", "http://a:b", "http://a:65536", "https://a#b", "https://a?",
    ],
)  # fmt: skip
def test_values_that_are_not_origins(origin: str) -> None:
    with pytest.raises(ValueError, match="is not an origin"):
        FetchPolicy(origins=[origin])


def test_origins_are_several() -> None:
    with pytest.raises(TypeError, match="must be a list of origins, not a string"):
        FetchPolicy(origins="https://a")


@pytest.mark.parametrize(
    ("listed", "kept"),
    [
        ("HTTP://LOCALHOST:8000/", "http://localhost:8000"),
        ("http://127.0.0.1:80", "http://127.0.0.1"),
        ("https://a:443", "https://a"),
        ("https://a:", "https://a"),
        ("http://a:443", "http://a:443"),
        ("http://[::1]:80", "http://[::1]"),
        ("http://[FD00::1]:8000", "http://[fd00::1]:8000"),
    ],
)
def test_an_origin_is_kept_as_a_url_has_it(listed: str, kept: str) -> None:
    policy = FetchPolicy(origins=[listed])
    assert policy.origins == {kept}
    assert policy.check_origin("http", str(split_url(f"{listed.rstrip('/')}/a")[0]))


@pytest.mark.parametrize("listed", ["http://127.0.0.1:1", "https://127.0.0.1:{port}", "http://localhost:{port}"])
async def test_an_origin_is_allowed_exactly(listed: str) -> None:
    seen: list[Any] = []
    async with scripted(answering(response(200, b"secret"))) as files:
        port = files.address.rstrip("/").rpartition(":")[2]
        policy = FetchPolicy(origins=[listed.replace("{port}", port)])
        bot = CallingBot(fetching(seen, files.address))
        async with calling(bot, answering(b""), fetch_policy=policy) as served:
            await served.answer()
        assert files.connections == 0
    assert isinstance(seen[0], FetchForbidden)
