"""Command: runs the scenarios named on the command line, or all; exits with 1 if a finding breaks its bound."""

from __future__ import annotations

import argparse
import faulthandler
import sys
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.soak import (
    client_cancellations,
    client_deadlines,
    client_truncations,
    disconnects,
    embedded_server,
    floods,
    hostile_input,
    request_memory,
    shutdown,
    slow_readers,
    verdicts,
)
from benchmarks.soak.findings import Findings

# Each adds its findings to the first argument. If the second is true, it runs once with small sizes.
SCENARIOS: dict[str, Callable[[Findings, bool], None]] = {
    "disconnects": disconnects.main,
    "slow_readers": slow_readers.main,
    "shutdown": shutdown.main,
    "embedded_server": embedded_server.main,
    "floods": floods.main,
    "client_truncations": client_truncations.main,
    "client_deadlines": client_deadlines.main,
    "client_cancellations": client_cancellations.main,
    "hostile_input": hostile_input.main,
    "request_memory": request_memory.main,
    "verdicts": verdicts.main,
}
# Timeout of a scenario: prints the traceback of a scenario that hangs, and ends the run.
SECONDS = 1200


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.soak", description=__doc__)
    parser.add_argument("scenarios", nargs="*", metavar="SCENARIO", help=f"of {', '.join(SCENARIOS)}; all by default")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the findings to this file")
    parser.add_argument("--smallest", action="store_true", help="run everything once with small sizes, as a test")
    arguments = parser.parse_args()
    unknown = set(arguments.scenarios) - set(SCENARIOS)
    if unknown:
        parser.error(f"there is no scenario {', '.join(sorted(unknown))}; there are {', '.join(SCENARIOS)}")
    findings = Findings()
    for name in arguments.scenarios or SCENARIOS:
        start = time.perf_counter()
        print(f"\n{name}")
        faulthandler.dump_traceback_later(SECONDS, exit=True)
        SCENARIOS[name](findings, arguments.smallest)
        print(f"  ({time.perf_counter() - start:.0f} s)")
        if arguments.json:
            findings.write(arguments.json)
    faulthandler.cancel_dump_traceback_later()
    broken = [finding for finding in findings.all if not finding.holds]
    print(f"\n{len(findings.all)} findings, {len(broken)} of which break their bounds")
    for finding in broken:
        print(finding)
    if broken:
        sys.exit(1)


if __name__ == "__main__":
    main()
