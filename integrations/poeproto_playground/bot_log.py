"""The log records of bots, line by line, as the page shows them. Keys are masked."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Mapping
from typing import Any

from poeproto_playground.exchange_log import Exchange, ExchangeLog
from poeproto_playground.masking import Masking

_LINES = 1000


class BotLog:
    """Keeps the newest lines. The oldest are dropped, and counted.

    Args:
        exchanges: the exchanges that lines may belong to.
        masking: masks keys in the lines.
    """

    def __init__(self, exchanges: ExchangeLog, masking: Masking) -> None:
        self._exchanges = exchanges
        self._masking = masking
        self._lines: deque[dict[str, Any]] = deque(maxlen=_LINES)
        self._last = 0

    @property
    def last(self) -> int:
        """The number of the last line."""
        return self._last

    def add(self, line: Mapping[str, Any]) -> None:
        """Add a line as a bot's process has sent it."""
        self._last += 1
        exchange = self._exchanges.find(line.get("exchange") or "")
        entry = {"number": self._last, "at": time.time(), "bot": exchange.bot if exchange else None, **line}
        entry["text"] = self._masking.text(str(entry["text"]))
        self._lines.append(entry)
        self._exchanges.count_log(line.get("exchange"))

    def of(self, exchange: Exchange) -> list[dict[str, Any]]:
        """The lines that were logged during an exchange."""
        return [line for line in self._lines if line["exchange"] == exchange.id]

    def as_json(self, after: int = 0) -> dict[str, Any]:
        """The lines after that number, and how many were dropped in all."""
        new = [line for line in self._lines if line["number"] > after]
        return {"logs": new, "logs_dropped": self._last - len(self._lines)}
