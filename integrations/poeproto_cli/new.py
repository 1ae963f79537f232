"""`poeproto new`: the project of a bot."""

from __future__ import annotations

import keyword
import re
import sys
from pathlib import Path

import click

from poeproto_cli.project_template import project_files
from poeproto_cli.terminal import echo, echo_line

_EXPECTED = "a letter, then letters, digits and _"
_SEPARATORS = re.compile(r"[-. ]+")
_MODULE = re.compile(r"[a-z][a-z0-9_]*", re.ASCII)
# Modules that the project imports, or that pytest would treat as its own.
_TAKEN = frozenset({"anyio", "conftest", "pytest", "test", "tests"})


@click.command()
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option("--name", help="The name of the bot's module; by default the name of DIR.")
def new(folder: Path, name: str | None) -> None:
    """Write the project of a bot into DIR: the bot, its test, a README and a pyproject.toml.

    DIR is created; if it exists, it must be empty. Its name becomes the name of a module: my-bot becomes my_bot.
    """
    module = _module_name(folder.resolve().name if name is None else name)
    try:
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise click.UsageError(f"{folder} is not empty; expected a folder that is, or that does not exist")
        folder.mkdir(parents=True, exist_ok=True)
        for file, content in project_files(module).items():
            with (folder / file).open("x", encoding="utf-8", newline="\n") as written:
                written.write(content)
            echo_line(str(folder / file))
    except OSError as exc:
        raise click.ClickException(f"{exc.filename or folder} cannot be written: {exc.strerror or exc}") from exc
    echo(f"next: cd {folder} and python -m pytest; then poeproto serve {module}.py:bot --allow-without-key", err=True)


def _module_name(name: str) -> str:
    """The name of a module for a bot of that name.

    Raises:
        click.UsageError: when it cannot be one.
    """
    module = _SEPARATORS.sub("_", name).lower().strip("_")
    if not _MODULE.fullmatch(module):
        reason = f"it must be {_EXPECTED}"
    elif keyword.iskeyword(module) or keyword.issoftkeyword(module):
        reason = "it is a keyword of Python"
    elif module in sys.stdlib_module_names or module in _TAKEN or module.startswith(("poeproto", "test_")):
        reason = "the module would hide another one of that name"
    else:
        return module
    raise click.UsageError(f"{name!r} cannot be the name of a module: {reason}; give another one with --name")
