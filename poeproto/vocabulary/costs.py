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
            raise InvalidValue(f"{amount} is not finite", path="amount_usd_milli_cents")
        return math.ceil(amount)
    return amount


@attrs.frozen
class CostItem:
    """One item of a cost.

    Attributes:
        amount_usd_milli_cents: thousandths of a US cent, above zero; a float is rounded up.
        description: what it is for.

    Raises:
        TypeError: for an amount that is no number, or a description that is no string.
        InvalidValue: for one that is not finite and above zero.
    """

    amount_usd_milli_cents: int = attrs.field(converter=_rounded_up)
    description: str | None = None

    def __attrs_post_init__(self) -> None:
        check_types(self)
        if self.amount_usd_milli_cents <= 0:
            raise InvalidValue(f"{self.amount_usd_milli_cents} is not above zero", path="amount_usd_milli_cents")
