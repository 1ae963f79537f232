"""A call of a single request, over the connections of the caller's choice."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from poeproto import HttpRequest, HttpResponse
    from poeproto_httpx import Session


async def call(request: HttpRequest, session: Session | None) -> HttpResponse:
    """Make a call once, and return the whole response."""
    from poeproto import RetryPolicy
    from poeproto.flows import call_flow
    from poeproto_compat.connections import transport_for
    from poeproto_runtime.client.flow_runner import FlowRunner

    flow = call_flow(request, retry=RetryPolicy(attempts=1))
    return await FlowRunner(flow, await transport_for(session, None)).run()
