from __future__ import annotations

import re
import runpy
from pathlib import Path

import pytest

from poeproto.lint import RULES


@pytest.fixture(scope="module")
def files(checkout: Path) -> dict[Path, str]:
    """The generated text of each file, by its path."""
    return runpy.run_path(str(checkout / "docs" / "generate.py"))["generated"]()


@pytest.mark.parametrize(
    "name",
    [
        *(
            "checks.md",
            "states.md",
            "runtime.md",
            "observability.md",
            "openai.md",
            "explanation/decisions.md",
        ),
        *(f"howto/{page.name}" for page in (Path(__file__).parents[2] / "docs" / "howto").glob("*.md")),
        *(f"schemas/{name}.json" for name in ("request", "event", "settings", "recording")),
    ],
)
def test_generated_files_are_up_to_date(checkout: Path, files: dict[Path, str], name: str) -> None:
    path = checkout / "docs" / name
    assert path.read_text(encoding="utf-8") == files[path], "run `make generated`"


def test_each_rule_is_on_its_page(checkout: Path) -> None:
    page = (checkout / "docs" / "checks.md").read_text(encoding="utf-8")
    assert re.findall("^### (.*)$", page, re.MULTILINE) == re.findall(r"^\| \[`([^`]*)`\]", page, re.MULTILINE)
    assert set(re.findall("^### (.*)$", page, re.MULTILINE)) == set(RULES)
