"""Probes of the settings: the answer itself, and the findings of the lint in it."""

from __future__ import annotations

from poeproto.lint import MESSAGE_RULES, lint_settings
from poeproto_check.exchange import Exchange
from poeproto_check.probe import Probe, ProbeContext
from poeproto_check.probes.answers import judge_http

_LINTED = tuple(rule.id for rule in MESSAGE_RULES.values() if rule.family in ("settings", "controls"))


def _is_settings(exchange: Exchange) -> bool:
    """Whether the response is the answer to a settings request."""
    return exchange.status == 200 and exchange.response.is_complete


async def _settings(context: ProbeContext) -> None:
    exchange = await context.send(context.settings_request())
    judge = context.judge
    judge_http(judge, exchange)
    seconds = exchange.ended_at - exchange.sent_at
    message = f"they took {seconds:.1f} s; the limit is {context.times.settings:g} s"
    judge.expect("time.settings", seconds <= context.times.settings, message, exchange)
    accepted = _is_settings(exchange) or exchange.status == 501
    judge.expect("settings.status", accepted, f"{exchange.outcome} instead of status 200", exchange)
    if not _is_settings(exchange):
        context.unusable["settings"] = (exchange.outcome, exchange)
    if exchange.status == 501:
        return
    if not _is_settings(exchange):
        for rule in _LINTED:
            judge.cannot_test(rule, f"there are no settings: {exchange.outcome}", exchange)
        return
    assert exchange.response.head is not None, "there is a status"
    context.worked.add("settings")
    media_type = exchange.response.head.media_type
    message = f"content type {media_type!r} instead of application/json"
    judge.expect("settings.content-type", media_type == "application/json", message, exchange)
    broken: set[str] = set()
    for finding in lint_settings(exchange.response.body):
        broken.add(finding.rule)
        judge.breaks(finding.rule, f"{finding.path or 'settings'}: {finding.message}", exchange)
    if "settings.json" in broken:
        return
    for rule in _LINTED:
        if rule not in broken:
            judge.keeps(rule)


_RULES = ("settings.status", "settings.content-type", "time.settings", "http.messages", *_LINTED)
PROBES = (Probe("settings", _RULES, _settings),)
