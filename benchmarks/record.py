"""The results of a run, as data that is written as JSON. The summary, the tables and the plots are made from it."""

from __future__ import annotations

import datetime
import json
import os
import platform
from importlib import metadata
from pathlib import Path
from typing import Any

import attrs
import cattrs

# The packages whose versions are recorded with the figures.
PACKAGES = (
    "poeproto", "msgspec", "cattrs", "attrs", "anyio", "trio", "h11", "Hypercorn", "uvloop",
    "fastapi_poe", "uvicorn", "starlette", "sse-starlette", "httpx", "httpx-sse", "aiohttp", "orjson",
)  # fmt: skip


@attrs.frozen
class Case:
    """One case of a table: its name, the median in seconds (or bytes), and the interquartile range divided by it.

    The spread is None if the case was measured once.
    """

    name: str
    median: float
    spread: float | None


@attrs.frozen
class Table:
    """Cases that do the same work. `scale` converts a median to the unit; `rate` is the unit of the rate, if any."""

    title: str
    unit: str
    scale: float
    rate: str | None
    cases: list[Case]
    suite: str = ""


@attrs.frozen
class Goal:
    """How a case should compare to another: `ratio` should be "at least" or "at most" `wanted`."""

    work: str
    case: str
    reference: str
    ratio: float
    sense: str
    wanted: float

    @property
    def reached(self) -> bool:
        return self.ratio >= self.wanted if self.sense == "at least" else self.ratio <= self.wanted


@attrs.frozen
class Cost:
    """A line of the cost model."""

    what: str
    amount: float
    unit: str


@attrs.frozen
class Note:
    """A sentence about the tables of a suite."""

    text: str
    suite: str = ""


@attrs.define
class Record:
    """The results of one run."""

    made: str = ""
    machine: str = ""
    packages: dict[str, str] = attrs.Factory(dict[str, str])
    tables: list[Table] = attrs.Factory(list[Table])
    goals: list[Goal] = attrs.Factory(list[Goal])
    costs: list[Cost] = attrs.Factory(list[Cost])
    notes: list[Note] = attrs.Factory(list[Note])
    seconds: dict[str, float] = attrs.Factory(dict[str, float])

    def stamp(self) -> None:
        """Record the date, the machine and the versions of packages."""
        system = f"{platform.system()}, Python {platform.python_version()}"
        self.made = datetime.datetime.now(datetime.UTC).date().isoformat()
        self.machine = f"{_processor()}, {os.cpu_count()} cores, {system}"
        self.packages = {name: metadata.version(name) for name in PACKAGES}

    def close_suite(self, suite: str, seconds: float) -> None:
        """Assign the tables and notes added since the last call to a suite, with the seconds that the suite took."""
        self.tables = [table if table.suite else attrs.evolve(table, suite=suite) for table in self.tables]
        self.notes = [note if note.suite else attrs.evolve(note, suite=suite) for note in self.notes]
        self.seconds[suite] = seconds

    def write(self, file: Path) -> None:
        """Write the record as JSON, and create the folder if needed."""
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(cattrs.unstructure(self), indent=1, ensure_ascii=False) + "\n")


def half_spread(spread: float | None) -> str:
    """Half the interquartile range as a percentage of the median, or "once" for a case that was measured once."""
    return "once" if spread is None else f"± {spread / 2:.0%}"


def read_record(file: Path) -> Record:
    """Read a record that `Record.write` wrote."""
    loaded: Any = json.loads(file.read_text())
    return cattrs.structure(loaded, Record)


def goal_rows(goals: list[Goal]) -> list[tuple[str, str, str, str, str]]:
    """The rows of the summary: work and case, reference, ratio reached, ratio wanted, whether it is reached."""
    return [
        (
            f"{goal.work}: {goal.case}",
            goal.reference,
            f"{goal.ratio:.2f} x",
            f"{goal.sense} {goal.wanted:g} x",
            "yes" if goal.reached else "no",
        )
        for goal in goals
    ]


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
