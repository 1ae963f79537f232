"""The snippets of docs/openai.md run, and each line of its table names a test that exists."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from poeproto_openai.mapping import MAPPING, SIDES, MappingRow


def names_of_tests(folder: Path) -> set[str]:
    files = [*folder.glob("tests/integrations/openai/**/*.py"), *folder.glob("tests/interop/openai/**/*.py")]
    return {name for file in files for name in re.findall(r"def (test_\w+)", file.read_text(encoding="utf-8"))}


def names_of_vectors(folder: Path) -> set[str]:
    files = folder.glob("tests/vectors/openai_*.json")
    return {case["name"] for file in files for case in json.loads(file.read_text(encoding="utf-8"))["cases"]}


@pytest.mark.parametrize("row", MAPPING, ids=lambda row: f"{row.side}: {row.what}")
def test_each_line_names_a_test_that_exists(row: MappingRow, checkout: Path) -> None:
    assert row.test in names_of_tests(checkout) | names_of_vectors(checkout)
    assert row.side in SIDES


def test_the_programs_run(checkout: Path) -> None:
    page = (checkout / "docs" / "openai.md").read_text(encoding="utf-8")
    programs = re.findall(r"^```python\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)
    assert programs
    for program in programs:
        names: dict[str, object] = {"__name__": "openai"}
        exec(compile(program, "openai.md", "exec"), names)
        assert names["app"]


def test_the_options_that_the_page_names_exist(checkout: Path) -> None:
    from poeproto_cli.openai import serve

    page = (checkout / "docs" / "openai.md").read_text(encoding="utf-8")
    options = {option for parameter in serve.params for option in parameter.opts}
    assert set(re.findall(r"--[a-z][a-z-]+", page)) <= options
