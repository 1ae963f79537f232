"""What the pages about recordings show is read, run and understood, and their tables are those of the code."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path

import jsonschema
import pytest

from poeproto_cli.recording import recording
from poeproto_record import End, RecordingReader, read_exchanges, recording_schema


@pytest.fixture(scope="module")
def page(checkout: Path) -> str:
    return (checkout / "docs" / "recordings.md").read_text(encoding="utf-8")


def blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)


def test_the_recording_is_one(page: str) -> None:
    [block] = blocks(page, "json")
    reader = RecordingReader(io.BytesIO(block.encode()))
    [exchange] = read_exchanges(reader)
    assert json.loads(exchange.response_body) == {"response_version": 2, "allow_attachments": True}
    assert not reader.is_cut
    for line in block.splitlines():
        jsonschema.Draft202012Validator(recording_schema()).validate(json.loads(line))


def test_the_program_prints_the_output_on_the_page(page: str, capsys: pytest.CaptureFixture[str]) -> None:
    [program] = blocks(page, "python")
    exec(compile(program, "recordings.md", "exec"), {"__name__": "__main__"})
    assert capsys.readouterr().out.splitlines() == re.findall(r"^print\(.*  # (.*)$", program, re.MULTILINE)


def test_the_tables_are_those_of_the_code(page: str) -> None:
    definitions = recording_schema()["$defs"]
    first, others = page[page.index("## The first line") :].split("## The other lines")
    assert re.findall(r"^\| `([\w-]+)`", first, re.MULTILINE) == list(definitions["header"]["properties"])
    kinds = [name for name in definitions if name not in ("header", "record")]
    assert re.findall(r"^\| `([\w-]+)`", others.split("## ")[0], re.MULTILINE) == kinds
    [outcomes] = re.findall(r"^- \*\*Outcomes\*\* are (.*?)\.\n", page, re.MULTILINE | re.DOTALL)
    assert re.findall(r"`([\w-]+)`", outcomes) == [end.value for end in End]


def test_the_verbs_are_those_of_the_command(checkout: Path) -> None:
    page = (checkout / "docs" / "howto" / "record.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `poeproto recording (\w+) (.*)$", page, re.MULTILINE)
    assert [verb for verb, _ in rows] == list(recording.commands)
    for verb, row in rows:
        options = {option for parameter in recording.commands[verb].params for option in parameter.opts}
        assert set(re.findall(r"(?<![\w-])(--?[a-z]+)", row)) <= options, verb
