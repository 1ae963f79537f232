"""Judges replies to queries: by the lint, and by how their bytes arrived."""

from __future__ import annotations

import anyio
import attrs

from poeproto import ServerSentEvent, SSEDecoder
from poeproto.lint import MESSAGE_RULES, ReplyLint
from poeproto_check.exchange import Ending, Exchange
from poeproto_check.probe import ProbeContext
from poeproto_check.probe_request import ProbeRequest
from poeproto_check.probes.answers import judge_http

LINTED = tuple(rule.id for rule in MESSAGE_RULES.values() if "query" in rule.needs)
"""The rules that the lint judges in a reply."""

CLOSE, BUFFERING = "framing.close", "framing.buffering"
REPLY_RULES = (*LINTED, CLOSE, BUFFERING, "http.messages")
"""The rules that every reply is judged by."""

# Many events in one late read: a proxy or server buffered them. Fewer may be a burst of the bot.
_BUFFERED_EVENTS = 10


@attrs.frozen
class ReceivedReply:
    """A reply to a query, as far as it was received.

    Attributes:
        exchange: its bytes.
        records: its events, with the time of each in seconds since the query was sent.
    """

    exchange: Exchange
    records: list[tuple[float, ServerSentEvent]]

    @property
    def names(self) -> list[str]:
        """The names of the events."""
        return [record.event for _, record in self.records]

    @property
    def is_done(self) -> bool:
        """Whether `done` was there."""
        return "done" in self.names

    @property
    def is_usable(self) -> bool:
        """Whether the reply is complete, and did not end with an error."""
        return self.exchange.status == 200 and self.is_done and "error" not in self.names

    @property
    def outcome(self) -> str:
        """The outcome of a reply, in a few words."""
        if self.exchange.status != 200:
            return self.exchange.outcome
        if "error" in self.names:
            return "an error event"
        return "a complete reply" if self.is_done else f"a reply without done: {self.exchange.ending.value}"


async def query(context: ProbeContext, request: ProbeRequest) -> ReceivedReply:
    """Send a query, and read the reply to its end, or until some seconds after `done`.

    Raises:
        ConnectFailed: when there is no connection.
    """
    async with context.connection(is_query=True) as connection:
        exchange = connection.exchange(request)
        await connection.send_request(exchange)
        reply = ReceivedReply(exchange, [])
        decoder = SSEDecoder(dispatch_without_data=frozenset({"done"}))
        seen = 0
        while not exchange.response.is_over and await connection.receive_some(exchange):
            for at, part in exchange.response.parts[seen:]:
                reply.records.extend((at - exchange.sent_at, record) for record in decoder.receive_data(part))
            seen = len(exchange.response.parts)
            if reply.is_done and not exchange.response.is_over:
                with anyio.move_on_after(context.times.close):
                    await connection.receive(exchange)
                break
        connection.settle(exchange)
    return reply


def judge_reply(context: ProbeContext, reply: ReceivedReply) -> None:
    """Judge a reply by all of `REPLY_RULES`."""
    judge, exchange = context.judge, reply.exchange
    judge_http(judge, exchange)
    if exchange.response.head is None or exchange.status != 200:
        judge.breaks("reply.status", f"{exchange.request.label}: {exchange.outcome} instead of 200", exchange)
        for rule in REPLY_RULES:
            judge.cannot_test(rule, f"there is no reply: {exchange.outcome}", exchange)
        return
    _judge_by_lint(context, exchange)
    _judge_end(context, reply)
    _judge_buffering(context, reply)


def _judge_by_lint(context: ProbeContext, exchange: Exchange) -> None:
    assert exchange.response.head is not None, "checked by the caller"
    lint = ReplyLint(context.limits)
    found = lint.receive_head(exchange.response.head)
    for at, part in exchange.response.parts:
        found += lint.receive_data(part, at - exchange.sent_at)
    found += lint.receive_eof(exchange.ended_at - exchange.sent_at)
    broken: set[str] = set()
    for finding in found:
        broken.add(finding.rule)
        where = f"{finding.path}: " if finding.path else ""
        context.judge.breaks(finding.rule, f"{exchange.request.label}: {where}{finding.message}", exchange)
    for rule in LINTED:
        if rule not in broken:
            context.judge.keeps(rule)


def _judge_end(context: ProbeContext, reply: ReceivedReply) -> None:
    judge, exchange, label = context.judge, reply.exchange, reply.exchange.request.label
    if exchange.response.is_complete:
        judge.keeps(CLOSE)
    elif reply.is_done and exchange.ending is Ending.CLOSED_BY_CHECK:
        judge.breaks(CLOSE, f"{label}: the body had not ended {context.times.close:g} s after done", exchange)


def _judge_buffering(context: ProbeContext, reply: ReceivedReply) -> None:
    judge, exchange, label = context.judge, reply.exchange, reply.exchange.request.label
    arrivals = [at for at, _ in reply.records]
    if len(arrivals) < _BUFFERED_EVENTS or arrivals[-1] < context.times.buffered:
        judge.does_not_apply(BUFFERING, "no reply was long enough to show it")
        return
    together = arrivals[-1] - arrivals[0] < 0.01
    message = f"{label}: all {len(arrivals)} events arrived at once, after {arrivals[-1]:.1f} s"
    judge.expect(BUFFERING, not together, message, exchange)
