"""What holds for all pages: lines that an editor shows whole, and links that lead somewhere."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

WIDTH = 128
# Written by programs, a name or a figure a line.
GENERATED = {"reference.md", "performance.md"}
PAGES = [
    "README.md",
    "CHANGELOG.md",
    *sorted(f"docs/{page.name}" for page in Path(__file__).parents[2].glob("docs/*.md")),
]


def prose(page: Path) -> Iterator[tuple[int, str]]:
    """Its lines with their numbers, without code and tables."""
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
