"""Values of events that the specification does not have: each is sent, since the sets are open, and logged once."""

from __future__ import annotations

import logging

import attrs

from poeproto import Error, Meta, encode_event
from poeproto_runtime.bot_mistakes import place_of_yield
from poeproto_runtime.context import RequestContext
from poeproto_runtime.printable import printable_line

__all__ = ["warn_of_unknown_value"]

logger = logging.getLogger("poeproto")

# How many characters of a value are shown, and how many values are remembered: a peer may choose what a bot forwards.
_SHOWN = 60
_MOST = 1000
# What nearly all events have.
_USUAL = (None, "text/markdown")


def warn_of_unknown_value(event: Meta | Error, context: RequestContext, events: object) -> None:
    """Log an unknown `Meta.content_type` or `Error.error_type`, once for each bot and value.

    Poe shows another content type as plain text, and may handle another type of error like one without a type.

    Args:
        event: the event that was sent.
        context: the request's.
        events: the bot's generator, suspended where it yielded the event.
    """
    value = event.content_type if isinstance(event, Meta) else event.error_type
    if value in _USUAL:
        return
    name, checked = "content_type" if isinstance(event, Meta) else "error_type", context.checked_values
    if (name, value[:_SHOWN]) in checked or len(checked) >= _MOST:
        return
    checked.add((name, value[:_SHOWN]))
    from poeproto.lint import lint_event  # not loaded by most servers

    shown = attrs.evolve(event, **{name: value[:_SHOWN]})
    fields = encode_event(shown).decode().partition("data: ")[2].strip()
    for finding in lint_event(type(event).__name__.lower(), fields):
        if finding.rule == "event.unknown-values":
            logger.warning(
                "%s: %s: %s.%s: %s",
                context.bot_class,
                place_of_yield(events) or "?",
                type(event).__name__,
                name,
                printable_line(finding.message),
            )
