"""Changes the functions of the core in small ways, one at a time, and prints the changes that no test notices.

mutmut makes the changes and runs the tests. It does so for one module after the other, with no more than the tests that
are the module's own: with all of the core's, a change that none notices would take half a minute. `make mutants` runs
this and `tables`, which changes what stands in no function.
"""

from __future__ import annotations

import configparser
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
WORK = ROOT / "mutants"
MUTMUT = Path(sys.executable).with_name("mutmut")

# The modules that hold the protocol's rules, and the tests that each has besides `test_<its last name>*`.
MODULES = {
    "exchange/states": ["bot_exchange_order", "poe_exchange_order"],
    "wire/sse": ["vectors_sse"],
    "vocabulary/events": ["codec_events", "fast_path"],
    "limits": [],
    "wire/surrogates": ["poe_exchange_text"],
    "wire/fast_codec": ["codec_events", "codec_paths"],
    "wire/sse_fast_path": [],
    "wire/codec": ["controls_sections", "vectors_requests", "vectors_values"],
    "exchange/reply": [],
    "exchange/reply_quota": ["bot_exchange_send"],
    "exchange/echo_redaction": ["refusals"],
    "exchange/bot_exchange": ["vectors_http"],
    "exchange/poe_exchange": ["sse_fast_path", "vectors_http", "vectors_replies"],
    "flows/calls": ["queries"],
    "flows/retry": ["calls", "queries"],
    "flows/queries": [],
}

# Changes that make no difference to anybody, as they stand in the source afterwards, and why.
EQUIVALENT = {
    "what does not take the fast path takes the general path, with the same outcome": {
        "if text_left > 0 and quota.events_left:",
        "if text_left >= 1 and quota.events_left:",
        "if length >= limits.event_size:",
        "if self._kept + size >= limits.answer_size or self._events + count > limits.answer_events:",
        "if self._kept + size > limits.answer_size or self._events + count >= limits.answer_events:",
        "if type(None) is Text and (parts := self._parts.get(event.index)) is not None:",
        "if value is not None and (value.index is None and is_index(value.index)):",
        "if value is not None and (value.index is None or is_index(None)):",
        "value = None",
        "record = None",
        "fast_encode = None",
        "fast_encode = _encoders().get(None)",
        "fast_encode = _encoders().get(type(None))",
        "if len(strings) <= 8:",
        "if len(strings) < 9:",
    },
    "it is asked whether it is true, and nothing more": {
        "self._after_cr = None",
        "self._at_start = None",
        "self._event = None",
        "self._started = None",
        "self._final = None",
        "self._answered = None",
        "self._response_open = None",
    },
    "both are given, or neither": {"if budget is not None or bot_name is not None:"},
    "after one text, the next leads to where they stay": {
        "if cls is Text and target is not self._state.bot:",
        "for _ in texts[:3]:  # from the second on, a Text is a self-transition",
    },
    "a line that is too long is reported at the next, or at the end of the same bytes": {
        "if self._size - len(line) > self._max_event_size:",
    },
    "it is how much is quoted": {
        'self._reject(405, f"the method {head.method[:21]!r} is not allowed here", [("allow", "POST")])',
    },
    "it is for the type checker": {
        "without case _: return False",
        "without case _: pass  # an event of a later version, which does not change the fold",
    },
    "it is set before it is asked": {
        "self._settings_are_due = None",
        "self._settings_are_due = True",
        'self._text_self_transition: State | None = ""  # the state in which a Text is a self-transition, once reached',
        "self._left: Iterator[Event] = None",
        "self._refusal_reason = None",
        'self._data = ""',
    },
    "only time or memory depends on it": {
        "run = None",
        'if data.find(b"\\n", start + _START_LENGTH) + start < _LONG:',
        'if data.find(b"\\n", None) - start < _LONG:',
        'if data.find(b"\\n", ) - start < _LONG:',
        'if data.rfind(b"\\n", start + _START_LENGTH) - start < _LONG:',
        'if data.find(b"\\n", start - _START_LENGTH) - start < _LONG:',
        'if data.find(b"\\n", start + _START_LENGTH) - start <= _LONG:',
        "if len(parts) >= 1:",
        'return data.rfind(b"\\n\\n", start) < 0',
        "return texts, (len(payloads) if (payloads.isascii()) and False else len(payloads.decode())) - line_ends",
        "twin = msgspec.defstruct(cls.__name__, fields, forbid_unknown_fields=not keep_extra, gc=None)",
        "twin = msgspec.defstruct(cls.__name__, fields, forbid_unknown_fields=not keep_extra, gc=True)",
        "twin = msgspec.defstruct(cls.__name__, fields, forbid_unknown_fields=not keep_extra, )",
        'names["twin"] = msgspec.defstruct(cls.__name__, fields, omit_defaults=True, gc=None)',
        'names["twin"] = msgspec.defstruct(cls.__name__, fields, omit_defaults=True, gc=True)',
        'names["twin"] = msgspec.defstruct(cls.__name__, fields, omit_defaults=True, )',
    },
}

EQUIVALENT_LINES = frozenset[str]().union(*EQUIVALENT.values())
# To type checkers a string may name the type.
CAST = re.compile(r'cast\((?:None|"[^"]*"), ')

# Exit codes of pytest, of one that was stopped for the time it took, and mutmut's own where no test reaches the place.
NOTICED = (pytest.ExitCode.TESTS_FAILED, pytest.ExitCode.INTERNAL_ERROR, -signal.SIGXCPU)
SURVIVED = (pytest.ExitCode.OK, 33)

# Tests that never end have noticed the change; the seconds beyond, and the multiple of, their usual time.
TIMEOUTS = {"timeout_constant": "5", "timeout_multiplier": "1.5"}


def prepare(module: str) -> Path:
    """A directory in which mutmut finds that module, `wire/sse` for instance, to change, and those tests to run."""
    place = WORK / module
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    for name in ("poeproto", "tests", "pyproject.toml"):
        (place / name).symlink_to(ROOT / name)
    stems = [module.rpartition("/")[2], *MODULES.get(module, [])]
    tests = {path.relative_to(ROOT) for stem in stems for path in ROOT.glob(f"tests/core/**/test_{stem}*.py")}
    settings = configparser.ConfigParser()
    settings["mutmut"] = {
        "source_paths": "\npoeproto",
        "only_mutate": f"\npoeproto/{module}.py",
        "pytest_add_cli_args_test_selection": "\n".join(["", *map(str, sorted(tests))]),
        "pytest_add_cli_args": "\n-p\nno:cacheprovider\n--hypothesis-seed=0\n--hypothesis-profile=mutants",
        # A process in which the tests ran before has their caches, which would hide the change.
        "process_isolation": "forkserver",
        **TIMEOUTS,
    }
    with (place / "setup.cfg").open("w") as file:
        settings.write(file)
    return place


def mutmut(place: Path, *arguments: str) -> str:
    # Every second change would be tried with ten thousand cuts.
    environment = {**os.environ, "RANDOM_CUTS": "0"}
    done = subprocess.run([MUTMUT, *arguments], cwd=place, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{place.name}: mutmut {arguments[0]} failed\n{done.stdout[-2000:]}\n{done.stderr}")
    return done.stdout


def outcomes_of(place: Path, module: str) -> dict[str, int]:
    """The exit status of pytest for each of the module's changes."""
    file = place / "mutants" / "poeproto" / f"{module}.py.meta"
    return json.loads(file.read_text())["exit_code_by_key"]


def change_of(place: Path, name: str) -> tuple[str, str]:
    """The lines that a change took away, and those that it put there."""
    lines = [line for line in mutmut(place, "show", name).splitlines() if not line.startswith(("---", "+++"))]
    removed, added = (" ".join(line[1:].strip() for line in lines if line.startswith(sign)) for sign in "-+")
    return removed, added or f"without {removed}"


def is_wording(removed: str, added: str) -> bool:
    """Whether nothing has changed but the wording of a message, the case of a name that has none, or a type's name."""
    added = CAST.sub("cast(", added.replace("XX", ""))
    return added.casefold() == CAST.sub("cast(", removed).casefold()


def unforeseen(module: str) -> int:
    """Try all changes of a module, and show those that should have been noticed; how many there are."""
    start = time.monotonic()
    place = prepare(module)
    mutmut(place, "run")
    outcomes = outcomes_of(place, module)
    # A test failed or could not be collected, or was still running; anything else but success means that none was run.
    assert set(outcomes.values()) <= {*NOTICED, *SURVIVED}, f"{module}: pytest ended with {set(outcomes.values())}"
    changes = [change_of(place, name) for name, outcome in outcomes.items() if outcome in SURVIVED]
    worded = [change for change in changes if is_wording(*change)]
    shown = [change for change in changes if change not in worded and change[1] not in EQUIVALENT_LINES]
    for removed, added in shown:
        print(f"survived  {removed}\n          {added}")
    print(
        f"{module}: {len(outcomes)} changes, {len(outcomes) - len(changes)} noticed, {len(worded)} of wording,"
        f" {len(changes) - len(worded) - len(shown)} without a difference, in {time.monotonic() - start:.0f} s",
        flush=True,
    )
    return len(shown)


def main(modules: list[str]) -> int:
    return min(1, sum(map(unforeseen, modules or MODULES)))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
