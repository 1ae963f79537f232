"""Examples of scripts that ask bots, as processes and within a running event loop."""

from __future__ import annotations

import os
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import anyio
import anyio.to_thread
import pytest

from poeproto import BotError, Endpoints, Error, RequestRefused
from poeproto_simulator import Canned, Scripted, Simulator

from ..support.example_stage import EXAMPLES, load_example

pytestmark = pytest.mark.anyio

MODEL = "GPT-4o-Mini"
API_KEY = "a-users-own-key"
EXPECTED = "A tide is water.\nWhat is a spring tide? A high tide.\nAnd how often is it? Twice a month.\n"


def model() -> Scripted:
    answers = {
        "What is a tide?": "A tide is water.",
        "What is a spring tide?": "A high tide.",
        "And how often is it?": "Twice a month.",
    }
    return Scripted(lambda request: answers[request.query[-1].content])


@asynccontextmanager
async def a_poe(bot: Scripted | Canned, monkeypatch: pytest.MonkeyPatch) -> AsyncGenerator[Simulator]:
    """A simulated Poe that knows the bot and takes the right key alone; scripts find both in their environment."""
    poe = Simulator(strict=True, api_key=API_KEY)
    async with poe.serving() as address:
        poe.register(MODEL, bot)
        monkeypatch.setenv("POE_ENDPOINT", address)
        monkeypatch.setenv("POE_API_KEY", API_KEY)
        yield poe


def assert_was_asked(bot: Scripted) -> None:
    """A question, and then a conversation."""
    queries = [[(message.role, message.content) for message in request.query] for request in bot.requests]
    first, second = ("user", "What is a spring tide?"), ("user", "And how often is it?")
    assert queries == [[("user", "What is a tide?")], [first], [first, ("bot", "A high tide."), second]]


@pytest.mark.parametrize("script", ["asking", "asking_blocking"])
async def test_as_a_process(script: str, monkeypatch: pytest.MonkeyPatch) -> None:
    bot = model()
    async with a_poe(bot, monkeypatch):
        command = [sys.executable, "-W", "error", str(EXAMPLES / f"{script}.py")]
        done = await anyio.run_process(command, check=False, env=os.environ)
    assert (done.stdout.decode(), done.stderr.decode(), done.returncode) == (EXPECTED, "", 0)
    assert_was_asked(bot)


async def test_in_this_event_loop(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    bot = model()
    async with a_poe(bot, monkeypatch):
        await load_example("asking").main()
    assert capsys.readouterr().out == EXPECTED
    assert_was_asked(bot)


async def test_blocking_in_a_thread(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    bot = model()
    async with a_poe(bot, monkeypatch):
        await anyio.to_thread.run_sync(load_example("asking_blocking").main)
    assert capsys.readouterr().out == EXPECTED
    assert_was_asked(bot)


async def test_a_bot_that_fails(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    async with a_poe(Canned(["Well, ", Error(text="not today")]), monkeypatch):
        asking, blocking = load_example("asking"), load_example("asking_blocking")
        await asking.ask_once(API_KEY)
        await anyio.to_thread.run_sync(blocking.ask_once, API_KEY)
        assert capsys.readouterr().out == "Well, [the bot failed: not today]\n" * 2
        with pytest.raises(BotError, match="not today"):
            await asking.talk(API_KEY)
        with pytest.raises(BotError, match="not today"):
            await anyio.to_thread.run_sync(blocking.talk, API_KEY)


async def test_a_wrong_key(monkeypatch: pytest.MonkeyPatch) -> None:
    async with a_poe(model(), monkeypatch):
        asking, blocking = load_example("asking"), load_example("asking_blocking")
        for refused in (asking.ask_once, asking.talk):
            with pytest.raises(RequestRefused) as caught:
                await refused("no-such-key")
            assert caught.value.status == 401
        for refused in (blocking.ask_once, blocking.talk):
            with pytest.raises(RequestRefused) as caught:
                await anyio.to_thread.run_sync(refused, "no-such-key")
            assert caught.value.status == 401
            assert "no-such-key" not in str(caught.value)


def test_without_a_simulator_they_ask_poe(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("POE_ENDPOINT", raising=False)
    for script in ("asking", "asking_blocking"):
        assert Endpoints() == load_example(script).ENDPOINTS
