"""The tables of a reply's state, against descriptions that share nothing with them; no event loop is needed.

Each act is a letter, so that a history is a text. Of the response: s the head is started, b the bot's task writes,
w the writer's task writes, d the end is written; . such a write ends, f it fails, x it is cancelled; k a write that was
cut short is skipped. Of the tasks: u the bot is suspended, h a burst is handed over, t a heartbeat is due, e the
writer's task has written all, c it is cancelled. Of the bot's events: u as before, l a lone event, m a buffered one.
"""

from __future__ import annotations

import re
import sys
import types
from collections.abc import AsyncIterator, Coroutine, Generator, Mapping
from enum import Enum
from itertools import product
from typing import Any, TypeVar

import anyio
import anyio.lowlevel
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from poeproto import Limits, ResponseHead
from poeproto_runtime import BotService, ClientDisconnected
from poeproto_runtime.reply import states
from poeproto_runtime.reply.states import (
    BOT_PACE,
    FINISH,
    FINISHED,
    SERVER,
    TASK_RELATIONS,
    TASKS,
    UNDER_WAY,
    WRITING,
    Act,
    BotPace,
    ReplyState,
    Row,
    Server,
    Task,
    Tasks,
    Writing,
)
from poeproto_runtime.reply.task import ReplyStream
from poeproto_runtime.reply.timers import ReplyTimers
from poeproto_runtime.reply.writer import CoalescingWriter

from ...support.memory_channel import MemoryChannel, answer
from ...support.reply_state import CheckedState

S = TypeVar("S", bound=Enum)

HEARTBEAT = b": \n\n"
SOON = 0.02

WRITING_ACTS = {
    "s": Act.START,
    "b": Act.BOT_WRITES,
    "w": Act.WRITER_WRITES,
    "d": Act.FINISH,
    ".": Act.WRITE_ENDS,
    "f": Act.WRITE_FAILS,
    "x": Act.WRITE_CANCELLED,
    "k": Act.SKIP_WRITE,
}
TASK_ACTS = {
    "u": Act.SUSPEND,
    "h": Act.HAND_OVER,
    "t": Act.HEARTBEAT,
    "e": Act.WRITER_DONE,
    "c": Act.WRITER_CANCELLED,
}
PACE_ACTS = {"u": Act.SUSPEND, "l": Act.LONE_EVENT, "m": Act.EVENT_BUFFERED}

# A response, or the beginning of one: a head; writes, of which one by the bot's task may be cut short and skipped; an
# end. Nothing follows a write that failed, nor one that was cut short in any other way.
RESPONSE = re.compile(r"(s([fx]|\.([bw]\.|bxk)*(bx?|w[x]?|[bw]f|d[.fx]?)?)?)?")
UNDER_WAY_NOW = re.compile(r".*[sbwd]")
FINISHED_NOW = re.compile(r".*d\.?")


def after(table: Mapping[S, Mapping[Act, S]], start: S, acts: Mapping[str, Act], letters: str) -> S | None:
    """The state after a history; None where the table does not allow it."""
    state: S | None = start
    for letter in letters:
        if state is None:
            return None
        state = table[state].get(acts[letter])
    return state


def check_response(letters: str) -> None:
    state = after(WRITING, Writing.NOT_STARTED, WRITING_ACTS, letters)
    assert (state is not None) == bool(RESPONSE.fullmatch(letters)), letters
    if state is not None:
        assert (state in UNDER_WAY) == bool(UNDER_WAY_NOW.fullmatch(letters))
        assert (state in FINISHED) == bool(FINISHED_NOW.fullmatch(letters))


@pytest.mark.parametrize("length", range(6))
def test_a_response_is_written_by_one_task_at_a_time_and_ends_with_a_failure(length: int) -> None:
    for letters in product(WRITING_ACTS, repeat=length):
        check_response("".join(letters))


@settings(deadline=None)
@given(
    st.lists(st.sampled_from(["b.", "w.", "bxk", "b", "w", "bx", "bf", "wx", "d.", "d", "f", "k", "."]), max_size=20)
)
def test_a_long_response_is_written_by_one_task_at_a_time(parts: list[str]) -> None:
    check_response("s." + "".join(parts))


class FourFlags:
    """The four flags that the table of the tasks replaces."""

    def __init__(self) -> None:
        self.watched = self.running = self.busy = self.staying = False

    def happens(self, letter: str) -> bool:
        if letter == "u":
            self.watched = True
        elif letter in "ht":
            if not self.watched:
                return False
            self.running, self.busy, self.staying = True, True, letter == "h"
        elif not self.running or (letter == "e" and not self.busy):
            return False
        else:
            self.busy = False
            self.running = letter == "e" and self.staying
        return True

    def state(self) -> Tasks:
        if not self.running:
            return Tasks.WATCHED if self.watched else Tasks.BOT_ONLY
        if not self.busy:
            return Tasks.WRITER_WAITS
        return Tasks.WRITER_BUSY if self.staying else Tasks.WRITER_LEAVES


@settings(deadline=None)
@given(st.text(alphabet="uhhtteec", max_size=30))
def test_the_writers_task_starts_once(letters: str) -> None:
    flags = FourFlags()
    for end, letter in enumerate(letters, start=1):
        allowed = flags.happens(letter)
        state = after(TASKS, Tasks.BOT_ONLY, TASK_ACTS, letters[:end])
        if not allowed:
            assert state is None
            return
        assert state is flags.state()


@pytest.mark.parametrize("length", range(6))
def test_an_event_is_lone_only_right_after_a_suspension(length: int) -> None:
    for letters in map("".join, product(PACE_ACTS, repeat=length)):
        state = after(BOT_PACE, BotPace.SUSPENDED, PACE_ACTS, letters)
        assert (state is None) == bool(re.search("[lm]l", letters))
        if state is not None:
            last = {"u": BotPace.SUSPENDED, "l": BotPace.RESUMED, "m": BotPace.BURST}
            assert state is last.get(letters[-1:], BotPace.SUSPENDED)


def test_a_server_that_is_about_to_stop_does_not_change_its_mind() -> None:
    assert [SERVER[state][Act.STOP] for state in Server] == [Server.STOPPING] * 2


# --- the tables themselves

TABLES: list[tuple[Mapping[Any, Mapping[Act, Any]], Enum]] = [
    (WRITING, Writing.NOT_STARTED),
    (BOT_PACE, BotPace.SUSPENDED),
    (TASKS, Tasks.BOT_ONLY),
    (SERVER, Server.SERVING),
]


@pytest.mark.parametrize(("table", "start"), TABLES)
def test_every_state_can_be_reached(table: Mapping[Any, Mapping[Act, Any]], start: Enum) -> None:
    reached = {start}
    while new := {target for state in reached for target in table[state].values()} - reached:
        reached |= new
    assert reached == set(table) == set(type(start))


def test_a_reply_begins_where_the_tables_begin() -> None:
    state = ReplyState()
    assert [state.writing, state.pace, state.tasks, state.server] == [start for _, start in TABLES]


def test_every_row_that_code_uses_is_of_a_table() -> None:
    rows = [row for row in vars(states).values() if isinstance(row, Row)]
    expected = [
        {state: moves[act] for state, moves in table.items() if act in moves}
        for table, _ in TABLES
        for act in Act
        if any(act in moves for moves in table.values())
    ]
    assert rows
    assert all(row in expected for row in rows)


def test_the_tests_refuse_a_move_that_is_in_no_table() -> None:
    state = CheckedState()
    state.writing = Writing.HEAD
    with pytest.raises(AssertionError):
        state.writing = Writing.ENDED


@pytest.mark.parametrize("state", [state for state in Writing if state is not Writing.IDLE])
def test_an_act_in_the_wrong_state_says_so(state: Writing) -> None:
    with pytest.raises(AssertionError, match=f"^Writing is {state.name}; this can happen only in IDLE$"):
        FINISH[state]


# --- the tasks


def test_the_table_of_the_tasks_names_existing_tasks() -> None:
    scope = {each.__name__: each for each in (BotService, ReplyStream, ReplyTimers)}
    functions = {relation.function for relation in TASK_RELATIONS} | {task.value for task in Task if "." in task.value}
    for function in functions:
        owner, name = function.split(".")
        assert callable(getattr(scope[owner], name)), function


@pytest.mark.anyio
async def test_the_table_of_the_tasks_is_complete(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every task that a reply starts, every cancellation of a reply, and which function does it."""
    seen: set[tuple[str, str]] = set()
    start_soon, cancel, end_tasks = ReplyStream.start_soon, ReplyStream._cancel, ReplyStream._end_tasks

    def note_start(self: ReplyStream, run: Any, *arguments: object) -> None:
        frame = sys._getframe(1)
        while frame.f_code.co_name.startswith(("_start_in", "_move_from")):
            assert frame.f_back is not None
            frame = frame.f_back
        seen.add((frame.f_code.co_qualname, run.__qualname__))
        start_soon(self, run, *arguments)

    def note_cancel(self: ReplyStream) -> None:
        seen.add((sys._getframe(1).f_code.co_qualname, "cancels"))
        cancel(self)

    def note_end(self: ReplyStream) -> None:
        seen.add((end_tasks.__qualname__, "cancels"))
        end_tasks(self)

    monkeypatch.setattr(ReplyStream, "start_soon", note_start)
    monkeypatch.setattr(ReplyStream, "_cancel", note_cancel)
    monkeypatch.setattr(ReplyStream, "_end_tasks", note_end)

    async def idle(channel: MemoryChannel) -> AsyncIterator[str]:
        yield "lone"
        await channel.until(lambda: HEARTBEAT in channel.stream)

    async def does_not_read(channel: MemoryChannel) -> AsyncIterator[str]:
        await anyio.lowlevel.checkpoint()
        channel.open = anyio.Event()
        yield "lone"

    async def breaks(channel: MemoryChannel) -> AsyncIterator[str]:
        yield "lone"
        channel.break_writes = True
        yield "handed over to the writer's task"
        await anyio.sleep_forever()

    async def disconnects(channel: MemoryChannel) -> AsyncIterator[str]:
        yield "lone"
        channel.gone.set()
        await anyio.sleep_forever()

    for bot in (idle, does_not_read, breaks, disconnects):
        channel = MemoryChannel()
        limits = Limits(heartbeat_seconds=SOON, send_seconds=SOON)
        await answer(lambda request, context, bot=bot, channel=channel: bot(channel), channel, limits)

    expected = {
        (relation.function, "cancels" if relation.does == "cancels" else relation.other.value)
        for relation in TASK_RELATIONS
        if relation.task is not Task.SERVER
    }
    assert seen == expected


# --- the writer, driven by hand


@types.coroutine
def until_sent() -> Generator[None]:
    yield


class HandDrivenChannel(MemoryChannel):
    """A channel whose writes the test drives by hand. Of a write that is cut short, nothing is sent."""

    async def start(self, head: ResponseHead) -> None: ...

    async def send(self, data: bytes) -> None:
        with self._exclusively():
            await until_sent()
            self.writes.append(data)

    async def finish(self, data: bytes) -> None:
        await self.send(data)
        self.ended = True


class Cancelled(BaseException):
    """A cancellation, whatever the event loop calls it."""


def step(coroutine: Coroutine[Any, Any, None], failure: BaseException | None = None) -> bool:
    """Drive a coroutine to its next suspension; returns whether it has ended."""
    try:
        if failure is None:
            coroutine.send(None)
        else:
            coroutine.throw(failure)
    except StopIteration:
        return True
    return False


@settings(deadline=None)
@given(st.text(alphabet="pppbbww...xfkd", max_size=40))
def test_a_writer_sends_the_buffer_in_order_and_completely(letters: str) -> None:
    """p buffers a byte; the other letters are as above, and are passed over where they do not apply."""
    channel, state = HandDrivenChannel(), CheckedState()
    writer = CoalescingWriter(channel, 1000, state)
    assert step(writer.start(ResponseHead(200)))
    history = "s."
    writing: Coroutine[Any, Any, None] | None = None
    expected, buffered, count = b"", b"", 0
    for letter in letters:
        if letter == "p":
            count += 1
            buffered += bytes([count])
            writer.buffer(bytes([count]))
        elif letter in "bw":
            other = writer.flush(Writing.BOT if letter == "b" else Writing.WRITER)
            if writing is not None or history[-1] == "d" or (RESPONSE.fullmatch(history + letter) and not buffered):
                assert step(other), "another task writes, or there is nothing to write"
            elif RESPONSE.fullmatch(history + letter):
                assert not step(other)
                history, writing = history + letter, other
            else:
                with pytest.raises(ClientDisconnected):
                    step(other)
        elif letter == "d" and writing is None:
            other = writer.finish(b"!")
            if RESPONSE.fullmatch(history + letter):
                assert not step(other)
                buffered += b"!"
                history, writing = history + letter, other
            else:
                with pytest.raises(ClientDisconnected):
                    step(other)
        elif letter in ".xf" and writing is not None:
            failure = {".": None, "x": Cancelled(), "f": ClientDisconnected("reset")}[letter]
            if failure is None:
                assert step(writing)
                sent = channel.writes[-1]
                assert buffered.startswith(sent)
                expected, buffered = expected + sent, buffered[len(sent) :]
            else:
                with pytest.raises(type(failure)):
                    step(writing, failure)
            history, writing = history + letter, None
        elif letter == "k" and RESPONSE.fullmatch(history + letter):
            writer.skip_cut_short()
            buffered = b""
            history += letter
        assert state.writing is after(WRITING, Writing.NOT_STARTED, WRITING_ACTS, history)
        assert channel.stream == expected
    if writing is not None:
        writing.close()
    assert channel.ended == history.endswith("d.")
