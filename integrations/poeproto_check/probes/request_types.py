"""Probes of all request types but queries: reports, and a type that nobody knows."""

from __future__ import annotations

from typing import Any

from poeproto_check.probe import Probe, ProbeContext
from poeproto_check.probes.answers import expect_ok, is_success, judge_http

_IDENTIFIERS = {
    "message_id": "m-0000000000000000000000000000000a",
    "user_id": "u-0000000000000000000000000000000b",
    "conversation_id": "c-0000000000000000000000000000000c",
}
_REPORTS: dict[str, tuple[str, dict[str, Any]]] = {
    "report.feedback": ("report_feedback", {**_IDENTIFIERS, "feedback_type": "like"}),
    "report.reaction": ("report_reaction", {**_IDENTIFIERS, "reaction": "heart"}),
    "report.error": (
        "report_error",
        {"message": "a test by poeproto check; there is no error", "metadata": {"test": True}},
    ),
}


async def _reports(context: ProbeContext) -> None:
    for rule, (kind, fields) in _REPORTS.items():
        exchange = await context.send(context.call(kind, {"version": "1.2", "type": kind, **fields}))
        judge_http(context.judge, exchange)
        accepted = is_success(exchange) or exchange.status == 501
        context.judge.expect(rule, accepted, f"{kind}: {exchange.outcome} instead of 200", exchange)


async def _unknown_type(context: ProbeContext) -> None:
    exchange = await context.send(context.call("an unknown type", {"version": "1.2", "type": "poeproto_unknown"}))
    judge_http(context.judge, exchange)
    accepted = is_success(exchange) or exchange.status == 501
    context.judge.expect("input.unknown-type", accepted, f"{exchange.outcome} instead of 501", exchange)


async def _later_requests(context: ProbeContext) -> None:
    settings = {"version": "1.2", "type": "settings"}
    charset = (("Content-Type", "application/json; charset=utf-8"),)
    for rule, request in (
        ("input.unknown-keys", context.call("settings with unknown keys", {**settings, "added_later": {"a": [1]}})),
        ("input.version", context.call("settings of version 9.9", {**settings, "version": "9.9"})),
        ("input.charset", context.settings_request("settings with a charset", headers=charset)),
    ):
        exchange = await context.send(request)
        judge_http(context.judge, exchange)
        expect_ok(context.judge, rule, exchange)


PROBES = (
    Probe("reports", (*_REPORTS, "http.messages"), _reports),
    Probe("unknown-type", ("input.unknown-type", "http.messages"), _unknown_type),
    Probe(
        "later-requests",
        ("input.unknown-keys", "input.version", "input.charset", "http.messages"),
        _later_requests,
        after=("settings",),
    ),
)
