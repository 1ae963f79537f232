"""The snippets of docs/testing.md run, and the names in it exist."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

import poeproto_pytest
from poeproto_pytest import ObservedBot, ObservedReply

pytest_plugins = ["pytester"]

# Asynchronous tests are run by anyio's plugin.
OPTIONS = ("-p", "no:asyncio", "-p", "no:trio", "-p", "no:cacheprovider")


@pytest.fixture(scope="module")
def page(checkout: Path) -> str:
    return (checkout / "docs" / "testing.md").read_text(encoding="utf-8")


def test_the_example_passes(pytester: pytest.Pytester, checkout: Path) -> None:
    examples = checkout / "docs" / "examples"
    shutil.copytree(examples / "recordings", pytester.path / "recordings")
    shutil.copy(examples / "test_asking_the_cat.py", pytester.path)
    result = pytester.runpytest_inprocess(*OPTIONS)
    result.assert_outcomes(passed=5)


def test_the_programs_of_the_page_pass(pytester: pytest.Pytester, page: str, checkout: Path) -> None:
    first, recorded = re.findall(r"^```python\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    shutil.copytree(checkout / "docs" / "examples" / "recordings", pytester.path / "recordings")
    example = (checkout / "docs" / "examples" / "test_asking_the_cat.py").read_text(encoding="utf-8")
    bot = example[example.index("class AskingBot") : example.index("async def test_in_memory")]
    imports = "import os\nfrom poeproto import *\n"
    pytester.makepyfile(test_first=f"from __future__ import annotations\n{imports}{first}\n{bot}\n{recorded}")
    pytester.runpytest_inprocess(*OPTIONS).assert_outcomes(passed=6)  # on asyncio and on trio


def test_named_files_and_names_exist(page: str, pytestconfig: pytest.Config) -> None:
    for name in re.findall(r"`(assert_\w+)", page):
        assert name in poeproto_pytest.__all__, name
    assert {name for name in poeproto_pytest.__all__ if name.startswith("assert_")} <= set(
        re.findall(r"`(assert_\w+)", page)
    )
    for name in ("say", "query", "settings", "report", "client", "serving"):
        assert f"`{name}(" in page
        assert hasattr(ObservedBot, name)
    for name in ("events", "files", "suggested_replies", "text"):
        assert hasattr(ObservedReply, name)
    for option in ("poe_record", "poe_recordings_dir", "poe_no_network"):
        assert option in page
        pytestconfig.getini(option)  # raises ValueError for an unknown one
