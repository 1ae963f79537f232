"""The budget of a bot's calls to other bots: what its settings declare."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from poeproto import (
    CallBudgetSpent,
    Context,
    Done,
    Error,
    PoeprotoError,
    QueryRequest,
    SettingsRequest,
    SettingsResponse,
    Text,
    UndeclaredDependency,
)

from ...support.calling_bots import CallingBot, calling, failing_with, forwards
from ...support.scripted_peer import HELLO, answering

pytestmark = pytest.mark.anyio


async def test_a_bot_that_was_not_declared(caplog: pytest.LogCaptureFixture) -> None:
    seen: list[PoeprotoError] = []
    async with calling(CallingBot(failing_with(UndeclaredDependency, seen), Dog=1), answering(HELLO)) as served:
        (error, done) = await served.answer()
        assert isinstance(error, Error)
        assert done == Done()
        assert served.poe.requests == []
    assert "'Cat' is not in server_bot_dependencies" in str(seen[0])
    assert "'Cat' is not in server_bot_dependencies" in caplog.text


async def test_the_budget_is_spent() -> None:
    left: list[dict[str, int]] = []

    async def bot(request: QueryRequest, context: Context) -> AsyncIterator[str]:
        left.append(dict(context.calls_left))
        yield await context.final_text("Cat", request)
        left.append(dict(context.calls_left))
        try:
            await context.final_text("Cat", request)
        except CallBudgetSpent as exc:
            yield str(exc)

    called = CallingBot(bot, Cat=1, Dog=2)
    async with calling(called, answering(HELLO)) as served:
        for _ in range(2):  # each message has a budget of its own
            assert await served.answer() == [
                Text("hello"),
                Text("no call to 'Cat' is left: server_bot_dependencies declares 1"),
                Done(),
            ]
        assert len(served.poe.requests) == 2
    assert left == [{"Cat": 1, "Dog": 2}, {"Cat": 0, "Dog": 2}] * 2
    assert called.asked == 3  # at the first message, and when the known dependencies did not suffice


async def test_a_later_declaration_of_a_bot_counts() -> None:
    called = CallingBot(forwards)
    async with calling(called, answering(HELLO)) as served:
        assert isinstance((await served.answer())[0], Error)
        called.dependencies = {"Cat": 1}
        assert await served.answer() == [Text("hello"), Done()]


class Hesitating(CallingBot):
    """Other tasks run during its get_settings, which fails the first time."""

    async def get_settings(self, request: SettingsRequest, context: Context) -> SettingsResponse:
        settings = await super().get_settings(request, context)
        await anyio.lowlevel.checkpoint()
        if self.asked == 1:
            raise LookupError("no settings yet")
        return settings


def asking_twice_at_once(then: dict[str, int]) -> Hesitating:
    async def bot(request: QueryRequest, context: Context) -> AsyncIterator[str]:
        called.dependencies = then
        outcomes: list[str] = []

        async def ask() -> None:
            try:
                outcomes.append(await context.final_text("Cat", request))
            except CallBudgetSpent:
                outcomes.append("spent")

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(ask)
            tasks.start_soon(ask)
        yield ", ".join(sorted(outcomes))

    called = Hesitating(bot)
    return called


async def test_tasks_that_call_first_spend_from_one_budget() -> None:
    called = asking_twice_at_once({"Cat": 1})
    async with calling(called, answering(HELLO), answering(HELLO)) as served:
        assert await served.answer() == [Text("hello, spent"), Done()]
        assert len(served.poe.requests) == 1


async def test_tasks_with_a_spent_budget_wait_for_the_current_declaration() -> None:
    called = asking_twice_at_once({"Cat": 2})
    called.asked = 1
    async with calling(called, answering(HELLO), answering(HELLO)) as served:
        assert await served.answer() == [Text("hello, hello"), Done()]
    assert called.asked == 3


async def test_settings_that_fail_do_not_keep_a_bot_from_answering(caplog: pytest.LogCaptureFixture) -> None:
    async def bot(request: QueryRequest, context: Context) -> AsyncIterator[str]:
        assert context.calls_left == {}
        yield "hello"
        yield await context.final_text("Cat", request)

    class Faulty(CallingBot):
        async def get_settings(self, request: Any, context: Context) -> Any:
            raise LookupError("no settings")

    async with calling(Faulty(bot), answering(HELLO)) as served:
        events = await served.answer()
        assert events[0] == Text("hello")
        assert isinstance(events[1], Error)
    assert caplog.text.count("\n    LookupError: no settings") == 2


@pytest.mark.parametrize("in_a_task", [False, True])
async def test_settings_that_ask_another_bot_are_refused_before_they_wait_for_themselves(in_a_task: bool) -> None:
    class Asking(CallingBot):
        async def get_settings(self, request: SettingsRequest, context: Context) -> SettingsResponse:
            async def ask() -> None:
                await context.final_text("Other", "what are you called?")

            if in_a_task:
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(ask)
            else:
                await ask()
            return await super().get_settings(request, context)

    async def bot(request: QueryRequest, context: Context) -> str:
        return await context.final_text("Other", request)

    async with calling(Asking(bot, Other=1), answering(HELLO)) as served:
        events = await served.answer()
    assert isinstance(events[0], Error)
