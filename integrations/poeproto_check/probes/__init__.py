"""The probes, by subject. `PROBES` has them in the order in which they run: cheap ones first."""

from __future__ import annotations

from poeproto_check.probe import Probe
from poeproto_check.probes import (
    authentication,
    bad_input,
    bodies,
    connections,
    disconnects,
    methods,
    queries,
    request_types,
    settings,
)

PROBES: tuple[Probe, ...] = (
    *settings.PROBES,
    *authentication.PROBES,
    *request_types.PROBES,
    *methods.PROBES,
    *connections.PROBES,
    *bodies.PROBES,
    *queries.PROBES,
    *disconnects.PROBES,
    # Last, because a server that does not survive them would fail everything after it.
    *bad_input.PROBES,
)

__all__ = ["PROBES"]
