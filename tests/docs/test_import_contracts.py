"""The import contracts in pyproject.toml fail for a cycle and a deep import, also where only a type checker sees it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = ("poeproto", *(f"integrations/{path.name}" for path in sorted(ROOT.glob("integrations/poeproto_*"))))
LINT_IMPORTS = Path(sys.executable).with_name("lint-imports")

# Modules, and the lines appended to them.
FOR_TYPE_CHECKERS = "\nfrom typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    "
CYCLES = {
    "between modules": ("poeproto/vocabulary/events.py", "from poeproto.vocabulary.errors import BotError"),
    "between packages": ("poeproto/wire/sse.py", "from poeproto.exchange.reply import ReplyFold"),
}


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The packages and their contracts, as they are."""
    for source in SOURCES:
        shutil.copytree(ROOT / source, tmp_path / Path(source).name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def lint_imports(copy: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(copy), "NO_COLOR": "1", "COLUMNS": "200"}
    # It does search the working directory first, but not where a package is installed in place.
    return subprocess.run(
        [LINT_IMPORTS, "--no-cache"], cwd=copy, env=environment, capture_output=True, text=True, check=False
    )


def test_the_contracts_are_kept(copy: Path) -> None:
    done = lint_imports(copy)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("case", CYCLES)
def test_a_cycle_for_type_checkers_alone_is_found(copy: Path, case: str) -> None:
    module, statement = CYCLES[case]
    with (copy / module).open("a") as file:
        file.write(f"{FOR_TYPE_CHECKERS}{statement}\n")
    done = lint_imports(copy)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "No cycles: neither between packages nor within one, at any depth BROKEN" in done.stdout


def test_an_integration_must_not_import_a_deep_module(copy: Path) -> None:
    with (copy / "poeproto_asgi/app.py").open("a") as file:
        file.write("\nfrom poeproto.flows.calls import SendRequest\n")
    done = lint_imports(copy)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "Integrations use what is public in the core BROKEN" in done.stdout
