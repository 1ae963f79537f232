"""How often a caller may call: 500 requests a minute, as Poe's API has it, and the headers that tell."""

from __future__ import annotations

from collections import Counter

from poeproto_simulator.asgi import Message, Send
from poeproto_simulator.refusals import Refused

POE_REQUESTS_PER_MINUTE = 500
_WINDOW = 60.0


class RateWindow:
    """Counts the requests of each key in windows of a minute that are the same for all.

    Args:
        limit: how many are allowed; None counts, and refuses nothing.
    """

    def __init__(self, limit: int | None) -> None:
        self._refuses = limit is not None
        self._limit = POE_REQUESTS_PER_MINUTE if limit is None else limit
        self._ends = 0.0
        self._counts: Counter[str] = Counter()

    def take(self, key: str, now: float) -> dict[str, str]:
        """Count a request; gives the headers of its answer.

        Args:
            key: who calls.
            now: the time in seconds.

        Raises:
            Refused: with status 429, when there were too many.
        """
        if now >= self._ends:
            self._counts.clear()
            self._ends = now + _WINDOW
        self._counts[key] += 1
        left = max(self._limit - self._counts[key], 0)
        headers = {
            "x-ratelimit-limit-requests": str(self._limit),
            "x-ratelimit-remaining-requests": str(left),
            "x-ratelimit-reset-requests": f"{self._ends - now:.3f}s",
        }
        if self._refuses and self._counts[key] > self._limit:
            waiting = {"retry-after": f"{self._ends - now:.0f}", **headers}
            raise Refused(429, "too many requests", waiting.items(), allow_retry=True)
        return headers


def with_headers(send: Send, headers: dict[str, str]) -> Send:
    """A `send` that adds these headers to the response."""
    added = [(name.encode(), value.encode()) for name, value in headers.items()]

    async def send_with_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message["headers"], *added]}
        await send(message)

    return send_with_headers
