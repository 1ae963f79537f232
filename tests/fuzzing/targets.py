"""All targets by name, each with its seeds and its default number of runs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from tests.fuzzing import exchanges, framing, inputs, values


class Target(NamedTuple):
    """Code that is fuzzed.

    Attributes:
        run: asserts what must hold for one input; its docstring says which exceptions the code may raise.
        seeds: makes the inputs to start from.
        runs: how many inputs a whole run has.
    """

    run: Callable[[bytes], None]
    seeds: Callable[[], Sequence[bytes]]
    runs: int

    def feed(self, made: Iterable[bytes]) -> int:
        """Run it with each of these inputs; return their number. An exception gets a note with the input."""
        fed = 0
        for data in made:
            try:
                self.run(data)
            except Exception as exc:
                exc.add_note(f"the input was {data!r}")
                raise
            fed += 1
        return fed


TARGETS = {
    "sse": Target(framing.sse, inputs.streams, 1_000_000),
    "bot_exchange": Target(exchanges.bot_exchange, inputs.requests, 1_000_000),
    "poe_exchange": Target(exchanges.poe_exchange, inputs.responses, 1_000_000),
    "writing": Target(framing.writing, inputs.strings, 100_000),
    "requests": Target(values.requests, inputs.bodies, 100_000),
    "events": Target(values.events, inputs.records, 100_000),
    "settings": Target(values.settings, inputs.settings, 100_000),
    "tool_chunks": Target(values.tool_chunks, inputs.chunks, 100_000),
    "answers": Target(values.answers, inputs.answers, 100_000),
    "headers": Target(values.headers, inputs.headers, 100_000),
}
