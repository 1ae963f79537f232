"""The exceptions of task groups."""

from __future__ import annotations

import anyio
import pytest

from poeproto_runtime.task_groups import background_tasks, sole_exception

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


@pytest.mark.anyio
async def test_background_tasks_end_with_the_block_and_do_not_wrap_its_exception() -> None:
    ended: list[str] = []

    async def forever() -> None:
        try:
            await anyio.sleep_forever()
        finally:
            ended.append("task")

    for _ in range(2):
        async with background_tasks() as tasks:
            tasks.start_soon(forever)
            await anyio.wait_all_tasks_blocked()
    with pytest.raises(ValueError, match="one"):
        async with background_tasks() as tasks:
            tasks.start_soon(forever)
            await anyio.wait_all_tasks_blocked()
            raise ONE
    assert ended == ["task"] * 3


@pytest.mark.anyio
async def test_a_background_task_that_fails_cancels_the_block() -> None:
    async def fails() -> None:
        raise ONE

    with pytest.raises(ExceptionGroup) as raised:
        async with background_tasks() as tasks:
            tasks.start_soon(fails)
            await anyio.sleep_forever()
    assert sole_exception(raised.value) is ONE
