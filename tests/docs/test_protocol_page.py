"""The pages about the protocol and its limits name every field that the library has."""

from __future__ import annotations

import re
from pathlib import Path

import attrs
import pytest

import poeproto
from poeproto import Attachment, Limits, Message, QueryRequest, RetryPolicy, SettingsResponse
from poeproto.vocabulary.events import EVENT_CLASSES
from poeproto_h11 import ServerLimits, Timeouts

VALUES = [QueryRequest, Message, Attachment, SettingsResponse, *EVENT_CLASSES.values()]
REPORTS = [poeproto.ReportFeedbackRequest, poeproto.ReportReactionRequest, poeproto.ReportErrorRequest]


@pytest.fixture(scope="module")
def page(checkout: Path) -> str:
    return (checkout / "docs" / "protocol.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("cls", [*VALUES, *REPORTS])
def test_every_field_is_named(page: str, cls: type[attrs.AttrsInstance]) -> None:
    names = {field.name for field in attrs.fields(cls)} - {"extra", "payload", "version"}
    assert {name for name in names if f"`{name}`" not in page} == set()


@pytest.mark.parametrize("name", EVENT_CLASSES)
def test_every_event_has_a_row(page: str, name: str) -> None:
    assert f"\n| `{name}` |" in page


def test_the_limits_are_ours(page: str) -> None:
    limits = Limits()
    row = next(line for line in page.splitlines() if "`text_length`" in line)
    assert f"{limits.text_length:,}" in row
    row = next(line for line in page.splitlines() if "| `events` |" in line)
    assert f"{limits.events:,}" in row


@pytest.mark.parametrize("cls", [Limits, RetryPolicy, ServerLimits, Timeouts])
def test_the_page_about_limits_has_each_number(checkout: Path, cls: type[attrs.AttrsInstance]) -> None:
    page = (checkout / "docs" / "explanation" / "limits.md").read_text(encoding="utf-8")
    numbers = {field.name for field in attrs.fields(cls) if not isinstance(field.default, bool)}
    assert {name for name in numbers if not re.search(rf"`(?:{cls.__name__}\.)?{name}`", page)} == set()
