"""Calls to Poe about the costs of a query."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Literal

import poeproto
from poeproto import Endpoints, HttpRequest, InsufficientFunds, PoeprotoError
from poeproto.flows import authorize_cost_request, capture_cost_request, cost_flow
from poeproto_compat.connections import calls_for
from poeproto_compat.errors import CostRequestError, InsufficientFundError
from poeproto_compat.poe_of_request import base_url_in_request
from poeproto_compat.types import CostItem

__all__ = ["call_about_cost"]

_REQUESTS: Mapping[str, Callable[..., HttpRequest]] = {
    "authorize_cost": authorize_cost_request,
    "capture_cost": capture_cost_request,
}


async def call_about_cost(
    operation: Literal["authorize_cost", "capture_cost"],
    items: Sequence[CostItem],
    bot_query_id: str,
    access_key: str,
    base_url: str,
) -> None:
    """Authorize or capture costs.

    Args:
        operation: which of them.
        items: the costs.
        bot_query_id: the query.
        access_key: the bot's key.
        base_url: the root of Poe's API; that of Poe means, within a request, where the server's calls go.

    Raises:
        InsufficientFundError: if the user cannot pay.
        CostRequestError: if Poe did not answer whether the user can.
    """
    try:
        costs = [poeproto.CostItem(item.amount_usd_milli_cents, item.description) for item in items]
        endpoints = Endpoints(base_url_in_request(base_url).rstrip("/"))
        request = _REQUESTS[operation](costs, bot_query_id=bot_query_id, access_key=access_key, endpoints=endpoints)
        calls = await calls_for(None)
        await calls.run_flow(cost_flow(request, access_key=access_key), operation, request.url)
    except InsufficientFunds as exc:
        raise InsufficientFundError(str(exc)) from exc
    except (PoeprotoError, ValueError) as exc:
        raise CostRequestError(str(exc)) from exc
