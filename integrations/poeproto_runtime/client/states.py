"""The states of a call, and its tasks, as tables. `docs/runtime.md` has them as diagrams.

A reply (`ReplyBase`) keeps a `ReplyPhase`: who closes it. The flow runner keeps no enum, which would cost several
assignments a read; the tests derive its `RunnerState` from its attributes. They compare the moves of both with the
tables.
"""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple


class ReplyPhase(Enum):
    """The reply, as its caller reads it: whether its query was sent, and who closes it."""

    NEW = "nothing has been sent"
    UNSCOPED = "read without `with`: it closes itself at its end, and when a read fails or is cancelled"
    SCOPED = "within its `with` block, whose end closes it"
    CLOSED = "its call is closed; what was read stays in `fold`"


class ReplyAct(Enum):
    """An act of the caller on a reply, or its outcome."""

    ENTER = "`ReplyBase._enter`"
    ENTER_FAILS = "`ReplyBase._enter`: the query is refused, fails, or is cancelled"
    READ = "`ReplyBase._read`"
    READ_ENDS = "`ReplyBase._read` returns None after the last event, fails, or is cancelled"
    CLOSE = "`ReplyBase._close`: the end of the `with` block, or `aclose`"


class RunnerState(Enum):
    """The flow runner: what it does when its caller awaits it next."""

    RESUMABLE = "resumes the flow, which has not started or has the outcome of its last effect"
    HAS_EFFECT = "performs the effect that the flow has yielded"
    BUSY = "awaits the I/O of an effect; no other task may read"
    RETURNED = "the flow has returned; there are no more events"
    FAILED = "raises the failure of the flow, on every read"


class RunnerAct(Enum):
    """An event in the life of the flow and its effects."""

    YIELD = "the flow yields an effect"
    DELIVER = "`FlowRunner.next_event` makes the events of a `Deliver` ready"
    PERFORM = "`FlowRunner.next_event` or `start` awaits the effect's I/O"
    OUTCOME = "the effect has an outcome, or a `PoeprotoError` to be thrown into the flow"
    INTERRUPT_READ = "a read, a wait before a retry, or the first step of a bot's call is cancelled"
    INTERRUPT_REQUEST = "a request or a tool is cancelled, or raises another exception than `PoeprotoError`"
    RETURN = "the flow returns"
    RAISE = "the flow raises an exception"
    CLOSE = "`FlowRunner.aclose`"


REPLY: dict[ReplyPhase, dict[ReplyAct, ReplyPhase]] = {
    ReplyPhase.NEW: {
        ReplyAct.ENTER: ReplyPhase.SCOPED,
        ReplyAct.READ: ReplyPhase.UNSCOPED,
        ReplyAct.CLOSE: ReplyPhase.CLOSED,
    },
    ReplyPhase.UNSCOPED: {
        ReplyAct.ENTER: ReplyPhase.SCOPED,
        ReplyAct.READ: ReplyPhase.UNSCOPED,
        ReplyAct.READ_ENDS: ReplyPhase.CLOSED,
        ReplyAct.CLOSE: ReplyPhase.CLOSED,
    },
    ReplyPhase.SCOPED: {
        ReplyAct.ENTER_FAILS: ReplyPhase.CLOSED,
        ReplyAct.READ: ReplyPhase.SCOPED,
        ReplyAct.READ_ENDS: ReplyPhase.SCOPED,
        ReplyAct.CLOSE: ReplyPhase.CLOSED,
    },
    ReplyPhase.CLOSED: {
        ReplyAct.READ: ReplyPhase.CLOSED,
        ReplyAct.READ_ENDS: ReplyPhase.CLOSED,
        ReplyAct.CLOSE: ReplyPhase.CLOSED,
    },
}

RUNNER: dict[RunnerState, dict[RunnerAct, RunnerState]] = {
    RunnerState.RESUMABLE: {
        RunnerAct.YIELD: RunnerState.HAS_EFFECT,
        RunnerAct.RETURN: RunnerState.RETURNED,
        RunnerAct.RAISE: RunnerState.FAILED,
        RunnerAct.CLOSE: RunnerState.FAILED,
    },
    RunnerState.HAS_EFFECT: {
        RunnerAct.DELIVER: RunnerState.RESUMABLE,
        RunnerAct.PERFORM: RunnerState.BUSY,
        RunnerAct.CLOSE: RunnerState.FAILED,
    },
    RunnerState.BUSY: {
        RunnerAct.OUTCOME: RunnerState.RESUMABLE,
        RunnerAct.INTERRUPT_READ: RunnerState.HAS_EFFECT,
        RunnerAct.INTERRUPT_REQUEST: RunnerState.FAILED,
    },
    RunnerState.RETURNED: {RunnerAct.CLOSE: RunnerState.RETURNED},
    RunnerState.FAILED: {RunnerAct.CLOSE: RunnerState.FAILED},
}


class Owner(Enum):
    """A task, thread or object that has a part in a call."""

    CALLER = "the task or thread that awaits the reply"
    REQUEST = "RequestContext, of a bot's calls"
    LOOP = "the event loop, or the interpreter"
    REPLY = "the reply, its flow and its response"
    POOL = "Pool, of a client or of a server"
    CONNECTION = "Connection"
    ATTEMPTS = "happy eyeballs: one attempt an address"
    TOOL_TASKS = "ToolRunner: one task a tool"
    WORKER_THREADS = "worker threads of the event loop"
    DAEMON_THREADS = "daemon threads, when the caller blocks"


class Ownership(NamedTuple):
    """The relation of an owner to the object that it owns.

    Attributes:
        owner: who does it.
        does: "opens", "waits for", "releases" or "closes".
        other: the object that is opened, waited for, released or closed.
        function: where.
        when: in which case.
    """

    owner: Owner
    does: str
    other: Owner
    function: str
    when: str


_OPENS = "opens"
_WAITS = "waits for"
_CLOSES = "closes"

OWNERSHIPS = (
    Ownership(Owner.CALLER, _OPENS, Owner.REPLY, "ReplyBase._enter", "with a block"),
    Ownership(Owner.CALLER, _OPENS, Owner.REPLY, "ReplyBase._read", "without a block, by the first read"),
    Ownership(Owner.CALLER, _CLOSES, Owner.REPLY, "ReplyBase._close", "the block is left; without one, at the end"),
    Ownership(Owner.REQUEST, _CLOSES, Owner.REPLY, "RequestContext.close", "the bot's request ends"),
    Ownership(Owner.LOOP, _CLOSES, Owner.REPLY, "DropGuard", "the reply was dropped"),
    Ownership(Owner.REPLY, _OPENS, Owner.CONNECTION, "Pool.acquire", "no idle connection in the pool"),
    Ownership(
        Owner.REPLY, "releases", Owner.CONNECTION, "H11Response.finish", "to the pool, after the end of the body"
    ),
    Ownership(Owner.REPLY, _CLOSES, Owner.CONNECTION, "H11Response.aclose", "closed early, or failed"),
    Ownership(Owner.POOL, _CLOSES, Owner.CONNECTION, "Pool.release", "it cannot carry another request"),
    Ownership(Owner.POOL, _CLOSES, Owner.CONNECTION, "Pool.aclose", "the client is closed, or its server stops"),
    Ownership(Owner.CALLER, _WAITS, Owner.ATTEMPTS, "AnyioConnector.__call__", "in an event loop; cancels the losers"),
    Ownership(Owner.CALLER, _WAITS, Owner.ATTEMPTS, "connect_first", "by blocking; closes the losers"),
    Ownership(
        Owner.CALLER, _WAITS, Owner.TOOL_TASKS, "ToolRunner.__call__", "a round of tools; cancels them with itself"
    ),
    Ownership(
        Owner.TOOL_TASKS, _WAITS, Owner.WORKER_THREADS, "_run_tool", "a synchronous tool; abandoned if cancelled"
    ),
    Ownership(Owner.CALLER, _WAITS, Owner.WORKER_THREADS, "read_source", "the file of an upload"),
    Ownership(
        Owner.CALLER, _WAITS, Owner.DAEMON_THREADS, "SocketConnector.__call__", "a name; abandoned at the deadline"
    ),
    Ownership(
        Owner.CALLER, _WAITS, Owner.DAEMON_THREADS, "BlockingToolRunner.__call__", "tools; abandoned if interrupted"
    ),
)
