from __future__ import annotations

import runpy
from pathlib import Path

import pytest


@pytest.mark.parametrize(
    "name",
    ["reference.md", "states.md", "schemas/request.json", "schemas/event.json", "schemas/settings.json", "runtime.md"],
)
def test_what_is_on_file_is_what_the_code_says(checkout: Path, name: str) -> None:
    files = runpy.run_path(str(checkout / "docs" / "generate.py"))["generated"]()
    path = checkout / "docs" / name
    assert path.read_text(encoding="utf-8") == files[path], "run `make generated`"
