"""fastapi_poe's own tests, which its source distribution carries: fetched when they are run, and never stored here."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
from importlib.metadata import version
from pathlib import Path

import pytest


def fetch_their_tests(folder: Path) -> Path:
    """The folder of fastapi_poe's tests, of the version that is installed.

    The test that needs them is skipped where pip reaches no index; CI requires it.
    """
    release = f"fastapi_poe=={version('fastapi_poe')}"
    options = ["--no-deps", "--no-build-isolation", "--no-binary", "fastapi_poe", "--dest", str(folder)]
    command = [sys.executable, "-m", "pip", "download", "-q", *options, release]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    if done.returncode != 0:
        reason = f"pip cannot fetch the source distribution of {release}: {done.stderr.strip().splitlines()[-1]}"
        assert not os.environ.get("CI"), reason
        pytest.skip(reason)
    [archive] = folder.glob("fastapi_poe-*.tar.gz")
    with tarfile.open(archive) as files:
        files.extractall(folder, filter="data")
    return next(folder.glob("fastapi_poe-*/tests"))
