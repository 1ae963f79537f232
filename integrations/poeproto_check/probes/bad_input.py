"""Probes of bad input: bodies that are not requests. The bot must not see them, and the server must survive them."""

from __future__ import annotations

from poeproto import ConnectFailed
from poeproto.lint import has_stack_trace
from poeproto_check.exchange import Ending, Exchange
from poeproto_check.probe import Probe, ProbeContext
from poeproto_check.probe_request import ProbeRequest
from poeproto_check.probes.answers import expect_ok, is_client_error, is_success, judge_http

_DEPTH = 100_000
_NO_REQUESTS: tuple[tuple[str, str, bytes], ...] = (
    ("input.json", "an empty body", b""),
    ("input.json", "a body that is not JSON", b"hello"),
    ("input.json", "JSON that was cut", b'{"version":"1.2","type":"query","query":[{"role":"us'),
    ("input.utf-8", "JSON that is not UTF-8", b'{"version":"1.2","type":"settings\xff\xfe"}'),
    ("input.object", "null", b"null"),
    ("input.object", "an array", b"[]"),
    ("input.object", "a string", b'"settings"'),
    ("input.object", "a number", b"7"),
    ("input.type", "an object without a type", b'{"version":"1.2"}'),
    ("input.type", "a type that is null", b'{"version":"1.2","type":null}'),
    ("input.type", "a type that is an object", b'{"version":"1.2","type":{"a":1}}'),
)
_QUERY = {"version": "1.2", "type": "query", "user_id": "", "conversation_id": "", "message_id": ""}
_WRONG_TYPES: tuple[tuple[str, object], ...] = (
    ("a `query` that is a string", {**_QUERY, "query": "hello"}),
    ("a message that is a string", {**_QUERY, "query": ["hello"]}),
    ("a `content` that is a number", {**_QUERY, "query": [{"role": "user", "content": 7}]}),
)
_DIGITS = 10_000
_NUMBERS: tuple[tuple[str, bytes, str], ...] = (
    ("NaN", b"NaN", "printf NaN"),
    ("the number 1e999", b"1e999", "printf 1e999"),
    (f"an integer of {_DIGITS:,} digits", b"9" * _DIGITS, f"head -c {_DIGITS} /dev/zero | tr '\\0' 9"),
)


def _judge(context: ProbeContext, rule: str, exchange: Exchange, accepted: bool, expected: str) -> None:
    judge_http(context.judge, exchange)
    message = f"{exchange.request.label}: {exchange.outcome} instead of {expected}"
    context.judge.expect(rule, accepted, message, exchange)
    if exchange.response.is_http and not is_success(exchange):
        shows_trace = has_stack_trace(exchange.response.body.decode("latin-1"))
        shown = f"{exchange.request.label}: the answer contains a stack trace"
        context.judge.expect("input.traceback", not shows_trace, shown, exchange)


async def _send_each(context: ProbeContext, requests: list[tuple[str, ProbeRequest]]) -> None:
    """Send each. After one without an answer in time the others are left out, since each would take as long."""
    for rule, request in requests:
        exchange = await context.send(request)
        unknown_type = rule == "input.type" and exchange.status == 501
        _judge(context, rule, exchange, is_client_error(exchange) or unknown_type, "400")
        if exchange.ending is Ending.TIMEOUT:
            return


async def _no_requests(context: ProbeContext) -> None:
    await _send_each(context, [(rule, context.request(label, body)) for rule, label, body in _NO_REQUESTS])


async def _required_fields(context: ProbeContext) -> None:
    await _send_each(context, [("input.required-fields", context.call("a query without `query`", _QUERY))])


async def _field_types(context: ProbeContext) -> None:
    await _send_each(context, [("input.field-types", context.call(label, value)) for label, value in _WRONG_TYPES])


async def _deep_nesting(context: ProbeContext) -> None:
    prefix = '{"version":"1.2","type":"settings","deep":'
    body = prefix.encode() + b"[" * _DEPTH + b"]" * _DEPTH + b"}"
    brackets = f"head -c {_DEPTH} /dev/zero | tr '\\0'"
    shell = f"printf %s '{prefix}'; {brackets} '['; {brackets} ']'; printf %s '}}'"
    exchange = await context.send(context.request(f"{_DEPTH:,} nested arrays", body, shell_body=shell))
    # A parser without recursion reads them, and the key is an unknown one.
    accepted = exchange.status == 200 or is_client_error(exchange)
    _judge(context, "input.nesting", exchange, accepted, "400 or 200")


async def _numbers(context: ProbeContext) -> None:
    prefix = '{"version":"1.2","type":"settings","added_later":'
    for label, number, shell in _NUMBERS:
        shell = f"printf %s '{prefix}'; {shell}; printf '}}'"
        request = context.request(f"settings with {label}", prefix.encode() + number + b"}", shell_body=shell)
        exchange = await context.send(request)
        accepted = exchange.status == 200 or is_client_error(exchange)
        _judge(context, "input.numbers", exchange, accepted, "400 or 200")


async def _survival(context: ProbeContext) -> None:
    rule = "input.survival"
    try:
        exchange = await context.send(context.settings_request("settings after the bad input"))
    except ConnectFailed as exc:
        context.judge.breaks(rule, f"after the bad input the server accepts no connection: {exc}")
        return
    expect_ok(context.judge, rule, exchange)


_ALWAYS = ("input.traceback", "http.messages")
PROBES = (
    Probe("no-requests", (*{rule: None for rule, _, _ in _NO_REQUESTS}, *_ALWAYS), _no_requests),
    Probe("required-fields", ("input.required-fields", *_ALWAYS), _required_fields, queries=1),
    Probe("field-types", ("input.field-types", *_ALWAYS), _field_types, queries=len(_WRONG_TYPES)),
    Probe("numbers", ("input.numbers", *_ALWAYS), _numbers, after=("settings",)),
    Probe("deep-nesting", ("input.nesting", *_ALWAYS), _deep_nesting, after=("settings",)),
    Probe("survival", ("input.survival",), _survival, after=("settings",)),
)
