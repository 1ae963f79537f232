"""The process in which the playground runs a bot: `python -m poeproto_playground.bot_process TARGET ENDPOINT`.

A process of its own, so that a changed bot starts with nothing left of the old one, and a crash ends the bot alone.

It serves as `poeproto serve` does, except that the bot's calls go to the playground's simulated Poe. It writes lines of
JSON to its standard output: first the bots and the files that they were loaded from, or the error; then their log
lines. The bot's standard output is logged, too. It ends when its standard input is closed, which happens when the
playground ends.
"""

from __future__ import annotations

import io
import json
import logging
import os
import signal
import sys
import sysconfig
import threading
import traceback
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from poeproto import Endpoints
from poeproto_asgi import AppOptions, BotApp, FetchPolicy, Hooks, Observation, TargetError, load_app, run, targets
from poeproto_h11 import make_outbound, split_url
from poeproto_playground.bot_recorder import EXCHANGE_HEADER

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

# The exchange whose request this task answers, and those that it starts.
_exchange: ContextVar[str | None] = ContextVar("_exchange", default=None)

_LONGEST_LINE = 64 * 1024
# Folders of modules that nobody edits while trying out a bot.
_INSTALLED = tuple(
    str(Path(sysconfig.get_path(name)).resolve()) for name in ("stdlib", "platstdlib", "purelib", "platlib")
)


def main() -> None:
    """Serve the bot that the command line names."""
    target, endpoint = sys.argv[1:3]
    lines = Lines(os.fdopen(os.dup(1), "w", encoding="utf-8", errors="replace"))
    threading.Thread(target=_end_with_parent, daemon=True).start()
    os.dup2(2, 1)  # standard output is for lines of JSON; the bot's child processes write to it too
    sys.stdout, sys.stderr = _logged_stream(lines, "stdout"), _logged_stream(lines, "stderr")
    logging.basicConfig(level=logging.INFO, format="%(message)s", handlers=[LineHandler(lines)])
    key = os.environ.get("POE_ACCESS_KEY")
    sys.path.insert(0, os.getcwd())
    try:
        app = load_app(target, options=AppOptions(environment_key=key, allow_without_key=key is None))
        _redirect(app, endpoint)
        _mark_exchanges(app)
    except BaseException as exc:  # noqa: BLE001 - shown in the page, whatever it is
        lines.write({"error": _error_text(exc), "files": loaded_files()})
        sys.exit(1)
    bots = [
        {
            "path": path,
            "name": route.bot_name,
            "class": type(route.bot).__name__,
            "access_key": route.access_key,
        }
        for path, route in app.service.routes.items()
    ]
    run(
        app,
        bind="127.0.0.1:0",
        on_ready=lambda address: lines.write({"address": address, "bots": bots, "files": loaded_files()}),
    )


def loaded_files() -> list[str]:
    """The files of the modules that were loaded from elsewhere than the installation."""
    files: set[str] = set()
    for module in list(sys.modules.values()):
        name = getattr(module, "__file__", None)
        if not name or not name.endswith(".py"):
            continue
        path = str(Path(name).resolve())
        if not path.startswith(_INSTALLED) and not (getattr(module, "__name__", "")).startswith("poeproto"):
            files.add(path)
    return sorted(files)


def _error_text(failure: BaseException) -> str:
    shown = failure.__cause__ or failure
    if isinstance(shown, TargetError):  # a message for the person who typed the target
        return str(shown)
    # From the bot's own code on: what loaded it is not what broke.
    trace = shown.__traceback__
    while trace is not None and _is_loader(trace.tb_frame.f_code.co_filename):
        trace = trace.tb_next
    return "".join(traceback.format_exception(type(shown), shown, trace))


def _is_loader(file: str) -> bool:
    return file in (__file__, targets.__file__) or file.startswith("<frozen importlib") or "/importlib/" in file


def _redirect(app: BotApp, endpoint: str) -> None:
    """Send all calls of the bots to this endpoint, and permit them to fetch its files."""
    endpoints = Endpoints.at(endpoint)
    service = app.service
    service.redirect_calls(endpoints)  # the playground fetches the settings itself
    outbound = service.outbound
    if outbound is None or (outbound.fetch_policy is None and not outbound.hooks):
        policy = FetchPolicy(origins=[str(split_url(endpoint)[0])])
        service.outbound = make_outbound(service.limits, endpoints, fetch_policy=policy)


def _mark_exchanges(app: BotApp) -> None:
    """Note the exchange of each request for its log lines. The application's own hooks stay."""

    def on_start(observation: Observation) -> None:
        _exchange.set(observation.http_request.get(EXCHANGE_HEADER))

    # Before the application's, whose log lines belong to the exchange, too.
    app.service.hooks = (Hooks(on_start=on_start), *app.service.hooks)


def _end_with_parent() -> None:
    while os.read(0, 1024):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


# --- log lines


class Lines:
    """Writes lines of JSON, from any thread.

    Args:
        stream: where to.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._lock = threading.Lock()

    def write(self, value: dict[str, Any]) -> None:
        """Write a line."""
        line = json.dumps(value)
        with self._lock:
            try:
                self._stream.write(line + "\n")
                self._stream.flush()
            except OSError:
                os._exit(1)  # the playground has ended

    def log(self, level: str, logger: str, text: str) -> None:
        """Write a line of the log."""
        entry = {"level": level, "logger": logger, "text": text[:_LONGEST_LINE], "exchange": _exchange.get()}
        self.write({"log": entry})


class LineHandler(logging.Handler):
    """Writes records of the log as lines.

    Args:
        lines: writes them.
    """

    def __init__(self, lines: Lines) -> None:
        super().__init__()
        self._lines = lines

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record."""
        self._lines.log(record.levelname, record.name, self.format(record))


class LoggedOutput(io.BufferedIOBase):
    """The binary part of a standard stream whose lines are logged.

    Args:
        lines: writes them.
        name: of the stream.
    """

    def __init__(self, lines: Lines, name: str) -> None:
        self._lines = lines
        self.name = name
        self._unfinished = b""

    def writable(self) -> bool:
        return True

    def write(self, data: ReadableBuffer, /) -> int:
        """Log the lines that these bytes complete."""
        written = bytes(data)
        *complete, self._unfinished = (self._unfinished + written).split(b"\n")
        for line in complete:
            self._log(line)
        if len(self._unfinished) > _LONGEST_LINE:
            self._log(self._unfinished)
            self._unfinished = b""
        return len(written)

    def _log(self, line: bytes) -> None:
        self._lines.log("PRINT", self.name, line.decode("utf-8", "replace"))


def _logged_stream(lines: Lines, name: str) -> io.TextIOWrapper:
    """A standard stream whose lines are logged: with a `buffer` and an `encoding`, as bots may expect."""
    return io.TextIOWrapper(
        LoggedOutput(lines, name), encoding="utf-8", errors="backslashreplace", newline="\n", write_through=True
    )


if __name__ == "__main__":
    main()
