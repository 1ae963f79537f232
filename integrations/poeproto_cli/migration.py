"""The result of migrating one file: its new text, and the places to change by hand."""

from __future__ import annotations

import re
import typing
from collections.abc import Sequence

# The package as a requirement, in any of the spellings that mean the same (PEP 503), with its extras and version.
REQUIREMENT = re.compile(
    r"fastapi[-_.]poe(?![\w-])(?:[ \t]*\[[^]]*])?(?:[ \t]*,?[ \t]*\(?(?:===|[<>=!~]=?)[ \t]*[\w.*+!-]+\)?)*",
    re.IGNORECASE,
)
MENTION = re.compile(r"fastapi[-_.]poe(?!\w)", re.IGNORECASE)
# A server that `make_app` and `run` need, and the client of `stream_request`.
NEW_REQUIREMENT = "poeproto[hypercorn]"
OLD_MODULE = "fastapi_poe"
NEW_MODULE = "poeproto_compat"
PAGE = "docs/migrating.md"


class Note(typing.NamedTuple):
    """A place that needs a hand.

    Attributes:
        line: its line, from 1.
        text: the code found there, and how to change it.
        anchor: the section of the page that says how.
    """

    line: int
    text: str
    anchor: str


class Migrated(typing.NamedTuple):
    """A file after its migration.

    Attributes:
        text: the new text.
        places: how many places were rewritten.
        notes: the places to change by hand.
    """

    text: str
    places: int
    notes: Sequence[Note] = ()


class Edit(typing.NamedTuple):
    """Characters of a text to replace."""

    start: int
    end: int
    new: str


def apply(edits: Sequence[Edit], text: str) -> str:
    """The text with all edits, which do not overlap."""
    pieces: list[str] = []
    done = 0
    for edit in sorted(set(edits)):
        pieces += [text[done : edit.start], edit.new]
        done = edit.end
    return "".join([*pieces, text[done:]])
