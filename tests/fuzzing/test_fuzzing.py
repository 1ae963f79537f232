"""A small part of `make fuzz`, and all kept inputs."""

from __future__ import annotations

from random import Random

import anyio
import pytest

from tests.fuzzing import inputs, serving
from tests.fuzzing.inputs import Mutator
from tests.fuzzing.targets import TARGETS

SEED = 20231125
RUNS = 1500


@pytest.mark.parametrize("name", TARGETS)
def test_a_target_passes_its_seeds_and_kept_inputs(name: str) -> None:
    target = TARGETS[name]
    assert target.feed(target.seeds()) > 2
    target.feed(inputs.kept(name))


@pytest.mark.parametrize("name", TARGETS)
def test_a_target_passes_random_inputs(name: str) -> None:
    target = TARGETS[name]
    mutator = Mutator([*target.seeds(), *inputs.kept(name)], Random(SEED))
    assert target.feed(mutator.make() for _ in range(RUNS)) == RUNS


@pytest.mark.parametrize("run", [serving.run_app, serving.run_server])
@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_no_request_makes_a_server_fail(backend: str, run: serving.Run) -> None:
    requests = inputs.requests()
    mutator = Mutator(requests, Random(SEED))
    answers = anyio.run(run, [*requests, *(mutator.make() for _ in range(RUNS))], backend=backend)
    assert answers.total() == len(requests) + RUNS
    assert {200, 400, 401, 404, 405, 413, 501} <= answers.keys()


def test_the_mutator_is_reproducible() -> None:
    first, second = (Mutator(inputs.requests(), Random(SEED)) for _ in range(2))
    assert [first.make() for _ in range(500)] == [second.make() for _ in range(500)]
    data = bytes(1000)
    assert inputs.cuts(data, inputs.chance_of(data)) == inputs.cuts(data, inputs.chance_of(data))


def test_kept_inputs_are_small_and_have_a_target() -> None:
    assert {folder.name for folder in inputs.KEPT.iterdir()} <= TARGETS.keys()
    assert sum(len(data) for name in TARGETS for data in inputs.kept(name)) < 200_000
