"""How a failed command ends: the exit code, and one line that says what failed and what to do about it."""

from __future__ import annotations

import ssl
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from typing import TypeVar

import anyio
import click

from poeproto import ConnectFailed, LocalProtocolError, PoeprotoError, RequestRefused
from poeproto_asgi import TargetError, TargetFailed
from poeproto_cli.terminal import print_exception
from poeproto_h11 import ProxyFailed

T = TypeVar("T")

# The exit code that shells report for a command that SIGINT ended.
_INTERRUPTED = 130

_UNAUTHORIZED = 401
_NOT_A_BOT = frozenset({404, 405, 501})  # how other servers respond to a POST


def run_call(call: Callable[[], Awaitable[T]], backend: str) -> T:
    """Run a client's call in an event loop of its own. Failures as in `client_failures`; SIGINT exits with 130."""
    with exit_on_interrupt(), client_failures():
        return anyio.run(call, backend=backend)


@contextmanager
def exit_on_interrupt() -> Generator[None]:
    """Within the block, SIGINT ends the command with 130."""
    try:
        yield
    except KeyboardInterrupt as exc:
        raise _aborted() from exc
    except BaseExceptionGroup as exc:
        # trio raises it in one of several tasks.
        if exc.subgroup(KeyboardInterrupt) is None:
            raise
        raise _aborted() from exc


def _aborted() -> click.exceptions.Exit:
    click.echo("Aborted!", err=True)
    return click.exceptions.Exit(_INTERRUPTED)


@contextmanager
def client_failures() -> Generator[None]:
    """Within the block, a failed call ends the command with 1, and an invalid URL with 2."""
    try:
        yield
    except LocalProtocolError as exc:
        raise click.UsageError(str(exc)) from exc
    except PoeprotoError as exc:
        # The message may contain the bot's words, which may have several lines. The command makes it printable.
        raise click.ClickException(" ".join(str(exc).split()) + _advice(exc)) from exc


@contextmanager
def server_failures() -> Generator[None]:
    """Within the block, a server that fails ends the command with 1, and an invalid target or option with 2."""
    try:
        yield
    except TargetFailed as exc:
        if exc.__cause__ is not None:  # for the author of the code that failed
            print_exception(type(exc.__cause__), exc.__cause__, exc.__cause__.__traceback__)
        raise click.ClickException(str(exc)) from exc
    except (TargetError, LocalProtocolError, ValueError) as exc:
        raise click.UsageError(str(exc)) from exc
    except OSError as exc:
        raise click.ClickException(f"{exc.strerror or exc}") from exc


def _advice(failure: PoeprotoError) -> str:
    match failure:
        case RequestRefused() if failure.status == _UNAUTHORIZED:
            return "; give the right key with --access-key or in POE_ACCESS_KEY"
        case RequestRefused() if failure.status in _NOT_A_BOT:
            return "; is that the URL of a bot?"
        case RequestRefused() if 300 <= failure.status < 400:
            return ": a redirect, which is not followed; give the URL that it leads to, perhaps with a slash at the end"
        case ProxyFailed():
            return "; is the proxy right? NO_PROXY lists the hosts that need none"
        case ConnectFailed() if not isinstance(failure.__cause__, ssl.SSLError):
            return "; is the URL right, and the server running?"
        case _:
            return ""
