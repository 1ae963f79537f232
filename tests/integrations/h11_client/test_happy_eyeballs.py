"""Happy eyeballs for blocking sockets: a name with several addresses, some of which do not answer."""

from __future__ import annotations

import errno
import os
import socket
import time
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest

from poeproto_h11.client import happy_eyeballs
from poeproto_h11.client.backend import failure_reason, is_deadline
from poeproto_h11.client.happy_eyeballs import Address, alternating, connect_first

from ...support.reserved_port import reserved_port


def at(port: int, host: str = "127.0.0.1", family: int = socket.AF_INET) -> Address:
    return (family, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (host, port))


def soon() -> float:
    return time.monotonic() + 10


@contextmanager
def listening() -> Generator[int]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


@contextmanager
def swallowing() -> Generator[int]:
    """A port whose listen queue is full, so that the system drops further connects."""
    with socket.socket() as listener, ExitStack() as waiting:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(4):
            connection = waiting.enter_context(socket.socket())
            connection.setblocking(False)
            connection.connect_ex(listener.getsockname())
        yield listener.getsockname()[1]


def test_an_address_that_swallows_everything_holds_nobody_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(happy_eyeballs, "_ATTEMPT_DELAY", 0.01)
    end = time.monotonic() + 1000  # attempted alone, it would delay the others for longer than a test may take
    with (
        swallowing() as silent,
        listening() as port,
        connect_first([at(silent), at(silent), at(port)], end) as connection,
    ):
        assert connection.getpeername()[1] == port


def test_a_refusal_makes_the_next_address_start_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(happy_eyeballs, "_ATTEMPT_DELAY", 1000.0)
    with (
        reserved_port() as refusing,
        listening() as port,
        connect_first([at(refusing), at(port)], soon()) as connection,
    ):
        assert connection.getpeername()[1] == port


@pytest.mark.parametrize("host", ["127.0.0.1", "255.255.255.255"], ids=["later", "at once"])
def test_the_next_does_not_wait_for_one_that_failed_beside_another(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    class Socket(socket.socket):
        def connect_ex(self, address: Any) -> int:
            monkeypatch.setattr(happy_eyeballs, "_ATTEMPT_DELAY", 1000.0)  # between the second and the third
            return super().connect_ex(address)

    monkeypatch.setattr(happy_eyeballs, "_ATTEMPT_DELAY", 0.0)
    with swallowing() as silent, reserved_port() as refusing, listening() as port:
        monkeypatch.setattr(socket, "socket", Socket)
        addresses = [at(silent), at(refusing, host), at(port)]
        with connect_first(addresses, soon()) as connection:
            assert connection.getpeername()[1] == port


def test_the_operating_system_times_out_one_address(monkeypatch: pytest.MonkeyPatch) -> None:
    def connect_ex(*_: object) -> int:
        return errno.ETIMEDOUT

    monkeypatch.setattr(socket.socket, "connect_ex", connect_ex)
    with pytest.raises(TimeoutError, match=os.strerror(errno.ETIMEDOUT)) as caught:
        connect_first([at(1)], soon())
    assert not is_deadline(caught.value)


def test_the_first_that_answers_is_taken_and_no_other_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(happy_eyeballs, "_ATTEMPT_DELAY", 1000.0)
    with listening() as port, listening() as other, connect_first([at(port), at(other)], soon()) as connection:
        assert connection.getpeername()[1] == port


def test_none_answers() -> None:
    with swallowing() as silent, reserved_port() as refusing, pytest.raises(TimeoutError) as caught:
        connect_first([at(silent), at(refusing)], time.monotonic() + 0.05)
    assert is_deadline(caught.value)


def test_all_refuse() -> None:
    with reserved_port() as one, reserved_port() as other, pytest.raises(ConnectionRefusedError):
        connect_first([at(one), at(other)], soon())


def test_there_is_no_address() -> None:
    with pytest.raises(OSError, match="no address"):
        connect_first([], soon())


def test_a_family_that_this_machine_does_not_have_is_passed_over() -> None:
    with listening() as port, connect_first([at(port, family=-1), at(port)], soon()) as connection:
        assert connection.getpeername()[1] == port


def test_an_address_that_cannot_be_reached_is_passed_over() -> None:
    # The system itself rejects connecting to the broadcast address.
    nowhere = at(9, "255.255.255.255")
    with listening() as port, connect_first([nowhere, at(port)], soon()) as connection:
        assert connection.getpeername()[1] == port


def test_the_families_take_turns() -> None:
    four = [at(number) for number in range(3)]
    six = [at(number, "::1", socket.AF_INET6) for number in range(2)]
    assert alternating([*six, *four]) == [six[0], four[0], six[1], four[1], four[2]]
    assert alternating(four) == four
    assert alternating([]) == []


@pytest.mark.parametrize("wrapped", [False, True])
def test_the_reason_of_a_failure_is_in_the_systems_words(wrapped: bool) -> None:
    for failure, words in [
        (socket.gaierror(socket.EAI_NONAME, "Name or service not known"), "Name or service not known"),
        (ConnectionRefusedError(errno.ECONNREFUSED, "refused"), os.strerror(errno.ECONNREFUSED)),
        (OSError("the name has no address"), "the name has no address"),
    ]:
        shown = OSError("all attempts failed") if wrapped else failure
        shown.__cause__ = failure if wrapped else None
        assert failure_reason(shown) == words
