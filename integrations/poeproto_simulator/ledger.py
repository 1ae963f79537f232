"""Costs against balances: authorised before the work, captured after it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import attrs

from poeproto import CostItem, RemoteProtocolError
from poeproto_simulator.callers import same_key
from poeproto_simulator.records import Account, BotQuery, Charge
from poeproto_simulator.refusals import Refused

if TYPE_CHECKING:
    from poeproto_simulator.engine import Poe

SUCCESS = "success"
# Poe's name for it, as bots write it into `error` events.
INSUFFICIENT_FUNDS = "insufficient_fund"


class Ledger:
    """Who owes what.

    What a bot authorises is set aside until it is captured or its reply is over. A capture need not have been
    authorised, but must find enough that was not set aside for others.
    """

    def __init__(self, engine: Poe) -> None:
        self._engine = engine

    def pay(self, call: str, bot_query_id: str, items: list[CostItem], access_key: str) -> str:
        """Authorise or capture a cost; gives the status that the bot is answered with, `SUCCESS` if it is granted.

        Args:
            call: "authorize" or "capture".
            bot_query_id: the query it is for.
            items: what for.
            access_key: the bot's key.

        Raises:
            Refused: with status 401 or 404, for a wrong key or an unknown query (strict only).
        """
        engine = self._engine
        query = engine.queries.get(bot_query_id)
        if engine.strict:
            if engine.callers.bot_of_key(access_key) is None:
                raise Refused(401, "the access key is no bot's")
            if query is None or not same_key(engine.bot(query.bot_name).access_key, access_key):
                raise Refused(404, "this bot was sent no query of that identifier")
        user = engine.users[query.user_id] if query else engine.first_user
        amount = sum(item.amount_usd_milli_cents for item in items)
        granted = self._grant(call, user, query, amount)
        if granted and call == "capture":
            charge = Charge(bot_query_id, query.bot_name if query else None, user.id, items)
            engine.charges.append(charge)
            engine.touch("charge", str(len(engine.charges) - 1))
            engine.touch("user", user.id)
        engine.note("cost", call=call, bot=query.bot_name if query else None, amount=amount, granted=granted)
        return SUCCESS if granted else INSUFFICIENT_FUNDS

    def _grant(self, call: str, user: Account, query: BotQuery | None, amount: int) -> bool:
        for_others = sum(
            other.authorized
            for other in self._engine.queries.values()
            if other is not query and other.user_id == user.id
        )
        already = query.authorized if query else 0
        needed = amount + already if call == "authorize" else amount
        if needed > user.balance - for_others:
            return False
        if call == "authorize":
            if query:
                query.authorized = needed
            return True
        user.balance -= amount
        if query:
            query.authorized = max(already - amount, 0)
            query.captured += amount
        return True


def cost_items(wire: dict[str, Any]) -> list[CostItem]:
    """The items in the body of a call about a cost.

    Raises:
        RemoteProtocolError: when there is none, or one is not what the protocol says; `path` names the field.
    """
    amounts = wire.get("amounts")
    if not isinstance(amounts, list) or not amounts:
        raise RemoteProtocolError("missing, or not a list with something in it", path="amounts")
    return [_cost_item(item, f"amounts[{number}]") for number, item in enumerate(cast("list[Any]", amounts))]


def _cost_item(item: Any, path: str) -> CostItem:
    try:
        amount, description = item.get("amount_usd_milli_cents"), item.get("description")
        return CostItem(amount, description)
    except (AttributeError, TypeError, ValueError) as exc:
        raise RemoteProtocolError(f"not an amount above zero: {exc}", path=path) from None


def charge_from_json(wire: dict[str, Any]) -> Charge:
    """The inverse of `Charge.as_json`."""
    known = {name: wire[name] for name in attrs.fields_dict(Charge) if name != "items"}
    return Charge(**known, items=[CostItem(**item) for item in wire["items"]])
