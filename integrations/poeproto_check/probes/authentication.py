"""Probes of access keys: missing, wrong, under other schemes, and in the body.

They send settings requests, so that a server that accepts a wrong key causes no costs.
"""

from __future__ import annotations

import secrets

from poeproto_check.exchange import Exchange
from poeproto_check.probe import Probe, ProbeContext
from poeproto_check.probes.answers import judge_http

_DENIED = (401, 403)
_SETTINGS = {"version": "1.2", "type": "settings"}
_CHALLENGE = "auth.challenge"


def _key(context: ProbeContext) -> str:
    assert context.access_key is not None, "the probe needs a key"
    return context.access_key


def _expect_denied(context: ProbeContext, rule: str, exchange: Exchange) -> None:
    judge_http(context.judge, exchange)
    label = exchange.request.label
    message = f"{label}: {exchange.outcome} instead of status 401 or 403"
    context.judge.expect(rule, exchange.status in _DENIED, message, exchange)
    if exchange.status == 401:
        challenge = exchange.response.get("www-authenticate")
        context.judge.expect(_CHALLENGE, challenge is not None, f"{label}: status 401 without the header", exchange)
    _expect_no_key(context, exchange)


def _expect_no_key(context: ProbeContext, exchange: Exchange) -> None:
    received = b"".join(each.data for each in exchange.transfers if not each.is_sent)
    leaked = any(_key(context).encode() in part for part in (received, exchange.response.body))
    context.judge.expect("auth.key-leak", not leaked, f"{exchange.request.label}: the response has the key", exchange)


async def _right_key(context: ProbeContext) -> None:
    exchange = await context.send(context.settings_request("settings with the right key"))
    _expect_no_key(context, exchange)


async def _missing_key(context: ProbeContext) -> None:
    for label, authorization in (("no key", None), ("an empty key", "Bearer ")):
        request = context.settings_request(label, authorization=authorization)
        _expect_denied(context, "auth.missing-key", await context.send(request))


async def _wrong_key(context: ProbeContext) -> None:
    key = _key(context)
    wrong = secrets.token_hex((len(key) + 1) // 2)[: len(key)]
    wrong = wrong if wrong != key else "x" * (len(key) + 1)
    cases = [("a wrong key", wrong), ("the key and one more character", f"{key}x")]
    if len(key) > 1:
        cases.append(("the key without its last character", key[:-1]))
    for label, tested in cases:
        request = context.settings_request(label, authorization=f"Bearer {tested}")
        _expect_denied(context, "auth.wrong-key", await context.send(request))


async def _other_schemes(context: ProbeContext) -> None:
    for label, authorization in (
        ("the key with the scheme Basic", f"Basic {_key(context)}"),
        ("the key without a scheme", _key(context)),
    ):
        request = context.settings_request(label, authorization=authorization)
        _expect_denied(context, "auth.other-schemes", await context.send(request))


async def _scheme_case(context: ProbeContext) -> None:
    for scheme in ("bearer", "BEARER"):
        label = f"the right key with the scheme {scheme}"
        exchange = await context.send(context.settings_request(label, authorization=f"{scheme} {_key(context)}"))
        accepted = exchange.status not in (*_DENIED, None)
        context.judge.expect("auth.scheme-case", accepted, f"{label}: {exchange.outcome}", exchange)


async def _body_key(context: ProbeContext) -> None:
    rule = "auth.body-key"
    body = {**_SETTINGS, "access_key": _key(context), "api_key": _key(context)}
    request = context.call("the key in the body only", body, authorization=None)
    _expect_denied(context, rule, await context.send(request))
    body = {**_SETTINGS, "access_key": "wrong", "api_key": "wrong"}
    exchange = await context.send(context.call("the right key, and a wrong one in the body", body))
    accepted = exchange.status is not None and exchange.status < 400
    context.judge.expect(rule, accepted, f"{exchange.request.label}: {exchange.outcome}", exchange)


_DENIAL_RULES = (_CHALLENGE, "auth.key-leak", "http.messages")
PROBES = (
    Probe("right-key", ("auth.key-leak",), _right_key, needs_key=True),
    Probe("missing-key", ("auth.missing-key", *_DENIAL_RULES), _missing_key, needs_key=True),
    Probe("wrong-key", ("auth.wrong-key", *_DENIAL_RULES), _wrong_key, needs_key=True),
    Probe("other-schemes", ("auth.other-schemes", *_DENIAL_RULES), _other_schemes, needs_key=True),
    Probe("scheme-case", ("auth.scheme-case",), _scheme_case, needs_key=True, after=("settings",)),
    Probe("body-key", ("auth.body-key", *_DENIAL_RULES), _body_key, needs_key=True, after=("settings",)),
)
