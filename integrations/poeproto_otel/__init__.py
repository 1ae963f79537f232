"""OpenTelemetry for bots and calls: a span for each request and each call, and metrics.

`instrument(app)` and `instrument(client)` need `opentelemetry-api` alone, and add hooks to their argument. Without
an SDK nothing is recorded. All spans and metrics are listed in one table, `poeproto_otel.conventions`, and in
docs/observability.md.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from poeproto.extras import missing_extra
from poeproto.name_hints import missing_name

if (_missing := missing_extra(__name__, "otel", ["anyio", "opentelemetry"])) is not None:
    raise _missing

from poeproto_otel import conventions, instrumentation, token_usage
from poeproto_otel.conventions import *
from poeproto_otel.instrumentation import *
from poeproto_otel.token_usage import *

if not TYPE_CHECKING:  # a type checker finds missing names by itself

    def __getattr__(name: str) -> object:
        raise missing_name(__name__, name)


__all__: list[str] = []
__all__ += conventions.__all__
__all__ += instrumentation.__all__
__all__ += token_usage.__all__
