"""The `poeproto` command: serve a bot, query one, ask for its settings, measure it, simulate Poe.

It exits with 0 for success, 1 when the bot or the peer failed (one line on standard error), 2 for wrong usage, 130
when a question was interrupted.
"""

from __future__ import annotations

import contextlib
import json
import logging
import re
import sys
import traceback
from collections.abc import Awaitable, Callable
from functools import partial
from typing import NoReturn, TypeVar

import anyio
import attrs
import click
from click.core import ParameterSource

from poeproto import (
    Endpoints,
    Event,
    File,
    LocalProtocolError,
    PoeprotoError,
    ReplaceResponse,
    SettingsResponse,
    SuggestedReply,
    Text,
    UnknownEvent,
    encode_settings,
    event_payload,
)
from poeproto_asgi import AppOptions, FetchPolicy, TargetError, TargetFailed, run
from poeproto_asgi.serving import WorkerClass
from poeproto_cli.bench import bench
from poeproto_cli.options import access_key_option, bind_option, worker_class_option
from poeproto_cli.simulation import simulate
from poeproto_h11 import Client
from poeproto_h11.origins import split_url
from poeproto_runtime import AccessKeyMissing

T = TypeVar("T")

logger = logging.getLogger("poeproto")

# What shells report of a command that SIGINT ended.
_INTERRUPTED = 130
# What a terminal obeys: the control characters of ASCII and Latin-1, but for tab and newline.
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def _checked_endpoint(context: click.Context, parameter: click.Parameter, url: str | None) -> str | None:
    if url is None:
        return None
    try:
        _origin_of(url)
        usable = "?" not in url and "#" not in url  # Poe's paths are put behind it
    except LocalProtocolError:
        usable = False
    if not usable:
        # Without the URL: there may be a password in it.
        raise click.BadParameter("this is not the address of a server, as in http://127.0.0.1:8000")
    return url.rstrip("/")


def _origin_of(url: str) -> str:
    return str(split_url(url)[0])


_backend = click.option(
    "--backend", type=click.Choice(["asyncio", "trio"]), default="asyncio", show_default=True, help="The event loop."
)
_json = click.option("--json", "as_json", is_flag=True, help="Print JSON, one object a line.")


@click.group()
@click.version_option(package_name="poeproto")
def main() -> None:
    """Serve and query Poe server bots."""


main.add_command(bench)
main.add_command(simulate)


@main.command()
@click.argument("target")
@bind_option("127.0.0.1:8080")
@worker_class_option
@click.option("--workers", type=click.IntRange(min=1), default=1, show_default=True, help="The number of processes.")
@access_key_option
@click.option("--allow-without-key", is_flag=True, help="Answer anyone; a key in the environment is passed over.")
@click.option("--bot-name", help="The bot's name on Poe. With it and a key, Poe is told its settings at the start.")
@click.option(
    "--endpoint",
    callback=_checked_endpoint,
    metavar="URL",
    help="Where the bot finds Poe: the address of a simulator, by default Poe itself.",
)
@click.option("--allow-fetch", is_flag=True, help="Let the bot fetch attachments: by https, and from the endpoint.")
@click.option("--no-sync-settings", is_flag=True, help="Do not tell Poe the bot's settings.")
@click.pass_context
def serve(
    context: click.Context,
    target: str,
    bind: str,
    worker_class: WorkerClass,
    workers: int,
    access_key: str | None,
    allow_without_key: bool,
    bot_name: str | None,
    endpoint: str | None,
    allow_fetch: bool,
    no_sync_settings: bool,
) -> None:
    """Serve the bot that TARGET names, until interrupted.

    TARGET is module:attribute or path/file.py:attribute, where the attribute is a Bot, a class of bots, a dict of
    bots by path, or a BotApp.
    """
    _log_to_stderr()
    if allow_without_key and bot_name is not None and not no_sync_settings:
        logger.warning("Poe is not told the settings of %s: that takes the bot's key", bot_name)
    key_in_environment = context.get_parameter_source("access_key") is not ParameterSource.COMMANDLINE
    if allow_without_key and access_key is not None:
        if not key_in_environment:
            raise click.UsageError("--access-key and --allow-without-key exclude each other")
        access_key = None
    origins = [] if endpoint is None else [_origin_of(endpoint)]
    try:
        run(
            target,
            bind=bind,
            worker_class=worker_class,
            workers=workers,
            options=AppOptions(
                access_key=None if key_in_environment else access_key,
                environment_key=access_key if key_in_environment else None,
                allow_without_key=allow_without_key,
                bot_name=bot_name,
                endpoints=None if endpoint is None else Endpoints.at(endpoint),
                fetch_policy=FetchPolicy(origins=origins) if allow_fetch else None,
                sync_settings=not no_sync_settings,
            ),
            on_ready=lambda address: click.echo(f"serving {target} at {address}"),
            on_worker=_log_to_stderr,
        )
    except TargetFailed as exc:
        traceback.print_exception(exc.__cause__)  # of code that its author will want to mend
        raise click.ClickException(str(exc)) from exc
    except AccessKeyMissing as exc:
        advice = "give the bot's key with --access-key or in POE_ACCESS_KEY, or answer anyone with --allow-without-key"
        raise click.UsageError(advice) from exc
    except (TargetError, ValueError) as exc:
        raise click.UsageError(str(exc)) from exc
    except OSError as exc:
        raise click.ClickException(f"{exc.strerror or exc}") from exc
    except RuntimeError as exc:
        raise click.ClickException(str(exc)) from exc


def _log_to_stderr() -> None:
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")


@main.command()
@click.argument("url")
@click.argument("text")
@access_key_option
@_backend
@_json
def query(url: str, text: str, access_key: str | None, backend: str, as_json: bool) -> None:
    """Send TEXT to a bot server, and print its answer as it arrives.

    Text that replaces what was printed begins on a new line; files and suggested replies follow on standard error. With
    --json, each event becomes a line as soon as it is there, in the wire's terms.
    """
    terminal = _Terminal()
    show = _show_json if as_json else terminal.show
    try:
        _run(partial(_query, _checked(url), text, access_key, show), backend)
    finally:
        terminal.end()


@main.command()
@click.argument("url")
@access_key_option
@_backend
@_json
def settings(url: str, access_key: str | None, backend: str, as_json: bool) -> None:
    """Print the settings of a bot server, as JSON.

    With --json they are one line.
    """
    answer = _run(partial(_settings, _checked(url), access_key), backend)
    # What this version does not know could not be sent, but it can be shown.
    wire = {**json.loads(encode_settings(attrs.evolve(answer, extra={}))), **answer.extra}
    _echo(json.dumps(wire, ensure_ascii=False, indent=None if as_json else 2))


async def _query(url: str, text: str, access_key: str | None, show: Callable[[Event], None]) -> None:
    async with Client() as client, client.query(url, text, access_key=access_key) as reply:
        async for event in reply:
            show(event)
        await reply.text()


async def _settings(url: str, access_key: str | None) -> SettingsResponse:
    async with Client() as client:
        return await client.settings(url, access_key=access_key)


def _run(call: Callable[[], Awaitable[T]], backend: str) -> T:
    try:
        return anyio.run(call, backend=backend)
    except KeyboardInterrupt as exc:
        click.echo("Aborted!", err=True)
        raise click.exceptions.Exit(_INTERRUPTED) from exc
    except LocalProtocolError as exc:
        raise click.UsageError(str(exc)) from exc  # the URL cannot be used
    except PoeprotoError as exc:
        # A bot's words may run over several lines; ours is one.
        raise click.ClickException(" ".join(str(exc).split())) from exc


def _checked(url: str) -> str:
    if "://" not in url:
        if set(url) & set("@?#"):
            raise click.UsageError("this is not a URL")  # without it: there may be a key in it
        if not set(url) & set(".:/"):
            meant = f"https://api.poe.com/bot/{url}, with an API key as --access-key?"
        else:
            scheme = re.match(r"https?:/?(?=[^/\d])|https?:/(?=\d)", url)  # a slash was forgotten
            meant = f"http://{url}?" if scheme is None else f"{scheme[0].rstrip(':/')}://{url[scheme.end() :]}?"
        raise click.UsageError(f"{url!r} is not a URL; did you mean {meant}")
    return url


class _Terminal:
    """Prints a reply as people read it: its text on standard output, and the rest on standard error after it."""

    def __init__(self) -> None:
        self._within_line = False
        self._notes: list[str] = []

    def show(self, event: Event) -> None:
        match event:
            case Text():
                self._print(event.text)
            case ReplaceResponse():
                # What is printed stays printed, so the new text begins on a line of its own.
                self._print(f"\n{event.text}" if self._within_line else event.text)
            case File():
                self._notes.append(f"[file {event.name}: {event.url}]")
            case SuggestedReply():
                self._notes.append(f"[suggested reply: {event.text}]")
            case _:
                pass  # nothing to see in a terminal; --json shows all

    def end(self) -> None:
        """End the last line, so that an error has one of its own."""
        if self._within_line:
            _echo("")
        for note in self._notes:
            _echo(note, err=True)

    def _print(self, text: str) -> None:
        _echo(text, nl=False)
        if text:
            self._within_line = not text.endswith("\n")


def _show_json(event: Event) -> None:
    name, data = event_payload(event)
    line = json.dumps({"event": name, "data": data}, ensure_ascii=False)
    if isinstance(event, UnknownEvent):
        # Its payload need not be JSON, or nest no deeper than can be read; it is shown as it came then.
        with contextlib.suppress(ValueError, RecursionError):
            parsed = json.loads(data, parse_constant=_refuse_constant)
            line = json.dumps({"event": name, "data": parsed}, ensure_ascii=False, allow_nan=False)
    _echo(line)


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _echo(text: str, *, nl: bool = True, err: bool = False) -> None:
    # Half of a character, as JavaScript peers send them, cannot be printed. Its escape is also JSON's.
    text = text.encode("utf-8", "backslashreplace").decode()
    stream = sys.stderr if err else sys.stdout
    if stream.isatty():
        # A bot must not have the terminal do things.
        text = _CONTROL.sub("\ufffd", text)
    # With color=True click leaves escape sequences as they are; a pipe or file gets what the bot sent.
    click.echo(text, nl=nl, err=err, color=True)
