"""`poeproto openai`: bots as an OpenAI-compatible endpoint."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import click

from poeproto import Endpoints
from poeproto_asgi import AppOptions, FetchPolicy, run
from poeproto_asgi.server import WorkerClass
from poeproto_asgi.targets import load_app_unchecked
from poeproto_cli.failures import server_failures
from poeproto_cli.options import (
    access_key_option,
    bind_option,
    checked_key,
    endpoint_option,
    origin_of,
    proxy_option,
    worker_class_option,
)
from poeproto_cli.terminal import log_to_stderr
from poeproto_cli.urls import is_target, refuse_address

if TYPE_CHECKING:
    from poeproto_openai.gateway import GatewayBot

_POE = "poe:"


def _checked_keys(context: click.Context, parameter: click.Parameter, keys: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(checked_key(context, parameter, key) or "" for key in keys)


@click.group()
def openai() -> None:
    """Speak OpenAI's API: any bot as an OpenAI-compatible endpoint."""


@openai.command()
@bind_option("127.0.0.1:8085")
@worker_class_option
@click.option(
    "--bot",
    "bots",
    multiple=True,
    metavar="NAME=TARGET_OR_URL",
    help="A model: the name that clients ask for, and the URL of a bot server, a TARGET as for serve, or poe:NAME for "
    "a bot on Poe. May be repeated.",
)
@click.option("--poe", is_flag=True, help="Offer every bot on Poe by its name, besides each --bot.")
@click.option(
    "--poe-key",
    callback=checked_key,
    envvar="POE_API_KEY",
    metavar="KEY",
    help="Call bots on Poe with this key. Without it, they are called with the key that the client sends. Prefer the "
    "variable POE_API_KEY: no process list shows it.",
)
@click.option(
    "--api-key",
    "api_keys",
    multiple=True,
    callback=_checked_keys,
    envvar="POEPROTO_API_KEYS",
    metavar="KEY",
    help="A key that clients may send. May be repeated. Prefer the variable POEPROTO_API_KEYS, with spaces between "
    "several.",
)
@click.option("--allow-without-key", is_flag=True, help="Answer clients without a key.")
@click.option(
    "--allow-origin",
    "allow_origins",
    multiple=True,
    metavar="ORIGIN",
    help="Let web pages of this origin call the gateway, as in https://app.example.com; * for any. May be repeated.",
)
@access_key_option
@click.option(
    "--on-replace",
    type=click.Choice(["append", "hold"]),
    default="append",
    show_default=True,
    help="What a stream does when a bot replaces text that was sent: append the new text, or hold all text until the "
    "end of every reply.",
)
@click.option(
    "--usage",
    type=click.Choice(["none", "bot", "estimate"]),
    default="none",
    show_default=True,
    help="The usage in replies: none, what the bot says, or an estimate, which needs tiktoken.",
)
@click.option("--reasoning", is_flag=True, help="Send reasoning to clients that do not ask for it, too.")
@endpoint_option
@proxy_option
@click.option(
    "--allow-fetch",
    is_flag=True,
    help="Let bots in this process fetch attachments: from public https addresses, and from the endpoint.",
)
def serve(
    bind: str,
    worker_class: WorkerClass,
    bots: tuple[str, ...],
    poe: bool,
    poe_key: str | None,
    api_keys: tuple[str, ...],
    allow_without_key: bool,
    allow_origins: tuple[str, ...],
    access_key: str | None,
    on_replace: Literal["append", "hold"],
    usage: Literal["none", "bot", "estimate"],
    reasoning: bool,
    endpoints: Endpoints | None,
    proxy: str | None,
    allow_fetch: bool,
) -> None:
    """Serve bots as an OpenAI-compatible endpoint until interrupted.

    Once connections are accepted, one line on standard output says the base URL for clients. They need one of the keys
    of --api-key, unless --allow-without-key is given. A client may instead send a key of Poe, for bots on Poe, unless
    --poe-key is given. --access-key is the key of each --bot that is the URL of a bot server.
    """
    from poeproto_openai import OpenAIGateway  # imported here, so that the other commands start faster

    log_to_stderr()
    named: dict[str, GatewayBot] = {}
    for described in bots:
        name, bot = _bot(described, access_key)
        if name in named:
            raise click.UsageError(f"--bot {name}=... is given twice; each bot needs its own name")
        named[name] = bot
    origins = [] if endpoints is None or not allow_fetch else [origin_of(endpoints.api)]
    with server_failures():
        try:
            app = OpenAIGateway(
                named,
                api_keys=api_keys or None,
                allow_without_key=allow_without_key,
                allow_origins=allow_origins,
                poe=poe,
                poe_key=poe_key,
                on_replace=on_replace,
                usage=usage,
                reasoning=reasoning,
                endpoints=endpoints,
                fetch_policy=FetchPolicy(origins=origins) if allow_fetch else None,
                proxy=False if proxy == "" else proxy,
            )
        except ModuleNotFoundError as exc:
            raise click.ClickException(str(exc)) from exc
        except ValueError as exc:
            raise click.UsageError(_in_options(str(exc))) from exc
        run(
            app,
            bind=bind,
            worker_class=worker_class,
            on_ready=lambda address: click.echo(f"serving OpenAI's API at {address.rstrip('/')}/v1"),
        )


def _in_options(message: str) -> str:
    """The message with options in place of arguments."""
    for argument, option in (
        ("api_keys", "--api-key"),
        ("allow_without_key=True", "--allow-without-key"),
        ("poe=True", "--poe"),
        ("allow_origins", "--allow-origin"),
    ):
        message = message.replace(argument, option)
    return message


def _bot(described: str, access_key: str | None) -> tuple[str, GatewayBot]:
    from poeproto_openai import UpstreamBot

    name, separator, where = described.partition("=")
    if not separator or not name or not where:
        shown = "" if "@" in described or "?" in described else f" {described!r}"  # it may contain a key
        raise click.UsageError(f"--bot{shown} is not of the form NAME=TARGET_OR_URL")
    if where.startswith(_POE):
        return name, where
    if not is_target(where):
        return name, UpstreamBot(where, access_key)
    refuse_address(where)
    with server_failures():
        # Without a check of keys: the gateway has its own.
        routes = list(load_app_unchecked(where, AppOptions(allow_without_key=True)).service.routes.values())
    if len(routes) != 1:
        raise click.UsageError(f"{where} has {len(routes)} bots; expected one")
    return name, routes[0]
