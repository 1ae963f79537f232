"""The report as commands for a workflow of GitHub Actions: an annotation for each broken rule.

https://docs.github.com/actions/reference/workflows-and-actions/workflow-commands
"""

from __future__ import annotations

from collections.abc import Iterator

from poeproto_check.checker import CheckReport
from poeproto_check.reports.evidence import reproduction
from poeproto_check.reports.text import shown_message, summary
from poeproto_check.result import Result, Verdict

__all__ = ["as_github"]

_COMMANDS = {
    Verdict.HARNESS_ERROR: "error",
    Verdict.FAIL: "error",
    Verdict.WARN: "warning",
    Verdict.INFO: "notice",
}


def as_github(report: CheckReport) -> str:
    """The report as lines of standard output."""
    return "\n".join(_lines(report)).encode("ascii", "backslashreplace").decode()


def _lines(report: CheckReport) -> Iterator[str]:
    for result in report.results:
        command = "error" if result.is_finding(report.strict) else _COMMANDS.get(result.counts_as)
        if command is not None and not result.is_expected:
            yield f"::{command} title={_property(result.rule.id)}::{_data(_message(result, report))}"
    for rule in report.stale:
        yield f"::error title={_property(rule)}::the baseline is stale: the server keeps this rule now; remove the line"
    yield summary(report)


def _message(result: Result, report: CheckReport) -> str:
    lines = [shown_message(problem.message, report) for problem in result.problems[:3]] or [result.reason]
    lines += [f"rule: {result.rule.text}", f"fix: {result.rule.fix}"]
    if (exchange := result.exchange) is not None:
        lines.append(f"reproduce: {reproduction(exchange, report.address, report.redaction)}")
    return "\n".join(lines)


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
