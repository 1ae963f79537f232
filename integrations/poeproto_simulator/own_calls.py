"""Where the calls of bots that run in the simulator go: to the simulator, never to Poe."""

from __future__ import annotations

from collections.abc import Callable

import attrs

from poeproto import Endpoints, LocalProtocolError
from poeproto_h11.client.urls import split_url
from poeproto_runtime import FetchPolicy


def endpoints_at(address: str | None) -> Endpoints:
    """Poe's places, at the simulator's address.

    Raises:
        LocalProtocolError: when it has none.
    """
    if address is None:
        # What a caller's Host header says would do for URLs of files, but the bot's key goes there.
        raise LocalProtocolError(
            "the bot runs in a simulator without an address, so it cannot call it: serve with Simulator.serving(), "
            "or set the simulator's address"
        )
    return Endpoints.at(address)


@attrs.frozen(kw_only=True)
class OwnFiles(FetchPolicy):
    """Allows the simulator's own files besides what every policy allows.

    Attributes:
        endpoints: tells where the simulator is.
    """

    endpoints: Callable[[], Endpoints]

    def check_origin(self, scheme: str, origin: str) -> bool:
        """As `FetchPolicy.check_origin`, with the simulator's own origin listed."""
        own, _ = split_url(self.endpoints().files)
        return origin == str(own) or FetchPolicy.check_origin(self, scheme, origin)
