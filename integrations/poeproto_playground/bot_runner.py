"""Runs a target in a process of its own, and starts it again when one of its files changes.

The new process is started beside the old one, and replaces it when it accepts connections. So a file that is broken
while it is edited costs nothing: its error is shown, and the old bot still runs.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import anyio
import anyio.abc
import attrs
from anyio.streams.buffered import BufferedByteReceiveStream
from anyio.streams.text import TextReceiveStream

_LARGEST_LINE = 1024 * 1024
# A longer line on the standard error is cut.
_LONGEST_ERROR = 64 * 1024
# How often the files are checked, and how long a process may take to end.
_POLL_SECONDS = 0.3
_EXIT_SECONDS = 5.0
# How long an old process may finish the replies that are under way.
_IDLE_SECONDS = 60.0


class StartFailed(Exception):
    """A bot's process did not start. The message is for its author: a traceback, usually."""


@attrs.define(eq=False)
class BotProcess:
    """A process that serves a target.

    Attributes:
        address: the URL of its server.
        bots: its bots: `path`, `name`, `class` and `access_key`.
        files: the files that its code was loaded from.
    """

    address: str
    bots: list[dict[str, Any]]
    files: list[str]
    process: anyio.abc.Process


class BotRunner:
    """Runs a target.

    Args:
        target: as for `poeproto serve`.
        access_key: the key of bots that have none.
        endpoint: the simulated Poe.
        on_log: called with each line of the log.
        on_started: awaited with each process that serves; it makes Poe use it.
        on_failed: called with the error of a process that did not start, or ended by itself.
        is_idle: whether no reply is under way, so that the old process may be ended.
        poll: how often the files are checked, in seconds.

    Attributes:
        current: the process that serves; None before the first has started.
    """

    def __init__(
        self,
        target: str,
        access_key: str,
        endpoint: str,
        *,
        on_log: Callable[[dict[str, Any]], object],
        on_started: Callable[[BotProcess], Awaitable[None]],
        on_failed: Callable[[str, bool], object],
        is_idle: Callable[[], bool],
        poll: float = _POLL_SECONDS,
    ) -> None:
        self.target = target
        self._access_key = access_key
        self._endpoint = endpoint
        self._on_log = on_log
        self._on_started = on_started
        self._on_failed = on_failed
        self._is_idle = is_idle
        self._poll = poll
        self.current: BotProcess | None = None
        self._processes: list[anyio.abc.Process] = []  # those that have not been ended
        self._watched: dict[str, float | None] = {}
        self._reload_requested = anyio.Event()

    def request_reload(self) -> None:
        """Start the target again, though no file has changed."""
        self._reload_requested.set()

    async def run(self) -> None:
        """Run the target, until cancelled."""
        async with anyio.create_task_group() as tasks:
            try:
                while True:
                    await self._start(tasks)
                    await self._wait_changed()
            finally:
                for process in list(self._processes):
                    await _end(process)

    async def _start(self, tasks: anyio.abc.TaskGroup) -> None:
        self._reload_requested = anyio.Event()
        self._watch(self._own_files())  # before the process reads them
        try:
            started = await self._start_process(tasks)
        except StartFailed as exc:
            self._on_failed(str(exc), self.current is not None)
            return
        old, self.current = self.current, started
        await self._on_started(started)
        if old is not None:
            tasks.start_soon(self._end_when_idle, old)

    async def _start_process(self, tasks: anyio.abc.TaskGroup) -> BotProcess:
        process = await self._open_process()
        assert process.stdout is not None
        assert process.stderr is not None
        lines = BufferedByteReceiveStream(process.stdout)
        errors: list[str] = []
        tasks.start_soon(self._read_errors, process.stderr, errors)
        first = await self._first_line(lines, errors)
        if "error" in first:
            await _end(process)
            self._processes.remove(process)
            raise StartFailed(first["error"])
        started = BotProcess(first["address"], first["bots"], first["files"], process)
        tasks.start_soon(self._read_log, started, lines)
        return started

    async def _open_process(self) -> anyio.abc.Process:
        command = [sys.executable, "-m", "poeproto_playground.bot_process", self.target, self._endpoint]
        environment = {**os.environ, "POE_ACCESS_KEY": self._access_key, "PYTHONUNBUFFERED": "1"}
        with anyio.CancelScope(shield=True):  # a process that was started must be known, to be ended
            process = await anyio.open_process(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment
            )
            self._processes.append(process)
            return process
        raise AssertionError("nothing cancels this scope")

    async def _first_line(self, lines: BufferedByteReceiveStream, errors: list[str]) -> dict[str, Any]:
        """The first line of the process, printed when it serves or cannot serve: its `address`, or an `error`."""
        while (line := await _line(lines)) is not None:
            if "log" not in line:
                self._watch([*self._watched, *line["files"]])
                return line
            self._on_log(line["log"])
        return {"error": "\n".join(errors[-20:]) or "the bot's process has ended before it served"}

    async def _read_log(self, started: BotProcess, lines: BufferedByteReceiveStream) -> None:
        while (line := await _line(lines)) is not None:
            if "log" in line:
                self._on_log(line["log"])
        if self.current is started:
            self._on_failed("the bot's process has ended by itself; its log may say why", False)

    async def _read_errors(self, stream: anyio.abc.ByteReceiveStream, errors: list[str]) -> None:
        """Read the output that does not pass through Python's standard streams: by a child process, or an interpreter
        that crashes.
        """
        texts, unfinished = TextReceiveStream(stream, errors="replace"), ""
        with suppress(anyio.EndOfStream, anyio.ClosedResourceError, anyio.BrokenResourceError):
            while True:
                *complete, unfinished = (unfinished + await texts.receive()).split("\n")
                if len(unfinished) > _LONGEST_ERROR:
                    complete, unfinished = [*complete, unfinished], ""
                self._log_errors(complete, errors)
        self._log_errors([unfinished] if unfinished else [], errors)

    def _log_errors(self, lines: list[str], errors: list[str]) -> None:
        for line in lines:
            self._on_log({"level": "STDERR", "logger": "stderr", "text": line, "exchange": None})
        errors += lines
        del errors[:-100]

    async def _end_when_idle(self, old: BotProcess) -> None:
        with anyio.move_on_after(_IDLE_SECONDS):
            while not self._is_idle():  # noqa: ASYNC110 - conversations send no notification to this module
                await anyio.sleep(self._poll)
        await _end(old.process)
        self._processes.remove(old.process)

    # --- watching

    def _own_files(self) -> list[str]:
        path, separator, _ = self.target.rpartition(":")
        named = Path(path) if separator else Path(self.target)
        return [*self._watched, *([str(named.resolve())] if named.suffix == ".py" else [])]

    def _watch(self, files: list[str]) -> None:
        for file in files:
            if file not in self._watched:
                self._watched[file] = _modified(file)

    async def _wait_changed(self) -> None:
        while not self._reload_requested.is_set():
            with anyio.move_on_after(self._poll):
                await self._reload_requested.wait()
            changed = [file for file, before in self._watched.items() if _modified(file) not in (before, None)]
            if changed:
                self._watched.update((file, _modified(file)) for file in changed)
                return


def _modified(file: str) -> float | None:
    try:
        return os.stat(file).st_mtime_ns
    except OSError:
        return None  # an editor replaces it just now


async def _line(lines: BufferedByteReceiveStream) -> dict[str, Any] | None:
    try:
        return json.loads(await lines.receive_until(b"\n", _LARGEST_LINE))
    except (anyio.EndOfStream, anyio.IncompleteRead, anyio.ClosedResourceError, anyio.BrokenResourceError):
        return None


async def _end(process: anyio.abc.Process) -> None:
    """End a process: ask it to, and kill it if it does not. A cancellation waits for that."""
    with anyio.CancelScope(shield=True):
        with suppress(ProcessLookupError):
            process.terminate()
        with anyio.move_on_after(_EXIT_SECONDS):
            await process.wait()
        if process.returncode is None:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()
        await process.aclose()
