"""Writes the figures of a run into docs/performance.md and README.md, and draws the plots.

Run it as python -m benchmarks.document FILE.json. It replaces the text between `<!-- figures: NAME -->` and
`<!-- end of figures -->`. NAME is a suite, or "machine", "headline", "front", "missed", "faster", "goals" or "costs".
"""

from __future__ import annotations

import argparse
import re
from pathlib import Path

from benchmarks.plots import amount, chart, kind
from benchmarks.record import Case, Goal, Record, Table, goal_rows, half_spread, read_record

PAGE = Path("docs/performance.md")
README = Path("README.md")
# The works that make up most of a bot's traffic, the largest part first: the first goal against fastapi_poe of each is
# a headline.
HEADLINE = {
    "client, lone event, CPU": "a client reads an event that arrives alone",
    "relay, lone event, CPU": "a relay passes such an event on",
    "paced, server CPU an event": "a server sends an event alone",
    "memory of a silent stream": "a stream is open and silent (memory)",
    "relay, burst": "a relay passes a burst on",
    "server burst, c=1": "a server sends a burst",
}
# The rows of the front page: the suite, the work, and our case.
FRONT = (
    ("paced", "a server sends an event that comes alone", "poeproto on Hypercorn, asyncio"),
    ("relay", "a relay passes such an event on", "poeproto on Hypercorn, asyncio"),
    ("many", "a server of 10,000 streams sends an event", "poeproto on Hypercorn, asyncio, garbage collected rarely"),
)
FRONT_THEIRS = "fastapi_poe on uvicorn"
_BLOCK = re.compile(r"(<!-- figures: ([a-z]+) -->\n).*?(<!-- end of figures -->)", re.DOTALL)
_NOTHING = "Not measured yet.\n"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.document", description=__doc__)
    parser.add_argument(
        "json", type=Path, metavar="FILE.json", help="the file that python -m benchmarks --json FILE.json wrote"
    )
    parser.add_argument(
        "--page",
        type=Path,
        default=PAGE,
        help=f"the page to write; its plots go into the folder beside it ({PAGE} by default)",
    )
    parser.add_argument("--readme", type=Path, default=README, help=f"the page with the headline ({README} by default)")
    arguments = parser.parse_args()
    record = read_record(arguments.json)
    page: Path = arguments.page
    plots = page.with_suffix("")
    plots.mkdir(exist_ok=True)
    for suite in record.seconds:
        (plots / f"{suite}.svg").write_text(chart(suite, record))
    page.write_text(filled(page.read_text(), record, plots.name))
    readme: Path = arguments.readme
    readme.write_text(filled(readme.read_text(), record, plots.name))


def filled(text: str, record: Record, plots: str) -> str:
    """The page with the figures of `record`; `plots` is the folder of the plots, relative to the page."""
    return _BLOCK.sub(lambda found: f"{found[1]}{_figures(found[2], record, plots)}{found[3]}", text)


def _figures(name: str, record: Record, plots: str) -> str:
    match name:
        case "machine":
            return _machine(record) if record.made else _NOTHING
        case "headline":
            return _rows(("what is done", "by", "fastapi_poe takes"), headline_rows(record.goals))
        case "front":
            return _rows(("what is done", "poeproto", "fastapi_poe", "ratio", "measured by"), front_rows(record.tables))
        case "missed":
            missed = goal_rows([goal for goal in record.goals if not goal.reached])
            return (
                _rows(("work", "against", "reached", "wanted"), [row[:-1] for row in missed]) if missed else "None.\n"
            )
        case "faster":
            return _rows(("what is done", "faster", "", "our fastest case", ""), faster_rows(record.tables))
        case "goals":
            return _rows(("work", "against", "reached", "wanted", "reached?"), goal_rows(record.goals))
        case "costs":
            rows = [(cost.what, f"{amount(cost.amount)} {cost.unit}") for cost in record.costs]
            return _rows(("what", "costs"), rows)
        case _:
            return _suite(name, record, plots)


def headline_rows(goals: list[Goal]) -> list[tuple[str, str, str]]:
    """For each work of the headline: our case, and the ratio by which fastapi_poe is slower."""
    rows: list[tuple[str, str, str]] = []
    for work, words in HEADLINE.items():
        goal = next((goal for goal in goals if goal.work == work and goal.reference.startswith("fastapi_poe")), None)
        if goal is not None:
            times = goal.ratio if goal.sense == "at least" else 1 / goal.ratio
            rows.append((words, goal.case, f"{times:.1f} x as much"))
    return rows


def front_rows(tables: list[Table]) -> list[tuple[str, ...]]:
    """For each work of the front page: its CPU time with poeproto and with fastapi_poe, and the command."""
    rows: list[tuple[str, ...]] = []
    for suite, words, ours in FRONT:
        for table in reversed(tables):  # the last is that of most streams
            medians = {case.name: case.median for case in table.cases}
            if table.suite == suite and "CPU an event" in table.title and {ours, FRONT_THEIRS} <= set(medians):
                figures = (f"{amount(medians[name] * table.scale)} {table.unit}" for name in (ours, FRONT_THEIRS))
                times = f"{medians[FRONT_THEIRS] / medians[ours]:.1f} x"
                rows.append((words, *figures, times, f"`python -m benchmarks {suite}`"))
                break
    return rows


def faster_rows(tables: list[Table]) -> list[tuple[str, ...]]:
    """The works for which another library takes less than our fastest case, without uvloop: both and their figures."""
    rows: list[tuple[str, ...]] = []
    for table in tables:
        works: dict[str, list[Case]] = {}
        for case in (case for case in table.cases if "uvloop" not in case.name):
            work, separator, _ = case.name.rpartition(": ")
            works.setdefault(f"{table.title}: {work}" if separator else table.title, []).append(case)
        for work, cases in works.items():
            fastest: dict[str, Case] = {}
            for case in sorted(cases, key=lambda case: case.median):
                fastest.setdefault(kind(case.name), case)
            theirs, ours = fastest.get("others"), fastest.get("poeproto")
            if theirs and ours and theirs.median < ours.median:
                row = [work]
                for case in (theirs, ours):
                    row += [case.name.rpartition(": ")[2], f"{amount(case.median * table.scale)} {table.unit}"]
                rows.append(tuple(row))
    return rows


def _machine(record: Record) -> str:
    packages = ", ".join(f"{name} {version}" for name, version in record.packages.items())
    return f"Measured on {record.made}, on {record.machine}, with {packages}.\n"


def _suite(suite: str, record: Record, plots: str) -> str:
    tables = [table for table in record.tables if table.suite == suite]
    if not tables:
        return _NOTHING
    parts = [
        f"Measured by `.venv/bin/python -m benchmarks {suite}`, in {record.seconds[suite]:.0f} s.\n",
        f"![The tables below as bars]({plots}/{suite}.svg)\n",
        *map(_table, tables),
    ]
    parts += [f"{note.text}\n" for note in record.notes if note.suite == suite]
    return "\n".join(parts)


def _table(table: Table) -> str:
    first = table.cases[0].median
    # Rates are compared as rates: 25 is easier to read than 0.04.
    heads = (table.title, table.unit, "±", *([table.rate] if table.rate else []), "x the first")
    rows = [
        (
            case.name,
            amount(case.median * table.scale),
            half_spread(case.spread).removeprefix("± "),
            *([f"{1 / case.median:,.0f}"] if table.rate else []),
            amount(first / case.median if table.rate else case.median / first),
        )
        for case in table.cases
    ]
    return _rows(heads, rows)


def _rows(heads: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    if not rows:
        return _NOTHING
    lines = [heads, ("---", *["---:"] * (len(heads) - 1)), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


if __name__ == "__main__":
    main()
