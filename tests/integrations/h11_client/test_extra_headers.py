"""Extra request headers, of the client and of a call."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anyio.to_thread
import pytest

from poeproto import (
    CostItem,
    Endpoints,
    InvalidValue,
    ReportErrorRequest,
    ReportFeedbackRequest,
    ReportReactionRequest,
    RequestRefused,
    SettingsResponse,
)
from poeproto_h11 import BlockingClient, Client
from poeproto_runtime.client.extra_headers import checked_headers

from ...support.scripted_peer import Received, answering, response, scripted

pytestmark = pytest.mark.anyio

SECRET = "swordfish"


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        (None, ()),
        ({}, ()),
        ({"X-Trace": "a b\tc"}, ((b"x-trace", b"a b\tc"),)),
        ([("x", ""), ("x", "2"), (b"y", b"\xff")], ((b"x", b""), (b"x", b"2"), (b"y", b"\xff"))),
        ({"Cookie": "ü"}, ((b"cookie", b"\xfc"),)),
        (iter([["user-agent", "me/1"]]), ((b"user-agent", b"me/1"),)),
    ],
)
def test_headers_are_normalised(headers: Any, expected: object) -> None:
    assert checked_headers(headers) == expected


@pytest.mark.parametrize("name", ["Authorization", "host", "Content-Length", "transfer-encoding", "accept", "TE"])
def test_headers_that_the_client_sets_are_refused(name: str) -> None:
    with pytest.raises(InvalidValue, match=rf"^headers\['{name.lower()}'\]: the client sets it itself: ") as caught:
        checked_headers({"x-fine": "1", name: SECRET})
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("", "x", "not a token"),
        ("a b", "x", "not a token"),
        ("a:", "x", "not a token"),
        ("x\r\nhost", "x", "not a token"),
        (":path", "x", "not a token"),
        ("ü", "x", "not a token"),
        ("x", f"{SECRET}\r\nhost: evil", "control character"),
        ("x", f"{SECRET}\n", "control character"),
        ("x", f"{SECRET}\0", "control character"),
        ("x", f"{SECRET}\x7f", "control character"),
        ("x", f" {SECRET}", "control character, or space"),
        ("x", f"{SECRET}\t", "control character, or space"),
        ("x", f"{SECRET}€", "Latin-1"),
        ("€", f"{SECRET}", "Latin-1"),
    ],
)
def test_headers_that_http_has_no_form_for(name: str, value: str, message: str) -> None:
    with pytest.raises(InvalidValue, match=message) as caught:
        checked_headers([("x-fine", "1"), (name, value)])
    assert caught.value.path == "headers[1]"
    error: BaseException | None = caught.value
    while error is not None:
        assert SECRET not in repr(error)
        error = error.__context__


@pytest.mark.parametrize("headers", ["x: 1", b"x: 1", [("x",)], ["xy"], [("x", 1)], {"x": None}, [3]])
def test_values_that_are_not_headers(headers: Any) -> None:
    with pytest.raises(TypeError, match="headers"):
        checked_headers(headers)


REFUSE = answering(response(400, b"no"))


def arguments(root: str) -> dict[str, tuple[Any, ...]]:
    """Arguments for each method of a client that calls something."""
    return {
        "query": (root, "hello"),
        "run_tools": (root, "hello", [], []),
        "settings": (root,),
        "report_feedback": (root, ReportFeedbackRequest()),
        "report_reaction": (root, ReportReactionRequest()),
        "report_error": (root, ReportErrorRequest(message="m")),
        "sync_settings": ("Cat", SettingsResponse()),
        "upload": (Path(__file__),),
        "upload_by_url": ("http://files.example/a",),
        "authorize_cost": (CostItem(1), "q-1"),
        "capture_cost": (CostItem(1), "q-1"),
    }


def check(requests: list[Received], count: int) -> None:
    """Check that the last requests have both headers, the call's in place of the client's."""
    assert len(requests) == count
    for request in requests:
        assert request.all("x-client") == ["1"]
        assert request.all("x-both") == ["call"]
        assert len(request.all("host")) == len(request.all("content-length")) == 1


OF_CLIENT = {"X-Client": "1", "X-Both": "client"}
OF_CALL = {"x-both": "call"}


async def test_every_call_accepts_headers() -> None:
    async with scripted(REFUSE) as server:
        calls = arguments(server.address)
        more: Any = {"endpoints": Endpoints.at(server.address), "access_key": "k" * 32, "headers": OF_CLIENT}
        async with Client(**more) as client:
            for name, values in calls.items():
                with pytest.raises(RequestRefused):
                    call = getattr(client, name)(*values, headers=OF_CALL)
                    await (call.text() if hasattr(call, "text") else call)
            check(server.requests, len(calls))

        def ask() -> None:
            with BlockingClient(**more) as client:
                for name, values in calls.items():
                    with pytest.raises(RequestRefused):
                        call = getattr(client, name)(*values, headers=OF_CALL)
                        call.text()

        await anyio.to_thread.run_sync(ask)
        check(server.requests, 2 * len(calls))


async def test_a_call_without_headers_has_those_of_the_client() -> None:
    async with scripted(REFUSE) as server:
        async with Client(headers=OF_CLIENT) as client:
            with pytest.raises(RequestRefused):
                await client.settings(server.address)
        assert server.requests[0].all("x-both") == ["client"]


async def test_an_invalid_header_is_refused_before_anything_is_sent() -> None:
    with pytest.raises(InvalidValue, match="access_key"):
        Client(headers={"Authorization": "Bearer x"})
    async with Client() as client:
        with pytest.raises(InvalidValue, match="access_key"):
            client.query("http://127.0.0.1:9/", "hello", headers={"Authorization": "Bearer x"})
