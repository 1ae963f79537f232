"""Load on bots: histograms of times, objectives, arrivals and results, which each load generator shares.

`poeproto bench` and other load generators send the queries; nothing here does I/O. `docs/load.md` says what each figure
means.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from poeproto.name_hints import missing_name
from poeproto_load import arrivals, durations, histogram, results, slo
from poeproto_load.arrivals import *
from poeproto_load.durations import *
from poeproto_load.histogram import *
from poeproto_load.results import *
from poeproto_load.slo import *

if not TYPE_CHECKING:  # a type checker finds missing names by itself

    def __getattr__(name: str) -> object:
        raise missing_name(__name__, name)


__all__: list[str] = []
__all__ += arrivals.__all__
__all__ += durations.__all__
__all__ += histogram.__all__
__all__ += results.__all__
__all__ += slo.__all__
