"""`poeproto serve`: a bot server."""

from __future__ import annotations

import logging

import click
from click.core import ParameterSource

from poeproto import Endpoints
from poeproto_asgi import AppOptions, FetchPolicy, run
from poeproto_asgi.server import WorkerClass
from poeproto_cli.failures import server_failures
from poeproto_cli.options import access_key_option, bind_option, checked_endpoint, origin_of, worker_class_option
from poeproto_cli.terminal import log_to_stderr
from poeproto_runtime import AccessKeyMissing

logger = logging.getLogger("poeproto")


@click.command()
@click.argument("target")
@bind_option("127.0.0.1:8080")
@worker_class_option
@click.option("--workers", type=click.IntRange(min=1), default=1, show_default=True, help="Number of processes.")
@access_key_option
@click.option(
    "--allow-without-key",
    is_flag=True,
    help="Answer requests without a key. The variable POE_ACCESS_KEY is ignored then.",
)
@click.option("--bot-name", help="The bot's name on Poe. With a name and a key, its settings are synced at startup.")
@click.option(
    "--endpoint",
    callback=checked_endpoint,
    metavar="URL",
    help="Send the bot's calls to this URL instead of Poe: the address of a simulator.",
)
@click.option(
    "--allow-fetch",
    is_flag=True,
    help="Let the bot fetch attachments: from public https addresses, and from the endpoint.",
)
@click.option("--no-sync-settings", is_flag=True, help="Do not send the bot's settings to Poe at startup.")
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
    """Serve a bot until interrupted.

    TARGET is module:attribute or path/file.py:attribute. The attribute is a Bot, a Bot class, a dict of bots by path,
    or a BotApp. A bot needs --access-key or --allow-without-key, unless it sets its keys itself, as a BotApp does.

    TARGET may also be openai:URL#model: a model behind an OpenAI-compatible endpoint, as in
    openai:https://api.openai.com/v1#gpt-5. The endpoint's key is in the variable OPENAI_API_KEY. Of several models,
    separated by commas, users choose.

    Once connections are accepted, one line on standard output says the address.
    """
    log_to_stderr()
    if allow_without_key and bot_name is not None and not no_sync_settings:
        logger.warning("the settings of %s are not synced with Poe: syncing needs the bot's key", bot_name)
    key_in_environment = context.get_parameter_source("access_key") is not ParameterSource.COMMANDLINE
    if allow_without_key and access_key is not None:
        if not key_in_environment:
            raise click.UsageError("--access-key and --allow-without-key exclude each other")
        access_key = None
    origins = [] if endpoint is None else [origin_of(endpoint)]
    options = AppOptions(
        access_key=None if key_in_environment else access_key,
        environment_key=access_key if key_in_environment else None,
        allow_without_key=allow_without_key,
        bot_name=bot_name,
        endpoints=None if endpoint is None else Endpoints.at(endpoint),
        fetch_policy=FetchPolicy(origins=origins) if allow_fetch else None,
        sync_settings=not no_sync_settings,
    )
    with server_failures():
        try:
            run(
                target,
                bind=bind,
                worker_class=worker_class,
                workers=workers,
                options=options,
                on_ready=lambda address: click.echo(f"serving {target} at {address}"),
                on_worker=log_to_stderr,
            )
        except AccessKeyMissing as exc:
            raise click.UsageError(
                "the bot has no access key; give it with --access-key or in POE_ACCESS_KEY, or answer requests without "
                "a key with --allow-without-key"
            ) from exc
        except RuntimeError as exc:  # a worker process has died
            raise click.ClickException(str(exc)) from exc
