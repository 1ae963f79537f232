"""Probes of the bodies of requests: long, chunked, cut, and longer than a server should accept."""

from __future__ import annotations

from ipaddress import ip_address

import anyio

from poeproto_check.exchange import Ending
from poeproto_check.probe import Probe, ProbeContext
from poeproto_check.probe_request import Framing
from poeproto_check.probes.answers import expect_ok, is_client_error, is_refusal, judge_http
from poeproto_check.raw_connection import ServerAddress

_LONG = 768 * 1024
_TOO_LONG = 64 * 1024 * 1024
_PIECE = 1024 * 1024
_SETTINGS = '{"version":"1.2","type":"settings","padding":"%s"}'


async def _long(context: ProbeContext) -> None:
    body = (_SETTINGS % ("x" * _LONG)).encode()
    request = context.request(f"settings in a body of {_LONG // 1024} KiB", body, shell_body=_padded_in_shell(_LONG))
    exchange = await context.send(request)
    judge_http(context.judge, exchange)
    expect_ok(context.judge, "http.large-body", exchange)


def _padded_in_shell(size: int) -> str:
    prefix, suffix = _SETTINGS.split("%s")
    return f"printf %s '{prefix}'; head -c {size} /dev/zero | tr '\\0' x; printf %s '{suffix}'"


async def _chunked(context: ProbeContext) -> None:
    exchange = await context.send(context.settings_request("settings in chunks", framing=Framing.CHUNKED))
    judge_http(context.judge, exchange)
    message = f"{exchange.request.label}: {exchange.outcome} instead of 200 or 411"
    context.judge.expect("http.chunked-body", exchange.status in (200, 411), message, exchange)


async def _cut(context: ProbeContext) -> None:
    rule, whole = "http.cut-body", context.settings_request()
    half = len(whole.body) // 2
    request = context.request("settings in a body that is cut", whole.body[:half], declared=len(whole.body))
    if context.address.origin.scheme == "https":
        context.judge.does_not_apply(rule, "with TLS, one side of a connection cannot be ended alone")
        return
    async with context.connection() as connection:
        exchange = connection.exchange(request)
        await connection.send_request(exchange)
        await connection.send_eof()
        await connection.receive(exchange)
    judge_http(context.judge, exchange)
    refused = is_refusal(exchange) and exchange.ending is not Ending.TIMEOUT
    message = f"{request.label}: {exchange.outcome}; expected status 400 or a closed connection"
    context.judge.expect(rule, refused, message, exchange)


async def _too_long(context: ProbeContext) -> None:
    rule = "http.body-limit"
    if not _is_on_this_machine(context.address):
        context.judge.does_not_apply(rule, "64 MiB are sent to servers on this machine only")
        return
    padding = "x" * (_TOO_LONG - len(_SETTINGS) + 2)
    request = context.request(
        "settings in a body of 64 MiB", (_SETTINGS % padding).encode(), shell_body=_padded_in_shell(len(padding))
    )
    async with context.connection() as connection:
        exchange = connection.exchange(request)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(connection.receive, exchange)
            await connection.send(connection.head(request))
            for start in range(0, _TOO_LONG, _PIECE):
                # Most servers answer before they have read all of it, and close.
                if exchange.response.is_http or not await connection.send(request.body[start : start + _PIECE]):
                    break
            exchange.sent_at = connection.now
    judge_http(context.judge, exchange)
    refused = is_client_error(exchange) or (exchange.status is None and exchange.ending is not Ending.TIMEOUT)
    message = f"{request.label}: {exchange.outcome}; expected status 413 or a closed connection"
    context.judge.expect(rule, refused, message, exchange)


def _is_on_this_machine(address: ServerAddress) -> bool:
    if address.unix_socket is not None or address.origin.host == "localhost":
        return True
    try:
        return ip_address(address.origin.host).is_loopback
    except ValueError:
        return False


PROBES = (
    Probe("long-body", ("http.large-body", "http.messages"), _long, after=("settings",)),
    Probe("chunked-body", ("http.chunked-body", "http.messages"), _chunked, after=("settings",)),
    Probe("cut-body", ("http.cut-body", "http.messages"), _cut, after=("settings",)),
    Probe("too-long-body", ("http.body-limit", "http.messages"), _too_long, after=("settings",)),
)
