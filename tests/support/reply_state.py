"""The state of a reply that holds its code to the tables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from poeproto_runtime.reply.states import BOT_PACE, SERVER, TASKS, WRITING, Act, ReplyState

_TABLES: dict[str, Mapping[Any, Mapping[Act, Any]]] = {
    "writing": WRITING,
    "pace": BOT_PACE,
    "tasks": TASKS,
    "server": SERVER,
}


class CheckedState(ReplyState):
    """A `ReplyState` that refuses each assignment that is not a move of its table."""

    def __setattr__(self, part: str, state: Any) -> None:
        before = getattr(self, part, None)
        moves = _TABLES[part].get(before, {}).values()
        assert before is None or state in moves, f"{part} may not become {state} while it is {before}"
        super().__setattr__(part, state)
