"""Calls with the Node SDK, in a process that makes many at once."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from .outcomes import Outcome

__all__ = ["call_all", "require_node_sdk"]

FOLDER = Path(__file__).parent / "node"


def require_node_sdk() -> str:
    """The path of Node. Without it or the SDK, skip the test; in CI, where both are installed, fail it."""
    node = shutil.which("node")
    if node is not None and (FOLDER / "node_modules" / "openai").is_dir():
        return node
    missing = "the Node SDK of OpenAI is not run: `make openai-node` installs it, and needs Node.js 20 or later"
    if os.environ.get("CI"):
        pytest.fail(missing)
    pytest.skip(missing)


def call_all(key: str, tasks: Iterable[dict[str, Any]], **options: Any) -> list[Outcome]:
    """Make these calls, in one process: its start takes longer than most calls.

    Args:
        key: the client's key.
        tasks: each has an `address`, an `api`, a `mode`, a `body` and a `name`.
        options: the client's other options.
    """
    given = json.dumps({"key": key, "tasks": list(tasks), **options})
    run = subprocess.run(
        [require_node_sdk(), "calls.mjs"],
        cwd=FOLDER,
        input=given.encode(),
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert run.returncode == 0, run.stderr.decode()
    return [Outcome.from_json(outcome) for outcome in json.loads(run.stdout)]
