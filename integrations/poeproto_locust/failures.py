"""The exceptions of Locust's `request` event: one class for each way in which a reply fails.

Locust counts failures by the `repr` of their exception. So a message here has a kind and a status or an error type, and
nothing that differs from reply to reply; the exception of the client, which has the details, is the `__cause__`.
"""

from __future__ import annotations

from typing import ClassVar

from poeproto_load import ReplyOutcome
from poeproto_runtime.client.call_hooks import CallObservation
from poeproto_runtime.hooks import Outcome

__all__ = [
    "BotUnreachable",
    "ErrorEventReceived",
    "QueryRefused",
    "ReplyDisconnected",
    "ReplyFailed",
    "ReplyIncomplete",
    "ReplyInvalid",
    "ReplyTimedOut",
]


# How `poeproto bench` counts these outcomes. It has one for a reply that broke off, whichever way.
OUTCOMES = {
    Outcome.COMPLETE: ReplyOutcome.COMPLETE,
    Outcome.ERROR_EVENT: ReplyOutcome.ERROR_EVENT,
    Outcome.REFUSED: ReplyOutcome.REFUSED,
    Outcome.INCOMPLETE: ReplyOutcome.INCOMPLETE,
    Outcome.DISCONNECTED: ReplyOutcome.INCOMPLETE,
    Outcome.CANCELLED: ReplyOutcome.DISCONNECTED,
    Outcome.CONNECT_FAILED: ReplyOutcome.NOT_CONNECTED,
    Outcome.TIMEOUT: ReplyOutcome.TIMED_OUT,
    Outcome.INVALID: ReplyOutcome.INVALID,
}


class ReplyFailed(Exception):
    """A query without a complete reply. The subclass says why.

    Attributes:
        outcome: the same as a value.
    """

    outcome: ClassVar[Outcome]

    @property
    def kind(self) -> str:
        """The outcome, with the status of a refusal or the type of an `error` event if there is one: "refused 503".

        `LoadTally.failures` counts by it.
        """
        return self.outcome.value


class ErrorEventReceived(ReplyFailed):
    """The bot ended its reply with an `error` event.

    Attributes:
        error_type: the type in the event; None if it has none.
    """

    outcome = Outcome.ERROR_EVENT

    def __init__(self, error_type: str | None = None) -> None:
        super().__init__("the bot sent an error event" + ("" if error_type is None else f" of the type {error_type}"))
        self.error_type = error_type

    @property
    def kind(self) -> str:
        return self.outcome.value if self.error_type is None else f"{self.outcome.value} {self.error_type}"


class QueryRefused(ReplyFailed):
    """The response is not a reply: its status is not 200, or it is not an event stream.

    Attributes:
        status: the status of the response.
    """

    outcome = Outcome.REFUSED

    def __init__(self, status: int | None) -> None:
        super().__init__(f"status {status}" if status != 200 else "status 200, but no event stream")
        self.status = status

    @property
    def kind(self) -> str:
        return f"{self.outcome.value} {self.status}"


class ReplyIncomplete(ReplyFailed):
    """The response has ended without `done` or `error`."""

    outcome = Outcome.INCOMPLETE

    def __init__(self) -> None:
        super().__init__("the reply ended without done or error")


class ReplyDisconnected(ReplyFailed):
    """The connection broke within the reply."""

    outcome = Outcome.DISCONNECTED

    def __init__(self) -> None:
        super().__init__("the connection broke within the reply")


class BotUnreachable(ReplyFailed):
    """No connection to the bot server could be made; it has seen nothing of the query."""

    outcome = Outcome.CONNECT_FAILED

    def __init__(self) -> None:
        super().__init__("no connection to the bot server could be made")


class ReplyTimedOut(ReplyFailed):
    """One of the client's timeouts has passed."""

    outcome = Outcome.TIMEOUT

    def __init__(self) -> None:
        super().__init__("the bot server sent nothing for longer than the client's timeout")


class ReplyInvalid(ReplyFailed):
    """The response breaks the protocol, or exceeds a limit of the client."""

    outcome = Outcome.INVALID

    def __init__(self) -> None:
        super().__init__("the response breaks the protocol or exceeds a limit")


_WITHOUT_DETAILS = {
    Outcome.INCOMPLETE: ReplyIncomplete,
    Outcome.DISCONNECTED: ReplyDisconnected,
    Outcome.CONNECT_FAILED: BotUnreachable,
    Outcome.TIMEOUT: ReplyTimedOut,
    Outcome.INVALID: ReplyInvalid,
}


def failure_of(observation: CallObservation) -> ReplyFailed | None:
    """The failure of a call that has ended; None if its reply is complete or was closed by the caller."""
    match observation.outcome:
        case Outcome.ERROR_EVENT:
            return ErrorEventReceived(observation.error_type)
        case Outcome.REFUSED:
            return QueryRefused(observation.status)
        case None:
            return None
        case outcome:
            failure = _WITHOUT_DETAILS.get(outcome)
            return None if failure is None else failure()
