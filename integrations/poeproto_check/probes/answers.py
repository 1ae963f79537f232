"""Judgements of a response that several probes share."""

from __future__ import annotations

from poeproto_check.exchange import Exchange
from poeproto_check.judge import Judge


def judge_http(judge: Judge, *exchanges: Exchange) -> None:
    """Judge whether the responses are valid HTTP/1.1. No response at all is not invalid."""
    for exchange in exchanges:
        problems = exchange.response.problems
        if problems:
            judge.breaks("http.messages", f"{exchange.request.label}: {'; '.join(problems)}", exchange)
        elif exchange.response.is_http:
            judge.keeps("http.messages")


def expect_ok(judge: Judge, rule: str, exchange: Exchange) -> None:
    """Judge whether the status is 200, as it is for an ordinary request."""
    message = f"{exchange.request.label}: {exchange.outcome} instead of 200"
    judge.expect(rule, exchange.status == 200, message, exchange)


def is_success(exchange: Exchange) -> bool:
    """Whether the status says that the request was accepted."""
    return exchange.status is not None and 200 <= exchange.status < 300


def is_refusal(exchange: Exchange) -> bool:
    """Whether the request was not accepted: an error status, or a connection closed without a response."""
    return exchange.status is None or exchange.status >= 400


def is_client_error(exchange: Exchange) -> bool:
    """Whether the status says that the request was at fault."""
    return exchange.status is not None and 400 <= exchange.status < 500
