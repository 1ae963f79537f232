from __future__ import annotations

import runpy
from pathlib import Path

import pytest


@pytest.mark.parametrize(
    "name", ["docs/schemas/request.json", "docs/schemas/event.json", "docs/schemas/settings.json", "docs/states.md"]
)
def test_what_is_on_file_is_what_the_code_says(checkout: Path, name: str) -> None:
    files = runpy.run_path(str(checkout / "docs" / "generate.py"))["generated"]()
    assert (checkout / name).read_text(encoding="utf-8") == files[checkout / name], "run `make generated`"
