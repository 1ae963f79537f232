"""`poeproto migrate`: a project's move from fastapi_poe to poeproto_compat."""

from __future__ import annotations

import difflib
import io
import os
import re
import tokenize
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import click

from poeproto_cli.migration import MENTION, OLD_MODULE, PAGE, Migrated, Note
from poeproto_cli.python_migration import migrate_python, third_party_imports
from poeproto_cli.requirements_migration import locked, mentions, migrate_pyproject, migrate_requirements
from poeproto_cli.terminal import echo

_REQUIREMENTS = re.compile(r"(?:.*requirements.*|.*constraints.*)\.(?:txt|in)", re.IGNORECASE)
# Other files that may install the package; they are searched for mentions.
_OTHERS = re.compile(
    r"Dockerfile.*|Containerfile|Makefile|Pipfile|Procfile|setup\.cfg|.*\.(?:ya?ml|toml|sh|ipynb|nix)",
    re.IGNORECASE,
)
_LARGEST = 5_000_000  # bytes; no file of source or configuration is larger
# Dependencies of fastapi_poe, so that a program could import them without naming them as requirements.
_CAME_ALONG = (
    "fastapi",
    "httpx",
    "httpx_sse",
    "pydantic",
    "sse_starlette",
    "starlette",
    "typing_extensions",
    "uvicorn",
)


@click.command()
@click.argument("path", type=click.Path(exists=True, path_type=Path), default=".")
@click.option("--check", is_flag=True, help="Show what would be rewritten, as a diff, and rewrite nothing.")
def migrate(path: Path, check: bool) -> None:
    """Move a project from fastapi_poe to poeproto.

    Rewrites the imports of fastapi_poe in all Python files under PATH (a file or a folder) to those of poeproto_compat,
    which has the same names, and the package's name in requirements.txt and pyproject.toml. Then lists the places that
    need a hand, each with the section of the page that says how.

    With --check, the exit code is 1 if there is anything to rewrite.
    """
    files = [path] if path.is_file() else sorted(_files(path))
    project = _Project(check, path if path.is_dir() else path.parent)
    for file in files:
        project.migrate(file)
    project.report()
    if check and project.places:
        raise click.exceptions.Exit(1)


class _Project:
    """The files of a project as they are migrated."""

    def __init__(self, check: bool, root: Path) -> None:
        self.places = 0
        self._check = check
        self._root = root
        self._notes: list[tuple[Path, Note]] = []
        self._listed: set[str] = set()  # the names in the requirements
        self._imports: dict[str, tuple[Path, int]] = {}  # the imported names, and the first place of each

    def migrate(self, file: Path) -> None:
        """Migrate one file."""
        if file.suffix in (".py", ".pyi"):
            self._migrate(file, partial(self._python, file), _read_python)
        elif _REQUIREMENTS.fullmatch(file.name):
            self._migrate(file, self._requirements(migrate_requirements))
        elif file.name == "pyproject.toml":
            self._migrate(file, self._requirements(migrate_pyproject))
        elif file.suffix == ".lock":
            self._migrate(file, locked)
        elif _OTHERS.fullmatch(file.name):
            self._migrate(file, mentions)

    def _python(self, file: Path, text: str) -> Migrated:
        if not MENTION.search(text) and "import" not in text:
            return Migrated(text, 0)
        return migrate_python(text, own_module=_has_own_module(file, self._root))

    def _requirements(self, migrate: Callable[[str], Migrated]) -> Callable[[str], Migrated]:
        def migrate_and_remember(text: str) -> Migrated:
            self._listed |= {name.lower().replace("-", "_") for name in re.findall(r"[\w.-]+", text)}
            return migrate(text)

        return migrate_and_remember

    def _migrate(
        self,
        file: Path,
        migrate: Callable[[str], Migrated],
        read: Callable[[bytes], tuple[str, str]] = lambda data: (data.decode(), "utf-8"),
    ) -> None:
        data = file.read_bytes()
        try:
            text, encoding = read(data)
            migrated = migrate(text)
        except SyntaxError as error:
            if MENTION.search(data.decode("latin-1")):
                text = f"not Python, so it was left as it is: {error.msg}"
                self._notes.append((file, Note(error.lineno or 1, text, "syntax")))
            return
        except UnicodeDecodeError:
            if MENTION.search(data.decode("latin-1")):
                self._notes.append((file, Note(1, "not text in its encoding, so it was left as it is", "syntax")))
            return
        if file.suffix in (".py", ".pyi"):
            for name, line in third_party_imports(text):
                self._imports.setdefault(name, (file, line))
        self._notes += [(file, note) for note in migrated.notes]
        if migrated.places:
            self.places += migrated.places
            if self._check:
                _show_diff(file, text, migrated.text)
            else:
                file.write_bytes(migrated.text.encode(encoding))
                echo(f"rewrote {file}: {_count(migrated.places, 'place')}")

    def report(self) -> None:
        """Print the places that need a hand, and how many were rewritten."""
        notes = [*self._notes, *self._missing_requirements()]
        if notes:
            echo(f"By hand, as {PAGE} says:")
        for file, note in notes:
            echo(f"  {file}:{note.line}: {note.text} (#{note.anchor})")
        if not self.places:
            echo(f"nothing to rewrite: no file imports {OLD_MODULE} or requires it")

    def _missing_requirements(self) -> Iterator[tuple[Path, Note]]:
        """Packages that fastapi_poe brought along, which programs import and no requirement names."""
        if not self.places:
            return
        for name in _CAME_ALONG:
            if name in self._imports and name not in self._listed:
                file, line = self._imports[name]
                text = f"{name} came with {OLD_MODULE}: add {name.replace('_', '-')} to the requirements"
                yield file, Note(line, text, "uvicorn" if name == "uvicorn" else "requirements")


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _read_python(data: bytes) -> tuple[str, str]:
    """The text of a program, with its own line ends, and its encoding."""
    encoding, _ = tokenize.detect_encoding(io.BytesIO(data).readline)
    return data.decode(encoding), encoding


def _files(folder: Path) -> Iterator[Path]:
    """The files of a project: not those that are hidden, installed or very large, and none behind a symbolic link."""
    for name, folders, files in os.walk(folder):
        here = Path(name)
        folders[:] = [each for each in folders if _is_own(here / each)]
        for each in files:
            file = here / each
            if not file.is_symlink() and file.is_file() and file.stat().st_size <= _LARGEST:
                yield file


def _is_own(folder: Path) -> bool:
    installed = folder.name in ("node_modules", "__pycache__", "site-packages") or (folder / "pyvenv.cfg").exists()
    return not folder.name.startswith(".") and not installed


def _is_module_in(folder: Path) -> bool:
    # A folder without __init__.py gives way to an installed package.
    return (folder / f"{OLD_MODULE}.py").exists() or (folder / OLD_MODULE / "__init__.py").exists()


def _has_own_module(file: Path, root: Path) -> bool:
    """Whether a program's own project has a module named fastapi_poe, which its imports mean."""
    folders = [folder for folder in file.parents if folder == root or root in folder.parents]
    return any(_is_module_in(place) for folder in folders for place in (folder, folder / "src"))


def _show_diff(file: Path, old: str, new: str) -> None:
    lines = difflib.unified_diff(old.splitlines(), new.splitlines(), str(file), str(file), lineterm="")
    for line in lines:
        echo(line)
