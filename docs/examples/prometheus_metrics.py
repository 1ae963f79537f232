"""A bot whose server counts its requests for Prometheus, in one process or in several.

The metrics have the names that OpenTelemetry's have in Prometheus, so the dashboard in docs/ shows them too. With
several workers, each process writes its numbers into files of one folder, and the scrape adds them up.

It answers anyone, with a key or without. Replace `allow_without_key=True` by `access_key=...` before you publish it.

Serve it with:
    mkdir -p /tmp/metrics
    PROMETHEUS_MULTIPROC_DIR=/tmp/metrics poeproto serve docs/examples/prometheus_metrics.py:app --workers 2
Have Prometheus scrape http://127.0.0.1:9464/metrics, which another process answers:
    PROMETHEUS_MULTIPROC_DIR=/tmp/metrics python docs/examples/prometheus_metrics.py
Empty the folder when the server restarts.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, multiprocess, start_http_server

from poeproto import Bot, Context, QueryRequest
from poeproto_asgi import BotApp, Observation, Outcome

PORT = 9464
# Those of OpenTelemetry's conventions for HTTP and for GenAI.
HTTP_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10)
GEN_AI_BUCKETS = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92)

duration = Histogram(
    "http_server_request_duration_seconds",
    "Duration of HTTP server requests.",
    ["http_route", "http_response_status_code", "poe_request_type", "error_type"],
    buckets=HTTP_BUCKETS,
)
time_to_first_event = Histogram(
    "poe_server_time_to_first_event_seconds",
    "Time from the head of a query until the first event of the reply.",
    ["http_route"],
    buckets=GEN_AI_BUCKETS,
)
events = Counter("poe_server_events", "Events sent, without error and done.", ["http_route"])
disconnects = Counter("poe_server_disconnects", "Requests whose client disconnected.", ["http_route"])
# The sum over the processes that live. A request counts from its head on, when it is not yet known to be a query.
active = Gauge("poe_server_active_replies", "Replies that are being sent now.", multiprocess_mode="livesum")


class EchoBot(Bot):
    async def get_response(self, request: QueryRequest, context: Context) -> AsyncIterator[str]:
        yield request.query[-1].content


def route_of(seen: Observation) -> str:
    # A path without a bot may be anything; each would be a time series of its own.
    return "" if seen.bot is None else seen.http_request.path


def on_start(seen: Observation) -> None:
    active.inc()


def on_end(seen: Observation) -> None:
    active.dec()
    route = route_of(seen)
    failed = seen.outcome not in (Outcome.COMPLETE, Outcome.REFUSED) or (seen.status or 0) >= 500
    error_type = str(seen.outcome) if failed else ""
    duration.labels(route, str(seen.status or ""), seen.type or "", error_type).observe(seen.seconds)
    if seen.first_event_seconds is not None:
        time_to_first_event.labels(route).observe(seen.first_event_seconds)
    events.labels(route).inc(seen.events)
    if seen.outcome is Outcome.DISCONNECTED:
        disconnects.labels(route).inc()


app = BotApp(EchoBot(), allow_without_key=True, on_start=on_start, on_end=on_end)


def main() -> None:
    registry = CollectorRegistry()
    multiprocess.MultiProcessCollector(registry)  # reads the folder that PROMETHEUS_MULTIPROC_DIR names
    port = int(os.environ.get("METRICS_PORT", PORT))
    _, thread = start_http_server(port, "127.0.0.1", registry)
    print(f"http://127.0.0.1:{port}/metrics", flush=True)
    thread.join()


if __name__ == "__main__":
    main()
