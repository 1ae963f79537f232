"""fastapi_poe and poeproto_compat on the same inputs: equal, or a listed difference; and the page that says so."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest

from . import surface
from .__main__ import PAGE
from .differences import DIFFERENCES
from .table import Result, page, run

pytestmark = [
    pytest.mark.slow,
    # fastapi_poe calls pydantic 2 by pydantic 1's names, and leaves coroutines and sessions to the garbage collector.
    pytest.mark.filterwarnings("ignore"),
]


@pytest.fixture(scope="module")
def results() -> Sequence[Result]:
    return asyncio.run(run())


def test_every_part_of_the_interface_has_a_case(results: Sequence[Result]) -> None:
    rows = {result.case.row for result in results}
    assert not [row for row in surface.rows() if row not in rows]


def test_every_result_is_equal_or_a_listed_difference(results: Sequence[Result]) -> None:
    unlisted = [
        f"{result.case.row}: {result.case.given}\n  {result.theirs}\n  {result.ours}"
        for result in results
        if result.verdict is not None and result.verdict not in DIFFERENCES
    ]
    assert not unlisted, "\n".join(unlisted)


def test_no_listed_difference_is_stale(results: Sequence[Result]) -> None:
    assert not [f"{result.case.row}: {result.case.given}" for result in results if result.is_stale]
    assert not DIFFERENCES.keys() - {result.verdict for result in results}


def test_cases_have_names_of_their_own(results: Sequence[Result]) -> None:
    assert len({result.section for result in results}) == 8
    assert all(result.theirs.facts and result.ours.facts for result in results)


def test_the_page_describes_both_libraries(results: Sequence[Result]) -> None:
    assert Path(PAGE).read_text(encoding="utf-8") == page(results), "run `make generated`"
