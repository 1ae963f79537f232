"""Costs against balances: authorised before the work, captured after it."""

from __future__ import annotations

from typing import Any, cast

import attrs

from poeproto import CostItem, RemoteProtocolError
from poeproto_simulator.records import Account, BotQuery, Charge, same_key
from poeproto_simulator.responses import HTTPError
from poeproto_simulator.state import State

SUCCESS = "success"
# Poe's name for it, as bots write it into `error` events.
INSUFFICIENT_FUNDS = "insufficient_fund"


@attrs.frozen
class Payment:
    """A cost that was authorised, captured or refused, with the data to undo it.

    Attributes:
        status: for the bot: `SUCCESS` or `INSUFFICIENT_FUNDS`.
        user: who pays.
        query: the query it is for, if known.
        spent: the amount taken from the balance, in thousandths of a US cent.
        reserved: by how much the reserved amount has grown; below zero for a capture.
    """

    status: str
    user: Account
    query: BotQuery | None
    spent: int = 0
    reserved: int = 0


class Ledger:
    """Authorises and captures costs.

    An authorised amount is reserved until it is captured or the reply is over. A capture needs no authorisation, but
    may not use amounts that are reserved for other queries.

    Args:
        state: the balances and charges.
    """

    def __init__(self, state: State) -> None:
        self._state = state

    def pay(self, call: str, bot_query_id: str, items: list[CostItem], access_key: str) -> Payment:
        """Authorise or capture a cost.

        Args:
            call: "authorize" or "capture".
            bot_query_id: the query it is for.
            items: the parts of the cost.
            access_key: the bot's key.

        Raises:
            HTTPError: with status 401 or 404, for a wrong key or an unknown query (strict only).
        """
        state = self._state
        query = state.queries.get(bot_query_id)
        if state.strict:
            if not any(same_key(bot.access_key, access_key) for bot in state.bots.values()):
                raise HTTPError(401, "the access key belongs to no bot")
            if query is None or not same_key(state.bot(query.bot_name).access_key, access_key):
                raise HTTPError(404, "this bot was sent no query with that identifier")
        user = state.users[query.user_id] if query else state.first_user
        amount = sum(item.amount_usd_milli_cents for item in items)
        payment = self._pay(call, user, query, amount)
        user.balance -= payment.spent
        if query is not None:
            query.authorized += payment.reserved
        bot_name = query.bot_name if query else None
        if payment.spent:
            state.charges.append(Charge(bot_query_id, bot_name, user.id, items))
            state.mark_changed("charge", str(len(state.charges) - 1))
            state.mark_changed("user", user.id)
        granted = payment.status == SUCCESS
        state.add_log_entry("cost", call=call, bot=bot_name, amount=amount, granted=granted)
        return payment

    def undo(self, payment: Payment) -> None:
        """Undo the last payment."""
        payment.user.balance += payment.spent
        if payment.query is not None:
            payment.query.authorized = max(payment.query.authorized - payment.reserved, 0)
        if payment.spent:
            self._state.charges.pop()
            self._state.changed.pop(("charge", str(len(self._state.charges))), None)

    def _pay(self, call: str, user: Account, query: BotQuery | None, amount: int) -> Payment:
        reserved_for_others = sum(
            other.authorized
            for other in self._state.queries.values()
            if other is not query and other.user_id == user.id
        )
        already = query.authorized if query else 0
        needed = amount + already if call == "authorize" else amount
        if needed > user.balance - reserved_for_others:
            return Payment(INSUFFICIENT_FUNDS, user, query)
        if call == "authorize":
            return Payment(SUCCESS, user, query, reserved=amount)
        return Payment(SUCCESS, user, query, spent=amount, reserved=-min(amount, already))


def read_cost_items(wire: dict[str, Any]) -> list[CostItem]:
    """The cost items in the body of a cost call.

    Raises:
        RemoteProtocolError: when there are none, or one breaks the protocol; `path` names the field.
    """
    amounts = wire.get("amounts")
    if not isinstance(amounts, list) or not amounts:
        raise RemoteProtocolError("expected a list of at least one item", path="amounts")
    return [_read_cost_item(item, f"amounts[{number}]") for number, item in enumerate(cast("list[Any]", amounts))]


def _read_cost_item(item: Any, path: str) -> CostItem:
    try:
        amount, description = item.get("amount_usd_milli_cents"), item.get("description")
        return CostItem(amount, description)
    except (AttributeError, TypeError, ValueError) as exc:
        raise RemoteProtocolError(f"not an amount above zero: {exc}", path=path) from None
