"""A reply and a flow runner that hold their code to the tables of a call's states."""

from __future__ import annotations

from typing import Any, TypeVar

from poeproto_runtime.client.flow_runner import FlowRunner
from poeproto_runtime.client.reply import ReplyBase
from poeproto_runtime.client.states import REPLY, ReplyPhase, RunnerState

R = TypeVar("R")


class CheckedPhase:
    """Replaces `ReplyBase._state`, and refuses each assignment that is not a move of the table."""

    def __get__(self, reply: ReplyBase, owner: type) -> ReplyPhase:
        return reply.__dict__["_state"]

    def __set__(self, reply: ReplyBase, phase: ReplyPhase) -> None:
        before = reply.__dict__.get("_state")
        expected = {ReplyPhase.NEW} if before is None else set(REPLY[before].values())
        assert phase in expected, f"a reply may not become {phase} while it is {before}"
        reply.__dict__["_state"] = phase


class ObservedRunner(FlowRunner[R]):
    """A flow runner that notes its moves from one state to another.

    Attributes:
        moves: the moves so far, each once.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.moves: set[tuple[RunnerState, RunnerState]] = set()
        self._last = self.state

    @property
    def state(self) -> RunnerState:
        """The state that the runner enters when it is awaited next."""
        if self._failure is not None:
            return RunnerState.FAILED
        if self.returned:
            return RunnerState.RETURNED
        if self.busy:
            return RunnerState.BUSY
        return RunnerState.RESUMABLE if self._effect is None else RunnerState.HAS_EFFECT

    async def aclose(self) -> None:
        try:
            await super().aclose()
        finally:
            self._note()

    def _note(self) -> None:
        if self.state is not self._last:
            self.moves.add((self._last, self.state))
            self._last = self.state

    def _make_ready(self, effect: Any) -> None:
        super()._make_ready(effect)
        self._note()

    def _advance(self) -> None:
        super()._advance()
        self._note()

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, value)
        if name == "busy" and "_last" in self.__dict__:
            self._note()
