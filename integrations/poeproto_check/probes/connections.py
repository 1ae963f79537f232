"""Probes of connections: one that is used again, pipelined requests, and slow ones."""

from __future__ import annotations

import anyio

from poeproto_check.probe import Probe, ProbeContext
from poeproto_check.probes.answers import judge_http


async def _reuse(context: ProbeContext) -> None:
    async with context.connection() as connection:
        first = connection.exchange(context.settings_request("settings, first on its connection"))
        await connection.send_request(first)
        await connection.receive(first)
        if not first.response.is_complete or first.response.closes:
            why = "the server closes each connection" if first.response.closes else first.outcome
            context.judge.does_not_apply("http.reuse", why)
            return
        second = connection.exchange(context.settings_request("settings, second on its connection"))
        await connection.send_request(second)
        await connection.receive(second)
    judge_http(context.judge, second)
    message = f"{second.request.label}: {second.outcome}, though the first response did not say Connection: close"
    context.judge.expect("http.reuse", second.status == first.status, message, second)


async def _pipelined(context: ProbeContext) -> None:
    rule, judge = "http.pipelining", context.judge
    unknown = context.call("an unknown type, pipelined", {"version": "1.2", "type": "poeproto_unknown"})
    async with context.connection() as connection:
        first = connection.exchange(context.settings_request("settings, with another request behind it"))
        second = connection.exchange(unknown)
        data = [connection.head(each.request) + each.request.body_on_wire() for each in (first, second)]
        await connection.send(b"".join(data))
        await connection.receive(first)
        if first.response.is_complete:
            await connection.receive(second)
    judge_http(judge, first, second)
    if not first.response.is_complete:
        judge.breaks(rule, f"the first of two pipelined requests: {first.outcome}", first)
        return
    alone = await context.send(unknown)
    # A server may answer the first request only, and close: the client repeats the others.
    in_order = second.status is None or second.status == alone.status
    message = f"the second of two pipelined requests: {second.outcome}; alone it has {alone.outcome}"
    judge.expect(rule, first.status == 200 and in_order, message, second)


async def _slow(context: ProbeContext) -> None:
    async with context.connection() as connection:
        exchange = connection.exchange(context.settings_request("settings, in four pieces"))
        for part in (connection.head(exchange.request), exchange.request.body):
            half = len(part) // 2
            for piece in (part[:half], part[half:]):
                await connection.send(piece)
                await anyio.sleep(context.times.piece)
        exchange.sent_at = connection.now
        await connection.receive(exchange)
    judge_http(context.judge, exchange)
    message = f"a request that arrives in pieces: {exchange.outcome} instead of status 200"
    context.judge.expect("http.slow-request", exchange.status == 200, message, exchange)


PROBES = (
    Probe("reuse", ("http.reuse", "http.messages"), _reuse, after=("settings",)),
    Probe("pipelined", ("http.pipelining", "http.messages"), _pipelined, after=("settings",)),
    Probe("slow", ("http.slow-request", "http.messages"), _slow, after=("settings",)),
)
