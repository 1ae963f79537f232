"""Exceptions of a bot that mean an `error` event of their own, not that the bot is broken."""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

from poeproto import BotError, Error, InsufficientFunds

_INSUFFICIENT_FUND = "insufficient_fund"  # Poe's name for it
_NO_FUNDS = "There are not enough points to pay for this answer."


def error_meant_by(exc: BaseException) -> Error | None:
    """The `error` event that ends the reply of a bot that raised this exception; None for a failure of the bot's own.

    Exception groups are searched, since the bot's task groups wrap the exceptions of its tasks.
    """
    missing = lack_of_funds_in(exc)
    if missing is not None:
        own = Error(allow_retry=False, text=_NO_FUNDS, error_type=_INSUFFICIENT_FUND)
        return missing.event if isinstance(missing, BotError) else own
    leaves = list(exceptions_in(exc))
    if all(isinstance(leaf, BotError) for leaf in leaves):
        [event, *_] = [leaf.event for leaf in leaves if isinstance(leaf, BotError)]
        return event
    return None


def lack_of_funds_in(exc: BaseException) -> InsufficientFunds | BotError | None:
    """The exception, this one or one in its groups, that says that the user lacks points for this bot or another."""
    for leaf in exceptions_in(exc):
        if isinstance(leaf, InsufficientFunds):
            return leaf
        if isinstance(leaf, BotError) and leaf.event.error_type == _INSUFFICIENT_FUND:
            return leaf
    return None


def exceptions_in(exc: BaseException) -> Iterator[BaseException]:
    """The exception itself; of a group, the exceptions in it, at any depth."""
    if isinstance(exc, BaseExceptionGroup):
        for inner in cast("BaseExceptionGroup[BaseException]", exc).exceptions:
            yield from exceptions_in(inner)
    else:
        yield exc
