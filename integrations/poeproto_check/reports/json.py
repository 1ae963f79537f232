"""The report as JSON: one object, with everything that the other formats are made from."""

from __future__ import annotations

import json
from typing import Any

from poeproto_check.checker import CheckReport
from poeproto_check.reports.evidence import reproduction, shown_transfers
from poeproto_check.reports.text import shown_message
from poeproto_check.result import Problem, Result, Verdict

__all__ = ["as_json"]


def as_json(report: CheckReport) -> str:
    """The report as a JSON object of several lines, in ASCII."""
    return json.dumps(_report(report), indent=2)


def _report(report: CheckReport) -> dict[str, Any]:
    return {
        "url": report.url,
        "edition": report.edition,
        "strict": report.strict,
        "exit_code": report.exit_code,
        "queries": report.queries,
        "seconds": round(report.seconds, 3),
        "counts": {verdict.value: report.count(verdict) for verdict in Verdict},
        "stale": list(report.stale),
        "results": [_result(result, report) for result in report.results],
    }


def _result(result: Result, report: CheckReport) -> dict[str, Any]:
    rule = result.rule
    return {
        "rule": rule.id,
        "section": rule.section,
        "level": rule.level.value,
        "verdict": result.verdict.value,
        "is_finding": result.is_finding(report.strict),
        "is_expected": result.is_expected,
        "reason": shown_message(result.reason, report),
        "text": rule.text,
        "why": rule.why,
        "fix": rule.fix,
        "problems": [_problem(problem, report) for problem in result.problems],
    }


def _problem(problem: Problem, report: CheckReport) -> dict[str, Any]:
    payload: dict[str, Any] = {"message": shown_message(problem.message, report), "probe": problem.probe}
    if problem.exchange is not None:
        payload["request"] = problem.exchange.request.label
        payload["reproduce"] = reproduction(problem.exchange, report.address, report.redaction)
        payload["transfers"] = [
            {"at": each.at, "sent" if each.is_sent else "received": each.text, "bytes": each.size}
            for each in shown_transfers(problem.exchange, report.redaction)
        ]
    return payload
