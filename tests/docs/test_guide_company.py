"""Examples of bots in a conversation of several people and bots, end to end over HTTP."""

from __future__ import annotations

import pytest

from poeproto import Message, SettingsResponse
from poeproto_simulator import Canned, ReceivedReply, Scripted

from ..support.example_stage import NAME, Stage, playing, settings_of

pytestmark = pytest.mark.anyio

MODEL = "GPT-4o-Mini"


async def a_talk(stage: Stage) -> ReceivedReply:
    """Ann and Bob talk with a cat; then Ann calls in the bot."""
    poe = stage.poe
    await settings_of(stage)  # Poe has them, whether the sync at the start is through or not
    ann, bob = poe.engine.add_user("Ann"), poe.engine.add_user("Bob")
    first = await poe.say("Cat", "Is it warm\n outside?", user=ann)
    await poe.say("Cat", "And is it dry?", conversation=first, user=bob)
    return await poe.say(NAME, f"@{NAME} what do you think?", conversation=first, user=ann)


async def test_taking_minutes() -> None:
    async with playing("taking_minutes", {"Cat": Canned("Meow.")}) as stage:
        reply = await a_talk(stage)
        alone = await stage.say("hello")
        assert await settings_of(stage) == SettingsResponse(enable_multi_entity_prompting=False)
    assert reply.final_text() == (
        "Present: Ann, Bob\n"
        "\n"
        "- Ann: Is it warm outside?\n"
        "- Cat: Meow.\n"
        "- Bob: And is it dry?\n"
        "- Cat: Meow.\n"
        f"- Ann: @{NAME} what do you think?\n"
    )
    request = reply.query.request
    senders = [message.sender and message.sender.id for message in request.query if message.role == "user"]
    assert senders[0] == senders[2] == request.user_id
    assert [user.id for user in request.users or []] == senders[:2]
    assert alone.final_text() == "Present: Ann\n\n- Ann: hello\n"


async def test_talking_in_company() -> None:
    def answer(messages: list[Message]) -> str:
        return f"{messages[-1].sender and messages[-1].sender.name} asked, and I say: it is warm."

    model = Scripted(lambda request: answer(request.query))
    async with playing("talking_in_company", {"Cat": Canned("Meow."), MODEL: model}) as stage:
        reply = await a_talk(stage)
        assert await settings_of(stage) == SettingsResponse(
            enable_multi_entity_prompting=True, server_bot_dependencies={MODEL: 1}
        )
    assert reply.final_text() == "Ann asked, and I say: it is warm."
    [asked] = model.requests
    before, last = asked.query
    assert (before.role, last.role) == ("user", "user")
    for line in ("Ann: Is it warm\n outside?", "Cat: Meow.", "Bob: And is it dry?"):
        assert line in before.content
    assert last.content == f"@{NAME} what do you think?"
