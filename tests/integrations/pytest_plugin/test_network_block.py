"""The marker and the ini option that block the network, except for this machine."""

from __future__ import annotations

import asyncio
import socket

import anyio
import anyio.abc
import pytest

from poeproto_pytest import NetworkBlocked, network_blocked
from tests.integrations.pytest_plugin.conftest import Run

pytestmark = pytest.mark.anyio
pytest_plugins = ["pytester"]

# Reserved for documentation (RFC 5737, RFC 3849): no packet gets anywhere.
ELSEWHERE = "192.0.2.1"


async def test_connections_to_other_hosts_are_blocked(anyio_backend: str) -> None:
    with network_blocked("a test") as blocked:
        with pytest.raises(NetworkBlocked, match=rf"^{ELSEWHERE}:80: the network is blocked in this test \(a test\)"):
            socket.create_connection((ELSEWHERE, 80))
        with socket.socket(socket.AF_INET6) as connecting, pytest.raises(NetworkBlocked, match=r"^2001:db8::1:80: "):
            connecting.connect_ex(("2001:db8::1", 80))
        with socket.socket(type=socket.SOCK_DGRAM) as sending, pytest.raises(NetworkBlocked, match=r":53: "):
            sending.sendto(b"x", (ELSEWHERE, 53))
        with pytest.raises(OSError, match="connection attempts failed"):
            await anyio.connect_tcp(ELSEWHERE, 80)
        assert f"{ELSEWHERE}:80" in [each.address for each in blocked]
        with pytest.raises(NetworkBlocked, match=r"^api\.poe\.com: "):
            await anyio.getaddrinfo("api.poe.com", 443)
        with pytest.raises(NetworkBlocked, match=r"^api\.poe\.com: "):
            socket.gethostbyname("api.poe.com")
    assert [each.address for each in blocked][-1] == "api.poe.com"
    with socket.socket() as connecting, pytest.raises(OSError):  # the block has ended
        connecting.setblocking(False)
        connecting.connect((ELSEWHERE, 80))


async def test_this_machine_is_reached(anyio_backend: str) -> None:
    with network_blocked("a test") as blocked:
        async with await anyio.create_tcp_listener(local_host="127.0.0.1") as listener:
            port = listener.extra(anyio.abc.SocketAttribute.local_port)
            for host in ("127.0.0.1", "localhost"):
                async with await anyio.connect_tcp(host, port):
                    pass
        first, second = socket.socketpair()
        first.close()
        second.close()
    assert blocked == []


def test_uvloop_is_blocked_too() -> None:
    uvloop = pytest.importorskip("uvloop")

    async def connect(host: str) -> None:
        await asyncio.get_running_loop().create_connection(asyncio.Protocol, host, 80)

    async def look_up() -> None:
        await asyncio.get_running_loop().getaddrinfo("api.poe.com", 443)

    with network_blocked("a test"), asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        for host in (ELSEWHERE, "api.poe.com"):
            with pytest.raises(NetworkBlocked):
                runner.run(connect(host))
        with pytest.raises(NetworkBlocked):
            runner.run(look_up())


CODE = """
import socket

@pytest.mark.poe_no_network
def test_marked():
    socket.create_connection(("192.0.2.1", 80))

@pytest.mark.poe_no_network
def test_hidden():
    try:
        socket.create_connection(("192.0.2.1", 80))
    except Exception:
        pass

@pytest.mark.poe_no_network
def test_other():
    pass

def test_unmarked():
    with socket.socket() as connecting, pytest.raises(BlockingIOError):
        connecting.setblocking(False)
        connecting.connect(("192.0.2.1", 80))
"""


def test_the_marker_fails_a_test_and_names_the_address(run: Run) -> None:
    result = run(CODE)
    result.assert_outcomes(failed=2, passed=2)
    result.stdout.fnmatch_lines_random(
        ["*192.0.2.1:80: the network is blocked in this test (marker poe_no_network)*", "FAILED *::test_hidden*"]
    )


def test_the_ini_option_blocks_all_but_marked_tests(run: Run, pytester: pytest.Pytester) -> None:
    pytester.makeini("[pytest]\npoe_no_network = true\n")
    marked = CODE.replace("def test_unmarked", "@pytest.mark.poe_network\ndef test_unmarked")
    run(marked).assert_outcomes(failed=2, passed=2)
    result = run(CODE)
    result.assert_outcomes(failed=3, passed=1)
    result.stdout.fnmatch_lines(["*(ini option poe_no_network)*"])


def test_a_test_that_records_is_not_blocked(run: Run) -> None:
    code = (
        CODE.partition("@pytest")[0]
        + """
@pytest.mark.poe_no_network
def test_recording(poe_recording):
    with socket.socket() as connecting, pytest.raises(OSError) as failure:
        connecting.setblocking(False)
        connecting.connect(("192.0.2.1", 80))
    assert isinstance(failure.value, NetworkBlocked) == IS_BLOCKED
"""
    )
    run(code.replace("IS_BLOCKED", "False"), "--poe-record=new").assert_outcomes(passed=1)
    run(code.replace("IS_BLOCKED", "True")).assert_outcomes(failed=1)
