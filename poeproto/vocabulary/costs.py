"""A cost that a bot charges its user.

https://creator.poe.com/docs/resources/creator-monetization
"""

from __future__ import annotations

import math

import attrs

from poeproto.vocabulary.errors import InvalidValue
from poeproto.vocabulary.field_types import check_types

__all__ = ["CostItem"]


def _rounded_up(amount: float) -> int:
    if isinstance(amount, float):
        if not math.isfinite(amount):
            raise InvalidValue(f"{amount} is not a finite number", path="amount_usd_milli_cents")
        return math.ceil(amount)
    return amount


@attrs.frozen
class CostItem:
    """One item of a cost.

    Attributes:
        amount_usd_milli_cents: thousandths of a US cent, greater than zero; a float is rounded up.
        description: the item that the user pays for.

    Raises:
        TypeError: for an amount that is not a number, or a description that is not a string.
        InvalidValue: for an amount that is not finite, or not greater than zero.
    """

    amount_usd_milli_cents: int = attrs.field(converter=_rounded_up)
    description: str | None = None

    def __attrs_post_init__(self) -> None:
        check_types(self)
        if self.amount_usd_milli_cents <= 0:
            raise InvalidValue(f"{self.amount_usd_milli_cents} is not greater than zero", path="amount_usd_milli_cents")
