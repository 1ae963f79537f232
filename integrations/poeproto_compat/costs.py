"""Calls to Poe about the costs of a query."""

from __future__ import annotations

from collections.abc import Sequence

import poeproto
from poeproto import Endpoints, InsufficientFunds, PoeprotoError
from poeproto_compat.errors import CostRequestError, InsufficientFundError
from poeproto_compat.types import CostItem
from poeproto_h11 import Client

__all__ = ["call_about_cost"]


async def call_about_cost(
    call: str, items: Sequence[CostItem], bot_query_id: str, access_key: str, base_url: str
) -> None:
    """Authorize or capture costs.

    Args:
        call: the name of a method of `poeproto_h11.Client`: "authorize_cost" or "capture_cost".
        items: the costs.
        bot_query_id: the query.
        access_key: the bot's key.
        base_url: the root of Poe's API.

    Raises:
        InsufficientFundError: if the user cannot pay.
        CostRequestError: if Poe did not answer whether the user can.
    """
    async with Client(access_key=access_key, endpoints=Endpoints(base_url.rstrip("/"))) as client:
        try:
            costs = [poeproto.CostItem(item.amount_usd_milli_cents, item.description) for item in items]
            await getattr(client, call)(costs, bot_query_id)
        except InsufficientFunds as exc:
            raise InsufficientFundError(str(exc)) from exc
        except PoeprotoError as exc:
            raise CostRequestError(str(exc)) from exc
