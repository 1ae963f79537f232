"""The site's reference has every package, and every public name of it once."""

from __future__ import annotations

import re
import runpy
import subprocess
import sys
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


def test_the_page_of_all_packages_is_in_the_table_of_contents(checkout: Path) -> None:
    index = (checkout / "docs" / "index.md").read_text(encoding="utf-8")
    assert "\nreference/packages\n" in index


UNDOCUMENTED = '''
import os, sys
os.environ["LOCUST_SKIP_MONKEY_PATCH"] = "1"
sys.path.insert(0, "docs")
from enum import Enum
import attrs, reference_pages
from reference_pages import _undocumented_in_class

@attrs.frozen
class Value:
    """A value.

    Attributes:
        described: it is.
    """
    described: int
    forgotten: int
    def wait(self, seconds: float, timeout: float) -> None:
        """Wait for some seconds."""

class Colour(Enum):
    """Colours.

    Attributes:
        RED: like blood.
    """
    RED = "red"
    BLUE = "blue"

class Ends(Enum):
    """How it ended. The value is the explanation."""
    WELL = "it ended well"

class Made:
    """Fields as of `Text`."""
    def __init__(self, text: str, other: str) -> None:
        self.text = text
        self.state = other

for cls in (Value, Colour, Ends, Made):
    print(*_undocumented_in_class(f"poeproto.{cls.__name__}", cls))
print(*reference_pages.undocumented_members())
'''


@pytest.mark.slow
def test_what_has_no_text_is_found(checkout: Path) -> None:
    """The site's build fails for these; of the public names, there is none."""
    command = [sys.executable, "-c", UNDOCUMENTED]
    done = subprocess.run(command, cwd=checkout, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [
        "poeproto.Value.wait(timeout) poeproto.Value.forgotten",
        "poeproto.Colour.BLUE",
        "",
        "poeproto.Made.state poeproto.Made.other",
        "",
    ]


def test_every_command_is_on_the_page_of_commands(checkout: Path) -> None:
    commands = "\n".join(runpy.run_path(str(checkout / "docs" / "reference_pages.py"))["_commands"]())
    headings = re.findall(r"^#+ poeproto (.*)$", commands, re.MULTILINE)
    assert {"serve", "bench", "bench merge", "recording show", "openai serve"} <= set(headings)
    assert len(headings) == len(set(headings))
