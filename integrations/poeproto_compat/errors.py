"""The exceptions of bots and of calls, under fastapi_poe's names."""

from __future__ import annotations

__all__ = [
    "AttachmentUploadError",
    "BotError",
    "BotErrorNoRetry",
    "CostRequestError",
    "IncompleteReply",
    "InsufficientFundError",
    "InvalidBotSettings",
    "InvalidParameterError",
]


class InvalidParameterError(Exception):
    """An argument of a helper of `PoeBot` is missing or does not fit."""


class CostRequestError(Exception):
    """Poe did not answer whether the user can pay a cost."""


class InsufficientFundError(Exception):
    """The user cannot pay a cost. A bot that does not catch it ends its reply with `insufficient_fund`."""


class AttachmentUploadError(Exception):
    """A file could not be uploaded."""


class BotError(Exception):
    """A bot could not be called, or ended its reply with an error.

    Of an `error` event, the message is its JSON.
    """

    is_reported = False  # whether `on_error` was called with it


class BotErrorNoRetry(BotError):
    """An error after which a call must not be repeated."""


class InvalidBotSettings(Exception):
    """A bot returned invalid settings."""


class IncompleteReply(BotError):
    """A reply ended without `done`, so it may be incomplete. fastapi_poe takes it for complete."""
