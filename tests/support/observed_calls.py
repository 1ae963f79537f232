"""What the hooks of calls were called with."""

from __future__ import annotations

import gc
import itertools
from collections.abc import Callable
from typing import Any

import anyio
import anyio.lowlevel

from poeproto import Event
from poeproto_h11 import CallObservation


class Calls:
    """What the hooks were called with."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, CallObservation]] = []
        self.events: list[Event] = []

    def hook(self, name: str) -> Callable[[CallObservation], None]:
        return lambda seen: self.calls.append((name, seen))

    @property
    def hooks(self) -> dict[str, Any]:
        return {name: self.hook(name) for name in ("on_start", "on_first_event", "on_end")}

    @property
    def names(self) -> list[str]:
        return [name for name, _ in self.calls]

    @property
    def end(self) -> CallObservation:
        """The end of the only call."""
        assert self.names.count("on_start") == self.names.count("on_end") == 1
        assert (self.names[0], self.names[-1]) == ("on_start", "on_end")
        return self.calls[-1][1]

    async def until_ended(self) -> CallObservation:
        """The end, once what closes a reply in the background has run."""
        with anyio.fail_after(5):
            for turn in itertools.count():
                if "on_end" in self.names:
                    break
                if turn % 100 == 0:  # it takes long where many tests have left objects
                    gc.collect()
                await anyio.lowlevel.checkpoint()
        return self.end
