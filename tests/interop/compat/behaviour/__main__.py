"""Writes the behaviour table, and the list of differences in the page on moving from fastapi_poe."""

from __future__ import annotations

import asyncio
import logging
import re
import sys
import warnings
from pathlib import Path

from .differences import table
from .table import page, run

DOCS = Path(__file__).parents[4] / "docs"
PAGE = DOCS / "fastapi_poe_behaviour.md"
_LIST = re.compile(r"^\| fastapi_poe \| here \| why \|\n(?:\|.*\n)*", re.MULTILINE)


def with_differences(text: str) -> str:
    """The page on moving from fastapi_poe, with the list of differences as it is."""
    return _LIST.sub(lambda match: table() + "\n", text, count=1)


def main() -> None:
    """Write both pages."""
    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")
    PAGE.write_text(page(asyncio.run(run())), encoding="utf-8")
    moving = DOCS / "migrating.md"
    moving.write_text(with_differences(moving.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
