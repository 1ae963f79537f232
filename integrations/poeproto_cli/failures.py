"""What a bot or a peer did not do, in one line, and what to do about it."""

from __future__ import annotations

import ssl

import click

from poeproto import ConnectFailed, PoeprotoError, RequestRefused

_UNAUTHORIZED = 401
_NO_BOT = frozenset({404, 405, 501})  # what other servers say to a POST


def as_failure(failure: PoeprotoError) -> click.ClickException:
    """The failure as the command ends with it."""
    # A bot's words may run over several lines; ours is one.
    return click.ClickException(" ".join(str(failure).split()) + _advice(failure))


def _advice(failure: PoeprotoError) -> str:
    match failure:
        case RequestRefused() if failure.status == _UNAUTHORIZED:
            return "; give the right key with --access-key or in POE_ACCESS_KEY"
        case RequestRefused() if failure.status in _NO_BOT:
            return "; is that the URL of a bot?"
        case ConnectFailed() if not isinstance(failure.__cause__, ssl.SSLError):
            return "; is the URL right, and the server running?"
        case _:
            return ""
