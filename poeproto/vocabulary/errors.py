"""Every error that this project raises on purpose.

A class says *who broke the rule*: we did (`LocalProtocolError`), the peer did (`RemoteProtocolError`), the peer
reported a failure of its own (`BotError`, `RequestRefused`), or the connection between us failed (`TransportError`).
The message says what is wrong and where, and never holds a key.

Errors carry values: the event that reported a failure, the response to send, the reply so far. So this module imports
those values, and whatever raises an error imports this module.

https://creator.poe.com/docs/server-bots/poe-protocol-specification
"""

from __future__ import annotations

from typing import Any

from poeproto.vocabulary.answer import PartialReply
from poeproto.vocabulary.events import Error
from poeproto.vocabulary.http import HttpResponse
from poeproto.vocabulary.rate_limits import RateLimit
from poeproto.vocabulary.tools import ToolCall

__all__ = [
    "AttachmentExpired",
    "BotError",
    "CallBudgetSpent",
    "ConnectFailed",
    "ConnectionLost",
    "DeadlineExceeded",
    "FetchForbidden",
    "FileTooLarge",
    "IncompleteChunkedBody",
    "IncompleteReply",
    "IncompleteSizedBody",
    "InsufficientFunds",
    "InvalidValue",
    "LimitExceeded",
    "LocalProtocolError",
    "PoeprotoError",
    "ProtocolError",
    "RemoteProtocolError",
    "RequestRefused",
    "TooManyFiles",
    "ToolError",
    "ToolFailed",
    "TransportError",
    "UndeclaredDependency",
    "UnknownTool",
    "UploadRefused",
]


class PoeprotoError(Exception):
    """The base class of all errors below.

    Attributes:
        partial: the reply up to the error, where there was a reply. A caller that shows text as it arrives needs it to
            know which text the user has already seen.
    """

    partial: PartialReply | None = None

    def __reduce__(self) -> tuple[Any, ...]:
        # The default calls the constructor with `args`; most constructors below take other arguments.
        return _restored, (type(self), self.args, self.__dict__)


def _restored(cls: type[PoeprotoError], args: tuple[Any, ...], attributes: dict[str, Any]) -> PoeprotoError:
    error = cls.__new__(cls, *args)
    error.__dict__.update(attributes)
    return error


class ProtocolError(PoeprotoError):
    """A rule of the protocol was broken; the subclass says by whom."""


class LocalProtocolError(ProtocolError):
    """This side asked for something that the protocol forbids. Nothing was written, and no state has changed."""


class InvalidValue(LocalProtocolError, ValueError):
    """A value breaks a rule of the protocol, and was not made.

    Attributes:
        path: the place in the value, as in ``sections[0].controls[2].default_value``; empty for the value itself.
        message: the problem there.
    """

    def __init__(self, message: str, *, path: str = "") -> None:
        super().__init__(f"{path}: {message}" if path else message)
        self.path = path
        self.message = message


class UndeclaredDependency(LocalProtocolError):
    """A call to a bot that `SettingsResponse.server_bot_dependencies` does not name. It was not made."""


class CallBudgetSpent(LocalProtocolError):
    """More calls to a bot for one message than `SettingsResponse.server_bot_dependencies` declares."""


class FileTooLarge(LocalProtocolError):
    """A file to upload is larger than `Limits.file_size`."""


class TooManyFiles(LocalProtocolError):
    """A reply has more files than `Limits.files`."""


class ToolError(LocalProtocolError):
    """A tool call failed.

    Attributes:
        call: the call, as the model made it.
    """

    def __init__(self, message: str, *, call: ToolCall) -> None:
        super().__init__(message)
        self.call = call


class UnknownTool(ToolError):
    """A model called a tool that does not exist, or with arguments that are not a JSON object."""


class ToolFailed(ToolError):
    """A tool raised an exception, which is the ``__cause__``, or returned a value that cannot be written as JSON."""


class FetchForbidden(LocalProtocolError):
    """The server's fetch policy does not allow this URL."""


class RemoteProtocolError(ProtocolError):
    """The peer sent something that the protocol forbids.

    Attributes:
        path: the place in the peer's JSON, as in ``query[0].role``; empty when the fault has no such place.
        response: the HTTP response to send to the peer, where none has begun yet.
    """

    def __init__(self, message: str, *, path: str = "", response: HttpResponse | None = None) -> None:
        super().__init__(message)
        self.path = path
        self.response = response

    def __str__(self) -> str:
        message = super().__str__()
        return f"{self.path}: {message}" if self.path else message


class IncompleteReply(RemoteProtocolError):
    """The stream of a reply ended without `done` or `error`. The events received are in `partial`.

    The body itself was complete. For a body that was cut off, a client raises `IncompleteChunkedBody` or
    `IncompleteSizedBody`.
    """


class LimitExceeded(RemoteProtocolError):
    """The peer sent more than a field of `Limits` allows.

    Attributes:
        limit: the name of that field.
    """

    def __init__(self, message: str, *, limit: str, response: HttpResponse | None = None) -> None:
        super().__init__(message, response=response)
        self.limit = limit


class RequestRefused(PoeprotoError):
    """The peer answered with another status than 200, or with another content type than the call promises.

    The message ends with the `error` of a JSON body, cut at 200 characters.

    Attributes:
        status: the HTTP status code.
        retry_after: the value of the ``Retry-After`` header as it came (seconds or an HTTP date), if any.
        retry_after_seconds: the same in seconds; None where it cannot be read.
        body_start: the first part of the body, at most `Limits.refusal_body` bytes, for people to read.
        rate_limit: what the ``x-ratelimit-*`` headers said, if there were any.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int,
        retry_after: str | None = None,
        retry_after_seconds: float | None = None,
        body_start: bytes = b"",
        rate_limit: RateLimit | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.retry_after = retry_after
        self.retry_after_seconds = retry_after_seconds
        self.body_start = body_start
        self.rate_limit = rate_limit


class UploadRefused(RequestRefused):
    """The file service refused the upload. Attributes as in `RequestRefused`."""


class AttachmentExpired(RequestRefused):
    """The URL of an attachment has expired; Poe's are valid for ten minutes. Attributes as in `RequestRefused`."""


class InsufficientFunds(PoeprotoError):
    """Poe did not grant a cost: most often the user's balance does not cover it, and the status says what it was.

    Attributes:
        status: the status in Poe's answer instead of "success", at most `Limits.refusal_body` bytes of it.
    """

    def __init__(self, message: str, *, status: str) -> None:
        super().__init__(message)
        self.status = status


class BotError(PoeprotoError):
    """The bot ended its reply with an `error` event, and the caller asked for the text of a successful reply.

    Attributes:
        event: that event, with `allow_retry`, `error_type` and `raw_response`.

    Raises:
        TypeError: for an event that is not an `error`.
    """

    def __init__(self, event: Error) -> None:
        if not isinstance(event, Error):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise TypeError(
                f"BotError takes the Error event of a bot, got a value of type {type(event).__name__}; to end a reply"
                " with an error, yield Error(text=...)"
            )
        kind = f" ({event.error_type})" if event.error_type else ""
        super().__init__(f"the bot reported an error{kind}: {event.text or 'no text was given'}")
        self.event = event


class TransportError(PoeprotoError):
    """The connection failed; ``__cause__`` is the error of the library underneath."""


class ConnectFailed(TransportError):
    """No connection could be made, so the peer has seen nothing of the request."""


class DeadlineExceeded(TransportError):
    """A timeout: a deadline passed before the peer answered. The message names the deadline."""


class ConnectionLost(TransportError):
    """An established connection broke. How much the peer has seen is unknown."""


class IncompleteChunkedBody(ConnectionLost):
    """The connection broke before the last chunk of the response (RFC 9112, 8)."""


class IncompleteSizedBody(ConnectionLost):
    """The connection broke before the response had the length that its ``Content-Length`` declares (RFC 9112, 8)."""
