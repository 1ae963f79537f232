"""The price that a bot charges for the tokens of its model."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Literal

import attrs

from poeproto import CostItem
from poeproto_openai.bot.token_usage import TokenUsage

__all__ = ["RateCard"]

# 1 US dollar is 100,000 thousandths of a cent, and prices are for a million tokens.
_MILLI_CENTS_A_TOKEN = Fraction(100_000, 1_000_000)
# The approximate number of characters a token in English text.
_CHARACTERS_A_TOKEN = 4


@attrs.frozen(kw_only=True)
class RateCard:
    """The prices of a model's tokens, in US dollars for a million tokens.

    Before the request, an upper bound is authorised: a token for each byte of the request's text, `attachment_tokens`
    for each attachment, and the largest answer. After the reply, the usage that the endpoint reports is captured.

    Attributes:
        input: the price of the request's tokens.
        output: the price of the reply's tokens, reasoning included.
        cached_input: the price of the request's tokens that came from a cache; by default that of `input`.
        attachment_tokens: how many tokens an image or file is authorised as.
        without_usage: what a complete reply costs whose usage the endpoint did not report: "free", or "estimate", a
            token for each four characters of the request and of the reply. Either is logged, and the item that
            the user pays says that it is an estimate. A reply that ends in an error costs nothing.

    Raises:
        ValueError: for a price or number that is negative or not finite.
    """

    input: float
    output: float
    cached_input: float | None = None
    attachment_tokens: int = 2000
    without_usage: Literal["free", "estimate"] = "free"

    def __attrs_post_init__(self) -> None:
        for name in ("input", "output", "cached_input", "attachment_tokens"):
            value = getattr(self, name)
            if value is not None and not 0 <= value < math.inf:
                raise ValueError(f"RateCard.{name} must be a number from 0, got {value!r}")
        if self.without_usage not in ("free", "estimate"):
            raise ValueError(f"RateCard.without_usage must be 'free' or 'estimate', got {self.without_usage!r}")

    def upper_bound(self, text_bytes: int, attachments: int, max_tokens: int) -> CostItem | None:
        """The cost to authorise before a request; None if it is zero.

        Args:
            text_bytes: the size of the request's text in UTF-8. No token is shorter than a byte.
            attachments: how many images and files the request has.
            max_tokens: the most tokens that the reply may have.
        """
        usage = TokenUsage(text_bytes + attachments * self.attachment_tokens, max_tokens)
        dearest = attrs.evolve(self, input=max(self.input, self.cached_input or 0))
        return dearest._item(usage, f"up to {usage.input} + {usage.output} tokens")

    def cost(self, usage: TokenUsage) -> CostItem | None:
        """The cost of a reply by its reported usage; None if it is zero."""
        cached = f" ({usage.cached} cached)" if usage.cached else ""
        return self._item(usage, f"{usage.input}{cached} + {usage.output} tokens")

    def estimated_cost(self, request_characters: int, reply_characters: int) -> CostItem | None:
        """The cost of a reply whose usage was not reported, as `without_usage` says; None for none.

        Args:
            request_characters: the length of the conversation.
            reply_characters: the length of the reply.
        """
        if self.without_usage == "free":
            return None
        given, made = (math.ceil(length / _CHARACTERS_A_TOKEN) for length in (request_characters, reply_characters))
        usage = TokenUsage(given, made)
        return self._item(usage, f"estimated: {usage.input} + {usage.output} tokens")

    def _item(self, usage: TokenUsage, description: str) -> CostItem | None:
        cached_price = self.input if self.cached_input is None else self.cached_input
        # As exact fractions of the given prices: a float would turn 3 into 3.0000000004, which is rounded up to 4.
        whole, cached, made = (Fraction(str(price)) for price in (self.input, cached_price, self.output))
        dollars = (usage.input - usage.cached) * whole + usage.cached * cached + usage.output * made
        amount = math.ceil(dollars * _MILLI_CENTS_A_TOKEN)
        return CostItem(amount, description) if amount else None

    def as_markdown(self) -> str:
        """The table that Poe shows as the bot's prices."""
        rows = [("Input", self.input)]
        if self.cached_input is not None:
            rows.append(("Cached input", self.cached_input))
        rows.append(("Output", self.output))
        lines = [f"| {name} | ${price:g} for 1 million tokens |" for name, price in rows]
        return "\n".join(["| Type | Price |", "| --- | --- |", *lines])
