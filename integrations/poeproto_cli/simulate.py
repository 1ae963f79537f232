"""`poeproto simulate`: a server that simulates Poe, with bots."""

from __future__ import annotations

import logging
import shlex
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from poeproto import Bot, Endpoints, InvalidValue, Limits
from poeproto_asgi import AppOptions, FetchPolicy, Route, run
from poeproto_asgi.server import WorkerClass
from poeproto_asgi.targets import load_app_unchecked
from poeproto_cli.failures import server_failures
from poeproto_cli.options import access_key_option, bind_option, checked_key, worker_class_option
from poeproto_cli.recording_files import recording_failures
from poeproto_cli.terminal import log_to_stderr
from poeproto_cli.urls import is_target, refuse_address
from poeproto_runtime import BotService

if TYPE_CHECKING:
    from poeproto_simulator import Simulator

logger = logging.getLogger("poeproto")

# Says that a bot is a recording.
_RECORDING = "recording:"


def _checked_origins(context: click.Context, parameter: click.Parameter, origins: tuple[str, ...]) -> tuple[str, ...]:
    try:
        FetchPolicy(origins=origins)
    except InvalidValue as exc:
        raise click.BadParameter(exc.message) from None
    return origins


@click.command()
@bind_option("127.0.0.1:8081")
@worker_class_option
@click.option(
    "--strict",
    is_flag=True,
    help="Refuse unknown keys, bots and queries, and more than 500 requests a minute, as Poe does.",
)
@click.option("--database", type=click.Path(dir_okay=False), help="An SQLite file that keeps the state between runs.")
@click.option(
    "--bot",
    "bots",
    multiple=True,
    metavar="NAME=TARGET_OR_URL",
    help="A bot: its name on Poe, and the URL of its server, a TARGET as for serve, or recording:FILE, which answers "
    "as the bot in a recording did. May be repeated.",
)
@click.option(
    "--balance",
    type=click.IntRange(min=0),
    default=1_000_000,
    show_default=True,
    help="The initial balance of each user, in thousandths of a US cent.",
)
@click.option(
    "--fetch-from",
    "origins",
    multiple=True,
    callback=_checked_origins,
    metavar="ORIGIN",
    help="A server that files may be fetched from for uploads by URL, as in http://127.0.0.1:8000. May be repeated.",
)
@access_key_option
@click.option(
    "--api-key",
    callback=checked_key,
    envvar="POE_API_KEY",
    metavar="KEY",
    help="The first user's API key, checked only with --strict. Prefer the variable POE_API_KEY.",
)
def simulate(
    bind: str,
    worker_class: WorkerClass,
    strict: bool,
    database: str | None,
    bots: tuple[str, ...],
    balance: int,
    origins: tuple[str, ...],
    access_key: str | None,
    api_key: str | None,
) -> None:
    """Simulate Poe's servers until interrupted.

    Clients and bots use the printed address instead of https://api.poe.com and https://www.quora.com. Without --strict,
    any key is accepted, and an unknown bot repeats each message. --access-key is the key of each --bot that sets none
    itself; without it, a bot that runs in the simulator gets a random one.
    """
    from poeproto_simulator import Simulator  # imported here, so that the other commands start faster

    log_to_stderr()
    with server_failures():
        simulator = Simulator(strict=strict, database=database, balance=balance, api_key=api_key, fetch_origins=origins)
        _refuse_repeated_names(bots)
        for described in bots:
            _register(simulator, described, access_key)
        run(
            simulator,
            bind=bind,
            worker_class=worker_class,
            on_ready=partial(_on_ready, simulator),
        )


def _on_ready(simulator: Simulator, address: str) -> None:
    click.echo(f"simulating Poe at {address}")
    path = address.removeprefix("unix:")
    if path == address:
        simulator.address = address  # for the calls of bots that run in it
        where = address
    else:
        where = f"--unix-socket {shlex.quote(path)} http://localhost/"
    # On standard error: programs read the address from standard output.
    click.echo(f"ask a bot: poeproto query {where}bot/NAME TEXT", err=True)


def _refuse_repeated_names(bots: Iterable[str]) -> None:
    names = [described.partition("=")[0] for described in bots]
    for name in names:
        if names.count(name) > 1:
            raise click.UsageError(f"--bot {name}=... is given twice; each bot needs its own name")


def _register(simulator: Simulator, described: str, access_key: str | None) -> None:
    name, separator, where = described.partition("=")
    if not separator or not name or not where:
        shown = "" if "@" in described or "?" in described else f" {described!r}"  # it may contain a key
        raise click.UsageError(f"--bot{shown} is not of the form NAME=TARGET_OR_URL")
    if where.startswith(_RECORDING):
        from poeproto_simulator import Replayed

        file = Path(where.removeprefix(_RECORDING))
        with recording_failures(file):
            simulator.register(name, Replayed(file), access_key=access_key)
    elif not is_target(where):
        simulator.register(name, where, access_key=access_key)
    else:
        refuse_address(where)
        bot, own_key = _load_bot(where)
        simulator.register(name, bot, access_key=own_key or access_key)


def _load_bot(target: str) -> tuple[Bot, str | None]:
    # Without a check of keys: only the simulator calls the bot.
    service = load_app_unchecked(target, AppOptions(allow_without_key=True)).service
    routes = list(service.routes.values())
    if len(routes) != 1:
        raise click.UsageError(f"{target} has {len(routes)} bots; expected one")
    unused = ", ".join(_unused_settings(service, routes[0]))
    if unused:
        logger.warning("%s: not used in the simulator: %s", target, unused)
    return routes[0].bot, routes[0].access_key


def _unused_settings(service: BotService, route: Route) -> Iterator[str]:
    """Settings of an application's bot that the simulator does not use."""
    outbound = service.outbound
    if route.endpoints is not None or (outbound is not None and outbound.endpoints != Endpoints()):
        yield "its endpoints"
    if outbound is not None and outbound.fetch_policy is not None:
        yield "its fetch policy"
    if service.limits != Limits():
        yield "its limits"
    if len(route.accepted_keys or ()) > 1:
        yield "its keys after the first"
