"""Tables of all metrics and attributes: names, units and buckets. The page and the dashboard are checked against them.

They follow two documents, whose versions stand here:

- HTTP: https://github.com/open-telemetry/semantic-conventions, v1.44.0 (commit
  e10a930844c6951757a43b849d364f7d056ac32b), docs/http/http-metrics.md and docs/http/http-spans.md; stable.
- GenAI: https://github.com/open-telemetry/semantic-conventions-genai (commit
  004902b8cb70aa5ae6ca4ae07132b7daabcd3e10), docs/gen-ai/gen-ai-metrics.md and gen-ai-spans.md; in development.

Attributes without a convention are named `poe.*`.
"""

from __future__ import annotations

from enum import StrEnum

import attrs

__all__ = ["ATTRIBUTES", "METRICS", "SPAN_EVENTS", "Instrument", "Metric"]

SCHEMA_URL = "https://opentelemetry.io/schemas/1.44.0"

HTTP_DURATION_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10)
GEN_AI_DURATION_BUCKETS = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92)
GEN_AI_TOKEN_BUCKETS = (1, 4, 16, 64, 256, 1024, 4096, 16384, 65536, 262144, 1048576, 4194304, 16777216, 67108864)

# Attributes of the conventions.
ERROR_TYPE = "error.type"
GEN_AI_OPERATION = "gen_ai.operation.name"
GEN_AI_PROVIDER = "gen_ai.provider.name"
GEN_AI_REQUEST_MODEL = "gen_ai.request.model"
GEN_AI_TOKEN_TYPE = "gen_ai.token.type"
GEN_AI_INPUT_TOKENS = "gen_ai.usage.input_tokens"
GEN_AI_OUTPUT_TOKENS = "gen_ai.usage.output_tokens"
HTTP_METHOD = "http.request.method"
HTTP_RESEND_COUNT = "http.request.resend_count"
HTTP_ROUTE = "http.route"
HTTP_STATUS = "http.response.status_code"
SERVER_ADDRESS = "server.address"
SERVER_PORT = "server.port"
URL_FULL = "url.full"
URL_PATH = "url.path"
URL_SCHEME = "url.scheme"
# Attributes of ours, without a convention.
POE_BOT = "poe.bot"
POE_ERROR_ID = "poe.error_id"
POE_EVENTS = "poe.reply.events"
POE_OPERATION = "poe.operation"
POE_OUTCOME = "poe.outcome"
POE_REQUEST_TYPE = "poe.request.type"

# Events of a span.
FIRST_EVENT = "poe.first_event"
END = "poe.end"


class Instrument(StrEnum):
    """The kind of an instrument.

    Attributes:
        HISTOGRAM: the distribution of values, as of durations.
        COUNTER: a sum that only grows.
        UP_DOWN_COUNTER: a sum that grows and shrinks, as the number of active replies.
    """

    HISTOGRAM = "histogram"
    COUNTER = "counter"
    UP_DOWN_COUNTER = "updowncounter"


@attrs.frozen(kw_only=True)
class Metric:
    """A metric.

    Attributes:
        name: the name.
        instrument: the kind of its instrument.
        unit: in the notation of UCUM.
        description: the measured quantity.
        buckets: the upper bounds of a histogram's buckets; empty for another instrument.
        attributes: the attributes that a measurement may have.
    """

    name: str
    instrument: Instrument
    unit: str
    description: str
    buckets: tuple[float, ...] = ()
    attributes: tuple[str, ...]

    @property
    def prometheus_name(self) -> str:
        """The name that Prometheus has for it: of a histogram without `_bucket`, `_sum` or `_count`.

        https://opentelemetry.io/docs/specs/otel/compatibility/prometheus_and_openmetrics/
        """
        unit = "_seconds" if self.unit == "s" else ""  # a unit in braces is an annotation, and left out
        total = "_total" if self.instrument is Instrument.COUNTER else ""
        return f"{self.name.replace('.', '_')}{unit}{total}"


_GEN_AI_CALL = (GEN_AI_OPERATION, GEN_AI_PROVIDER, GEN_AI_REQUEST_MODEL, SERVER_ADDRESS, SERVER_PORT)

HTTP_SERVER_DURATION = Metric(
    name="http.server.request.duration",
    instrument=Instrument.HISTOGRAM,
    unit="s",
    description="Duration of HTTP server requests.",
    buckets=HTTP_DURATION_BUCKETS,
    attributes=(HTTP_METHOD, URL_SCHEME, HTTP_ROUTE, HTTP_STATUS, ERROR_TYPE, POE_REQUEST_TYPE),
)
HTTP_CLIENT_DURATION = Metric(
    name="http.client.request.duration",
    instrument=Instrument.HISTOGRAM,
    unit="s",
    description="Duration of HTTP client requests.",
    buckets=HTTP_DURATION_BUCKETS,
    attributes=(HTTP_METHOD, SERVER_ADDRESS, SERVER_PORT, URL_SCHEME, HTTP_STATUS, ERROR_TYPE, POE_OPERATION),
)
GEN_AI_DURATION = Metric(
    name="gen_ai.client.operation.duration",
    instrument=Instrument.HISTOGRAM,
    unit="s",
    description="GenAI operation duration.",
    buckets=GEN_AI_DURATION_BUCKETS,
    attributes=(*_GEN_AI_CALL, ERROR_TYPE),
)
TIME_TO_FIRST_CHUNK = Metric(
    name="gen_ai.client.operation.time_to_first_chunk",
    instrument=Instrument.HISTOGRAM,
    unit="s",
    description="Time from the start of a call until the first event of its reply is received.",
    buckets=GEN_AI_DURATION_BUCKETS,
    attributes=_GEN_AI_CALL,
)
TIME_PER_OUTPUT_CHUNK = Metric(
    name="gen_ai.client.operation.time_per_output_chunk",
    instrument=Instrument.HISTOGRAM,
    unit="s",
    description="Time between two reads that deliver events of one reply; a sample of them.",
    buckets=GEN_AI_DURATION_BUCKETS,
    attributes=_GEN_AI_CALL,
)
TOKEN_USAGE = Metric(
    name="gen_ai.client.token.usage",
    instrument=Instrument.HISTOGRAM,
    unit="{token}",
    description="Number of input and output tokens used, where a bot reports it.",
    buckets=GEN_AI_TOKEN_BUCKETS,
    attributes=(GEN_AI_OPERATION, GEN_AI_PROVIDER, GEN_AI_REQUEST_MODEL, GEN_AI_TOKEN_TYPE),
)
ACTIVE_REPLIES = Metric(
    name="poe.server.active_replies",
    instrument=Instrument.UP_DOWN_COUNTER,
    unit="{reply}",
    description="Replies that are being sent now.",
    attributes=(),
)
TIME_TO_FIRST_EVENT = Metric(
    name="poe.server.time_to_first_event",
    instrument=Instrument.HISTOGRAM,
    unit="s",
    description="Time from the head of a query until the first event of the reply is given to the server.",
    buckets=GEN_AI_DURATION_BUCKETS,
    attributes=(HTTP_ROUTE,),
)
EVENTS = Metric(
    name="poe.server.events",
    instrument=Instrument.COUNTER,
    unit="{event}",
    description="Events sent in replies that have ended, without error and done.",
    attributes=(HTTP_ROUTE,),
)
DISCONNECTS = Metric(
    name="poe.server.disconnects",
    instrument=Instrument.COUNTER,
    unit="{disconnect}",
    description="Requests whose client disconnected before their end.",
    attributes=(HTTP_ROUTE,),
)

METRICS: tuple[Metric, ...] = (
    HTTP_SERVER_DURATION,
    HTTP_CLIENT_DURATION,
    GEN_AI_DURATION,
    TIME_TO_FIRST_CHUNK,
    TIME_PER_OUTPUT_CHUNK,
    TOKEN_USAGE,
    ACTIVE_REPLIES,
    TIME_TO_FIRST_EVENT,
    EVENTS,
    DISCONNECTS,
)
"""All metrics."""

ATTRIBUTES: dict[str, str] = {
    HTTP_METHOD: "the method of the request; `_OTHER` for one that HTTP does not know",
    HTTP_ROUTE: "the path of the bot, with that of a mount; absent if no bot is there",
    HTTP_STATUS: "the status of the response; of a call, of the last one",
    HTTP_RESEND_COUNT: "how many requests the call made after the first: retries, and rounds of tools",
    URL_SCHEME: "`http` or `https`; of a request, by `X-Forwarded-Proto` if a proxy sets it",
    URL_PATH: "the same as `http.route`; never the path of a request that no bot answers",
    URL_FULL: "what is called, without its query and without a key; of a file, only the scheme and the host",
    SERVER_ADDRESS: "the host that is called",
    SERVER_PORT: "its port",
    GEN_AI_OPERATION: "`chat`",
    GEN_AI_PROVIDER: "`poe`, or what `record_token_usage` is given",
    GEN_AI_REQUEST_MODEL: "the name on Poe of the bot that is called; absent for a bot that is called by its URL",
    GEN_AI_TOKEN_TYPE: "`input` or `output`",
    GEN_AI_INPUT_TOKENS: "as a bot reported it with `record_token_usage`",
    GEN_AI_OUTPUT_TOKENS: "likewise",
    ERROR_TYPE: "how the request or the call failed; see below",
    POE_BOT: "the class of the bot that answers",
    POE_REQUEST_TYPE: "`query`, `settings`, `report_feedback`, `report_reaction` or `report_error`",
    POE_OPERATION: "the method that makes the call, such as `query` or `upload`",
    POE_OUTCOME: "how it ended, as in `Outcome`",
    POE_EVENTS: "how many events the reply had, without `error` and `done`",
    POE_ERROR_ID: "the id under which the log has the details of a failure",
}
"""The attributes of spans and metrics, and what their values are."""
SPAN_EVENTS: dict[str, str] = {
    FIRST_EVENT: "the first event of the reply was sent, or received",
    END: "the request or the call has ended, however it ended",
}
"""The events of spans, and when they happen."""
