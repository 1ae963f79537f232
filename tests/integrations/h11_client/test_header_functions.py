"""Headers of calls that a function returns for each request."""

from __future__ import annotations

from typing import Any

import anyio
import anyio.to_thread
import pytest

from poeproto import Endpoints, InvalidValue, RequestRefused, RetryPolicy
from poeproto_h11 import BlockingClient, CallObservation, Client, Outcome
from poeproto_runtime.client.extra_headers import RequestHeaders

from ...support.observed_calls import Calls
from ...support.scripted_peer import HELLO, answering, response, scripted
from .test_extra_headers import arguments

pytestmark = pytest.mark.anyio

KEY = "k" * 32
SECRET = "swordfish"


def traceparent(seen: CallObservation) -> dict[str, str]:
    return {"traceparent": f"00-{seen.id * 2}-{seen.attempts:016x}-01"}


async def test_a_propagator_gives_headers_for_each_request_of_every_call() -> None:
    called = Calls()
    scripts = answering(response(503, b"busy", "Retry-After: 0"))
    async with scripted(scripts) as server:
        more: Any = {"endpoints": Endpoints.at(server.address), "access_key": KEY, "headers": traceparent}
        more.update(called.hooks, retry=RetryPolicy(attempts=2, delay=0))

        def expected() -> list[str]:
            ids = [seen.id for name, seen in called.calls if name == "on_start"]
            return [f"00-{each * 2}-{number:016x}-01" for each in ids for number in (1, 2)]

        async with Client(**more) as client:
            for name, values in arguments(server.address).items():
                with pytest.raises(RequestRefused):
                    call = getattr(client, name)(*values, headers={"x-other": "1"})
                    await (call.text() if hasattr(call, "text") else call)
        assert [request.all("traceparent")[0] for request in server.requests] == expected()
        assert all(request.all("x-other") == ["1"] for request in server.requests)
        assert len(server.requests) == 2 * len(arguments(server.address))

        def ask() -> None:
            with BlockingClient(**more) as client:
                for name, values in arguments(server.address).items():
                    with pytest.raises(RequestRefused):
                        call = getattr(client, name)(*values)
                        call.text()

        await anyio.to_thread.run_sync(ask)
        assert [request.all("traceparent")[0] for request in server.requests] == expected()


async def test_the_headers_of_a_call_override_those_that_a_function_gives() -> None:
    async with scripted(answering(HELLO)) as server, Client(headers=lambda seen: {"x-a": "1", "x-b": "1"}) as client:
        await client.query(server.address, "hello", headers=[("X-A", "2")]).text()
        await client.query(server.address, "hello", headers=lambda seen: {"x-b": seen.operation}).text()
        assert [(each.all("x-a"), each.all("x-b")) for each in server.requests] == [(["2"], ["1"]), (["1"], ["query"])]


@pytest.mark.parametrize("blocking", [False, True])
@pytest.mark.parametrize("headers", [{"x": f"{SECRET}\r\n"}, {"authorization": SECRET}, {SECRET + " ": "x"}])
async def test_a_function_that_gives_invalid_headers(headers: dict[str, str], blocking: bool) -> None:
    def invalid(seen: CallObservation) -> dict[str, str]:
        return headers

    called = Calls()
    more: dict[str, Any] = {"headers": invalid, **called.hooks}

    def ask(url: str) -> InvalidValue:
        with BlockingClient(**more) as client, pytest.raises(InvalidValue) as caught:
            client.query(url, "hello").text()
        return caught.value

    async with scripted(answering(HELLO)) as server:
        if blocking:
            error: BaseException | None = await anyio.to_thread.run_sync(ask, server.address)
        else:
            async with Client(**more) as client:
                with pytest.raises(InvalidValue) as caught:
                    await client.query(server.address, "hello").text()
            error = caught.value
        assert not server.requests
    assert (called.end.outcome, called.end.exception_type) == (Outcome.FAILED, "InvalidValue")
    while error is not None:
        assert SECRET not in repr(error)
        error = error.__context__


@pytest.mark.parametrize("operation", ["query", "settings"])
async def test_a_function_for_headers_that_fails(operation: str) -> None:
    def fail(seen: CallObservation) -> dict[str, str]:
        raise LookupError

    called = Calls()
    async with Client(headers=fail, **called.hooks) as client:
        with pytest.raises(LookupError):
            await (client.query("Cat", "a").text() if operation == "query" else client.settings("Cat"))
    assert (called.end.outcome, called.end.exception_type) == (Outcome.FAILED, "LookupError")


def test_headers_are_in_no_repr() -> None:
    headers = RequestHeaders().with_source({"x-secret": SECRET})
    assert SECRET not in repr(headers)
    assert SECRET not in repr(Client(headers={"x-secret": SECRET}).query("Cat", "hello"))
