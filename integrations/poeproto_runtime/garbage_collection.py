"""How often CPython's garbage collector runs while thousands of streams are open."""

from __future__ import annotations

import gc
from collections.abc import Generator
from contextlib import contextmanager

__all__ = ["rare_collections"]

# Measured with 6,000 streams on Hypercorn and trio: these take 40 % off the CPU time of an event, and ten times as many
# take no more. The first is how many more objects may exist before the youngest are visited.
_THRESHOLDS = (10_000, 20, 100)


@contextmanager
def rare_collections() -> Generator[None]:
    """Have the process collect garbage less often until the block exits.

    Each full collection visits all objects of all open streams, though a stream leaves no garbage behind that needs
    it. With CPython's own thresholds, that is nearly half of the CPU time of a server of thousands of streams. Garbage
    in cycles lives longer: up to 10,000 objects more, a few megabytes.

    `poeproto_asgi.run` and the commands use it, since the process is theirs. A program that serves with `serve` decides
    itself. Thresholds that are higher already, and a collector that is off, stay as they are
    (https://docs.python.org/3/library/gc.html#gc.set_threshold).
    """
    before = gc.get_threshold()
    if before[0] == 0:
        yield
        return
    gc.set_threshold(*map(max, before, _THRESHOLDS))
    try:
        yield
    finally:
        gc.set_threshold(*before)
