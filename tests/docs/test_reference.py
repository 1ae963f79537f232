"""The site's reference has every package, and every public name of it once."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

# Command lines have no names to import.
WITHOUT_NAMES = {"poeproto_cli"}


@pytest.fixture(scope="module")
def modules(checkout: Path) -> tuple[str, ...]:
    source = (checkout / "docs" / "reference_pages.py").read_text(encoding="utf-8")
    return tuple(re.findall(r'^    "(poeproto[\w.]*)": ', source, re.MULTILINE))


def test_every_package_of_the_wheel_has_a_page(checkout: Path, modules: tuple[str, ...]) -> None:
    project = tomllib.loads((checkout / "pyproject.toml").read_text(encoding="utf-8"))
    packages = project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    assert {package.rpartition("/")[2] for package in packages} - WITHOUT_NAMES <= set(modules)


def test_every_page_is_in_the_table_of_contents(checkout: Path, modules: tuple[str, ...]) -> None:
    index = (checkout / "docs" / "index.md").read_text(encoding="utf-8")
    assert [name for name in modules if f"\nreference/{name}\n" not in index] == []
