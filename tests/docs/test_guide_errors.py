"""Errors in a bot: the exception that its author sees, and the response that the client gets over HTTP."""

from __future__ import annotations

import logging
import socket
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

import anyio
import attrs
import pytest

from poeproto import (
    AttachmentExpired,
    Bot,
    BotError,
    CallBudgetSpent,
    ConnectFailed,
    Context,
    CostItem,
    Endpoints,
    Error,
    Event,
    FetchForbidden,
    FileTooLarge,
    FunctionDefinition,
    InsufficientFunds,
    Limits,
    PoeprotoError,
    QueryRequest,
    RequestRefused,
    SettingsResponse,
    Text,
    ToolDefinition,
    ToolFailed,
    TooManyFiles,
    UndeclaredDependency,
    UnknownTool,
    UploadRefused,
)
from poeproto_simulator import Canned, Scripted, Simulator, ToolCaller

from ..support.bots import KEY, SECRET
from ..support.example_stage import NAME, Stage, playing_bot
from ..support.failing_bots import Outcome, RecordingBot, Respond, assert_neutral, outcome

pytestmark = pytest.mark.anyio

WRONG_KEY = "a-key-that-is-not-the-right-one-"
NO_FUNDS = Error(allow_retry=False, text="Painting is dear.", error_type="insufficient_fund")
WORK = ToolDefinition(FunctionDefinition("work", parameters={"type": "object", "properties": {}}))


async def ask(context: Context) -> None:
    await context.final_text("Cat", "hello")


async def upload(context: Context) -> None:
    await context.post_attachment("text", name="a.txt")


async def authorise(context: Context) -> None:
    await context.authorize_cost(CostItem(1))


class TestCallsOfOtherBots:
    async def test_an_undeclared_dependency(self) -> None:
        async def respond(request: QueryRequest, context: Context) -> AsyncIterator[str]:
            yield await context.final_text("Cat", request)

        cat = Scripted(lambda request: "meow")
        seen = await outcome(respond, {"Cat": cat}, dependencies={"Dog": 1})
        assert isinstance(seen.raised, UndeclaredDependency)
        assert str(seen.raised) == "'Cat' is not in server_bot_dependencies; declare it in SettingsResponse"
        assert_neutral(seen, "Cat")
        assert not cat.requests

    async def test_a_spent_budget(self) -> None:
        async def respond(request: QueryRequest, context: Context) -> AsyncIterator[str]:
            for _ in range(3):
                yield await context.final_text("Cat", request)

        cat = Scripted(lambda request: "meow ")
        seen = await outcome(respond, {"Cat": cat})
        assert isinstance(seen.raised, CallBudgetSpent)
        assert str(seen.raised) == "no call to 'Cat' is left: server_bot_dependencies declares 2"
        assert_neutral(seen, text="meow meow ")
        assert len(cat.requests) == 2

    async def test_poe_knows_older_settings(self) -> None:
        async def respond(request: QueryRequest, context: Context) -> AsyncIterator[str]:
            yield await context.final_text("Cat", request)

        bot = RecordingBot(respond, {"Cat": 1})
        async with playing_bot(bot, {"Cat": Canned("meow")}, sync_settings=False) as stage:
            stage.poe.register(NAME, stage.url, access_key=KEY, settings=SettingsResponse())
            reply = await stage.say("hello")
            [raised] = bot.raised
            assert isinstance(raised, BotError)
            assert f"the settings of {NAME} declare no call to Cat" in str(raised)
            assert reply.error == raised.event  # as Poe says it, so that the bot's author finds out
            await stage.poe.fetch_settings(NAME)
            assert (await stage.say("hello")).final_text() == "meow"

    async def test_another_bots_error(self) -> None:
        async def respond(request: QueryRequest, context: Context) -> AsyncIterator[Event]:
            async for event in context.query_bot("Cat", request):
                yield event

        error = Error(allow_retry=False, text="The cat is out.", error_type="user_caused_error")
        seen = await outcome(respond, {"Cat": Canned([Text("The cat "), error])})
        assert isinstance(seen.raised, BotError)
        assert seen.raised.partial is not None
        assert seen.raised.partial.text == "The cat "
        assert (seen.reply.text, seen.reply.error) == ("The cat ", error)


class TestCosts:
    """The reply ends with Poe's own error type, no matter which side finds that the user cannot pay."""

    @staticmethod
    def assert_insufficient(seen: Outcome, text: str = "") -> None:
        assert isinstance(seen.reply.failure, BotError)
        assert seen.reply.error is not None
        assert seen.reply.error.error_type == "insufficient_fund"
        assert not seen.reply.error.allow_retry
        assert seen.reply.text == text
        assert (seen.reply.spent, seen.stage.poe.balance) == (0, 5)

    async def test_authorising(self) -> None:
        async def respond(request: QueryRequest, context: Context) -> AsyncIterator[str]:
            await context.authorize_cost(CostItem(6))
            yield "never said"

        seen = await outcome(respond, poe=Simulator(balance=5))
        assert isinstance(seen.raised, InsufficientFunds)
        assert seen.raised.status == "insufficient_fund"
        self.assert_insufficient(seen)

    async def test_capturing(self) -> None:
        async def respond(request: QueryRequest, context: Context) -> AsyncIterator[str]:
            await context.authorize_cost(CostItem(5))
            yield "It took longer. "
            await context.capture_cost(CostItem(6))

        seen = await outcome(respond, poe=Simulator(balance=5))
        assert isinstance(seen.raised, InsufficientFunds)
        self.assert_insufficient(seen, "It took longer. ")

    async def test_in_a_task(self) -> None:
        async def respond(request: QueryRequest, context: Context) -> AsyncIterator[str]:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(context.authorize_cost, CostItem(6))
                await anyio.sleep_forever()
            yield "never said"

        seen = await outcome(respond, poe=Simulator(balance=5))
        assert isinstance(seen.raised, ExceptionGroup)
        self.assert_insufficient(seen)

    async def test_in_a_tool(self) -> None:
        async def respond(request: QueryRequest, context: Context) -> AsyncIterator[Event]:
            async def work() -> str:
                await context.authorize_cost(CostItem(6))
                return "never said"

            async for event in context.run_tools("Model", request, [WORK], [work]):
                yield event

        seen = await outcome(respond, {"Model": ToolCaller()}, Simulator(balance=5))
        assert isinstance(seen.raised, InsufficientFunds)
        self.assert_insufficient(seen)

    async def test_in_a_called_bot(self) -> None:
        async def respond(request: QueryRequest, context: Context) -> AsyncIterator[Event]:
            async for event in context.query_bot("Painter", request):
                yield event

        seen = await outcome(respond, {"Painter": Canned([Text("I paint. "), NO_FUNDS])}, Simulator(balance=5))
        assert isinstance(seen.raised, BotError)
        assert seen.reply.error == NO_FUNDS
        self.assert_insufficient(seen, "I paint. ")

    async def test_in_a_bot_that_a_tool_calls(self) -> None:
        async def respond(request: QueryRequest, context: Context) -> AsyncIterator[Event]:
            async def work() -> str:
                return await context.final_text("Painter", "Paint me!")

            async for event in context.run_tools("Model", request, [WORK], [work]):
                yield event

        others = {"Model": ToolCaller(), "Painter": Canned([NO_FUNDS])}
        seen = await outcome(respond, others, Simulator(balance=5))
        assert isinstance(seen.raised, BotError)
        assert seen.reply.error == NO_FUNDS
        self.assert_insufficient(seen)

    async def test_beside_another_failure(self) -> None:
        # The bots fail one after the other, the second in answer to being given up.
        async def respond(request: QueryRequest, context: Context) -> AsyncIterator[str]:
            async def fail() -> None:
                try:
                    await anyio.sleep_forever()
                finally:
                    raise LookupError(SECRET)

            async with anyio.create_task_group() as tasks:
                tasks.start_soon(fail)
                await context.final_text("Painter", request)
            yield "never said"

        seen = await outcome(respond, {"Painter": Canned([NO_FUNDS])}, Simulator(balance=5))
        assert isinstance(seen.raised, ExceptionGroup)
        assert seen.reply.error == NO_FUNDS
        self.assert_insufficient(seen)


class TestFiles:
    async def test_a_file_that_is_too_large(self) -> None:
        async def respond(request: QueryRequest, context: Context) -> AsyncIterator[str]:
            yield "Here it comes. "
            await context.post_attachment(b"x" * 11, name="x.bin")

        seen = await outcome(respond, bot_limits=Limits(file_size=10))
        assert isinstance(seen.raised, FileTooLarge)
        assert_neutral(seen, text="Here it comes. ")
        assert not seen.reply.files
        assert not uploads(seen.stage)

    async def test_a_file_that_is_too_large_only_for_poe(self) -> None:
        async def respond(request: QueryRequest, context: Context) -> AsyncIterator[str]:
            await context.post_attachment(b"x" * 11, name="x.bin")
            yield "never said"

        seen = await outcome(respond, poe=Simulator(limits=Limits(file_size=10)))
        assert isinstance(seen.raised, UploadRefused)
        assert seen.raised.status == 413
        assert_neutral(seen)

    async def test_the_twenty_first_file(self) -> None:
        async def respond(request: QueryRequest, context: Context) -> AsyncIterator[str]:
            for number in range(21):
                await context.post_attachment(f"file {number}", name=f"{number}.txt")
            yield "never said"

        seen = await outcome(respond)
        assert isinstance(seen.raised, TooManyFiles)
        assert str(seen.raised) == "the reply would have more than 20 files"
        assert_neutral(seen)
        assert len(uploads(seen.stage)) == 20

    async def test_twenty_files_and_a_bot_that_counts(self) -> None:
        async def respond(request: QueryRequest, context: Context) -> AsyncIterator[str]:
            with pytest.raises(TooManyFiles):
                for number in range(21):
                    await context.post_attachment(f"file {number}", name=f"{number}.txt")
            yield "These are all that fit."

        async with playing_bot(RecordingBot(respond, {})) as stage:
            reply = await stage.say("hello")
        assert reply.final_text() == "These are all that fit."
        assert [file.data for file in reply.files] == [b"file %d" % number for number in range(20)]

    async def test_an_expired_attachment(self) -> None:
        async def respond(request: QueryRequest, context: Context) -> AsyncIterator[str]:
            yield (await context.fetch_attachment(request.query[-1].attachments[0])).decode()

        bot = RecordingBot(respond, {})
        async with playing_bot(bot) as stage:
            file = await stage.poe.store_file(b"It is warm.", "weather.txt")
            assert (await stage.say("hello", attachments=[file])).final_text() == "It is warm."
            stage.poe.files.expire(file.url)
            reply = await stage.say("hello", attachments=[file])
        [raised] = bot.raised
        assert isinstance(raised, AttachmentExpired)
        assert raised.status == 403
        assert file.url not in str(raised)
        assert_neutral(Outcome(reply, raised, stage), file.url)

    async def test_an_attachment_that_the_server_does_not_fetch(self) -> None:
        async def respond(request: QueryRequest, context: Context) -> AsyncIterator[str]:
            yield (await context.fetch_attachment("http://127.0.0.1:1/private")).decode()

        seen = await outcome(respond, fetch_policy=None)
        assert isinstance(seen.raised, FetchForbidden)
        assert_neutral(seen, "private")


def uploads(stage: Stage) -> list[str]:
    """The files uploaded to the simulator, from its log."""
    return [entry.details["name"] for entry in stage.poe.engine.log if entry.kind == "upload"]


@pytest.mark.parametrize("call", [ask, upload, authorise])
async def test_a_poe_that_cannot_be_reached(call: Callable[[Context], Any]) -> None:
    async def respond(request: QueryRequest, context: Context) -> AsyncIterator[str]:
        yield "I try. "
        await call(context)

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, and nobody listens
        nowhere = Endpoints.at(f"http://127.0.0.1:{taken.getsockname()[1]}")
        seen = await outcome(respond, dependencies={"Cat": 1}, endpoints=nowhere, sync_settings=False)
    assert isinstance(seen.raised, ConnectFailed)
    assert "127.0.0.1" in str(seen.raised)
    assert_neutral(seen, "127.0.0.1", text="I try. ")


class TestKeys:
    async def test_poe_and_the_bots_server_have_different_keys(self, caplog: pytest.LogCaptureFixture) -> None:
        async def respond(request: QueryRequest, context: Context) -> AsyncIterator[str]:
            yield "never said"

        bot = RecordingBot(respond, {})
        async with playing_bot(bot) as stage:
            stage.poe.register(NAME, stage.url, access_key=WRONG_KEY)
            reply = await stage.say("hello")
        assert isinstance(reply.failure, RequestRefused)
        assert reply.failure.status == 401
        assert (reply.events, bot.raised) == ([], [])
        assert_hidden(caplog, reply.failure)

    @pytest.mark.parametrize(
        ("call", "kind"), [(ask, RequestRefused), (upload, UploadRefused), (authorise, RequestRefused)]
    )
    async def test_the_bots_server_has_a_key_that_poe_does_not_know(
        self, call: Callable[[Context], Any], kind: type[RequestRefused], caplog: pytest.LogCaptureFixture
    ) -> None:
        async def respond(request: QueryRequest, context: Context) -> AsyncIterator[str]:
            await call(context)
            yield "never said"

        # While a key is rotated, a server takes both, and uses the first for its own calls.
        bot = RecordingBot(respond, {"Cat": 1})
        poe = Simulator(strict=True)
        async with playing_bot(
            bot, {"Cat": Canned("meow")}, poe=poe, keys=[WRONG_KEY, KEY], sync_settings=False
        ) as stage:
            reply = await stage.say("hello")
        [raised] = bot.raised
        assert type(raised) is kind
        assert raised.status == 401
        assert_neutral(Outcome(reply, raised, stage), WRONG_KEY)
        assert_hidden(caplog, raised)


def assert_hidden(caplog: pytest.LogCaptureFixture, exc: PoeprotoError | None) -> None:
    """No key has come into the exception, or into the log with it."""
    logging.getLogger("poeproto").error("for the log", exc_info=exc)
    for key in (KEY, WRONG_KEY):
        assert key not in caplog.text
        assert key not in repr(exc)


class InventiveCaller(ToolCaller):
    """A model that calls the tool `work`, whatever it was offered."""

    async def get_response(self, request: QueryRequest, context: Context) -> AsyncIterator[Event | str]:
        async for event in super().get_response(attrs.evolve(request, tools=[WORK]), context):
            yield event


class TestTools:
    """By default the model gets the failure and words it for the user; a parameter makes the call raise it."""

    @staticmethod
    def respond(functions: Mapping[str, Callable[[], Any]], raise_errors: bool) -> Respond:
        async def respond(request: QueryRequest, context: Context) -> AsyncIterator[Event]:
            async for event in context.run_tools(
                "Model",
                request,
                [ToolDefinition(FunctionDefinition(name)) for name in functions],
                functions,
                raise_errors=raise_errors,
            ):
                yield event

        return respond

    async def told(self, functions: Mapping[str, Callable[[], Any]], model: Bot | None = None) -> str:
        bot = RecordingBot(self.respond(functions, raise_errors=False), {"Model": 2})
        async with playing_bot(bot, {"Model": model or ToolCaller()}) as stage:
            return (await stage.say("hello")).final_text()

    async def test_a_tool_that_raises(self, caplog: pytest.LogCaptureFixture) -> None:
        assert await self.told({"work": fails}) == 'work says: {"error":"the tool failed (LookupError)"}\n'
        assert SECRET in caplog.text  # for the bot's author
        seen = await outcome(self.respond({"work": fails}, raise_errors=True), {"Model": ToolCaller()})
        assert isinstance(seen.raised, ToolFailed)
        assert isinstance(seen.raised.__cause__, LookupError)
        assert seen.raised.call.function is not None
        assert seen.raised.call.function.name == "work"
        assert SECRET not in str(seen.raised)
        assert_neutral(seen, SECRET)

    async def test_a_tool_that_does_not_exist(self) -> None:
        model = InventiveCaller()
        assert await self.told({"play": fails}, model) == 'work says: {"error":"there is no tool called \'work\'"}\n'
        seen = await outcome(self.respond({"play": fails}, raise_errors=True), {"Model": model})
        assert isinstance(seen.raised, UnknownTool)
        assert "there is no tool called 'work'" in str(seen.raised)
        assert_neutral(seen, "work")


def fails() -> None:
    raise LookupError(SECRET)
