"""Token usage, which Poe's protocol does not report: a bot that knows it reports it itself."""

from __future__ import annotations

from typing import Any

from opentelemetry import trace
from opentelemetry.metrics import MeterProvider

from poeproto_otel.conventions import (
    GEN_AI_INPUT_TOKENS,
    GEN_AI_OPERATION,
    GEN_AI_OUTPUT_TOKENS,
    GEN_AI_PROVIDER,
    GEN_AI_REQUEST_MODEL,
    GEN_AI_TOKEN_TYPE,
)
from poeproto_otel.instruments import instruments_of

__all__ = ["record_token_usage"]


def record_token_usage(
    *,
    input_tokens: int | None = None,
    output_tokens: int | None = None,
    model: str | None = None,
    provider: str = "poe",
    meter_provider: MeterProvider | None = None,
) -> None:
    """Record the tokens that a model has used, on the span of the request that is being answered and as a metric.

    Call it in a bot that knows them, for each call of a model.

    Args:
        input_tokens: of the prompt; None if they are not known.
        output_tokens: of the answer; likewise.
        model: the name of the model, if known.
        provider: the provider in the names of the GenAI conventions, as in "openai".
        meter_provider: as of `instrument`.
    """
    attributes: dict[str, Any] = {GEN_AI_OPERATION: "chat", GEN_AI_PROVIDER: provider}
    if model is not None:
        attributes[GEN_AI_REQUEST_MODEL] = model
    usage = instruments_of(meter_provider).token_usage
    span = trace.get_current_span()
    for count, kind, name in (
        (input_tokens, "input", GEN_AI_INPUT_TOKENS),
        (output_tokens, "output", GEN_AI_OUTPUT_TOKENS),
    ):
        if count is not None:
            usage.record(count, attributes | {GEN_AI_TOKEN_TYPE: kind})
            span.set_attribute(name, count)
