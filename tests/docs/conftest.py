"""The tests here run as those of the integrations do. They need the checkout: its documents and examples."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from ..integrations.conftest import anyio_backend, deadline, logs_of_loop_watch

__all__ = ["anyio_backend", "checkout", "deadline", "demo_output", "logs_of_loop_watch"]


@pytest.fixture(scope="session")
def checkout() -> Path:
    """The root of the checkout."""
    return Path(__file__).parents[2]


@pytest.fixture(scope="session")
def demo_output(checkout: Path) -> str:
    """The output of the demonstration, which has exited with status 0 and left no process behind."""
    # A process that outlived it would hold the ends of its pipes, and this would run into the timeout.
    demo = subprocess.run(
        [sys.executable, "-W", "error", "docs/examples/demo.py"],
        cwd=checkout,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (demo.returncode, demo.stderr) == (0, "")
    return demo.stdout
