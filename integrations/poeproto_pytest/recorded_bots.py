"""The calls of a bot under test whose other bots are in a recording: the rest of Poe is simulated."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import unquote

import attrs

from poeproto import Endpoints, HttpRequest
from poeproto_pytest.memory_network import MemoryCall, MemoryNetwork, ObservedCall
from poeproto_runtime.client.transport import IncomingResponse, Transport


@attrs.frozen
class RecordedBots:
    """Sends the calls of bots through a recording, as to Poe; a `SharedTransport`.

    Costs, uploads and the calls of bots that the simulated Poe knows go to that.

    Attributes:
        network: has the simulated Poe.
        recording: sends the calls of all other bots.
        is_simulated: whether the simulated Poe has a bot of this name.
    """

    network: MemoryNetwork
    recording: Transport
    is_simulated: Callable[[str], bool]

    def begin(self) -> RecordedBotsCall:
        """Start a call."""
        return RecordedBotsCall(self)

    def hold(self) -> None:
        """Add a user; nothing is kept for it."""

    async def release(self) -> None:
        """Remove a user."""


class RecordedBotsCall:
    """The requests of one call; a `poeproto_runtime.client.transport.TransportCall`."""

    def __init__(self, bots: RecordedBots) -> None:
        self._bots = bots
        self._simulated = MemoryCall(bots.network)
        self._recorded = ObservedCall(bots.network, bots.recording.begin())

    async def send(self, request: HttpRequest) -> IncomingResponse:
        """Send a request, and wait for the head of the response."""
        name = bot_called(request.url)
        if name is None or self._bots.is_simulated(name):
            return await self._simulated.send(request)
        return await self._recorded.send(attrs.evolve(request, url=Endpoints().bot(name)))

    async def sleep(self, seconds: float) -> None:
        """Wait before the next request."""
        await self._recorded.sleep(seconds)


def bot_called(url: str) -> str | None:
    """The name of the bot that a request to Poe calls; None for another request."""
    name = url.partition("?")[0].partition("/bot/")[2]
    return unquote(name) if name and "/" not in name else None
