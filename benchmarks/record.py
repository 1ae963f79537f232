"""What a run of the benchmarks found, as data: printed as a summary, kept as JSON, drawn and tabled from there."""

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

# What the figures depend on, beside ourselves.
PACKAGES = (
    "poeproto", "msgspec", "cattrs", "attrs", "anyio", "trio", "h11", "Hypercorn", "uvloop",
    "fastapi_poe", "uvicorn", "starlette", "sse-starlette", "httpx", "httpx-sse", "aiohttp", "orjson",
)  # fmt: skip


@attrs.frozen
class Case:
    """One case of a table: its name, the median in seconds (or bytes), and the quartiles' distance as a part of it."""

    name: str
    median: float
    spread: float


@attrs.frozen
class Table:
    """Cases that do the same work; `scale` turns a median into the unit, and `rate` says what there are many of."""

    title: str
    unit: str
    scale: float
    rate: str | None
    cases: list[Case]
    suite: str = ""


@attrs.frozen
class Goal:
    """What a case should reach beside another: `ratio` is to be "at least" or "at most" the `wanted` one."""

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
    """All of one run."""

    made: str = ""
    machine: str = ""
    packages: dict[str, str] = attrs.Factory(dict[str, str])
    tables: list[Table] = attrs.Factory(list[Table])
    goals: list[Goal] = attrs.Factory(list[Goal])
    costs: list[Cost] = attrs.Factory(list[Cost])
    notes: list[Note] = attrs.Factory(list[Note])
    seconds: dict[str, float] = attrs.Factory(dict[str, float])

    def stamp(self) -> None:
        """Say when and where this was measured, and with what."""
        system = f"{platform.system()}, Python {platform.python_version()}"
        self.made = datetime.datetime.now(datetime.UTC).date().isoformat()
        self.machine = f"{_processor()}, {os.cpu_count()} cores, {system}"
        self.packages = {name: metadata.version(name) for name in PACKAGES}

    def close_suite(self, suite: str, seconds: float) -> None:
        """Say which suite has made what was added since this was last called, and what that took."""
        self.tables = [table if table.suite else attrs.evolve(table, suite=suite) for table in self.tables]
        self.notes = [note if note.suite else attrs.evolve(note, suite=suite) for note in self.notes]
        self.seconds[suite] = seconds

    def write(self, file: Path) -> None:
        """Write it as JSON, in a folder that is made if it is not there."""
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(cattrs.unstructure(self), indent=1, ensure_ascii=False) + "\n")


def read_record(file: Path) -> Record:
    """What `Record.write` wrote."""
    loaded: Any = json.loads(file.read_text())
    return cattrs.structure(loaded, Record)


def goal_rows(goals: list[Goal]) -> list[tuple[str, str, str, str, str]]:
    """The summary: work and case, reference, ratio reached, ratio wanted, whether it is reached."""
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
