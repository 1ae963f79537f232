"""The state of a reply under way, as data: who may write, how the bot's events come, which tasks there are.

As in `poeproto.exchange.states`, transitions are data: for each state, the acts that can happen in it and where each
leads. A reply has four parts that move independently (the bot may be suspended while the writer's task writes), so each
has a table. `ReplyStream`, `CoalescingWriter` and `EventSender` share one `ReplyState`, and have no flags of
their own.

Code moves a part by one row of its table: ``state.writing = WRITE_FAILS[state.writing]``. Only the moves of each event
and of each burst are assignments of the one state they lead to, since lookups in a dict cost a lone event 3 % more (in
instructions, by callgrind). The tests of the runtime run with a `ReplyState` that refuses each assignment that its
table does not have.

`TASK_RELATIONS` says which task starts and cancels which other. `docs/runtime.md` has all these tables as diagrams.
"""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple, TypeVar


class Writing(Enum):
    """The response: who writes it, and whether anybody may."""

    NOT_STARTED = "the head of the response has not been written"
    HEAD = "the bot's task writes the head"
    IDLE = "nobody writes; the bot's task and the writer's task may"
    BOT = "the bot's task writes"
    WRITER = "the writer's task writes"
    CUT_SHORT = "a write of the bot's task was cancelled; how much of it was sent, only the channel knows"
    BROKEN = "a write failed, or a write other than the bot's task's was cancelled; nothing may follow"
    ENDING = "the bot's task writes the rest and the end"
    ENDED = "the end has been written"


class BotPace(Enum):
    """The bot's events: whether the next one is written at once or buffered."""

    SUSPENDED = "the bot was suspended since its last event; the next event is written at once"
    RESUMED = "an event was written at once; one that follows without a suspension begins a burst"
    BURST = "events follow each other without a suspension; they are buffered, and texts are encoded together"


class Tasks(Enum):
    """The tasks of the reply, beside the bot's own."""

    BOT_ONLY = "there is no other task: the bot has never been suspended"
    WATCHED = "a second task waits for a disconnect, and the timers tick"
    WRITER_BUSY = "the writer's task, too: it writes what is buffered, then waits for more"
    WRITER_WAITS = "the writer's task, too: it waits for more"
    WRITER_LEAVES = "the writer's task, too: it writes what is buffered, then ends"


class Server(Enum):
    """The server that the reply belongs to."""

    SERVING = "the server goes on"
    STOPPING = "the server is about to stop; the reply ends with an error that allows a retry"


class Act(Enum):
    """An event in the life of a reply, named after the task that causes it."""

    START = "`CoalescingWriter.start`"
    BOT_WRITES = "`CoalescingWriter.write_lone`, or `flush` in the bot's task"
    WRITER_WRITES = "`CoalescingWriter.flush` in the writer's task"
    FINISH = "`CoalescingWriter.finish`"
    WRITE_ENDS = "the channel returns"
    WRITE_FAILS = "the channel raises an exception"
    WRITE_CANCELLED = "a cancellation passes through the channel"
    SKIP_WRITE = "`CoalescingWriter.skip_cut_short`"
    SUSPEND = "`ReplyStream._before_suspension`"
    LONE_EVENT = "`EventSender.send` has written an event at once"
    EVENT_BUFFERED = "`EventSender.send` has buffered an event"
    HAND_OVER = "`CoalescingWriter.hand_over` after a burst"
    HEARTBEAT = "`CoalescingWriter.hand_over` for a heartbeat"
    WRITER_DONE = "`CoalescingWriter.run` has written all that it may"
    WRITER_CANCELLED = "`CoalescingWriter.run` is cancelled, or its write fails"
    STOP = "`ReplyStream.stop`"


# Members are looked up for every event, and Enum's own hash is slow Python.
for _states in (Writing, BotPace, Tasks, Server, Act):
    _states.__hash__ = object.__hash__

WRITING: dict[Writing, dict[Act, Writing]] = {
    Writing.NOT_STARTED: {Act.START: Writing.HEAD},
    Writing.HEAD: {
        Act.WRITE_ENDS: Writing.IDLE,
        Act.WRITE_FAILS: Writing.BROKEN,
        Act.WRITE_CANCELLED: Writing.BROKEN,
    },
    # Here alone a task may begin to write. In the states with WRITE_ENDS others wait, in all other states they fail.
    Writing.IDLE: {
        Act.BOT_WRITES: Writing.BOT,
        Act.WRITER_WRITES: Writing.WRITER,
        Act.FINISH: Writing.ENDING,
    },
    Writing.BOT: {
        Act.WRITE_ENDS: Writing.IDLE,
        Act.WRITE_FAILS: Writing.BROKEN,
        # By a scope that the bot holds open around its `yield`. All other writes are cancelled with the whole reply.
        Act.WRITE_CANCELLED: Writing.CUT_SHORT,
    },
    Writing.WRITER: {
        Act.WRITE_ENDS: Writing.IDLE,
        Act.WRITE_FAILS: Writing.BROKEN,
        Act.WRITE_CANCELLED: Writing.BROKEN,
    },
    Writing.CUT_SHORT: {Act.SKIP_WRITE: Writing.IDLE},
    Writing.BROKEN: {},
    Writing.ENDING: {
        Act.WRITE_ENDS: Writing.ENDED,
        Act.WRITE_FAILS: Writing.BROKEN,
        Act.WRITE_CANCELLED: Writing.BROKEN,
    },
    Writing.ENDED: {},
}

BOT_PACE: dict[BotPace, dict[Act, BotPace]] = {
    # EVENT_BUFFERED: the suspensions that the runtime brings in (backpressure, a turn for other tasks) end no burst.
    BotPace.SUSPENDED: {
        Act.SUSPEND: BotPace.SUSPENDED,
        Act.LONE_EVENT: BotPace.RESUMED,
        Act.EVENT_BUFFERED: BotPace.BURST,
    },
    BotPace.RESUMED: {Act.SUSPEND: BotPace.SUSPENDED, Act.EVENT_BUFFERED: BotPace.BURST},
    BotPace.BURST: {Act.SUSPEND: BotPace.SUSPENDED, Act.EVENT_BUFFERED: BotPace.BURST},
}

TASKS: dict[Tasks, dict[Act, Tasks]] = {
    Tasks.BOT_ONLY: {Act.SUSPEND: Tasks.WATCHED},
    # From here, HAND_OVER and HEARTBEAT start the writer's task; to start one takes longer than to wake it, and one
    # that waits takes memory, so a heartbeat's does not stay.
    Tasks.WATCHED: {
        Act.SUSPEND: Tasks.WATCHED,
        Act.HAND_OVER: Tasks.WRITER_BUSY,
        Act.HEARTBEAT: Tasks.WRITER_LEAVES,
    },
    Tasks.WRITER_BUSY: {
        Act.SUSPEND: Tasks.WRITER_BUSY,
        Act.HAND_OVER: Tasks.WRITER_BUSY,
        Act.HEARTBEAT: Tasks.WRITER_LEAVES,
        Act.WRITER_DONE: Tasks.WRITER_WAITS,
        Act.WRITER_CANCELLED: Tasks.WATCHED,
    },
    Tasks.WRITER_WAITS: {
        Act.SUSPEND: Tasks.WRITER_WAITS,
        Act.HAND_OVER: Tasks.WRITER_BUSY,
        Act.HEARTBEAT: Tasks.WRITER_LEAVES,
        Act.WRITER_CANCELLED: Tasks.WATCHED,
    },
    Tasks.WRITER_LEAVES: {
        Act.SUSPEND: Tasks.WRITER_LEAVES,
        Act.HAND_OVER: Tasks.WRITER_BUSY,
        Act.HEARTBEAT: Tasks.WRITER_LEAVES,
        Act.WRITER_DONE: Tasks.WATCHED,
        Act.WRITER_CANCELLED: Tasks.WATCHED,
    },
}

SERVER: dict[Server, dict[Act, Server]] = {
    Server.SERVING: {Act.STOP: Server.STOPPING},
    Server.STOPPING: {Act.STOP: Server.STOPPING},
}

S = TypeVar("S", bound=Enum)


class Row(dict[S, S]):
    """The transitions of one act, by the state in which it happens.

    Raises:
        AssertionError: for a state in which the act cannot happen.
    """

    def __missing__(self, state: S) -> S:
        allowed = ", ".join(each.name for each in self)
        raise AssertionError(f"{type(state).__name__} is {state.name}; this can happen only in {allowed}")


def _row(table: dict[S, dict[Act, S]], act: Act) -> Row[S]:
    return Row({state: moves[act] for state, moves in table.items() if act in moves})


# The rows that code uses. `get` returns whether an act is possible now.
START = _row(WRITING, Act.START)
FINISH = _row(WRITING, Act.FINISH)
WRITE_ENDS = _row(WRITING, Act.WRITE_ENDS)
WRITE_FAILS = _row(WRITING, Act.WRITE_FAILS)
WRITE_CANCELLED = _row(WRITING, Act.WRITE_CANCELLED)
SKIP_WRITE = _row(WRITING, Act.SKIP_WRITE)

SUSPEND = _row(TASKS, Act.SUSPEND)
WRITER_CANCELLED = _row(TASKS, Act.WRITER_CANCELLED)

STOP = _row(SERVER, Act.STOP)

# Access to a member through its class is slow, too.
IDLE = Writing.IDLE
BOT = Writing.BOT
WRITER = Writing.WRITER
SUSPENDED = BotPace.SUSPENDED
RESUMED = BotPace.RESUMED
BURST = BotPace.BURST
BOT_ONLY = Tasks.BOT_ONLY
WATCHED = Tasks.WATCHED
WRITER_BUSY = Tasks.WRITER_BUSY
WRITER_WAITS = Tasks.WRITER_WAITS
WRITER_LEAVES = Tasks.WRITER_LEAVES

# A write is under way: others wait for its end.
UNDER_WAY = frozenset(WRITE_ENDS)
# The end of the response is written, or is about to be.
FINISHED = frozenset({Writing.ENDING, Writing.ENDED})


class ReplyState:
    """The state of one reply; its bot's task, its writer's task and the timers share it.

    Attributes:
        writing: who writes the response.
        pace: how the bot's events come.
        tasks: which tasks there are.
        server: whether the server is about to stop.
    """

    __slots__ = ("pace", "server", "tasks", "writing")

    def __init__(self) -> None:
        self.writing = Writing.NOT_STARTED
        self.pace = BotPace.SUSPENDED
        self.tasks = Tasks.BOT_ONLY
        self.server = Server.SERVING


class Task(Enum):
    """A task that has to do with a reply; the value is the function that runs in it."""

    SERVER = "the server's own"
    BOT = "ReplyStream.run"
    DISCONNECT = "ReplyStream._cancel_on_disconnect"
    WRITER = "ReplyStream._write"
    TIMERS = "ReplyTimers._run"


class TaskRelation(NamedTuple):
    """One task starts or cancels another.

    Attributes:
        task: the task that does it.
        does: "starts", "cancels", or "cancels the bot in", where only the bot's code is cancelled.
        other: the other task.
        function: where.
        when: why.
    """

    task: Task
    does: str
    other: Task
    function: str
    when: str


_CANCELS = "cancels"
_STARTS = "starts"

TASK_RELATIONS = (
    TaskRelation(Task.SERVER, _STARTS, Task.BOT, "BotService.handle", "a query has been received"),
    TaskRelation(Task.SERVER, _STARTS, Task.TIMERS, "ReplyTimers.running", "the serving begins"),
    TaskRelation(Task.SERVER, "cancels the bot in", Task.BOT, "ReplyStream.stop", "the server is about to stop"),
    TaskRelation(Task.BOT, _STARTS, Task.DISCONNECT, "ReplyStream._before_suspension", "first suspension"),
    TaskRelation(Task.BOT, _STARTS, Task.TIMERS, "ReplyTimers.add", "no server has started it"),
    TaskRelation(Task.BOT, _STARTS, Task.WRITER, "ReplyStream._before_suspension", "a burst ends"),
    TaskRelation(Task.TIMERS, _STARTS, Task.WRITER, "ReplyStream._send_heartbeat", "a heartbeat is due"),
    TaskRelation(Task.DISCONNECT, _CANCELS, Task.BOT, "ReplyStream._cancel_on_disconnect", "the client disconnected"),
    TaskRelation(Task.TIMERS, _CANCELS, Task.BOT, "ReplyStream.tick", "a write takes too long"),
    TaskRelation(Task.WRITER, _CANCELS, Task.BOT, "ReplyStream._write", "its write failed"),
    TaskRelation(Task.BOT, _CANCELS, Task.DISCONNECT, "ReplyStream._end_tasks", "the reply has ended"),
    TaskRelation(Task.BOT, _CANCELS, Task.WRITER, "ReplyStream._end_tasks", "the reply has ended"),
)
