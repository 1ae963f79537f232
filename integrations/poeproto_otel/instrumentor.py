"""The instrumentor that `opentelemetry-instrument` finds by its entry point.

Only that command imports this module: it needs `opentelemetry-instrumentation`, which brings the command, and which the
rest of the package does without.
"""

from __future__ import annotations

from collections.abc import Collection
from functools import partial
from typing import Any
from weakref import WeakSet

from opentelemetry.instrumentation.instrumentor import BaseInstrumentor

from poeproto_otel.instrumentation import instrument, uninstrument
from poeproto_runtime.instrumentation import add_listener, remove_listener

__all__ = ["PoeprotoInstrumentor"]


class PoeprotoInstrumentor(BaseInstrumentor):
    """Instruments every application and every client that is made from now on; `uninstrument` undoes that.

    `instrument` takes the keyword arguments of `poeproto_otel.instrument`.
    """

    def instrumentation_dependencies(self) -> Collection[str]:
        return ()  # the instrumented packages are in the same distribution

    def _instrument(self, **kwargs: Any) -> None:
        options = {name: kwargs[name] for name in _OPTIONS if name in kwargs}
        self._instrumented: WeakSet[Any] = WeakSet()
        self._listener = partial(self._instrument_new, options)
        add_listener(self._listener)

    def _uninstrument(self, **kwargs: Any) -> None:
        remove_listener(self._listener)
        for target in list(self._instrumented):
            uninstrument(target)

    def _instrument_new(self, options: dict[str, Any], made: Any) -> None:
        instrument(made, **options)
        self._instrumented.add(made)


_OPTIONS = ("tracer_provider", "meter_provider", "chunk_interval")
