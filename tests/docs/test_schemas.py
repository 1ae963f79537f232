from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from poeproto import event_schema, request_schema, settings_schema


@pytest.mark.parametrize(
    ("name", "make"), [("request", request_schema), ("event", event_schema), ("settings", settings_schema)]
)
def test_the_schemas_on_file_are_those_of_the_vocabulary(
    checkout: Path, name: str, make: Callable[[], dict[str, Any]]
) -> None:
    kept = json.loads((checkout / "docs" / "schemas" / f"{name}.json").read_text(encoding="utf-8"))
    assert kept == make(), "run `make schemas`"
