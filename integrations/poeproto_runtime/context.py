"""What a bot is given besides the request: the runtime's `poeproto.Context`."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable

import anyio

from poeproto import Limits, RequestHead

logger = logging.getLogger("poeproto")


class RequestContext:
    """The surroundings of one request, and what is to be done when it is over.

    Attributes and methods are those of `poeproto.Context`.
    """

    def __init__(
        self,
        http_request: RequestHead,
        *,
        access_key: str | None,
        bot_name: str | None,
        limits: Limits,
    ) -> None:
        self.http_request = http_request
        self.access_key = access_key
        self.bot_name = bot_name
        self.limits = limits
        self._closers: list[Callable[[], Awaitable[object]]] = []

    def on_close(self, async_fn: Callable[[], Awaitable[object]]) -> None:
        """Call this function when the request is over, however it ends; the last registered is called first."""
        self._closers.append(async_fn)

    async def close(self, error_id: str) -> None:
        """Call what `on_close` was given, under a shield with a deadline. What fails is logged, and the rest runs."""
        if not self._closers:
            return
        with anyio.move_on_after(self.limits.cleanup_seconds, shield=True) as scope:
            while self._closers:
                closer = self._closers.pop()
                try:
                    await closer()
                except Exception:
                    logger.exception("an on_close function failed (error id %s)", error_id)
        if scope.cancelled_caught:
            logger.error(
                "cleaning up took longer than %g s and was cut short (error id %s)",
                self.limits.cleanup_seconds,
                error_id,
            )

    def __repr__(self) -> str:
        return f"<RequestContext of {self.http_request!r}>"
