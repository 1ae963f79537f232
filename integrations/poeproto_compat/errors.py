"""The exceptions of bots, under fastapi_poe's names."""

from __future__ import annotations

__all__ = ["CostRequestError", "InsufficientFundError", "InvalidParameterError"]


class InvalidParameterError(Exception):
    """An argument of a helper of `PoeBot` is missing or does not fit."""


class CostRequestError(Exception):
    """Poe did not answer whether the user can pay a cost."""


class InsufficientFundError(Exception):
    """The user cannot pay a cost. A bot that does not catch it ends its reply with `insufficient_fund`."""
