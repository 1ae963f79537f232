"""When an open model sends its queries: by a plan that does not wait for replies."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator
from enum import StrEnum

__all__ = ["Arrivals", "planned_starts"]


class Arrivals(StrEnum):
    """How the planned starts are spread.

    Attributes:
        CONSTANT: the same time between each two.
        POISSON: as those of many independent users: exponentially distributed times between them.
    """

    CONSTANT = "constant"
    POISSON = "poisson"


def planned_starts(rate: float, arrivals: Arrivals, seed: int = 0) -> Iterator[float]:
    """Planned starts, in seconds from the first one, which is at 0. They are endless.

    Args:
        rate: how many there are in a second, on average.
        arrivals: how they are spread.
        seed: the same seed makes the same plan.

    Raises:
        ValueError: for a rate that is not above 0.
    """
    if not rate > 0:
        raise ValueError(f"the rate is {rate} a second; expected a rate above 0")
    if arrivals is Arrivals.CONSTANT:
        return (number / rate for number in itertools.count())  # computed each time, so that rounding does not add up
    source = random.Random(seed)
    return itertools.accumulate((source.expovariate(rate) for _ in itertools.repeat(None)), initial=0.0)
