"""The page about the embedded server names each of its limits, with the default."""

from __future__ import annotations

import re
from pathlib import Path

import attrs

from poeproto_h11 import ServerLimits

PAGE = (Path(__file__).parents[2] / "docs" / "embedded_server.md").read_text()


def test_the_limits() -> None:
    rows = re.findall(r"^\| `(\w+)` \| ([\d.]+) \|", PAGE, re.MULTILINE)
    assert rows == [(name, str(value)) for name, value in attrs.asdict(ServerLimits()).items()]
