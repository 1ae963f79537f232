"""Values of events that the specification does not have: each is sent, since the sets are open, and logged once."""

from __future__ import annotations

import logging

from poeproto import Error, Meta
from poeproto.lint.known_values import OPEN_SETS
from poeproto_runtime.bot_mistakes import place_of_yield
from poeproto_runtime.context import RequestContext
from poeproto_runtime.printable import printable_line

__all__ = ["warn_of_unknown_value"]

logger = logging.getLogger("poeproto")

# How many characters of a value are shown, and how many values are remembered: a peer may choose what a bot forwards.
_SHOWN = 60
_MOST = 1000


def warn_of_unknown_value(event: Meta | Error, context: RequestContext, events: object) -> None:
    """Log an unknown `Meta.content_type` or `Error.error_type`, once for each bot and value.

    What Poe does with another value is not specified.

    Args:
        event: the event that was sent.
        context: the request's.
        events: the bot's generator, suspended where it yielded the event.
    """
    name = "content_type" if isinstance(event, Meta) else "error_type"
    value = event.content_type if isinstance(event, Meta) else event.error_type
    known = OPEN_SETS[type(event), name]
    logged = context.unknown_values
    if value is None or value in known or value[:_SHOWN] in logged or len(logged) >= _MOST:
        return
    logged.add(value[:_SHOWN])
    logger.warning(
        "%s: %s: %s.%s is %r, which the protocol does not have; it has %s",
        context.bot_class,
        place_of_yield(events) or "?",
        type(event).__name__,
        name,
        printable_line(value[:_SHOWN]),
        ", ".join(sorted(known)),
    )
