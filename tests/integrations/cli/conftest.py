"""The bots that a module measures: its `BOTS`, as a file and as a server."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path

import pytest

from ...support.bots import KEY
from ...support.command import serving


@pytest.fixture(scope="module")
def bots(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with the module's `BOTS`, of which `bot` is one."""
    file = tmp_path_factory.mktemp("bots") / "measured.py"
    file.write_text(request.module.BOTS)
    return file


@pytest.fixture(scope="module")
def address(bots: Path) -> Generator[str]:
    """The address of a server of that bot."""
    with serving(f"{bots}:bot", "--access-key", KEY) as server:
        yield server.address
