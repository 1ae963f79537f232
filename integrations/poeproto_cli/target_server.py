"""The server that `poeproto bench` and `poeproto check` start for a target, in a process of its own.

It serves as `poeproto serve` does, but sends nothing to Poe. The bots' calls go to the given endpoint, whatever the
application says, and no settings are pushed: a measurement repeats its query many times, and Poe would charge for each.

It prints its address, and then a line for each query that the check watches, when it has ended. The bot's standard
output is written to standard error, with the log.
"""

from __future__ import annotations

import os
import sys
from typing import TextIO

import click

from poeproto import Endpoints
from poeproto_asgi import AppOptions, BotApp, Hooks, Observation, load_app, run
from poeproto_asgi.server import WorkerClass
from poeproto_asgi.targets import warn_of_unused_key
from poeproto_check import WATCH_HEADER, BotEnding
from poeproto_cli.failures import server_failures
from poeproto_cli.options import worker_class_option
from poeproto_cli.terminal import log_to_stderr


@click.command()
@click.argument("target")
@worker_class_option
@click.option("--endpoint", required=True)
@click.option("--access-key", envvar="POE_ACCESS_KEY")
def main(target: str, worker_class: WorkerClass, endpoint: str, access_key: str | None) -> None:
    """Serve a target at a free port, and print the address."""
    lines = _own_output()
    log_to_stderr()
    options = AppOptions(environment_key=access_key, allow_without_key=access_key is None)
    with server_failures():
        app = load_app(target, options=options)
        warn_of_unused_key(target, app, options)
        poe = Endpoints()
        app.service.redirect_calls(poe if endpoint == poe.api else Endpoints.at(endpoint))
        _report_endings(app, lines)
        path = _only_path(app)
        run(
            app,
            bind="127.0.0.1:0",
            worker_class=worker_class,
            on_ready=lambda address: print(address.rstrip("/") + path, file=lines, flush=True),
        )


def _own_output() -> TextIO:
    """Standard output, moved away from the bot: its output would be parsed as a line of this server."""
    # Open until the process ends: the command waits for the end if there is no address.
    lines = os.fdopen(os.dup(1), "w", encoding="utf-8", closefd=False)
    os.dup2(2, 1)  # for code in C, and for processes that the bot starts
    sys.stdout = sys.stderr  # not buffered, so that lines are in order with the log
    return lines


def _only_path(app: BotApp) -> str:
    """The path of the application's bot: of the one at its root, or of the only one.

    Raises:
        click.UsageError: when several bots are elsewhere.
    """
    paths = list(app.service.routes)
    if "/" in paths:
        return "/"
    if len(paths) > 1:
        advice = "serve the application with `poeproto serve`, and give the URL of one of them"
        raise click.UsageError(f"the application has several bots, at {', '.join(sorted(paths))}: {advice}")
    return paths[0]


def _report_endings(app: BotApp, lines: TextIO) -> None:
    """Print how each query ended that is marked as watched. The application's own hooks stay."""

    def on_end(observation: Observation) -> None:
        if observation.http_request.get(WATCH_HEADER) is not None:
            ending = BotEnding.COMPLETE if observation.complete else BotEnding.DISCONNECTED
            print(ending.value, file=lines, flush=True)

    app.service.hooks = (Hooks(on_end=on_end), *app.service.hooks)


if __name__ == "__main__":
    main()
