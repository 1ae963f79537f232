"""Examples of bots that make one reply of two bots' answers, end to end over HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator

import anyio
import pytest

from poeproto import BotError, Error, Event, File, Meta, QueryRequest, SuggestedReply, Text
from poeproto_simulator import Canned, Scripted

from ..support.example_stage import playing

pytestmark = pytest.mark.anyio

FIRST, SECOND = "GPT-4o-Mini", "Claude-Haiku-3.5"


def meeting(name: str, mine: anyio.Event, others: anyio.Event, *then: Event) -> Scripted:
    """A bot that continues only when another has begun."""

    async def script(request: QueryRequest) -> AsyncIterator[Event]:
        yield Meta()
        yield Text(f"{name} begins")
        mine.set()
        await others.wait()
        for event in then or (Text(" and ends."),):
            yield event

    return Scripted(script)


class TestInOneAnswer:
    async def test_both_work_at_once_and_are_read_in_turn(self) -> None:
        began = anyio.Event(), anyio.Event()
        bots = {FIRST: meeting("One", began[0], began[1]), SECOND: meeting("Two", began[1], began[0])}
        async with playing("two_bots", bots) as stage:
            reply = await stage.say("hello")
        assert reply.final_text() == (
            "**GPT-4o-Mini**\n\nOne begins and ends.\n\n**Claude-Haiku-3.5**\n\nTwo begins and ends."
        )

    @pytest.mark.parametrize("failing", [FIRST, SECOND])
    async def test_a_failure_of_either_ends_the_answer_and_cancels_the_other(self, failing: str) -> None:
        began, seen, ended = anyio.Event(), anyio.Event(), anyio.Event()

        async def endless(request: QueryRequest) -> AsyncIterator[str]:
            try:
                yield "and so on"
                began.set()
                await anyio.sleep_forever()
            finally:
                ended.set()

        async def fails(request: QueryRequest) -> AsyncIterator[Event]:
            await began.wait()
            await seen.wait()
            yield Error(allow_retry=False, text="No more.")

        def observe(event: Event) -> None:
            if failing == FIRST or event == Text("and so on"):
                seen.set()

        others = {FIRST: Scripted(endless), SECOND: Scripted(endless), failing: Scripted(fails)}
        async with playing("two_bots", others) as stage:
            reply = await stage.say("hello", on_event=observe)
            assert isinstance(reply.failure, BotError)
            assert reply.error == Error(allow_retry=False, text="No more.")
            await ended.wait()


class TestTwoAnswers:
    async def test_events_are_sent_as_they_arrive(self) -> None:
        began = anyio.Event(), anyio.Event()
        picture = File("https://example.com/two.png", "two.png", "image/png")
        bots = {
            FIRST: meeting("One", began[0], began[1], Text(" and ends."), SuggestedReply("More of one")),
            SECOND: meeting("Two", began[1], began[0], picture),
        }
        async with playing("two_answers", bots) as stage:
            reply = await stage.say("hello")
        reply.final_text()
        one, two = reply.fold.answer(0), reply.fold.answer(1)
        assert (one.text, one.suggested_replies) == ("One begins and ends.", ("More of one",))
        assert (two.text, [file.name for file in two.files]) == ("Two begins", ["two.png"])
        assert set(reply.fold.answers) == {0, 1}
        # Each waited until the other had begun, so the beginnings came before either end.
        texts = [event.text for event in reply.events if isinstance(event, Text)]
        assert sorted(texts[:2]) == ["One begins", "Two begins"]

    async def test_a_failure_of_one_does_not_affect_the_other(self) -> None:
        others = {FIRST: Canned(["so far", Error(text="No more.")]), SECOND: Canned("All is well.")}
        async with playing("two_answers", others) as stage:
            reply = await stage.say("hello")
        reply.final_text()
        assert reply.fold.texts == {0: "so far\n\n*(This bot has failed.)*", 1: "All is well."}

    async def test_a_user_who_stops_reading_ends_both(self) -> None:
        ended = [anyio.Event(), anyio.Event()]

        def endless(end: anyio.Event) -> Scripted:
            async def script(request: QueryRequest) -> AsyncIterator[str]:
                try:
                    while True:
                        yield "and so on "
                        await anyio.lowlevel.checkpoint()
                finally:
                    end.set()

            return Scripted(script)

        async with playing("two_answers", {FIRST: endless(ended[0]), SECOND: endless(ended[1])}) as stage:
            with anyio.CancelScope() as reading:

                def stop(event: Event) -> None:
                    reading.cancel()

                await stage.say("hello", on_event=stop)
            assert reading.cancelled_caught
            for end in ended:
                await end.wait()
