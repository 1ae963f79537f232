"""The migration of the files that list a project's requirements: requirements.txt and its like, and pyproject.toml."""

from __future__ import annotations

import re

from poeproto_cli.migration import MENTION, NEW_REQUIREMENT, REQUIREMENT, Edit, Migrated, Note, apply

_MENTIONS = "mentions the package: "
_QUOTED = re.compile(rf"(?<=[\"']){REQUIREMENT.pattern}(?=\s*[;\"'])", re.IGNORECASE)
_POETRY = re.compile(r"^fastapi[-_.]poe\s*=\s*([\"'][^\"'\n]*[\"'])", re.IGNORECASE | re.MULTILINE)
# The project itself may be called fastapi_poe: a fork.
_NAME = re.compile(r"^[ \t]*name[ \t]*=[ \t]*[\"']", re.MULTILINE)
# After a requirement there is a marker, a comment or the end of the line. A hash is of the old package's files.
_LINE = re.compile(rf"^[ \t]*({REQUIREMENT.pattern})(?=[ \t]*(?:[;#\r\n]|$))", re.IGNORECASE | re.MULTILINE)


def migrate_requirements(text: str) -> Migrated:
    """Migrate a requirements.txt: the package, not the markers and comments behind it."""
    edits = [Edit(found.start(1), found.end(1), NEW_REQUIREMENT) for found in _LINE.finditer(text)]
    migrated = _migrated(text, edits)
    # pip-compile's comments name the package too.
    notes = [note for note in migrated.notes if not note.text.startswith(f"{_MENTIONS}#")]
    return migrated._replace(notes=notes)


def migrate_pyproject(text: str) -> Migrated:
    """Migrate a pyproject.toml: the lists of requirements, and Poetry's table."""
    own_names = {found.end() for found in _NAME.finditer(text)}
    edits = [
        Edit(found.start(), found.end(), NEW_REQUIREMENT)
        for found in _QUOTED.finditer(text)
        if found.start() not in own_names
    ]
    edits += [
        Edit(found.start(), found.end(), 'poeproto = { version = "*", extras = ["hypercorn"] }')
        for found in _POETRY.finditer(text)
    ]
    return _migrated(text, edits)


def mentions(text: str) -> Migrated:
    """The lines of any other file that mention the package. They are left as they are."""
    return _migrated(text, [])


def locked(text: str) -> Migrated:
    """A file of locked versions, which its own tool writes."""
    found = MENTION.search(text)
    if found is None:
        return Migrated(text, 0)
    line = text.count("\n", 0, found.start()) + 1
    return Migrated(text, 0, [Note(line, "locks the old requirements: lock them again", "requirements")])


def _migrated(text: str, edits: list[Edit]) -> Migrated:
    new = apply(edits, text)
    notes = [
        Note(number, f"{_MENTIONS}{line.strip()}", "requirements")
        for number, line in enumerate(new.splitlines(), 1)
        if MENTION.search(line)
    ]
    return Migrated(new, len(edits), notes)
