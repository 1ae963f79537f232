"""Many conversations at once, some of which fail or disconnect, end to end over HTTP."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from types import CodeType

import anyio
import anyio.lowlevel
import attrs
import pytest

from poeproto import Context, Error, Event, Limits, QueryRequest, Text
from poeproto_asgi import BotApp, Observation
from poeproto_h11.client.outbound import SharedH11Transport
from poeproto_simulator import Conversation, ReceivedReply, Scripted

from ..support.calling_bots import CallingBot
from ..support.example_stage import NAME, Stage, playing_bot

pytestmark = pytest.mark.anyio

CONVERSATIONS = 50
# On a small machine, many programs at once may delay each other, which this test does not check.
GENEROUS = Limits(first_answer_seconds=30)


# The client starts it in trio's system nursery at its first call, and it lives as long as the event loop.
LOOP_TASK = "_Deadlines.run"


def code_of(task: anyio.TaskInfo) -> CodeType | None:
    return getattr(task.coro, "cr_code", None)


def tasks_at_work() -> Counter[str]:
    """The tasks that answer requests, or that we started for them; not those that keep Hypercorn's connections open."""
    code = map(code_of, anyio.get_running_tasks())
    ours = [
        each for each in code if each is not None and ("/poeproto_" in each.co_filename or each.co_name == "_handle")
    ]
    return Counter(each.co_qualname for each in ours if each.co_qualname != LOOP_TASK)


def all_tasks() -> set[anyio.TaskInfo]:
    """All tasks but the one that lives as long as the event loop."""
    return {task for task in anyio.get_running_tasks() if getattr(code_of(task), "co_qualname", "") != LOOP_TASK}


async def quiet(expected: Counter[str]) -> None:
    """Wait until no other tasks than these are there; if they stay, the test's deadline passes."""
    while tasks_at_work() != expected:
        await anyio.lowlevel.checkpoint()


async def only(expected: set[anyio.TaskInfo]) -> None:
    """Wait until no other tasks than these run, Hypercorn's included, which it does not wait for."""
    while all_tasks() - expected:
        await anyio.lowlevel.checkpoint()


@attrs.frozen
class Connections:
    """The connections on which an application's bots call others."""

    opened: int
    idle: int
    users: int  # who holds them open, the application itself among them

    @classmethod
    def of(cls, app: BotApp) -> Connections:
        assert app.service.outbound is not None
        transport = app.service.outbound.transport
        assert isinstance(transport, SharedH11Transport)
        pool = transport._pool
        return cls(transport.opened, len(pool._idle) if pool is not None else 0, transport._users)


class Meeting:
    """A barrier: all wait until the given number have arrived."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._come = 0
        self._all_there = anyio.Event()

    async def join(self) -> None:
        self._come += 1
        if self._come == self._size:
            self._all_there.set()
        await self._all_there.wait()


async def asking_two(request: QueryRequest, context: Context) -> AsyncIterator[Event | str]:
    yield f"{await context.final_text('Left', request)}, "
    async for event in context.query_bot("Right", request):
        yield event


def counted(request: QueryRequest) -> str:
    return f"{request.query[-1].content} ({len(request.query)})"


async def test_fifty_conversations_at_once() -> None:
    rounds = {"first": Meeting(CONVERSATIONS), "second": Meeting(CONVERSATIONS)}

    async def left(request: QueryRequest) -> str:
        await rounds[request.query[-1].content.split()[0]].join()
        return f"left of {counted(request)}"

    others = {"Left": Scripted(left), "Right": Scripted(lambda request: f"right of {counted(request)}")}
    replies: dict[int, list[ReceivedReply]] = {}
    ended: list[Observation] = []
    bot = CallingBot(asking_two, Left=1, Right=1)
    before = all_tasks()
    async with playing_bot(bot, others, limits=GENEROUS, sync_settings=False, on_end=ended.append) as stage:
        serving = tasks_at_work()
        await stage.poe.fetch_settings(NAME)

        async def converse(number: int) -> None:
            first = await stage.say(f"first {number}")
            replies[number] = [first, await stage.say(f"second {number}", conversation=first)]

        async with anyio.create_task_group() as tasks:
            for number in range(CONVERSATIONS):
                tasks.start_soon(converse, number)
        await quiet(serving)
        connections = Connections.of(stage.app)
    for number in range(CONVERSATIONS):
        assert [reply.final_text() for reply in replies[number]] == [
            f"left of first {number} (1), right of first {number} (1)",
            f"left of second {number} (3), right of second {number} (3)",
        ]
    # Each needs one at a time, and they have met. All four calls of a conversation could go over the same; a server
    # under load may have closed a few in between.
    assert CONVERSATIONS <= connections.opened < CONVERSATIONS * 1.5
    assert connections.users == 1
    assert Counter(end.type for end in ended) == {"settings": 1, "query": 2 * CONVERSATIONS}
    assert all(end.complete and end.error_id is None for end in ended)
    await only(before)


async def failing(request: QueryRequest, context: Context) -> AsyncIterator[Event | str]:
    number, how = request.query[-1].content.split(" ")
    await context.post_attachment(number, name=f"{number}-{how}.txt")
    match how:
        case "raise":
            raise RuntimeError("out of order")
        case "error":
            yield Error(text="out of order")
        case "late":
            yield "At first all is well. "
            await context.post_attachment(number, name=f"{number}-later.txt")
            raise RuntimeError("out of order")
        case "call":
            yield await context.final_text("Nobody", request)  # which is not declared
        case "upload":
            await context.post_attachment(url="https://nowhere.invalid/")
        case _:
            yield "Here you are."


@pytest.mark.parametrize("how", ["raise", "error", "late", "call", "upload"])
async def test_files_of_replies_that_fail(how: str) -> None:
    replies: dict[int, list[ReceivedReply]] = {}
    async with playing_bot(CallingBot(failing, Left=1), limits=GENEROUS) as stage:

        async def converse(number: int) -> None:
            failed = await stage.say(f"{number} {how}")
            replies[number] = [failed, await stage.say(f"{number} well", conversation=failed)]

        async with anyio.create_task_group() as tasks:
            for number in range(10):
                tasks.start_soon(converse, number)
    for number, (failed, well) in replies.items():
        assert failed.error is not None
        assert {file.name for file in failed.files} <= {f"{number}-{how}.txt"}
        assert well.final_text() == "Here you are."
        assert [(file.name, file.data) for file in well.files] == [(f"{number}-well.txt", str(number).encode())]
        names = [file.name for message in well.conversation.messages for file in message.attachments]
        assert names == [f"{number}-well.txt"], "of a reply that failed, nothing is kept"


class Leaving:
    """A bot whose user disconnects in the middle of its answer, and the clean-up."""

    def __init__(self) -> None:
        self.under_way = anyio.Event()
        self.cleaned_up: set[str] = set()
        self.slow = Scripted(self.answer_slowly)

    async def answer_slowly(self, request: QueryRequest) -> AsyncIterator[str]:
        try:
            yield "Slow"
            await anyio.sleep_forever()
        finally:
            self.cleaned_up.add("the other bot")

    async def endless(self) -> AsyncIterator[bytes]:
        try:
            yield b"content"
            self.under_way.set()
            await anyio.sleep_forever()
        finally:
            self.cleaned_up.add("the stream")

    async def respond(self, request: QueryRequest, context: Context) -> AsyncIterator[Event | str]:
        async def close() -> None:
            await anyio.lowlevel.checkpoint()
            self.cleaned_up.add("the request")

        context.on_close(close)
        wish = request.query[-1].content
        if wish == "hello":
            yield "Hello"
            return
        await context.post_attachment("a secret", name="left.txt")
        yield "Wait"
        await context.post_attachment("a secret", name="unsent.txt")
        match wish:
            case "call":
                async for event in context.query_bot("Slow", request):
                    assert event == Text("Slow")
                    self.under_way.set()
            case "upload":
                await context.post_attachment(self.endless(), name="endless.txt")
            case _:
                self.under_way.set()
                await anyio.sleep_forever()


@pytest.mark.parametrize(
    ("wish", "cleaned_up", "closed"),
    [("wait", set[str](), 0), ("call", {"the other bot"}, 1), ("upload", {"the stream"}, 0)],
)
async def test_a_user_who_leaves(wish: str, cleaned_up: set[str], closed: int) -> None:
    ended: list[Observation] = []
    leaving = Leaving()
    bot = CallingBot(leaving.respond, Slow=1)
    before = all_tasks()
    async with playing_bot(bot, {"Slow": leaving.slow}, sync_settings=False, on_end=ended.append) as stage:
        serving = tasks_at_work()
        await stage.poe.fetch_settings(NAME)
        conversation = stage.poe.engine.conversation()
        await leave(stage, wish, conversation, leaving.under_way)
        await quiet(serving)
        assert leaving.cleaned_up == {"the request", *cleaned_up}
        connections = Connections.of(stage.app)
        assert (connections.opened - connections.idle, connections.users) == (closed, 1)
        assert [(end.type, end.complete) for end in ended] == [("settings", True), ("query", False)]
        uploads = [entry.details["name"] for entry in stage.poe.engine.log if entry.kind == "upload"]
        assert uploads == ["left.txt", "unsent.txt"], "what was under way has not arrived"

        reply = await stage.say("hello", conversation=conversation)
        assert reply.final_text() == "Hello"
        assert reply.files == []
        assert [message.role for message in conversation.messages] == ["user", "user", "bot"]
        assert not any(message.attachments for message in conversation.messages)
        await quiet(serving)
        assert [end.complete for end in ended] == [True, False, True], "no reply is under way"
    await only(before)


async def leave(stage: Stage, text: str, conversation: Conversation, under_way: anyio.Event) -> None:
    """Write to the bot, and leave when its answer is under way."""
    async with anyio.create_task_group() as tasks:

        async def say() -> None:
            await stage.say(text, conversation=conversation)
            raise AssertionError("it should not have answered")

        tasks.start_soon(say)
        await under_way.wait()
        tasks.cancel_scope.cancel()
