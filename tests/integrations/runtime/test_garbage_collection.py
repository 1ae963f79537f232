"""The garbage collector's thresholds while a server has the process to itself."""

from __future__ import annotations

import gc
from collections.abc import Generator

import pytest

from poeproto_runtime import rare_collections


@pytest.fixture(autouse=True)
def own_thresholds() -> Generator[None]:
    before = gc.get_threshold()
    yield
    gc.set_threshold(*before)


def test_collections_are_rarer_within_the_block_and_as_before_after_it() -> None:
    gc.set_threshold(700, 10, 10)
    with rare_collections():
        assert all(rare > usual for rare, usual in zip(gc.get_threshold(), (700, 10, 10), strict=True))
    assert gc.get_threshold() == (700, 10, 10)


def test_the_thresholds_are_restored_after_an_error() -> None:
    gc.set_threshold(700, 10, 10)
    with pytest.raises(ZeroDivisionError), rare_collections():
        raise ZeroDivisionError
    assert gc.get_threshold() == (700, 10, 10)


def test_higher_thresholds_of_the_program_stay() -> None:
    gc.set_threshold(1_000_000, 10, 1_000_000)
    with rare_collections():
        first, second, third = gc.get_threshold()
        assert (first, third) == (1_000_000, 1_000_000)
        assert second > 10


def test_a_disabled_collector_is_not_enabled() -> None:
    gc.set_threshold(0, 10, 10)
    with rare_collections():
        assert gc.get_threshold()[0] == 0
