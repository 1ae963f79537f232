"""Examples of bots that call others, end to end over HTTP."""

from __future__ import annotations

import pytest

from poeproto import BotError, Error, SettingsResponse, Text
from poeproto_simulator import Canned, Fault, Scripted

from ..support.example_stage import playing, settings_of

pytestmark = pytest.mark.anyio

MODEL = "GPT-4o-Mini"


async def test_calling_a_bot() -> None:
    model = Scripted(lambda _: [Text("Hello, "), Text("human.")])
    async with playing("calling_a_bot", {MODEL: model}) as stage:
        reply = await stage.say("hello")
        assert await settings_of(stage) == SettingsResponse(server_bot_dependencies={MODEL: 1})
    assert reply.final_text() == "Hello, human."
    assert [event for event in reply.events if isinstance(event, Text)] == [Text("Hello, "), Text("human.")]
    [asked] = model.requests
    assert [message.content for message in asked.query] == ["hello"]
    assert asked.message_id == reply.message_id, "the call belongs to the user's message"


async def test_calling_a_bot_that_fails() -> None:
    model = Canned(["Hel", Error(allow_retry=False, text="I am tired.")])
    async with playing("calling_a_bot", {MODEL: model}) as stage:
        reply = await stage.say("hello")
    assert isinstance(reply.failure, BotError)
    assert reply.error == Error(allow_retry=False, text="I am tired.")
    assert reply.text == "Hel"
    assert [message.role for message in reply.conversation.messages] == ["user"]


@pytest.mark.parametrize(
    ("verdict", "answer"),
    [
        (Text("Yes, it is."), "How kind of you."),
        (Text("No."), "I beg your pardon?"),
        (Error(text="I am tired."), "GPT-4o-Mini has no opinion today."),
    ],
)
async def test_reading_an_answer(verdict: Text | Error, answer: str) -> None:
    model = Scripted(lambda _: [verdict])
    async with playing("reading_an_answer", {MODEL: model}) as stage:
        first = await stage.say("hello")
        second = await stage.say("Would you please?", conversation=first)
        assert await settings_of(stage) == SettingsResponse(server_bot_dependencies={MODEL: 1})
    assert first.final_text() == second.final_text() == answer
    [message] = model.requests[1].query
    assert message.content.endswith("\n\nWould you please?")


async def test_a_model_that_fails() -> None:
    async with playing("reading_an_answer", {MODEL: Canned("Yes.")}) as stage:
        stage.poe.faults.add(f"/bot/{MODEL}", Fault.status(500), times=1)
        reply = await stage.say("hello")
        assert reply.error is not None
        assert (await stage.say("hello")).final_text() == "How kind of you."
