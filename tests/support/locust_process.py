"""The command `locust`, as processes: importing Locust changes the standard library of a process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs

from .reserved_port import ReservedPort

SECONDS = 60  # for a process that hangs


@attrs.frozen
class LocustRun:
    """The results of a run of Locust without its web page.

    Attributes:
        status: the exit status.
        log: what was printed beside the statistics.
        statistics: Locust's own entries by their names.
        result: the file of ``--poe-json``.
    """

    status: int
    log: str
    statistics: Mapping[str, dict[str, Any]]
    result: dict[str, Any]


def run_locust(
    locustfile: Path, url: str, tmp_path: Path, *options: str, workers: int = 0, env: Mapping[str, str] | None = None
) -> LocustRun:
    """Run a locustfile to its end: in one process, or with a master and the given number of workers."""
    command = [sys.executable, "-m", "locust", "-f", str(locustfile)]
    output = tmp_path / "result.json"
    own = [*command, "--headless", "--host", url, "--json", "--only-summary", "--poe-json", str(output), *options]
    environment = {**os.environ, **(env or {})}
    started: list[subprocess.Popen[str]] = []
    port = ReservedPort()
    number = str(port.number)
    port.close()  # ZeroMQ binds without SO_REUSEPORT
    try:
        if workers:
            own += ["--master", "--master-bind-host", "127.0.0.1", "--master-bind-port", number]
            own += ["--expect-workers", str(workers)]
            for _ in range(workers):
                arguments = [*command, "--worker", "--master-port", number]
                started.append(
                    subprocess.Popen(
                        arguments, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=environment
                    )
                )
        done = subprocess.run(own, capture_output=True, text=True, timeout=SECONDS, env=environment, check=False)
        logs = [process.communicate(timeout=SECONDS)[1] for process in started]
    finally:
        for process in started:
            process.kill()
            process.wait()
            if process.stderr is not None:
                process.stderr.close()
    log = "\n".join([done.stderr, *logs])
    assert output.exists(), log
    statistics = {entry["name"]: entry for entry in json.loads(done.stdout)}
    return LocustRun(done.returncode, log, statistics, json.loads(output.read_text(encoding="utf-8")))
