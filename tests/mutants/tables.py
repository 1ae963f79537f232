"""Changes the tables of `poeproto.exchange.states` entry by entry, and prints the changes that no test notices.

The rules of an exchange are data, and mutmut changes only what stands in functions. So each table is changed in memory,
in a process of its own, and the tests of those who obey it are run until one fails. `make mutants` runs both.
"""

from __future__ import annotations

import os
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from importlib import import_module

import hypothesis
import pytest

from poeproto.exchange.states import EXCUSED, IGNORED, KINDS, STREAMING, TRANSITIONS, Kind, Role, State

TESTS = ["tests/core/exchange/test_states.py", "tests/core/exchange/test_bot_exchange_order.py"]
LOADED_ONCE = [hypothesis]  # and not in every process again, which pytest warns of
ARGUMENTS = [
    "-x",
    "-p",
    "no:cacheprovider",
    "-W",
    "ignore::pytest.PytestAssertRewriteWarning",
    "--hypothesis-seed=0",
    "--hypothesis-profile=mutants",
]
SECONDS = 60
HOLDERS_OF_STREAMING = ["poeproto.exchange.states", "poeproto.exchange.bot_exchange", "poeproto.exchange.poe_exchange"]

# A reader asks its two tables about events alone, and about states in which there can be one.
EVENTS = [kind for kind in Kind if kind in KINDS.values()]
READ_IN = [*filter(STREAMING.__contains__, State), State.FAILED, State.DONE]

# Changes that make no difference, and why.
EQUIVALENT = {"IGNORED: FAILED, DONE is heeded": "it is a move, and who asks there asks for moves first"}

# The name of a change, and the function that makes it.
Mutant = tuple[str, Callable[[], object]]
Rows = dict[State, dict[Kind, State]]


def changed_moves(name: str, rows: Rows, kinds: Iterable[Kind], targets: Iterable[State]) -> Iterator[Mutant]:
    """Each move dropped or led elsewhere, and where there is none, one that stays and one that ends it all."""
    for state, row in rows.items():
        for kind in kinds:
            move = f"{name}: {state.name} on {kind.name}"
            current = row.get(kind)
            if current is not None:
                yield f"{move} is not a move", partial(row.pop, kind)
            for target in dict.fromkeys((state, State.DONE)) if current is None else targets:
                if target is not current:
                    yield f"{move} leads to {target.name}", partial(row.__setitem__, kind, target)


def changed_sets() -> Iterator[Mutant]:
    for state in READ_IN:
        kinds = IGNORED.get(state, frozenset[Kind]())
        for kind in EVENTS:
            change = f"{kind.name} {'is heeded' if kind in kinds else 'is passed over'}"
            yield f"IGNORED: {state.name}, {change}", partial(IGNORED.__setitem__, state, kinds ^ {kind})
    for state in State:
        change = "is not open" if state in STREAMING else "is open"
        yield f"STREAMING: {state.name} {change}", partial(set_streaming, STREAMING ^ {state})


def set_streaming(states: frozenset[State]) -> None:
    for module in map(import_module, HOLDERS_OF_STREAMING):
        setattr(module, "STREAMING", states)  # noqa: B010  # the module's type says that it is constant


def changed_kinds() -> Iterator[Mutant]:
    for cls, current in KINDS.items():
        for kind in Kind:
            if kind is not current:
                yield f"KINDS: {cls.__name__} is {kind.name}", partial(KINDS.__setitem__, cls, kind)


def mutants() -> Iterator[Mutant]:
    for role, rows in TRANSITIONS.items():
        yield from changed_moves(role.name, rows, Kind, rows)
    excused: Rows = {state: EXCUSED.setdefault(state, {}) for state in READ_IN if state in STREAMING}
    yield from changed_moves("EXCUSED", excused, EVENTS, TRANSITIONS[Role.BOT])
    yield from changed_sets()
    yield from changed_kinds()


def tests_pass(change: Callable[[], object]) -> bool:
    """Whether all tests pass with the change, which is then undone."""
    with tempfile.TemporaryFile("w+") as output:
        child = os.fork()
        if child == 0:
            code = pytest.ExitCode.INTERNAL_ERROR
            try:
                signal.alarm(SECONDS)  # tests that never end have noticed, too
                os.dup2(output.fileno(), sys.stdout.fileno())
                os.dup2(output.fileno(), sys.stderr.fileno())
                change()
                code = pytest.main([*ARGUMENTS, *TESTS])
            except BaseException:
                traceback.print_exc()
                raise
            finally:
                sys.stdout.flush()
                sys.stderr.flush()
                os._exit(code)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        output.seek(0)
        # A test failed, or could not even be collected, or was still running; anything else means that none was run.
        noticed = (pytest.ExitCode.TESTS_FAILED, pytest.ExitCode.INTERRUPTED, -signal.SIGALRM)
        assert code in (pytest.ExitCode.OK, *noticed), f"pytest ended with {code}:\n{output.read()}"
        return code == pytest.ExitCode.OK


def main() -> int:
    if not tests_pass(lambda: None):
        print("The tests fail with the tables as they are.", file=sys.stderr)
        return 1
    start = time.monotonic()
    tried = 0
    survivors: list[str] = []
    for name, change in list(mutants()):
        if name in EQUIVALENT:
            continue
        tried += 1
        try:
            passed = tests_pass(change)
        except AssertionError as exc:
            raise AssertionError(f"{name}: {exc}") from exc
        if passed:
            survivors.append(name)
            print(f"survived  {name}", flush=True)
    print(f"tables: {tried} changes, {tried - len(survivors)} noticed, in {time.monotonic() - start:.0f} s")
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main())
