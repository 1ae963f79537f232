"""The report as text: broken rules first, grouped by family, and a line with the counts."""

from __future__ import annotations

from collections.abc import Iterator
from textwrap import fill

from poeproto_check.checker import CheckReport
from poeproto_check.reports.evidence import reproduction
from poeproto_check.result import Result, Verdict
from poeproto_runtime.printable import printable_line

__all__ = ["as_text"]

_SHOWN_PROBLEMS = 3
_LONGEST_MESSAGE = 400
_LISTED = (Verdict.HARNESS_ERROR, Verdict.FAIL, Verdict.WARN, Verdict.UNTESTABLE, Verdict.INFO)
_WIDTH = max(len(verdict.value) for verdict in Verdict)


def as_text(report: CheckReport) -> str:
    """The report as lines for a terminal: printable ASCII, whatever the bot sent."""
    return "\n".join(_lines(report)).encode("ascii", "backslashreplace").decode()


def _lines(report: CheckReport) -> Iterator[str]:
    listed = [result for result in report.results if result.verdict in _LISTED]
    for family in dict.fromkeys(result.rule.family for result in listed):
        yield f"{family}"
        for result in listed:
            if result.rule.family == family:
                yield from _result(result, report)
        yield ""
    for rule in report.stale:
        yield f"stale      {rule} is in the baseline, but the server keeps it now; remove the line"
    yield summary(report)


def _result(result: Result, report: CheckReport) -> Iterator[str]:
    known = " (in the baseline)" if result.is_expected else ""
    rule = result.rule
    yield f"  {result.verdict.value:<{_WIDTH}}  {rule.id}{known}  [{rule.level.value}, {rule.section}]"
    if result.is_expected:
        return
    for problem in result.problems[:_SHOWN_PROBLEMS]:
        yield f"      {shown_message(problem.message, report)}"
    if len(result.problems) > _SHOWN_PROBLEMS:
        yield f"      and {len(result.problems) - _SHOWN_PROBLEMS} more"
    if result.verdict in (Verdict.UNTESTABLE, Verdict.HARNESS_ERROR):
        return
    yield _wrapped(f"rule: {rule.text}")
    yield _wrapped(f"fix: {rule.fix}")
    if (exchange := result.exchange) is not None:
        yield f"      reproduce: {printable_line(reproduction(exchange, report.address, report.redaction))}"


def _wrapped(text: str) -> str:
    """A sentence as lines for a terminal of 80 columns."""
    return fill(
        text, 79, initial_indent=" " * 6, subsequent_indent=" " * 8, break_long_words=False, break_on_hyphens=False
    )


def shown_message(message: str, report: CheckReport) -> str:
    """A message that may quote the bot, as one printable line without the key."""
    line = printable_line(report.redaction.text(message))
    return line if len(line) <= _LONGEST_MESSAGE else f"{line[:_LONGEST_MESSAGE]}..."


def summary(report: CheckReport) -> str:
    """The numbers of a run in one line."""
    counts = ", ".join(
        f"{count} {verdict.value.replace('-', ' ')}" for verdict in Verdict if (count := report.count(verdict))
    )
    queries = "1 query" if report.queries == 1 else f"{report.queries} queries"
    return f"{report.url}: {counts}; {queries}, {report.seconds:.1f} s"
