"""The `poeproto` command: serve a bot, query one, ask for its settings, measure it, simulate Poe.

It exits with 0 for success, 1 when the bot or the peer failed (one line on standard error), 2 for wrong usage, 130
when a question was interrupted.
"""

from __future__ import annotations

import logging
import traceback

import click
from click.core import ParameterSource

from poeproto import Endpoints, LocalProtocolError
from poeproto_asgi import AppOptions, FetchPolicy, TargetError, TargetFailed, run
from poeproto_asgi.server import WorkerClass
from poeproto_cli.asking import query, settings
from poeproto_cli.bench import bench
from poeproto_cli.options import access_key_option, bind_option, worker_class_option
from poeproto_cli.simulation import simulate
from poeproto_h11.client.urls import split_url
from poeproto_runtime import AccessKeyMissing

logger = logging.getLogger("poeproto")


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


@click.group()
@click.version_option(package_name="poeproto")
def main() -> None:
    """Serve and query Poe server bots."""


for _command in (query, settings, bench, simulate):
    main.add_command(_command)


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
    bots by path, or a BotApp. Unless it says itself which keys it takes, one of --access-key and --allow-without-key is
    needed.
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
