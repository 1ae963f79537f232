"""Reports of a run: text for people, JSON and JUnit for programs, annotations for GitHub, and one page of HTML."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from poeproto_check.checker import CheckReport
from poeproto_check.reports.github import as_github
from poeproto_check.reports.html import as_html
from poeproto_check.reports.json import as_json
from poeproto_check.reports.junit import as_junit
from poeproto_check.reports.text import as_text

FORMATS: Mapping[str, Callable[[CheckReport], str]] = {
    "text": as_text,
    "json": as_json,
    "junit": as_junit,
    "github": as_github,
    "html": as_html,
}
"""The formats by name; each makes the whole text of a report, without a line end after it."""

__all__ = ["FORMATS"]
