"""Probes of queries: an ordinary one, unusual ones, and several at the same time. Each may cost money."""

from __future__ import annotations

import secrets
from typing import Any

import anyio

from poeproto import ConnectFailed
from poeproto_check.exchange import Ending
from poeproto_check.probe import Probe, ProbeContext
from poeproto_check.probes.answers import is_client_error, is_success, judge_http
from poeproto_check.probes.replies import REPLY_RULES, ReceivedReply, judge_reply, query

_PARALLEL = 3


def query_value(text: str, **fields: Any) -> dict[str, Any]:
    """The JSON of a query with one message."""
    return {
        "version": "1.2",
        "type": "query",
        "query": [{"role": "user", "content": text, "content_type": "text/markdown"}],
        "user_id": "u-0000000000000000000000000000000b",
        "conversation_id": "c-0000000000000000000000000000000c",
        "message_id": f"m-{secrets.token_hex(16)}",
        "bot_query_id": f"b-{secrets.token_hex(16)}",
        **fields,
    }


async def _ordinary(context: ProbeContext) -> None:
    reply = await query(context, context.call("a query", query_value("Hello! Please answer in a few words.")))
    judge_reply(context, reply)
    if reply.is_usable:
        context.worked.add("query")
    else:
        context.unusable["query"] = (reply.outcome, reply.exchange)


async def _expect_reply(context: ProbeContext, rule: str, label: str, value: dict[str, Any]) -> None:
    reply = await query(context, context.call(label, value))
    message = f"{label}: {reply.outcome}; an ordinary query gets a complete reply"
    context.judge.expect(rule, reply.is_usable, message, reply.exchange)
    if reply.exchange.status == 200:
        judge_reply(context, reply)


async def _unknown_values(context: ProbeContext) -> None:
    earlier = {
        "role": "added_later",
        "content": "Hello",
        "content_type": "text/x-added-later",
        "message_type": "added_later",
        "feedback": [{"type": "added_later", "reason": None}],
        "reactions": [{"user_id": "", "reaction": "added_later"}],
    }
    value = query_value("Hello! Please answer in a few words.")
    value["query"].insert(0, earlier)
    await _expect_reply(context, "input.unknown-values", "a query with unknown values", value)


async def _null_fields(context: ProbeContext) -> None:
    names = ("temperature", "tools", "tool_calls", "tool_results", "query_creation_time", "extra_params",
             "adopt_current_bot_name")  # fmt: skip
    value = query_value("Hello! Please answer in a few words.", **dict.fromkeys(names))
    value["query"][0].update(dict.fromkeys(("message_type", "metadata", "referenced_message", "sender")))
    await _expect_reply(context, "input.null-fields", "a query with null in optional fields", value)


async def _sample(context: ProbeContext) -> None:
    value = {
        "version": "1.0",
        "type": "query",
        "query": [{"role": "user", "content": "What is the capital of Nepal?", "content_type": "text/markdown"}],
        "user": "u-1234abcd5678efgh",
        "conversation": "c-jklm9012nopq3456",
    }
    label = "a query as in the specification's sample, without identifiers"
    reply = await query(context, context.call(label, value))
    accepted = reply.is_usable or is_client_error(reply.exchange)
    message = f"{label}: {reply.outcome}; expected a reply or 400"
    context.judge.expect("input.sample", accepted, message, reply.exchange)


async def _empty(context: ProbeContext) -> None:
    label = "a query without messages"
    reply = await query(context, context.call(label, query_value("", query=[])))
    judge_http(context.judge, reply.exchange)
    accepted = is_client_error(reply.exchange) or is_success(reply.exchange)
    message = f"{label}: {reply.outcome}; expected a reply or 400"
    context.judge.expect("input.empty-query", accepted, message, reply.exchange)


async def _parallel(context: ProbeContext) -> None:
    rule = "reply.parallel"
    words = [f"word{secrets.token_hex(6)}" for _ in range(_PARALLEL)]
    replies: dict[str, ReceivedReply] = {}
    failures: list[ConnectFailed] = []

    async def ask(number: int, word: str) -> None:
        label = f"query {number + 1} of {_PARALLEL} at the same time"
        try:
            replies[word] = await query(context, context.call(label, query_value(f"Repeat this word: {word}")))
        except ConnectFailed as exc:
            failures.append(exc)

    async with anyio.create_task_group() as tasks:
        for number, word in enumerate(words):
            tasks.start_soon(ask, number, word)
    for failure in failures:
        context.judge.breaks(rule, f"queries at the same time: {failure}")
    for word, reply in replies.items():
        label, body = reply.exchange.request.label, reply.exchange.response.body
        foreign = any(other.encode() in body for other in words if other != word)
        context.judge.expect(rule, not foreign, f"{label}: the reply repeats the word of another query", reply.exchange)
        # Whether a reply of this bot is complete is for the ordinary query to judge.
        answered = reply.exchange.status == 200 and reply.exchange.ending is not Ending.TIMEOUT
        context.judge.expect(rule, answered, f"{label}: {reply.outcome}", reply.exchange)


_AFTER = ("query",)
PROBES = (
    Probe("query", REPLY_RULES, _ordinary, queries=1),
    Probe("unknown-values", ("input.unknown-values",), _unknown_values, queries=1, after=_AFTER),
    Probe("null-fields", ("input.null-fields",), _null_fields, queries=1, after=_AFTER),
    Probe("sample", ("input.sample",), _sample, queries=1, after=_AFTER),
    Probe("empty-query", ("input.empty-query", "http.messages"), _empty, queries=1),
    Probe("parallel", ("reply.parallel",), _parallel, queries=_PARALLEL, after=_AFTER),
)
