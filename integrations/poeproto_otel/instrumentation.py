"""`instrument` and `uninstrument`: they add the hooks to an application or a client, and remove them."""

from __future__ import annotations

from typing import Protocol
from weakref import WeakKeyDictionary

import attrs
from opentelemetry import trace
from opentelemetry.metrics import MeterProvider
from opentelemetry.trace import Tracer, TracerProvider

from poeproto import __version__
from poeproto_otel.client_spans import ClientSpans
from poeproto_otel.conventions import SCHEMA_URL
from poeproto_otel.instruments import Instruments, instruments_of
from poeproto_otel.server_spans import ServerSpans
from poeproto_runtime import BotService, CallHooks
from poeproto_runtime.client.extra_headers import HeadersOfCall

__all__ = ["HasBotService", "HasCallHooks", "instrument", "uninstrument"]

_DEFAULT_CHUNK_INTERVAL = 16


class HasCallHooks(Protocol):
    """A client that can be instrumented: `Client`, `BlockingClient` or `HttpxClient`."""

    def add_hooks(self, hooks: CallHooks, headers: HeadersOfCall | None = None) -> None:
        """Add hooks and headers to each call."""
        ...

    def remove_hooks(self, hooks: CallHooks, headers: HeadersOfCall | None = None) -> None:
        """Remove them."""
        ...


class HasBotService(Protocol):
    """An application, such as `poeproto_asgi.BotApp`."""

    @property
    def service(self) -> BotService:
        """The service that answers the requests."""
        ...


Target = BotService | HasBotService | HasCallHooks


@attrs.frozen(eq=False)
class _Added:
    """The instrumentation that was added to a service or a client.

    Attributes:
        client: for calls.
        server: for requests; None for a client.
        instruments: measure both.
    """

    client: ClientSpans
    server: ServerSpans | None
    instruments: Instruments


_added: WeakKeyDictionary[object, _Added] = WeakKeyDictionary()


def instrument(
    target: Target,
    *,
    tracer_provider: TracerProvider | None = None,
    meter_provider: MeterProvider | None = None,
    chunk_interval: int = _DEFAULT_CHUNK_INTERVAL,
) -> None:
    """Make a span for each request and each call of this application or client, and measure them.

    Of an application these are the requests to its bots, and the calls that its bots make. It affects the requests and
    calls that start later. A second time it does nothing.

    Args:
        target: a `BotApp` or another application with a `service`, a `BotService`, or a client.
        tracer_provider: makes the tracer; by default the global one, which may be set later.
        meter_provider: makes the meter; likewise.
        chunk_interval: one of this number of intervals between the chunks of replies is measured; 1 measures all.

    Raises:
        TypeError: for a target of another kind.
        ValueError: for a `chunk_interval` below 1.
    """
    if chunk_interval < 1:
        raise ValueError(f"chunk_interval is {chunk_interval}; it must be at least 1, which measures each interval")
    instrumented = _service_or_client(target)
    if instrumented in _added:
        return
    tracer = _tracer(tracer_provider)
    instruments = instruments_of(meter_provider)
    client = ClientSpans(tracer, instruments, chunk_interval)
    if isinstance(instrumented, BotService):
        server = ServerSpans(tracer, instruments)
        instrumented.add_hooks(server.hooks)
        instrumented.add_call_hooks(client.hooks, client.headers)
        instruments.add_service(instrumented)
        _added[instrumented] = _Added(client, server, instruments)
    else:
        instrumented.add_hooks(client.hooks, client.headers)
        _added[instrumented] = _Added(client, None, instruments)


def uninstrument(target: Target) -> None:
    """Undo `instrument` for requests and calls that start later; nothing if it was not called.

    Raises:
        TypeError: for a target of another kind.
    """
    instrumented = _service_or_client(target)
    added = _added.pop(instrumented, None)
    if added is None:
        return
    if isinstance(instrumented, BotService):
        assert added.server is not None, "it was added to a service"
        instrumented.remove_hooks(added.server.hooks)
        instrumented.remove_call_hooks(added.client.hooks, added.client.headers)
        added.instruments.discard_service(instrumented)
    else:
        instrumented.remove_hooks(added.client.hooks, added.client.headers)


def _service_or_client(target: object) -> BotService | HasCallHooks:
    service = target if isinstance(target, BotService) else getattr(target, "service", None)
    if isinstance(service, BotService):
        return service
    if not isinstance(target, type) and hasattr(target, "add_hooks"):
        return target  # pyright: ignore[reportReturnType]
    raise TypeError(
        f"instrument takes an application such as BotApp, a BotService or a client; got {type(target).__name__}"
    )


def _tracer(provider: TracerProvider | None) -> Tracer:
    return trace.get_tracer("poeproto", __version__, provider, SCHEMA_URL)
