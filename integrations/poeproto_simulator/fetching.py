"""Fetching what an upload names by its URL, from the servers that were allowed and from no other."""

from __future__ import annotations

from collections.abc import Iterable

import attrs

from poeproto import FetchForbidden, HttpResponse, Limits, PoeprotoError, RequestRefused, RetryPolicy
from poeproto_h11.client.outbound import make_outbound
from poeproto_runtime import FetchPolicy
from poeproto_runtime.fetch import fetch
from poeproto_simulator.refusals import Refused


@attrs.frozen(kw_only=True)
class ListedAlone(FetchPolicy):
    """Allows the origins that are listed, and nothing besides.

    Whoever can call the simulator could otherwise have it fetch for them.
    """

    def check_origin(self, scheme: str, origin: str) -> bool:
        """As `FetchPolicy.check_origin`."""
        if origin not in self.origins:
            allow = f"poeproto simulate --fetch-from {origin} allows it, and Simulator(fetch_origins=[...])"
            raise FetchForbidden(f"fetching from {origin} has not been allowed; {allow}")
        return True


class Fetcher:
    """Fetches files over HTTP from a list of servers; redirects are not followed.

    Args:
        origins: the servers, as in ``https://files.example``.
        limits: `Limits.file_size` is kept.

    Raises:
        LocalProtocolError: when an origin is none.
    """

    def __init__(self, origins: Iterable[str] = (), limits: Limits | None = None) -> None:
        self._limits = limits or Limits()
        policy, once = ListedAlone(origins=origins), RetryPolicy(attempts=1)
        self._outbound = make_outbound(self._limits, fetch_policy=policy, retry=once)

    async def fetch(self, url: str) -> HttpResponse:
        """The file: the body of the response, of the ``Content-Type`` it was sent with.

        Raises:
            Refused: with status 403 for a server that was not allowed, 400 when there is no file to be had.
        """
        try:
            return await fetch(url, self._outbound, self._limits)
        except FetchForbidden as exc:
            raise Refused(403, str(exc)) from exc
        except RequestRefused as exc:
            raise Refused(400, f"the file could not be fetched: status {exc.status}") from exc
        except PoeprotoError as exc:
            raise Refused(400, f"the file could not be fetched: {exc}") from exc
