"""Writes the behaviour table."""

from __future__ import annotations

import asyncio
import logging
import sys
import warnings
from pathlib import Path

from .table import page, run

PAGE = Path(__file__).parents[4] / "docs" / "fastapi_poe_behaviour.md"


def main() -> None:
    """Write the page."""
    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")
    PAGE.write_text(page(asyncio.run(run())), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
