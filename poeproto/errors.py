"""Every error this project raises on purpose.

The question each class answers is *who broke the rule*: we did (`LocalProtocolError`), the peer did
(`RemoteProtocolError`), the peer said so itself (`BotError`, `RequestRefused`), or the line between us failed
(`TransportError`). The message says what is wrong and where; it never holds a key.

https://creator.poe.com/docs/server-bots/poe-protocol-specification
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from poeproto.exchange.rate_limits import RateLimit
    from poeproto.exchange.reply import ReplyFold
    from poeproto.vocabulary.events import Error
    from poeproto.vocabulary.http import HttpResponse
    from poeproto.vocabulary.tools import ToolCall


class PoeprotoError(Exception):
    """The root of all errors below.

    Attributes:
        partial: the reply folded until the error, where there was one. A caller that shows text as it arrives
            needs it to know what the user has already seen.
    """

    partial: ReplyFold | None = None

    def __reduce__(self) -> tuple[Any, ...]:
        # The default would call the constructor with `args`, which is not what most of the constructors below take.
        return _restored, (type(self), self.args, self.__dict__)


def _restored(cls: type[PoeprotoError], args: tuple[Any, ...], attributes: dict[str, Any]) -> PoeprotoError:
    error = cls.__new__(cls, *args)
    error.__dict__.update(attributes)
    return error


class ProtocolError(PoeprotoError):
    """A rule of the protocol was broken; the subclass says by whom."""


class LocalProtocolError(ProtocolError):
    """This side asked for something the protocol forbids. Nothing was written, and the exchange stands as before."""


class InvalidValue(LocalProtocolError, ValueError):
    """A value was to be made that breaks a rule of the protocol.

    Attributes:
        path: the place in that value, as in ``sections[0].controls[2].default_value``; empty for the
            value itself.
        message: what is wrong there.
    """

    def __init__(self, message: str, *, path: str = "") -> None:
        super().__init__(f"{path}: {message}" if path else message)
        self.path = path
        self.message = message


class UndeclaredDependency(LocalProtocolError):
    """A bot was to be called that `SettingsResponse.server_bot_dependencies` does not name."""


class CallBudgetSpent(LocalProtocolError):
    """A bot was to be called more often for one message than `SettingsResponse.server_bot_dependencies` says."""


class FileTooLarge(LocalProtocolError):
    """A file was to be uploaded that is larger than `Limits.file_size`."""


class TooManyFiles(LocalProtocolError):
    """A reply was to have more files than `Limits.files`."""


class ToolError(LocalProtocolError):
    """A tool that a model called came to nothing.

    Attributes:
        call: what the model asked for.
    """

    def __init__(self, message: str, *, call: ToolCall) -> None:
        super().__init__(message)
        self.call = call


class UnknownTool(ToolError):
    """A model called a tool that it was not given, or in a way that cannot be understood."""


class ToolFailed(ToolError):
    """A tool raised an exception, which is the ``__cause__``, or returned what has no form in JSON."""


class FetchForbidden(LocalProtocolError):
    """A URL was to be fetched that the server's policy does not allow."""


class RemoteProtocolError(ProtocolError):
    """The peer sent something the protocol forbids.

    Attributes:
        path: the place in the peer's JSON, as in ``query[0].role``; empty when the fault has no such place.
        response: the HTTP response the peer deserves, where the answer has not begun yet.
    """

    def __init__(self, message: str, *, path: str = "", response: HttpResponse | None = None) -> None:
        super().__init__(message)
        self.path = path
        self.response = response

    def __str__(self) -> str:
        message = super().__str__()
        return f"{self.path}: {message}" if self.path else message


class IncompleteReply(RemoteProtocolError):
    """The stream of a reply ended without `done` or `error`. What arrived is in `partial`; it is not a success.

    To HTTP that end was an end. Where it was none, a client raises `IncompleteChunkedBody` or `IncompleteSizedBody`.
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
        retry_after_seconds: the same in seconds, where it can be told.
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
    """The file service did not take the file. Attributes as in `RequestRefused`."""


class AttachmentExpired(RequestRefused):
    """A file is not at its URL any more; Poe's are good for ten minutes. Attributes as in `RequestRefused`."""


class InsufficientFunds(PoeprotoError):
    """Poe did not grant a cost: most often the user's balance does not cover it, and the status says what it was.

    Attributes:
        status: the status that Poe answered with instead of "success", at most `Limits.refusal_body` bytes of it.
    """

    def __init__(self, message: str, *, status: str) -> None:
        super().__init__(message)
        self.status = status


class BotError(PoeprotoError):
    """The bot ended its reply with an `error` event, and the caller asked for something only a success has.

    Attributes:
        event: that event, with `allow_retry`, `error_type` and `raw_response`.
    """

    def __init__(self, event: Error) -> None:
        kind = f" ({event.error_type})" if event.error_type else ""
        super().__init__(f"the bot reported an error{kind}: {event.text or 'no text was given'}")
        self.event = event


class TransportError(PoeprotoError):
    """The connection failed; the library underneath speaks through ``__cause__``."""


class ConnectFailed(TransportError):
    """No connection came about, so the peer has seen nothing of the request."""


class DeadlineExceeded(TransportError):
    """A deadline passed before the peer did its part; the message names the deadline."""


class ConnectionLost(TransportError):
    """An established connection broke. How much the peer has seen is unknown."""


class IncompleteChunkedBody(ConnectionLost):
    """The connection broke before the last chunk of the response, so that more was to come (RFC 9112, 8)."""


class IncompleteSizedBody(ConnectionLost):
    """The connection broke before the response was as long as its ``Content-Length`` says (RFC 9112, 8)."""
