"""The cases in `tests/vectors/`, and the ways to cut their bytes."""

from __future__ import annotations

import base64
import json
import os
import random
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from poeproto.testing import bytewise, cut_at, two_way_splits

FOLDER = Path(__file__).parents[1] / "vectors"
SEED = 20230405
# `make fuzz` asks for more; coverage, mutants and other interpreters for fewer.
RANDOM_CUTS = int(os.environ.get("RANDOM_CUTS", "500"))

Case = dict[str, Any]


def cases(file: str) -> list[Case]:
    """The cases of a file; their names are the tests' identifiers, see `name_of`."""
    return json.loads((FOLDER / file).read_text(encoding="utf-8"))["cases"]


def name_of(case: Case) -> str:
    return case["name"]


def wire_of(case: Case) -> bytes:
    """The bytes of a case, in whichever of the three forms they are written."""
    if "wire" in case:
        return case["wire"].encode()
    if "wire_base64" in case:
        return base64.b64decode(case["wire_base64"])
    parts: list[str | list[Any]] = case["wire_parts"]
    return b"".join(part.encode() if isinstance(part, str) else part[0].encode() * part[1] for part in parts)


@cache
def _places(size: int) -> list[list[int]]:
    chance = random.Random(SEED + size)
    return [[chance.randrange(size + 1) for _ in range(chance.randrange(1, 8))] for _ in range(RANDOM_CUTS)]


def ways_to_cut(stream: bytes) -> Iterator[list[bytes]]:
    """Whole, bytewise, cut in two everywhere, and cut at random; a failing test shows the parts and this seed."""
    yield [stream]
    yield bytewise(stream)
    yield from two_way_splits(stream)
    for places in _places(len(stream)):
        yield cut_at(stream, places)
