"""Scenario: many checks of each host while other processes load all cores: each has the same verdicts."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager

import anyio

from benchmarks.soak.checked_hosts import HOSTS, missing, serving_checked
from benchmarks.soak.findings import Findings
from poeproto.testing import TEST_ACCESS_KEY
from poeproto_check import CheckOptions, CheckReport, ServerAddress, Verdict, check, select_rules

_RUNS = 20


def main(findings: Findings, smallest: bool) -> None:
    # Of our servers, one for each way of serving; the small runs leave out the probe that sends 64 MiB.
    hosts = ("hypercorn-trio", "h11-asyncio", "http.server") if smallest else HOSTS
    skipped = ["http.body-limit"] if smallest else []
    options = CheckOptions(rules=select_rules(skip=skipped), access_key=TEST_ACCESS_KEY)
    with _loaded_cores():
        for host in hosts:
            if (why := missing(host)) is not None:
                print(f"  {host}: left out, since {why}")
                continue
            with serving_checked(host) as url:
                reports = [_run_check(url, options) for _ in range(2 if smallest else _RUNS)]
            _compare(findings, f"{host}: {len(reports)} checks while all cores are loaded", reports)


def _run_check(url: str, options: CheckOptions) -> CheckReport:
    return anyio.run(check, ServerAddress.of(url), options)


def _compare(findings: Findings, scenario: str, reports: list[CheckReport]) -> None:
    first = _verdicts(reports[0])
    for report in reports:
        for rule, verdict in _verdicts(report).items():
            if verdict is not first[rule]:
                problems = [each.problems for each in report.results if each.rule.id == rule]
                print(f"  {rule}: {first[rule].value}, then {verdict.value}: {problems}")
    same = sum(_verdicts(report) == first for report in reports)
    findings.exactly(scenario, "with the verdicts of the first", same, "checks", len(reports))
    findings.exactly(scenario, "broken MUSTs", sum(len(report.findings) for report in reports), "rules", 0)


def _verdicts(report: CheckReport) -> dict[str, Verdict]:
    return {result.rule.id: result.verdict for result in report.results}


@contextmanager
def _loaded_cores() -> Generator[None]:
    """Have a process for each core that computes all the time."""
    command = [sys.executable, "-c", "while True: pass"]
    loads = [subprocess.Popen(command) for _ in range(os.cpu_count() or 1)]
    try:
        yield
    finally:
        for load in loads:
            load.kill()
            load.wait()
