"""The exception that a group holds, where it holds one alone."""

from __future__ import annotations

import pytest

from poeproto_runtime.exception_groups import sole_exception

ONE, TWO = ValueError("one"), ValueError("two")
PAIR = ExceptionGroup("two", [ONE, TWO])


@pytest.mark.parametrize(
    ("failure", "sole"),
    [
        (ONE, ONE),
        (ExceptionGroup("one", [ONE]), ONE),
        (BaseExceptionGroup("nested", [ExceptionGroup("one", [ONE])]), ONE),
        (PAIR, PAIR),
        (ExceptionGroup("nested", [PAIR]), PAIR),
    ],
    ids=["no group", "one", "nested", "two", "two, nested"],
)
def test_the_sole_exception(failure: BaseException, sole: BaseException) -> None:
    assert sole_exception(failure) is sole
