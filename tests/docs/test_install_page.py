"""docs/install.md lists all extras, and the programs of all pages name bots as the command accepts them."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest


@pytest.fixture(scope="module")
def extras(checkout: Path) -> dict[str, list[str]]:
    project = tomllib.loads((checkout / "pyproject.toml").read_text(encoding="utf-8"))
    return project["project"]["optional-dependencies"]


def test_each_extra_for_users_is_listed(checkout: Path, extras: dict[str, list[str]]) -> None:
    page = (checkout / "docs" / "install.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\|[^|]*\|([^|]*)\|$", page, re.MULTILINE)
    listed = set(re.findall(r"`(\w+)`", " ".join(rows)))
    assert listed == set(extras) - {"all", "dev", "fuzz"}


def test_all_has_the_extras_that_the_page_says(extras: dict[str, list[str]]) -> None:
    [everything] = extras["all"]
    assert set(re.findall(r"\w+", everything.removeprefix("poeproto"))) == set(extras) - {
        "all",
        "dev",
        "fuzz",
        "pytest",
        "locust",
    }


def test_installations_of_all_pages_name_extras(checkout: Path, extras: dict[str, list[str]]) -> None:
    for page in [checkout / "README.md", *checkout.glob("docs/**/*.md")]:
        for named in re.findall(
            r"pip install[^\n]*(?:poeproto|checkout)\[([\w,]+)\]", page.read_text(encoding="utf-8")
        ):
            assert set(named.split(",")) <= set(extras), page


def test_commands_of_all_pages_name_the_bot_in_a_file(checkout: Path) -> None:
    without_a_name = [
        (page.name, line.strip())
        for page in [checkout / "README.md", *checkout.glob("docs/**/*.md")]
        for line in page.read_text(encoding="utf-8").splitlines()
        if re.search(r"\bpoeproto (?:serve|play|check|bench)\s+[\w/.-]+\.py(?!:)", line)
    ]
    assert without_a_name == []
