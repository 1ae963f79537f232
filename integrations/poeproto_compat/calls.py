"""A call of a single request, over the connections of the caller's choice."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from poeproto import HttpRequest, HttpResponse
    from poeproto_httpx import Session


async def call(
    request: HttpRequest, session: Session | None, operation: str, bot_name: str | None = None
) -> HttpResponse:
    """Make a call once, and return the whole response.

    Args:
        request: the request to send.
        session: the client to send it with, if not the event loop's.
        operation: the name of the call for its hooks: as of `CallObservation`.
        bot_name: the name of the bot that it concerns.
    """
    from poeproto import RetryPolicy
    from poeproto.flows import call_flow
    from poeproto_compat.connections import calls_for

    calls = await calls_for(session)
    return await calls.run_flow(call_flow(request, retry=RetryPolicy(attempts=1)), operation, request.url, bot_name)
