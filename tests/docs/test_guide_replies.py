"""Examples of replies with other events than text, end to end over HTTP."""

from __future__ import annotations

import threading

import pytest

from poeproto import BotError, CostItem, Done, Event, Meta, ReplaceResponse

from ..support.example_stage import playing, settings_of

pytestmark = pytest.mark.anyio


class TestCosts:
    async def test_the_maximum_is_authorised_and_the_actual_cost_captured(self) -> None:
        async with playing("charging") as stage:
            before = stage.poe.balance
            reply = await stage.say("sea 42 gull")
            assert reply.final_text() == "S-E-A\nG-U-L-L\n"
            assert reply.spent == 20
            assert before - stage.poe.balance == 20
            [charge] = stage.poe.charges
            assert charge.items == [CostItem(20, "2 words")]
            calls = [entry.details for entry in stage.poe.engine.log if entry.kind == "cost"]
        assert [(call["call"], call["amount"]) for call in calls] == [("authorize", 30), ("capture", 20)]

    @pytest.mark.parametrize(
        ("text", "answer"),
        [("", "Write something, and I spell it."), ("4 2", "There is nothing to spell, and nothing to pay.")],
    )
    async def test_no_work_no_cost(self, text: str, answer: str) -> None:
        async with playing("charging") as stage:
            reply = await stage.say(text)
            assert (reply.final_text(), reply.spent, stage.poe.charges) == (answer, 0, [])

    async def test_a_user_who_cannot_pay(self) -> None:
        async with playing("charging") as stage:
            stage.poe.balance = 15
            reply = await stage.say("sea gull")
            assert (reply.text, reply.spent, stage.poe.balance) == ("", 0, 15)
            assert reply.error is not None
            assert (reply.error.error_type, reply.error.allow_retry) == ("insufficient_fund", False)
            with pytest.raises(BotError, match="insufficient_fund"):
                reply.final_text()
            assert (await stage.say("sea")).spent == 10  # the balance suffices for this reply

    async def test_the_price_is_in_the_settings(self) -> None:
        async with playing("charging") as stage:
            settings = await settings_of(stage)
        assert settings.cost_label == "0.01 ¢ a word"
        assert "| a word | 0.01 ¢ |" in (settings.rate_card or "")


class TestSuggestedReplies:
    async def test_a_button_leads_on(self) -> None:
        async with playing("suggested_replies") as stage:
            reply = await stage.say("hello")
            assert reply.events[0] == Meta(suggested_replies=False)
            assert reply.final_text() == "You are at the shore. Where do you go?"
            assert reply.suggested_replies == ["the lighthouse", "the dunes"]
            reply = await stage.say(reply.suggested_replies[0], conversation=reply)
        assert reply.final_text() == "You are at the lighthouse. Where do you go?"
        assert reply.suggested_replies == ["the shore", "the stairs"]

    async def test_every_button_leads_somewhere(self) -> None:
        async with playing("suggested_replies") as stage:
            ways = stage.module.WAYS
        assert {way for others in ways.values() for way in others} == set(ways)


class TestProgress:
    async def test_progress_is_replaced_by_the_result(self) -> None:
        async with playing("progress") as stage:
            reply = await stage.say("Count!")
        assert reply.final_text() == "There are 1229 primes below 10000."
        assert reply.events == [
            *(ReplaceResponse(f"Counting … {percent} %") for percent in (0, 25, 50, 75)),
            ReplaceResponse("There are 1229 primes below 10000."),
            Done(),
        ]
        assert reply.conversation.messages[-1].content == "There are 1229 primes below 10000."

    async def test_progress_is_seen_during_the_work(self, monkeypatch: pytest.MonkeyPatch) -> None:
        # Each portion of the work ends only once the user has seen that it has begun.
        seen = threading.Semaphore(0)
        shown: list[Event] = []

        def work(numbers: range) -> int:
            assert seen.acquire(timeout=20), "the user has seen nothing yet"
            return len(numbers)

        def observe(event: Event) -> None:
            shown.append(event)
            seen.release()

        async with playing("progress") as stage:
            monkeypatch.setattr(stage.module, "primes_in", work)
            reply = await stage.say("Count!", on_event=observe)
        assert reply.final_text() == "There are 10000 primes below 10000."
        assert shown == reply.events
