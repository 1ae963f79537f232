"""Runs one target under atheris, libFuzzer for Python, which is guided by coverage. Started by `tests.fuzzing`.

https://github.com/google/atheris
"""

from __future__ import annotations

import sys
from importlib import import_module
from random import Random
from typing import Any

atheris: Any = import_module("atheris")

with atheris.instrument_imports(include=["poeproto"]):
    targets = import_module("tests.fuzzing.targets")


def main() -> None:
    name, *arguments = sys.argv[1:]
    target = targets.TARGETS[name]
    inputs = import_module("tests.fuzzing.inputs")
    seeds = target.seeds()

    def mutated(data: bytes, max_size: int, seed: int) -> bytes:
        # Half of the mutations know lines and JSON. The other half are libFuzzer's, which knows the compared values.
        if seed % 2:
            return atheris.Mutate(data, max_size)
        return inputs.Mutator(seeds, Random(seed)).mutate(data)[:max_size]

    atheris.Setup([sys.argv[0], *arguments], target.run, custom_mutator=mutated)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
