"""The instruments of a meter provider, made from the tables; its services and clients share them."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from weakref import WeakKeyDictionary, WeakSet

from opentelemetry import metrics
from opentelemetry.metrics import CallbackOptions, Histogram, Meter, MeterProvider, Observation

from poeproto import __version__
from poeproto_otel.conventions import (
    ACTIVE_REPLIES,
    DISCONNECTS,
    EVENTS,
    GEN_AI_DURATION,
    HTTP_CLIENT_DURATION,
    HTTP_ROUTE,
    HTTP_SERVER_DURATION,
    SCHEMA_URL,
    TIME_PER_OUTPUT_CHUNK,
    TIME_TO_FIRST_CHUNK,
    TIME_TO_FIRST_EVENT,
    TOKEN_USAGE,
    Metric,
)
from poeproto_runtime import BotService

# The time of a measurement in the SDK is that of about ten events, so only histograms are measured when a reply ends;
# counters are sums that are read when they are exported.


class Instruments:
    """The instruments of one meter.

    Args:
        meter: makes them.

    Attributes:
        services: whose active replies are counted.
    """

    def __init__(self, meter: Meter) -> None:
        self.server_duration = _histogram(meter, HTTP_SERVER_DURATION)
        self.time_to_first_event = _histogram(meter, TIME_TO_FIRST_EVENT)
        self.client_duration = _histogram(meter, HTTP_CLIENT_DURATION)
        self.gen_ai_duration = _histogram(meter, GEN_AI_DURATION)
        self.time_to_first_chunk = _histogram(meter, TIME_TO_FIRST_CHUNK)
        self.time_per_output_chunk = _histogram(meter, TIME_PER_OUTPUT_CHUNK)
        self.token_usage = _histogram(meter, TOKEN_USAGE)
        self.services: WeakSet[BotService] = WeakSet()
        self._lock = threading.Lock()
        self._events: dict[str, int] = {}
        self._disconnects: dict[str, int] = {}
        # No measurement before the first instrumented application: a client's process has no replies to count.
        self._counts_replies = False
        _add_callback(meter, ACTIVE_REPLIES, self)
        _add_callback(meter, EVENTS, self)
        _add_callback(meter, DISCONNECTS, self)

    def add_service(self, service: BotService) -> None:
        """Count the active replies of this service, too."""
        with self._lock:
            self.services.add(service)
            self._counts_replies = True

    def discard_service(self, service: BotService) -> None:
        """Count them no more."""
        with self._lock:
            self.services.discard(service)

    def count_request(self, route: str, events: int, *, disconnected: bool) -> None:
        """Add the events of a request that has ended, and its disconnect."""
        with self._lock:
            self._events[route] = self._events.get(route, 0) + events
            if disconnected:
                self._disconnects[route] = self._disconnects.get(route, 0) + 1

    def observe(self, metric: Metric) -> list[Observation]:
        """The values of a counter now. May be called from any thread."""
        with self._lock:
            if metric is ACTIVE_REPLIES:
                count = sum(service.count_active_replies() for service in self.services)
                return [Observation(count)] if self._counts_replies else []
            sums = self._events if metric is EVENTS else self._disconnects
            return [Observation(number, {HTTP_ROUTE: route} if route else {}) for route, number in sums.items()]


_of_provider: WeakKeyDictionary[MeterProvider, Instruments] = WeakKeyDictionary()
_of_global: Instruments | None = None
_making = threading.Lock()


def instruments_of(provider: MeterProvider | None) -> Instruments:
    """The instruments of a meter provider; made once, because a second counter of the same name would count twice.

    Args:
        provider: None for the global one, which may be set later.
    """
    global _of_global
    with _making:
        if provider is None:
            if _of_global is None:
                _of_global = Instruments(_meter(None))
            return _of_global
        found = _of_provider.get(provider)
        if found is None:
            found = _of_provider[provider] = Instruments(_meter(provider))
        return found


def _meter(provider: MeterProvider | None) -> Meter:
    return metrics.get_meter("poeproto", __version__, provider, SCHEMA_URL)


def _histogram(meter: Meter, metric: Metric) -> Histogram:
    return meter.create_histogram(
        metric.name, metric.unit, metric.description, explicit_bucket_boundaries_advisory=metric.buckets
    )


def _add_callback(meter: Meter, metric: Metric, instruments: Instruments) -> None:
    def observe(options: CallbackOptions) -> Iterable[Observation]:
        return instruments.observe(metric)

    if metric is ACTIVE_REPLIES:
        meter.create_observable_up_down_counter(metric.name, [observe], metric.unit, metric.description)
    else:
        meter.create_observable_counter(metric.name, [observe], metric.unit, metric.description)
