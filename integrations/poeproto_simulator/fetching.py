"""Fetching what an upload names by its URL, from the servers that were allowed and from no other."""

from __future__ import annotations

from collections.abc import Iterable

import attrs

from poeproto import HttpRequest, HttpResponse, Limits, PoeprotoError, RetryPolicy, call_flow
from poeproto.http import UNPACKED
from poeproto_h11 import Origin, Timeouts
from poeproto_h11.backends import anyio_backend
from poeproto_h11.origins import split_url
from poeproto_h11.pool import Pool
from poeproto_h11.transport import H11Transport
from poeproto_runtime.driving import FlowRun
from poeproto_simulator.refusals import Refused


class Fetcher:
    """Fetches files over HTTP from a list of servers; redirects are not followed.

    From anywhere else nothing is fetched: whoever can call the simulator could read what only this machine can.

    Args:
        origins: the servers, as in ``https://files.example``.
        limits: `Limits.file_size` is kept.

    Raises:
        LocalProtocolError: when an origin is no URL.
    """

    def __init__(self, origins: Iterable[str] = (), limits: Limits | None = None) -> None:
        self._origins: frozenset[Origin] = frozenset(split_url(origin)[0] for origin in origins)
        limits = limits or Limits()
        self._limits = attrs.evolve(limits, answer_size=limits.file_size)

    async def fetch(self, url: str) -> HttpResponse:
        """The file: the body of the response, of the ``Content-Type`` it was sent with.

        Raises:
            Refused: with status 403 for a server that was not allowed, 400 when there is no file to be had.
        """
        try:
            origin, _ = split_url(url)
            if origin not in self._origins:
                raise Refused(403, f"fetching from {origin} has not been allowed")
            response = await self._get(url)
        except PoeprotoError as exc:
            raise Refused(400, f"the file could not be fetched: {exc}") from exc
        if response.status != 200:
            raise Refused(400, f"the file could not be fetched: status {response.status}")
        if response.content_coding != "identity":
            raise Refused(400, f"the file could not be fetched: it came packed as {response.content_coding!r}")
        return response

    async def _get(self, url: str) -> HttpResponse:
        backend = anyio_backend()
        pool = Pool(backend.connect)
        run = FlowRun(
            call_flow(HttpRequest("GET", url, [UNPACKED]), limits=self._limits, retry=RetryPolicy(attempts=1)),
            H11Transport(pool, backend, self._limits, Timeouts()),
        )
        try:
            return await run.run()
        finally:
            await pool.aclose()
