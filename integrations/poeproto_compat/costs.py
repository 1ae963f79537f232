"""Calls to Poe about the costs of a query."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import poeproto
from poeproto import Endpoints, HttpRequest, InsufficientFunds, PoeprotoError
from poeproto.flows import cost_flow
from poeproto_compat.connections import transport_for
from poeproto_compat.errors import CostRequestError, InsufficientFundError
from poeproto_compat.types import CostItem
from poeproto_runtime.client.flow_runner import FlowRunner

__all__ = ["call_about_cost"]


async def call_about_cost(
    make_request: Callable[..., HttpRequest],
    items: Sequence[CostItem],
    bot_query_id: str,
    access_key: str,
    base_url: str,
) -> None:
    """Authorize or capture costs.

    Args:
        make_request: `poeproto.flows.authorize_cost_request` or `capture_cost_request`.
        items: the costs.
        bot_query_id: the query.
        access_key: the bot's key.
        base_url: the root of Poe's API.

    Raises:
        InsufficientFundError: if the user cannot pay.
        CostRequestError: if Poe did not answer whether the user can.
    """
    try:
        costs = [poeproto.CostItem(item.amount_usd_milli_cents, item.description) for item in items]
        endpoints = Endpoints(base_url.rstrip("/"))
        request = make_request(costs, bot_query_id=bot_query_id, access_key=access_key, endpoints=endpoints)
        await FlowRunner(cost_flow(request, access_key=access_key), await transport_for(None, None)).run()
    except InsufficientFunds as exc:
        raise InsufficientFundError(str(exc)) from exc
    except (PoeprotoError, ValueError) as exc:
        raise CostRequestError(str(exc)) from exc
