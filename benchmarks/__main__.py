"""Command: runs the suites named on the command line, or all, and prints at the end which goals are reached."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

from benchmarks import burst, client, codec, imports, lengths, lone, many, openai, paced, relay, silent, tracing, visits
from benchmarks.measure import RECORD, once
from benchmarks.record import goal_rows
from benchmarks.sizes import SMALLEST, Sizes

SUITES: dict[str, Callable[[Sizes], None]] = {
    "lone": lone.main,
    "relay": relay.main,
    "openai": openai.main,
    "paced": paced.main,
    "silent": silent.main,
    "many": many.main,
    "burst": burst.main,
    "client": client.main,
    "visits": visits.main,
    "lengths": lengths.main,
    "codec": codec.main,
    "tracing": tracing.main,
    "imports": lambda sizes: imports.main(),
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("suites", nargs="*", metavar="SUITE", help=f"of {', '.join(SUITES)}; all by default")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures to this file")
    parser.add_argument(
        "--smallest",
        action="store_true",
        help="run everything once with small sizes, as a test; the figures mean nothing",
    )
    arguments = parser.parse_args()
    unknown = set(arguments.suites) - set(SUITES)
    if unknown:
        parser.error(f"there is no suite {', '.join(sorted(unknown))}; there are {', '.join(SUITES)}")
    RECORD.stamp()
    sizes = SMALLEST if arguments.smallest else Sizes()
    with once() if arguments.smallest else nullcontext():
        for name in arguments.suites or SUITES:
            start = time.perf_counter()
            SUITES[name](sizes)
            RECORD.close_suite(name, time.perf_counter() - start)
            if arguments.json:
                RECORD.write(arguments.json)  # after each suite, so a failing suite loses only its own figures
    _print_summary()


def _print_summary() -> None:
    rows = [("work", "reference", "reached", "wanted", "reached?"), *goal_rows(RECORD.goals)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    took = ", ".join(f"{name} {seconds:.0f}" for name, seconds in RECORD.seconds.items())
    print(f"\nSummary ({sum(RECORD.seconds.values()):.0f} s: {took})")
    for row in rows:
        print("  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


if __name__ == "__main__":
    main()
