"""Annotations for the fixtures that are functions."""

from __future__ import annotations

from typing import Protocol

from poeproto import Bot, Limits
from poeproto_pytest.replayed_calls import ReplayedCalls
from poeproto_pytest.simulated_poe import ObservedBot
from poeproto_record import ReplayMatch
from poeproto_runtime.client.transport import SharedTransport

__all__ = ["BotFactory", "RecordingFactory"]


class BotFactory(Protocol):
    """The type of the fixture `poe_bot`."""

    def __call__(
        self,
        bot: Bot,
        *,
        name: str | None = None,
        bots: dict[str, Bot] | None = None,
        calls: SharedTransport | None = None,
        access_key: str = ...,
        limits: Limits | None = None,
    ) -> ObservedBot:
        """Serve a bot in memory.

        Args:
            bot: the bot to test.
            name: its name on Poe; by default that of its class.
            bots: other bots that it may call, by name.
            calls: a recording that its calls of bots that are not in `bots` go through.
            access_key: its key.
            limits: the limits of its exchanges.
        """
        ...


class RecordingFactory(Protocol):
    """The type of the fixture `poe_recording`."""

    def __call__(self, file: str, *, match: ReplayMatch | str = ..., speed: float = 0) -> ReplayedCalls:
        """Open a recording.

        Args:
            file: its file: a name in the directory of recordings, or an absolute path.
            match: which recorded exchange answers a request: last-message, exact or order.
            speed: how many times as fast as recorded responses are replayed; 0 does not wait.
        """
        ...
