"""Probes of other methods than POST, and of another path."""

from __future__ import annotations

import attrs

from poeproto_check.exchange import Exchange
from poeproto_check.probe import Probe, ProbeContext
from poeproto_check.probe_request import Framing, ProbeRequest
from poeproto_check.probes.answers import is_success, judge_http

_REFUSED = frozenset({401, 403, 404, 405})


def _without_body(context: ProbeContext, method: str) -> ProbeRequest:
    return context.request(method, b"", method=method, authorization=None, headers=(), framing=Framing.NONE)


async def _get(context: ProbeContext) -> None:
    exchange = await context.send(_without_body(context, "GET"))
    judge_http(context.judge, exchange)
    _expect_page_or_refusal(context, "http.get", exchange)
    _judge_allow(context, exchange)


async def _head(context: ProbeContext) -> None:
    rule, judge = "http.head", context.judge
    async with context.connection() as connection:
        exchange = connection.exchange(_without_body(context, "HEAD"))
        await connection.send_request(exchange)
        await connection.receive(exchange)
        # Another request follows, so that a body is seen whenever it arrives.
        follower = connection.exchange(context.settings_request("settings after HEAD"))
        if exchange.response.is_complete and not exchange.response.closes:
            await connection.send_request(follower)
        await connection.receive(follower)
    judge_http(judge, exchange)
    if exchange.response.rest or (follower.response.problems and not follower.response.is_http):
        judge.breaks(rule, "a body follows the answer to HEAD", exchange)
        return
    _expect_page_or_refusal(context, rule, exchange)


async def _other_methods(context: ProbeContext) -> None:
    for method in ("PUT", "DELETE", "PATCH"):
        exchange = await context.send(context.settings_request(method, method=method))
        judge_http(context.judge, exchange)
        accepted = exchange.status in _REFUSED or exchange.status == 501
        message = f"{method}: {exchange.outcome} instead of 405"
        context.judge.expect("http.methods", accepted, message, exchange)
        _judge_allow(context, exchange)


def _expect_page_or_refusal(context: ProbeContext, rule: str, exchange: Exchange) -> None:
    status = exchange.status
    accepted = status is not None and (status < 400 or status in _REFUSED or status == 501)
    message = f"{exchange.request.method}: {exchange.outcome} instead of 200 or 405"
    context.judge.expect(rule, accepted, message, exchange)


def _judge_allow(context: ProbeContext, exchange: Exchange) -> None:
    if exchange.status == 405:
        allow, method = exchange.response.get("allow"), exchange.request.method
        context.judge.expect("http.allow", allow is not None, f"{method}: status 405 without the header")


async def _unknown_path(context: ProbeContext) -> None:
    path = context.address.target.partition("?")[0].rstrip("/")
    elsewhere = attrs.evolve(context.address, target=f"{path}/poeproto-check-no-bot")
    request = context.settings_request("settings at a path without a bot")
    exchange = await context.send(request, address=elsewhere)
    judge_http(context.judge, exchange)
    accepted = exchange.status in _REFUSED or is_success(exchange)
    message = f"{request.label}: {exchange.outcome} instead of 404"
    context.judge.expect("http.unknown-path", accepted, message, exchange)


PROBES = (
    Probe("get", ("http.get", "http.allow", "http.messages"), _get),
    Probe("head", ("http.head", "http.messages"), _head),
    Probe("other-methods", ("http.methods", "http.allow", "http.messages"), _other_methods),
    Probe("unknown-path", ("http.unknown-path", "http.messages"), _unknown_path),
)
