"""What goes from one exchange into another: a request to the bots that are asked, and their `Meta` into the reply."""

from __future__ import annotations

import attrs

from poeproto import BotExchange, Message, Meta, QueryRequest, State

# What a query passed on takes over from the request it is made for.
_IDENTIFIERS = ("user_id", "conversation_id", "message_id", "metadata")
_KEYS = frozenset({"access_key", "api_key"})


def passed_on(request: QueryRequest | str, own: QueryRequest | None) -> QueryRequest:
    """A query to another bot, as it is sent: with the identifiers of the bot's own where it has none, without keys."""
    if isinstance(request, str):
        request = QueryRequest([Message("user", request)])
    changes: dict[str, object] = {}
    if own is not None and own is not request:
        empty = [name for name in _IDENTIFIERS if not getattr(request, name)]
        changes = {name: getattr(own, name) for name in empty}
    if _KEYS & request.extra.keys():
        changes["extra"] = {name: value for name, value in request.extra.items() if name not in _KEYS}
    return attrs.evolve(request, **changes) if changes else request


class ForwardedMeta:
    """The first `Meta` that came from another bot: the reply begins with it, if it has not begun by then.

    Args:
        exchange: of the reply, where there is one.
        meta: that event.

    Attributes:
        is_taken: whether the reply could still begin with it.
    """

    def __init__(self, exchange: BotExchange | None, meta: Meta) -> None:
        self._exchange = exchange
        self.is_taken = self._can_begin()
        self._waiting = meta if self.is_taken else None

    def is_stale(self, event: object) -> bool:
        """Whether it is this one, and the reply has begun since without it.

        Between the two, a bot that merges replies as they arrive may have sent another one's text.
        """
        if self._waiting is None or event is not self._waiting:
            return False
        self._waiting = None  # sent twice, it is out of order like others
        return not self._can_begin()

    def _can_begin(self) -> bool:
        return self._exchange is not None and self._exchange.our_state is State.OPENED
