"""Probes of a client that disconnects in the middle of a reply."""

from __future__ import annotations

from poeproto_check.probe import WATCH_HEADER, BotEnding, Probe, ProbeContext
from poeproto_check.probe_request import JSON_TYPE
from poeproto_check.probes.answers import expect_ok
from poeproto_check.probes.queries import query_value

_SURVIVAL, _NOTICED = "http.disconnect", "http.disconnect-noticed"


async def _disconnect(context: ProbeContext) -> None:
    judge = context.judge
    text = "Please write a story of a thousand words."
    async with context.connection(is_query=True) as connection:
        headers = (JSON_TYPE, (WATCH_HEADER, "disconnect"))
        request = context.call("a query whose client disconnects", query_value(text), headers=headers)
        exchange = connection.exchange(request)
        await connection.send_request(exchange)
        while not exchange.response.parts and not exchange.response.is_over:
            if not await connection.receive_some(exchange):
                break
    if context.watch_end is None:
        judge.does_not_apply(_NOTICED, "only a bot that the check serves can be watched")
    else:
        ending = await context.watch_end()
        if ending is BotEnding.COMPLETE:
            judge.does_not_apply(_NOTICED, "the reply was complete before the client could disconnect")
        else:
            noticed = ending is BotEnding.DISCONNECTED
            judge.expect(_NOTICED, noticed, "the bot still ran 5 s after the disconnect", exchange)
    after = await context.send(context.settings_request("settings after a disconnect"))
    expect_ok(judge, _SURVIVAL, after)


PROBES = (Probe("disconnect", (_SURVIVAL, _NOTICED), _disconnect, queries=1, after=("settings", "query")),)
