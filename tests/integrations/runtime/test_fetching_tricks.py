"""URLs that users bring to have a server reach where they cannot: each is refused, and no socket connects.

Names are resolved by the test, numbers by the system without a network; whatever connects is noted and refused.
"""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from typing import Any

import pytest

from poeproto import (
    ConnectFailed,
    Context,
    FetchForbidden,
    Limits,
    LocalProtocolError,
    QueryRequest,
    RequestHead,
    RequestRefused,
    RetryPolicy,
)
from poeproto_runtime import FetchPolicy
from poeproto_simulator.responses import HTTPError
from poeproto_simulator.uploads import Fetcher

from ...support.bots import BEARER, FunctionBot
from ...support.calling_bots import service_of
from ...support.memory_channel import MemoryChannel
from ...support.scripted_peer import answering, response, scripted

pytestmark = pytest.mark.anyio

PUBLIC = "93.184.215.14"

# The addresses that names resolve to, each time they are resolved; the last answer stays.
NAMES = {
    "localhost": [["127.0.0.1", "::1"]],
    "good.example": [[PUBLIC]],
    "inside.example": [["10.0.0.5"]],
    "inside6.example": [["fd00::5"]],
    "metadata.example": [["169.254.169.254"]],
    "127.0.0.1.sslip.example": [["127.0.0.1"]],
    "mixed.example": [[PUBLIC, "127.0.0.1"]],
    "mixed6.example": [[PUBLIC, "::ffff:10.0.0.1"]],
    "rebinding.example": [[PUBLIC], ["127.0.0.1"]],
}


class Network:
    """The names that were resolved, and the addresses that were connected to."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.asked: list[str] = []
        self.connected: list[str] = []
        self._names = {name: list(answers) for name, answers in NAMES.items()}
        self._system = socket.getaddrinfo
        monkeypatch.setattr(socket, "getaddrinfo", self.getaddrinfo)

        def connect(_: socket.socket, address: tuple[Any, ...]) -> None:
            self.connected.append(address[0])
            raise ConnectionRefusedError("nothing leaves this test")

        monkeypatch.setattr(socket.socket, "connect", connect)
        monkeypatch.setattr(socket.socket, "connect_ex", connect)

    def getaddrinfo(self, host: Any, port: Any, family: int = 0, type: int = 0, proto: int = 0, flags: int = 0) -> Any:
        name = (host.decode() if isinstance(host, bytes) else host or "").lower().rstrip(".")
        answers = self._names.get(name)
        if answers is None or flags & socket.AI_NUMERICHOST:
            return self._system(host, port, family, type, proto, flags | socket.AI_NUMERICHOST)
        self.asked.append(name)
        found = answers.pop(0) if len(answers) > 1 else answers[0]
        return [entry for address in found for entry in self._system(address, port, family, type, proto, flags)]


@pytest.fixture
def network(monkeypatch: pytest.MonkeyPatch) -> Network:
    return Network(monkeypatch)


async def outcome(url: str, policy: FetchPolicy | None = None) -> Any:
    """The result or the error of `Context.fetch_attachment`."""
    seen: list[Any] = []

    async def bot(request: QueryRequest, context: Context) -> AsyncIterator[str]:
        try:
            seen.append(await context.fetch_attachment(url))
        except Exception as exc:  # noqa: BLE001 - what it is, is what the test is about
            seen.append(exc)
        yield "over"

    once = RetryPolicy(attempts=1)
    service = service_of(FunctionBot(bot), "http://poe.invalid", fetch_policy=policy or FetchPolicy(), retry=once)
    async with service.running():
        await service.handle(RequestHead("POST", "/", [("authorization", BEARER)]), "/", MemoryChannel())
    [result] = seen
    return result


NOT_PUBLIC = [
    # an IPv4 address, spelled in every way that systems understand
    "https://127.0.0.1/", "https://127.1/", "https://127.0.1/", "https://2130706433/", "https://0x7f000001/",
    "https://0x7f.0x0.0x0.0x1/", "https://0X7F.1/", "https://017700000001/", "https://0177.0.0.01/", "https://0/",
    "https://0.0.0.0/", "https://127.255.255.254/", "https://2852039166/", "https://0xA9FEA9FE/",
    # other addresses that are reserved or not public
    "https://10.0.0.1/", "https://172.16.0.1/", "https://172.31.255.254/", "https://192.168.0.1/",
    "https://169.254.169.254/latest/meta-data/", "https://100.64.0.1/", "https://100.127.255.254/",
    "https://198.18.0.1/", "https://192.0.0.170/", "https://192.0.2.1/", "https://198.51.100.1/",
    "https://203.0.113.1/", "https://192.88.99.1/", "https://224.0.0.1/", "https://239.255.255.250/",
    "https://240.0.0.1/", "https://255.255.255.255/", "https://168.63.129.16/",
    # IPv6, and IPv4 within
    "https://[::]/", "https://[::1]/", "https://[0:0:0:0:0:0:0:1]/", "https://[::ffff:127.0.0.1]/",
    "https://[::ffff:7f00:1]/", "https://[0:0:0:0:0:FFFF:7F00:0001]/", "https://[::ffff:169.254.169.254]/",
    "https://[::ffff:0:127.0.0.1]/", "https://[::127.0.0.1]/", "https://[::7f00:1]/", "https://[64:ff9b::127.0.0.1]/",
    "https://[64:ff9b::a9fe:a9fe]/", "https://[64:ff9b:1::a00:1]/", "https://[2002:7f00:1::]/",
    "https://[2002:a9fe:a9fe::1]/", "https://[2001:0:808:808::1]/", "https://[2001:1::1]/",
    "https://[2606:4700::5efe:7f00:1]/", "https://[fe80::1]/", "https://[febf::1]/", "https://[fc00::1]/",
    "https://[fd00:ec2::254]/", "https://[fec0::1]/", "https://[ff02::1]/", "https://[ff0e::1]/",
    "https://[2001:db8::1]/", "https://[3fff::1]/", "https://[100::1]/", "https://[5f00::1]/",
    # names
    "https://localhost/", "https://LOCALHOST/", "https://localhost./", "https://inside.example/",
    "https://inside6.example/", "https://metadata.example/", "https://127.0.0.1.sslip.example/",
    # a name with several addresses, of which one is not public
    "https://mixed.example/", "https://mixed6.example/",
    # characters that URL parsers remove (https://url.spec.whatwg.org/#url-parsing)
    "https://127.0.\t0.1/", "ht\ttps://localhost/",
]  # fmt: skip

# No name is resolved for these.
ELSEWHERE = [
    "http://good.example/", "HTTP://good.example/", "http://127.0.0.1/", "https://good.example:80/",
    "https://good.example:22/", "https://good.example:8443/", "https://good.example:0/", "https://127.0.0.1:6379/",
    "https://[::1]:443443/",
]  # fmt: skip

NO_URLS = [
    "https://127.0.0.1\n/", "https://local\r\nhost/",
    # other schemes, or no scheme
    "file:///etc/passwd", "ftp://good.example/", "gopher://127.0.0.1:6379/_PING",
    "unix:///run/docker.sock", "javascript:alert(1)", "//127.0.0.1/", "127.0.0.1", "/etc/passwd", "",
    # credentials before an @, and hosts after it
    "https://good.example@127.0.0.1/", "https://127.0.0.1@good.example/", "https://good.example:80@127.0.0.1/",
    "https://@127.0.0.1/", "https://good.example%2f@127.0.0.1/", "https://127.0.0.1%2f@good.example/",
    # backslashes, which browsers read as slashes
    "https://good.example\\@127.0.0.1/", "https://127.0.0.1\\@good.example/", "https:\\\\127.0.0.1\\",
    "https://127.0.0.1\\.good.example/", "https:/127.0.0.1/", "https:127.0.0.1", "https:///127.0.0.1/",
    # characters that some parsers normalise into others
    "https://１２７.０.０.１/", "https://127。0。0。1/", "https://①②⑦.0.0.1/", "https://ⓛocalhost/",
    "https://loc\u00adalhost/", "https://localhost\u200b/", "https://127.0.0.1\0.good.example/",
    "https://127.0.0.1%00.good.example/", "https://%31%32%37.0.0.1/", "https://127.0.0.1 .good.example/",
    # brackets and ports
    "https://[::1/", "https://::1/", "https://[::1]good.example/", "https://[v1.127]/",
    "https://good.example:65536/", "https://good.example:port/", "https://good.example:-1/",
]  # fmt: skip

# Addresses that this system cannot parse; another might.
NO_ADDRESS = [
    "https://127.0.0.1./", "https://0x7f.0.0.256/", "https://256.0.0.1/", "https://4294967296/",
    "https://nowhere.example/", "https://[fe80::1%25nosuchlink]/",
]  # fmt: skip


def test_there_are_enough_tricks() -> None:
    assert len({*NOT_PUBLIC, *ELSEWHERE, *NO_URLS, *NO_ADDRESS}) > 120


@pytest.mark.parametrize("url", NOT_PUBLIC)
async def test_urls_of_addresses_that_are_not_public(url: str, network: Network) -> None:
    error = await outcome(url)
    assert isinstance(error, FetchForbidden), error
    assert "not public" in str(error)
    assert network.connected == []


@pytest.mark.parametrize("url", ELSEWHERE)
async def test_other_schemes_and_ports_than_those_of_https(url: str, network: Network) -> None:
    error = await outcome(url)
    assert type(error) in (FetchForbidden, LocalProtocolError), error
    assert network.asked == network.connected == []


@pytest.mark.parametrize("url", NO_URLS)
async def test_texts_that_are_not_one_url(url: str, network: Network) -> None:
    error = await outcome(url)
    assert isinstance(error, LocalProtocolError), error
    assert network.asked == network.connected == []


@pytest.mark.parametrize("url", NO_ADDRESS)
async def test_hosts_without_an_address(url: str, network: Network) -> None:
    error = await outcome(url)
    assert isinstance(error, ConnectFailed), error
    assert network.connected == []


@pytest.mark.parametrize("url", ["https://good.example/", "https://good.example:443/", f"https://{PUBLIC}/"])
async def test_public_addresses_are_connected_to(url: str, network: Network) -> None:
    assert isinstance(await outcome(url), ConnectFailed)
    assert network.connected == [PUBLIC]


async def test_the_connection_goes_to_the_checked_address(network: Network) -> None:
    """A name is resolved once, and the connection goes to the address that was checked."""
    assert isinstance(await outcome("https://rebinding.example/"), ConnectFailed)
    assert (network.asked, network.connected) == (["rebinding.example"], [PUBLIC])
    error = await outcome("https://rebinding.example/")
    assert isinstance(error, FetchForbidden), error
    assert network.connected == [PUBLIC]


@pytest.mark.parametrize("status", [300, 301, 302, 303, 307, 308])
@pytest.mark.parametrize(
    "location",
    [
        "http://127.0.0.1:{port}/inside", "http://localhost:{port}/", "http://169.254.169.254/", "//10.0.0.1/",
        "file:///etc/passwd", "ftp://good.example/", "/a.pdf", "https://good.example/",
    ],
)  # fmt: skip
async def test_no_redirect_is_followed_wherever_it_leads(location: str, status: int) -> None:
    answers = [answering(response(status, b"moved", f"Location: {location}")), answering(response(200, b"inside"))]
    async with scripted(*answers) as files:
        origin = files.address.rstrip("/")
        error = await outcome(f"{origin}/a.pdf", FetchPolicy(origins=[origin]))
        assert isinstance(error, RequestRefused), error
        assert error.status == status
        assert location not in str(error)
        assert (files.connections, len(files.requests)) == (1, 1)
        await files.until_closed(1)


@pytest.mark.parametrize("url", ["http://127.0.0.1/", "https://good.example/", "http://localhost:81/"])
async def test_a_simulator_fetches_from_listed_origins_only(url: str, network: Network) -> None:
    with pytest.raises(HTTPError, match=r"--fetch-from http") as caught:
        await Fetcher(["http://localhost"], Limits()).fetch(url)
    assert caught.value.status == 403
    assert network.asked == network.connected == []


# A bot may read a data: URL, but cannot pass it to an upload by URL.
@pytest.mark.parametrize("url", [*NO_URLS, "data:text/plain,hello"])
async def test_a_simulator_rejects_an_invalid_url_without_a_request(url: str, network: Network) -> None:
    with pytest.raises(HTTPError) as caught:
        await Fetcher(["https://good.example", "http://127.0.0.1", "http://localhost"]).fetch(url)
    assert caught.value.status == 400
    assert network.asked == network.connected == []
