"""The command `poeproto simulate`: a stand-in for Poe, with bots."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Iterable, Iterator
from functools import partial
from typing import TYPE_CHECKING

import click

from poeproto import Bot, Endpoints, InvalidValue, Limits, LocalProtocolError
from poeproto_asgi import AppOptions, FetchPolicy, Route, TargetError, TargetFailed, run
from poeproto_asgi.server import WorkerClass
from poeproto_asgi.targets import load_app_unchecked
from poeproto_cli.options import access_key_option, bind_option, checked_key, worker_class_option
from poeproto_cli.urls import refuse_address
from poeproto_runtime import BotService

if TYPE_CHECKING:
    from poeproto_simulator import Simulator

logger = logging.getLogger("poeproto")


def _checked_origins(context: click.Context, parameter: click.Parameter, origins: tuple[str, ...]) -> tuple[str, ...]:
    try:
        FetchPolicy(origins=origins)
    except InvalidValue as exc:
        raise click.BadParameter(exc.message) from None
    return origins


@click.command()
@bind_option("127.0.0.1:8081")
@worker_class_option
@click.option("--strict", is_flag=True, help="Refuse unknown keys, bots and queries, and 500 requests a minute.")
@click.option("--database", type=click.Path(dir_okay=False), help="An SQLite file to keep the state in.")
@click.option(
    "--bot",
    "bots",
    multiple=True,
    metavar="NAME=TARGET_OR_URL",
    help="A bot: its name on Poe, and its server's URL, or what serve takes as TARGET. Can be given several times.",
)
@click.option(
    "--balance",
    type=click.IntRange(min=0),
    default=1_000_000,
    show_default=True,
    help="What a user may spend, in thousandths of a US cent.",
)
@click.option(
    "--fetch-from",
    "origins",
    multiple=True,
    callback=_checked_origins,
    metavar="ORIGIN",
    help="A server whose files may be uploaded by URL, as in http://127.0.0.1:8000. Can be given several times.",
)
@access_key_option
@click.option(
    "--api-key",
    callback=checked_key,
    envvar="POE_API_KEY",
    help="The user's key; without --strict, any will do. The variable POE_API_KEY stands in for it.",
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
    """Stand in for Poe's servers, until interrupted.

    Clients and bots are pointed at the printed address in place of https://api.poe.com and https://www.quora.com. Any
    key is taken, and an unknown bot repeats what it is told, unless --strict is given. The access key is that of each
    --bot that brings none.
    """
    from poeproto_simulator import Simulator  # the other commands need not wait for it

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    try:
        simulator = Simulator(strict=strict, database=database, balance=balance, api_key=api_key, fetch_origins=origins)
        _refuse_repeated_names(bots)
        for described in bots:
            _register(simulator, described, access_key)
        run(
            simulator,
            bind=bind,
            worker_class=worker_class,
            on_ready=partial(_begin, simulator),
        )
    except TargetFailed as exc:
        traceback.print_exception(exc.__cause__)  # of code that its author will want to mend
        raise click.ClickException(str(exc)) from exc
    except (TargetError, LocalProtocolError, ValueError) as exc:
        raise click.UsageError(str(exc)) from exc
    except OSError as exc:
        raise click.ClickException(f"{exc.strerror or exc}") from exc


def _begin(simulator: Simulator, address: str) -> None:
    simulator.address = address  # which the bots that run in it have to know
    click.echo(f"simulating Poe at {address}")
    # Programs read the address from standard output; this is for people.
    click.echo(f"ask a bot: poeproto query {address}bot/NAME TEXT", err=True)


def _refuse_repeated_names(bots: Iterable[str]) -> None:
    names = [described.partition("=")[0] for described in bots]
    for name in names:
        if names.count(name) > 1:
            raise click.UsageError(f"--bot {name}=... is given twice, and a name is for one bot")


def _register(simulator: Simulator, described: str, access_key: str | None) -> None:
    name, separator, where = described.partition("=")
    if not separator or not name or not where:
        shown = "" if "@" in described or "?" in described else f" {described!r}"  # there may be a key in it
        raise click.UsageError(f"--bot{shown} is not of the form NAME=TARGET_OR_URL")
    if "://" in where:
        simulator.register(name, where, access_key=access_key)
    else:
        refuse_address(where)
        bot, own_key = _loaded(where)
        simulator.register(name, bot, access_key=own_key or access_key)


def _loaded(target: str) -> tuple[Bot, str | None]:
    # Who may ask its server is of no interest here: it is asked by nobody but the simulator.
    service = load_app_unchecked(target, AppOptions(allow_without_key=True)).service
    routes = list(service.routes.values())
    if len(routes) != 1:
        raise click.UsageError(f"{target} has {len(routes)} bots; one is needed")
    unused = ", ".join(_unused(service, routes[0]))
    if unused:
        logger.warning("%s: not used in the simulator: %s", target, unused)
    return routes[0].bot, routes[0].access_key


def _unused(service: BotService, route: Route) -> Iterator[str]:
    """What an application says of a bot that is for the simulator to say here."""
    outbound = service.outbound
    if route.endpoints is not None or (outbound is not None and outbound.endpoints != Endpoints()):
        yield "its endpoints"
    if outbound is not None and outbound.fetch_policy is not None:
        yield "its fetch policy"
    if service.limits != Limits():
        yield "its limits"
    if len(route.accepted_keys or ()) > 1:
        yield "its keys after the first"
