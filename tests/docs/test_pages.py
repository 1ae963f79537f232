"""Rules for all pages: lines that fit an editor, and links that work."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[2]
WIDTH = 128
# Written by programs, a name or a figure a line.
GENERATED = {"performance.md"}
PAGES = [
    "README.md",
    "CHANGELOG.md",
    *sorted(str(page.relative_to(CHECKOUT)) for page in CHECKOUT.glob("docs/**/*.md") if "reference" not in page.parts),
]


def prose(page: Path) -> Iterator[tuple[int, str]]:
    """The lines of a page with their numbers, without code and tables."""
    is_code = False
    for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), 1):
        if line.startswith("```"):
            is_code = not is_code
        elif not is_code and not line.startswith(("|", "    ")):
            yield number, line


@pytest.mark.parametrize("name", [name for name in PAGES if Path(name).name not in GENERATED])
def test_no_line_of_prose_is_too_long(name: str, checkout: Path) -> None:
    assert [number for number, line in prose(checkout / name) if len(line) > WIDTH] == []


@pytest.mark.parametrize("name", PAGES)
def test_links_within_the_checkout_lead_somewhere(name: str, checkout: Path) -> None:
    page = checkout / name
    links = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", "\n".join(line for _, line in prose(page)))
    assert [link for link in links if not (page.parent / link).exists()] == []


# Paths that a page may name, from the root of the checkout or from `tests/`. CHANGELOG.md also names removed files.
PATHS = re.compile(r"`((?:\.ci|benchmarks|docs|integrations|poeproto(?:_\w+)?|core|fuzzing|interop|tests)/[\w./*-]+)`")


@pytest.mark.parametrize("name", [*(name for name in PAGES if name != "CHANGELOG.md"), "tests/vectors/README.md"])
def test_paths_that_a_page_names_exist(name: str, checkout: Path) -> None:
    roots = (checkout, checkout / "tests", checkout / "integrations")
    missing = [
        path
        for path in PATHS.findall((checkout / name).read_text(encoding="utf-8"))
        if not any(any(root.glob(path)) for root in roots) and not re.search("[A-Z]{4}", path)
    ]
    assert missing == []


@pytest.mark.parametrize("name", [name for name in PAGES if name != "CHANGELOG.md"])
def test_test_modules_that_a_page_names_exist(name: str, checkout: Path) -> None:
    named = re.findall(r"`(?:[\w/]+/)?(test_\w+\.py)`", (checkout / name).read_text(encoding="utf-8"))
    assert set(named) <= {
        module.name for folder in ("tests", "docs") for module in (checkout / folder).rglob("test_*.py")
    }


def test_the_table_of_layers_is_the_contract(checkout: Path) -> None:
    project = tomllib.loads((checkout / "pyproject.toml").read_text(encoding="utf-8"))
    contracts = project["tool"]["importlinter"]["contracts"]
    [core] = [contract["layers"] for contract in contracts if contract.get("containers") == ["poeproto"]]
    expected = [set(layer.split(" | ")) for layer in core if layer != "_surface"]
    page = (checkout / "docs" / "contributing.md").read_text(encoding="utf-8")
    table = page[page.index("| layer |") :].split("\n\n")[0]
    rows = [set(re.findall(r"`(\w+)/?`", row.split("|")[1])) for row in table.splitlines()[2:]]
    assert rows == expected


def test_each_target_and_each_folder_of_tests_is_on_the_page_about_contributing(checkout: Path) -> None:
    page = (checkout / "docs" / "contributing.md").read_text(encoding="utf-8")
    makefile = (checkout / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z-]+):.*## ", makefile, re.MULTILINE)) - {"help"}
    assert targets <= set(re.findall(r"`make ([a-z-]+)`", page))
    folders = {folder.name for folder in (checkout / "tests").iterdir() if folder.is_dir()} - {"__pycache__"}
    assert folders <= set(re.findall(r"^\| `tests/(\w+)/` \|", page, re.MULTILINE))
