"""The reply to a query of a user."""

from __future__ import annotations

import attrs

from poeproto import ReplyFold
from poeproto_locust.failures import ReplyFailed
from poeproto_runtime.client.call_hooks import CallObservation
from poeproto_runtime.hooks import Outcome

__all__ = ["UserReply"]


@attrs.frozen(eq=False)
class UserReply:
    """The reply that a user has received to a query.

    Attributes:
        fold: the reply as far as it was received.
        failure: why it failed; None if it is complete, or was cancelled on purpose.
        call: outcome, times, bytes and status.
        longest_gap: seconds between two arrivals of events; None if there was only one.
    """

    fold: ReplyFold
    failure: ReplyFailed | None
    call: CallObservation
    longest_gap: float | None

    @property
    def text(self) -> str:
        """The text as far as it was received."""
        return self.fold.text

    @property
    def is_complete(self) -> bool:
        """Whether it ended with `done`."""
        return self.call.outcome is Outcome.COMPLETE

    @property
    def is_cancelled(self) -> bool:
        """Whether the user closed it early, as `cancel` asks for."""
        return self.call.outcome is Outcome.CANCELLED
