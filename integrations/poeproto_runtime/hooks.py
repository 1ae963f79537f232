"""Hooks: functions that are called when a request starts, when its first event was sent, and when it has ended."""

from __future__ import annotations

import inspect
import logging
import secrets
import time
from collections.abc import Callable

import attrs

from poeproto import RequestHead
from poeproto_runtime.bot_mistakes import name_of, place_of

__all__ = ["Hook", "Hooks", "Observation"]

logger = logging.getLogger("poeproto")


@attrs.frozen(kw_only=True)
class Observation:
    """One request, and its progress at the time of the call.

    Attributes:
        id: unique to this request, 16 hexadecimal digits; also the id of an error in the log.
        http_request: the head of the request.
        bot: the class of the bot that answers; None if there is no bot at the path.
        bot_name: that bot's name on Poe, if the route has it.
        type: of the request, as in "query" or "settings"; None before it has been received.
        status: of the response; None before its head has been sent.
        events: how many were sent, without `error` and `done`.
        bytes: of the response's body, as far as it was sent.
        seconds: since the head of the request was received.
        error_id: the id under which the log has the details of a failure; None without a failure.
        complete: whether the response has been sent to its end. If not, the client disconnected, or the server stopped.
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
    """The functions to call. They run in the task of the request, so they must not block.

    Attributes:
        on_start: called when the head of a request has been received.
        on_first_event: called when the first event of a reply has been given to the channel. Not called for a reply
            that consists of an `error`.
        on_end: called when the request has ended, however it ended.
    """

    on_start: Hook | None = None
    on_first_event: Hook | None = None
    on_end: Hook | None = None


class Progress:
    """The progress of one request. `BotService` and `ReplyStream` keep the attributes up to date.

    Args:
        hooks: the functions to call.
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
        """Record a failure, and return its id, for the log and for the client."""
        self.error_id = self.id
        return self.id

    def start(self) -> None:
        """Call `on_start`."""
        if self._hooks.on_start is not None:
            self._notify(self._hooks.on_start)

    def first_event(self) -> None:
        """Call `on_first_event`."""
        if self._hooks.on_first_event is not None:
            self._notify(self._hooks.on_first_event)

    def end(self) -> None:
        """Call `on_end`."""
        if self._hooks.on_end is not None:
            self._notify(self._hooks.on_end)

    def _notify(self, hook: Hook) -> None:
        observation = Observation(
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
            result = hook(observation)
        except Exception:
            logger.exception("a hook failed (request %s)", self.id)
        else:
            if inspect.iscoroutine(result):
                result.close()
                message = "%s: the hook %s is a coroutine function, and was not run; define it with `def`"
                logger.error(message, place_of(hook), name_of(hook))
