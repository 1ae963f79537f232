"""Telling others about each request: when it starts, when its first event is out, and when it is over."""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Callable

import attrs

from poeproto import RequestHead

logger = logging.getLogger("poeproto")


@attrs.frozen(kw_only=True)
class Observation:
    """One request, as far as it has come.

    Attributes:
        id: tells it from all others, 16 hexadecimal digits.
        http_request: its head.
        bot: the class of the bot that answers; None where there is none at that path.
        bot_name: that bot's name on Poe, where the server was told.
        type: what is asked, as in "query" or "settings"; None before it has been read.
        status: of the response, once its head has been sent.
        events: how many were sent, `error` and `done` apart.
        bytes: how much of the response's body was sent.
        seconds: since the head of the request was read.
        error_id: what the log has the details of a failure under; None where there was none.
        complete: whether the response has been sent to its end. Otherwise the peer has gone, or the server stopped.
    """

    id: str
    http_request: RequestHead
    bot: str | None
    bot_name: str | None
    type: str | None
    status: int | None
    events: int
    bytes: int
    seconds: float
    error_id: str | None
    complete: bool


Hook = Callable[[Observation], object]


@attrs.frozen(kw_only=True)
class Hooks:
    """Functions to be told. They are called within the request, so they must be quick, and must not block.

    Attributes:
        on_start: when the head of a request has been read.
        on_first_event: when the first event of a reply has been handed to the server's connection; a reply that is an
            `error` and nothing else has no such moment.
        on_end: when the request is over, however it ended.
    """

    on_start: Hook | None = None
    on_first_event: Hook | None = None
    on_end: Hook | None = None


class Progress:
    """How far one request has come. Those who answer it keep the attributes up to date.

    Args:
        hooks: who is told.
        head: the request's head.
        bot: the class of the bot that answers.
        bot_name: its name on Poe.
    """

    __slots__ = (
        "_began",
        "_bot",
        "_bot_name",
        "_head",
        "_hooks",
        "bytes",
        "complete",
        "error_id",
        "events",
        "id",
        "status",
        "type",
    )

    def __init__(self, hooks: Hooks, head: RequestHead, bot: str | None, bot_name: str | None) -> None:
        self.id = secrets.token_hex(8)
        self.type: str | None = None
        self.status: int | None = None
        self.events = 0
        self.bytes = 0
        self.error_id: str | None = None
        self.complete = False
        self._hooks = hooks
        self._head = head
        self._bot = bot
        self._bot_name = bot_name
        self._began = time.monotonic()

    def failed(self) -> str:
        """Note a failure, and return the id that it is logged and told to the peer under."""
        self.error_id = self.id
        return self.id

    def start(self) -> None:
        """Tell that the request starts."""
        if self._hooks.on_start is not None:
            self._tell(self._hooks.on_start)

    def first_event(self) -> None:
        """Tell that the first event is out."""
        if self._hooks.on_first_event is not None:
            self._tell(self._hooks.on_first_event)

    def end(self) -> None:
        """Tell that the request is over."""
        if self._hooks.on_end is not None:
            self._tell(self._hooks.on_end)

    def _tell(self, hook: Hook) -> None:
        seen = Observation(
            id=self.id,
            http_request=self._head,
            bot=self._bot,
            bot_name=self._bot_name,
            type=self.type,
            status=self.status,
            events=self.events,
            bytes=self.bytes,
            seconds=time.monotonic() - self._began,
            error_id=self.error_id,
            complete=self.complete,
        )
        try:
            hook(seen)
        except Exception:
            logger.exception("a hook failed (request %s)", self.id)
