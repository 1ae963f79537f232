"""fastapi_poe's own tests, run on poeproto_compat under fastapi_poe's name. They are fetched from the package index.

As a program, this is the run itself: `python fastapi_poe_suite.py FILE [PYTEST_OPTION...]` prints the outcome of each
test as JSON.
"""

from __future__ import annotations

import asyncio
import inspect
import json
import os
import subprocess
import sys
import tarfile
from collections.abc import Iterable
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

VERSION = "0.0.83"
SECONDS = 120  # for an index that hangs


def fetch(folder: Path) -> Path:
    """The folder of fastapi_poe's tests, from its source distribution. It is kept in `folder` for further runs.

    Where no index is reachable the test is skipped, but in CI it fails.
    """
    kept = folder / f"fastapi_poe-{VERSION}"
    if not kept.is_dir():
        with TemporaryDirectory(dir=folder) as own:
            download = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
            source = ["--no-binary", "fastapi_poe", "--dest", own, f"fastapi_poe=={VERSION}"]
            done = subprocess.run([*download, *source], capture_output=True, text=True, timeout=SECONDS)
            if done.returncode:
                reason = (
                    f"fastapi_poe {VERSION} is not available as a source distribution: {done.stderr.strip()[-300:]}"
                )
                if os.environ.get("CI"):
                    pytest.fail(reason)
                pytest.skip(reason)
            with tarfile.open(Path(own, f"{kept.name}.tar.gz")) as archive:
                archive.extractall(own, filter="data")
            with suppress(OSError):  # another process was faster
                Path(own, kept.name).rename(kept)
    return kept / "tests"


def outcomes(tests: Path, name: str, folder: Path, left_out: Iterable[str] = ()) -> dict[str, str]:
    """The outcome of each test in a file: "passed", or the first line of its failure.

    Args:
        tests: fastapi_poe's tests.
        name: the name of the file.
        folder: an empty folder, for the file with our name in it.
        left_out: tests that are not run, as ``Class::test``.
    """
    replaced = folder / name
    replaced.write_text((tests / name).read_text().replace("fastapi_poe", "poeproto_compat"))
    (folder / "pytest.ini").write_text("[pytest]\n")
    command = [sys.executable, __file__, name, *(f"--deselect={name}::{test}" for test in left_out)]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=SECONDS)
    assert done.stdout, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


class _Plugin:
    """Runs coroutine functions, which pytest does not, and records outcomes."""

    def __init__(self) -> None:
        self.outcomes: dict[str, str] = {}

    def pytest_configure(self, config: pytest.Config) -> None:
        config.addinivalue_line("markers", "asyncio: the test is a coroutine function")

    @pytest.hookimpl(tryfirst=True)
    def pytest_pyfunc_call(self, pyfuncitem: pytest.Function) -> bool | None:
        function: Any = pyfuncitem.obj
        if not inspect.iscoroutinefunction(function):
            return None
        names = inspect.signature(function).parameters
        asyncio.run(function(**{name: value for name, value in pyfuncitem.funcargs.items() if name in names}))
        return True

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        name = report.nodeid.partition("::")[2]
        if report.failed:
            crash: Any = getattr(report.longrepr, "reprcrash", None)
            self.outcomes[name] = str(getattr(crash, "message", "failed")).splitlines()[0]
        elif report.when == "call":
            self.outcomes.setdefault(name, report.outcome)


def _call_through_httpx() -> None:
    """Make each call through an `httpx.AsyncClient`, whose methods the tests replace."""
    import httpx

    connections: Any = import_module("poeproto_compat.connections")
    transport: Any = import_module("poeproto_httpx").HttpxTransport

    async def transport_for(session: Any, headers: Any) -> Any:
        return transport(session or httpx.AsyncClient())

    connections.transport_for = transport_for


if __name__ == "__main__":
    _call_through_httpx()
    plugin = _Plugin()
    pytest.main(["-q", "-p", "no:cacheprovider", *sys.argv[1:]], plugins=[plugin])
    print(f"\n{json.dumps(plugin.outcomes)}")
