"""The tables of a call's states and owners: what the code does, and no more."""

from __future__ import annotations

import importlib
from collections.abc import Awaitable, Callable, Generator, Mapping
from enum import Enum
from typing import Any

import pytest

from poeproto import Done, HttpRequest, LocalProtocolError, ReplyFold, ResponseHead, Text
from poeproto.flows import Deliver, Effect, ReceiveData, RunTools, SendRequest
from poeproto_runtime.client.flow_runner import FlowRunner
from poeproto_runtime.client.reply import Reply, ReplyBase
from poeproto_runtime.client.states import OWNERSHIPS, REPLY, RUNNER, ReplyPhase, RunnerState

from ...support.call_states import CheckedPhase, ObservedRunner

REQUEST = HttpRequest("POST", "http://bot.invalid/", [])
MODULES = (
    "poeproto_runtime.client.drop_guard",
    "poeproto_runtime.client.reply",
    "poeproto_runtime.client.tools",
    "poeproto_runtime.client.uploads",
    "poeproto_runtime.context",
    "poeproto_h11.client.anyio_backend",
    "poeproto_h11.client.happy_eyeballs",
    "poeproto_h11.client.pool",
    "poeproto_h11.client.sync_backend",
    "poeproto_h11.client.transport",
)


class Interrupted(BaseException):
    """Takes the place of a cancellation, which needs an event loop."""


class Response:
    """A response without a body; reading it may be interrupted.

    Attributes:
        interrupted: whether the next read is.
    """

    head = ResponseHead(200, [])

    def __init__(self) -> None:
        self.interrupted = False

    async def receive(self) -> bytes | None:
        if self.interrupted:
            raise Interrupted
        return None

    async def finish(self) -> None: ...

    async def aclose(self) -> None: ...


class OneResponse:
    """A transport, and its only call; both do without I/O."""

    def __init__(self) -> None:
        self.response = Response()

    def begin(self) -> OneResponse:
        return self

    async def send(self, request: HttpRequest) -> Response:
        return self.response

    async def sleep(self, seconds: float) -> None: ...


Steps = Generator[Effect, Any, ReplyFold]


def reply_steps() -> Steps:
    yield SendRequest(REQUEST)
    yield ReceiveData()
    yield Deliver([Text("a"), Done()])
    return ReplyFold()


def failing_steps() -> Steps:
    yield SendRequest(REQUEST)
    raise LocalProtocolError("the flow fails")


def tool_steps() -> Steps:
    yield RunTools([])
    return ReplyFold()


def run(awaitable: Awaitable[object]) -> object:
    """Await what never suspends."""
    steps = awaitable.__await__()
    try:
        next(steps)
    except StopIteration as stop:
        return stop.value
    raise AssertionError("it has suspended")


def read_to_the_end(runner: ObservedRunner[ReplyFold], response: Response) -> None:
    run(runner.run())
    run(runner.aclose())


def close_at_once(runner: ObservedRunner[ReplyFold], response: Response) -> None:
    run(runner.aclose())


def close_after_an_interrupted_read(runner: ObservedRunner[ReplyFold], response: Response) -> None:
    response.interrupted = True
    with pytest.raises(Interrupted):
        run(runner.next_event())
    run(runner.aclose())


def fail(runner: ObservedRunner[ReplyFold], response: Response) -> None:
    for _ in range(2):
        with pytest.raises(LocalProtocolError):
            run(runner.next_event())


async def interrupted_tools(calls: object) -> Any:
    raise Interrupted


def interrupt_tools(runner: ObservedRunner[ReplyFold], response: Response) -> None:
    runner._run_tools = interrupted_tools
    with pytest.raises(Interrupted):
        run(runner.next_event())


HISTORIES: list[tuple[Callable[[], Steps], Callable[[ObservedRunner[ReplyFold], Response], None]]] = [
    (reply_steps, read_to_the_end),
    (reply_steps, close_at_once),
    (reply_steps, close_after_an_interrupted_read),
    (failing_steps, fail),
    (tool_steps, interrupt_tools),
]


def test_the_runner_makes_the_moves_of_its_table_and_no_others() -> None:
    seen: set[tuple[RunnerState, RunnerState]] = set()
    for flow, history in HISTORIES:
        transport = OneResponse()
        runner = ObservedRunner[ReplyFold](flow(), transport)
        history(runner, transport.response)
        seen |= runner.moves
    assert seen == {
        (state, target) for state, moves in RUNNER.items() for target in moves.values() if target is not state
    }


def reply_over(flow: Steps) -> tuple[Reply, Response]:
    transport = OneResponse()
    return Reply(FlowRunner(flow, transport), ReplyFold()), transport.response


def test_a_reply_is_closed_by_whom_its_table_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ReplyBase, "_state", CheckedPhase(), raising=False)
    reply, _ = reply_over(reply_steps())
    assert reply._state is ReplyPhase.NEW
    run(anext(reply))
    assert reply._state is ReplyPhase.UNSCOPED
    run(reply.__aenter__())
    assert reply._state is ReplyPhase.SCOPED
    run(reply.__aexit__())
    assert reply._state is ReplyPhase.CLOSED
    with pytest.raises(LocalProtocolError):
        run(reply.__aenter__())


def test_a_reply_that_is_read_without_a_block_closes_itself_at_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ReplyBase, "_state", CheckedPhase(), raising=False)
    reply, _ = reply_over(reply_steps())
    while run(reply._read()) is not None:
        assert reply._state is ReplyPhase.UNSCOPED
    assert reply._state is ReplyPhase.CLOSED


def test_a_reply_whose_query_fails_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ReplyBase, "_state", CheckedPhase(), raising=False)
    reply, _ = reply_over(failing_steps())
    with pytest.raises(LocalProtocolError):
        run(reply.__aenter__())
    assert reply._state is ReplyPhase.CLOSED


def test_the_tests_refuse_a_move_that_is_in_no_table(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ReplyBase, "_state", CheckedPhase(), raising=False)
    reply, _ = reply_over(reply_steps())
    reply._state = ReplyPhase.CLOSED
    with pytest.raises(AssertionError):
        reply._state = ReplyPhase.SCOPED


@pytest.mark.parametrize("table", [REPLY, RUNNER])
def test_every_state_of_a_call_can_be_reached(table: Mapping[Any, Mapping[Any, Any]]) -> None:
    states: type[Enum] = type(next(iter(table)))
    reached = {next(iter(states))}
    while new := {target for state in reached for target in table[state].values()} - reached:
        reached |= new
    assert reached == set(table) == set(states)


@pytest.mark.parametrize("function", sorted({each.function for each in OWNERSHIPS}))
def test_the_table_of_the_owners_names_existing_objects(function: str) -> None:
    owner, _, name = function.partition(".")
    found = next(getattr(module, owner) for module in map(importlib.import_module, MODULES) if hasattr(module, owner))
    assert callable(getattr(found, name) if name else found)
