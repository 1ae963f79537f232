"""Bot side of one exchange: receives a request from Poe, and sends the response.

**Errors are sticky, one side at a time.** A fault of the peer is remembered in `error`, and every later receiving call
raises the same error. The sending side is not affected: an error response or the end of the stream can still be sent.

**Fast path of `send`.** Nearly every call sends one more `Text` without an index. In the state ANSWERED a `Text` is a
self-transition, so the table need not be asked again; the remaining limits are two integers of `ReplyQuota`; and
the record is a template around one JSON string. `send` checks these conditions inline and falls back to `_send`, the
general path, for everything else, errors included. Both give the same bytes and the same errors
(`tests/core/exchange/test_bot_exchange_send.py`). `send_texts` does the same for several texts in one call.

https://creator.poe.com/docs/server-bots/poe-protocol-specification
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NoReturn

from poeproto.auth import access_key_set, bearer_key, key_matches
from poeproto.exchange.event_hints import not_a_url, not_an_event
from poeproto.exchange.reply_quota import ReplyQuota
from poeproto.exchange.states import BOT_TRANSITIONS, KINDS, STREAMING, ExchangeState, Kind, State
from poeproto.limits import Limits
from poeproto.vocabulary.errors import LimitExceeded, LocalProtocolError, RemoteProtocolError, TooManyFiles
from poeproto.vocabulary.events import Done, Error, Event, File, Text
from poeproto.vocabulary.field_types import NO_EXTRA
from poeproto.vocabulary.http import HttpResponse, RequestHead, ResponseHead
from poeproto.vocabulary.requests import QueryRequest, Request, SettingsRequest, UnknownRequest
from poeproto.vocabulary.settings import SettingsResponse
from poeproto.wire.codec import decode_request, encode_event, encode_settings, encode_text, encode_texts
from poeproto.wire.json import dumps
from poeproto.wire.received_data import as_bytes
from poeproto.wire.sse import encode_comment

__all__ = ["BotExchange"]

# The first two: https://html.spec.whatwg.org/multipage/server-sent-events.html#authoring-notes. The third turns off
# buffering in nginx.
_STREAM_HEAD = ResponseHead(
    200,
    [
        (b"content-type", b"text/event-stream; charset=utf-8"),
        (b"cache-control", b"no-cache, no-transform"),
        (b"x-accel-buffering", b"no"),
    ],
)
_HEARTBEAT = encode_comment()
# The path of a file on this machine: it begins with a root, a drive or a dot, or is a mere name with a suffix.
_LOCAL_PATH = re.compile(
    r"file:|[a-z]:[\\/]|[\\/~]|\.{1,2}[\\/]|[^:?#\\/]+([\\/][^:?#]*)?\.[a-z0-9]{2,5}$",
    re.IGNORECASE,
)
_BEFORE_THE_REQUEST = frozenset({State.IDLE, State.SEND_BODY})


class BotExchange:
    """Answers one HTTP request according to the protocol, without any I/O.

    It decides everything about the HTTP response except routing by path. Pass the request to `receive_head`,
    `receive_data` and `receive_eof`; then `answer` a call, or `begin` a stream and `send` its events.

    Args:
        access_keys: the keys it accepts, or None to accept every request.
        limits: the bounds it enforces.

    Raises:
        ValueError: if `access_keys` is empty or contains an unusable key.

    A fault of the peer raises `RemoteProtocolError`, whose `response` is to be sent; every later receiving call raises
    the same error. A call out of order is a fault of the caller; it raises `LocalProtocolError` and changes nothing.

    Attributes:
        error: the fault of the peer, once there is one.
    """

    def __init__(self, access_keys: str | Iterable[str | bytes] | None, limits: Limits | None = None) -> None:
        self._access_keys = None if access_keys is None else access_key_set(access_keys)
        self._limits = limits or Limits()
        self._state = ExchangeState()
        self.error: RemoteProtocolError | None = None
        self._body = bytearray()  # not a list of parts, whose overhead the peer could choose
        self._settings_are_due = False
        self._quota = ReplyQuota(self._limits)
        self._text_self_transition: State | None = None  # the state in which a Text is a self-transition, once reached

    @property
    def our_state(self) -> State:
        """The state of the bot server."""
        return self._state.bot

    @property
    def their_state(self) -> State:
        """The state of the Poe server."""
        return self._state.poe

    @property
    def events(self) -> int:
        """How many events were sent, `error` and `done` not counted."""
        return self._limits.events - self._quota.events_left

    @property
    def files(self) -> int:
        """How many of these events were files."""
        return self._limits.files - self._quota.files_left

    @property
    def events_left(self) -> int:
        """How many events may still be sent, `error` and `done` not counted."""
        return self._quota.events_left

    @property
    def text_left(self) -> int:
        """How many characters may still be appended to the answer without an index."""
        return self._quota.text_left

    # --- the request

    def receive_head(self, head: RequestHead) -> None:
        """Receive the head of the request. Read the body only after this returns.

        Raises:
            RemoteProtocolError: its response has status 405 for a method other than POST, 401 for a missing or wrong
                key, 413 for a declared length over `Limits.request_body`, 400 for a length that is not a number.
            LocalProtocolError: if the head was received already.
        """
        self._raise_if_failed()
        if not self._state.poe_sends(Kind.REQUEST_HEAD):
            raise LocalProtocolError(
                "the head of the request was received already; make a BotExchange for each request"
            )
        if head.method != "POST":
            self._reject(405, f"the method {head.method[:20]!r} is not allowed here", [("allow", "POST")])
        if self._access_keys is not None and not self._has_key(head, self._access_keys):
            self._reject(401, "the access key is missing or wrong", [("www-authenticate", "Bearer")])
        for declared in head.get_all("content-length"):
            # int() alone would accept signs, spaces, underscores and digits of other scripts; RFC 9110 does not.
            if not declared.isdigit():
                self._reject(400, "Content-Length is not a number")
            # A number with more digits is too large in any case, and int() may refuse to convert it.
            if len(declared) > 20 or int(declared) > self._limits.request_body:
                self._reject_body()

    def receive_data(self, data: bytes) -> None:
        """Receive the next part of the request's body.

        Raises:
            LimitExceeded: as soon as the body is larger than `Limits.request_body`; its response has status 413.
            LocalProtocolError: if no body is due.
            TypeError: for a string.
        """
        self._raise_if_failed()
        if self._state.poe is not State.SEND_BODY:
            raise LocalProtocolError(f"no body is due: {self._state.poe.value}")
        if data.__class__ is not bytes:
            data = as_bytes(data)
        if len(self._body) + len(data) > self._limits.request_body:
            self._reject_body()
        self._body += data

    def receive_eof(self) -> Request:
        """Receive the end of the body, and return the request; it is never an `UnknownRequest`.

        Raises:
            RemoteProtocolError: its response has status 400 for an invalid body (`path` names the field), 501 for a
                type that this version does not know.
            LocalProtocolError: if no body is due.
        """
        self._raise_if_failed()
        if self._state.poe is not State.SEND_BODY:
            raise LocalProtocolError(f"no end of a body is due: {self._state.poe.value}")
        body = bytes(self._body)
        self._body.clear()
        try:
            request = decode_request(body)
        except RemoteProtocolError as exc:
            self._reject(400, exc.args[0], path=exc.path, cause=exc)
        if isinstance(request, UnknownRequest):
            self._reject(501, f"requests of type {request.type[:100]!r} are not implemented", path="type")
        self._settings_are_due = isinstance(request, SettingsRequest)
        self._state.poe_sends(Kind.QUERY if isinstance(request, QueryRequest) else Kind.CALL)
        return request

    # --- the response

    def answer(self, settings: SettingsResponse | None) -> HttpResponse:
        """The response to a settings request; with None, the empty response to a report.

        Raises:
            LocalProtocolError: if the request was a query or has not been received; if it was the other kind of call;
                or if the settings cannot be encoded.
        """
        if self._state.bot is not State.SEND_ANSWER:
            raise LocalProtocolError(f"no answer is due: {self._state.bot.value}")
        # Poe would read an empty object as settings of the oldest version, so a missing value must not become one.
        if self._settings_are_due != (settings is not None):
            raise LocalProtocolError(
                "the answer to a settings request is a SettingsResponse, got None"
                if self._settings_are_due
                else "the answer to a report is None, got settings"
            )
        body = b"{}" if settings is None else encode_settings(settings)
        self._state.bot_sends(Kind.RESPONSE)
        return HttpResponse.of(200, "application/json", body)

    def begin(self) -> ResponseHead:
        """The head of the stream. Send it at once: Poe expects the response to begin within seconds.

        Raises:
            LocalProtocolError: if no query was received, or the stream was begun already.
        """
        if not self._state.bot_sends(Kind.STREAM_HEAD):
            raise LocalProtocolError(f"no stream can begin: {self._state.bot.value}")
        return _STREAM_HEAD

    def send(self, event: Event) -> bytes:
        """The bytes of the next event.

        Raises:
            LocalProtocolError: if the event is out of order, exceeds a limit, is of an unknown class, or cannot be
                encoded. Nothing is changed then, and another event may follow.
        """
        # The fast path; the module docstring describes it.
        if (
            type(event) is Text
            and self._state.bot is self._text_self_transition
            and event.index is None
            and event.extra is NO_EXTRA
            and type(event.text) is str
        ):
            quota = self._quota
            text_left = quota.text_left - len(event.text)
            if text_left >= 0 and quota.events_left:
                data = encode_text(event.text)
                quota.text_left = text_left
                quota.events_left -= 1
                return data
        return self._send(event)

    def send_text(self, text: str) -> bytes:
        """The bytes of one text: the same as `send(Text(text))`, without the object.

        Raises:
            LocalProtocolError: as `send` does. Nothing is changed then, and another event may follow.
        """
        quota = self._quota
        if self._state.bot is self._text_self_transition and type(text) is str and quota.events_left:
            text_left = quota.text_left - len(text)
            if text_left >= 0:
                quota.text_left = text_left
                quota.events_left -= 1
                return encode_text(text)
        return self._send(Text(text))

    def send_texts(self, texts: list[str]) -> bytes:
        """The bytes of several texts, joined: the same as `send(Text(text))` for each, in a fraction of the time.

        Raises:
            LocalProtocolError: if any of them cannot be sent. Nothing is changed then; call `send` for each to send
                those before the offending one.
        """
        target = self._state.bot
        for _ in texts[:2]:  # from the second on, a Text is a self-transition
            before, target = target, BOT_TRANSITIONS[target].get(Kind.CONTENT)
            if target is None:
                raise LocalProtocolError(f"Text is out of order: {before.value}{self._hint(Kind.CONTENT)}")
        try:
            length = len("".join(texts))
        except TypeError as exc:
            raise LocalProtocolError(f"only strings can be sent as texts: {exc}") from exc
        quota = self._quota
        if len(texts) > quota.events_left:
            raise self._excess("events")
        if length > quota.text_left:
            raise self._excess("text_length")
        data = encode_texts(texts)
        quota.text_left -= length
        quota.events_left -= len(texts)
        self._state.bot = target
        return data

    def _send(self, event: Event) -> bytes:
        """The general path of `send`: any event, and every error."""
        cls = type(event)
        kind = KINDS.get(cls)
        if kind is None:
            raise LocalProtocolError(not_an_event(event))
        target = BOT_TRANSITIONS[self._state.bot].get(kind)
        if target is None:
            raise LocalProtocolError(f"{cls.__name__} is out of order: {self._state.bot.value}{self._hint(kind)}")
        data = encode_event(event)
        if isinstance(event, File) and _LOCAL_PATH.match(event.url):
            raise LocalProtocolError(not_a_url(event.url))
        if exceeded := self._quota.exceeded_by(event):
            raise self._excess(exceeded[0])
        self._quota.count(event)
        if cls is Text and target is self._state.bot:
            self._text_self_transition = target
        self._state.bot = target
        return data

    def heartbeat(self) -> bytes:
        """The bytes of a heartbeat, a comment that keeps an idle stream open.

        Raises:
            LocalProtocolError: if no stream is open.
        """
        if self._state.bot not in STREAMING and self._state.bot is not State.FAILED:
            raise LocalProtocolError(f"no stream is open: {self._state.bot.value}")
        return _HEARTBEAT

    def fail(
        self,
        error_id: str,
        *,
        allow_retry: bool = False,
        error_type: str | None = None,
        text: str | None = None,
    ) -> HttpResponse | bytes:
        """End the exchange because the bot has failed: an error response, or the end of the stream.

        Args:
            error_id: identifies the failure in the operator's log; it is the only detail that the peer sees.
            allow_retry: whether Poe may offer the user a retry.
            error_type: one of the protocol's error types, if one fits.
            text: what the user reads instead of a neutral sentence.

        Returns:
            A response of status 500 if nothing was sent yet; otherwise the bytes that end the stream. These are
            `error` and `done`, or only `done` after an `error`, or nothing after `done`.

        Raises:
            LocalProtocolError: if an argument cannot be encoded.
        """
        text = text or f"Something went wrong in this bot. Error id: {error_id}"
        # Both are made before any transition, so that after a LocalProtocolError the caller can call this again.
        response = _error_response(500, {"error": text, "error_id": error_id})
        error = encode_event(Error(allow_retry=allow_retry, text=text, error_type=error_type))
        if self._state.bot_sends(Kind.RESPONSE):
            return response
        data = error if self._state.bot_sends(Kind.ERROR) else b""
        if self._state.bot_sends(Kind.DONE):
            data += encode_event(Done())
        return data

    # --- within

    def _hint(self, kind: Kind) -> str:
        """Advice about an event that is out of order."""
        state = self._state.bot
        if state is State.SEND_STREAM:
            return "; call begin first, and write the head that it returns"
        if state in _BEFORE_THE_REQUEST:
            return "; pass the request to receive_head, receive_data and receive_eof first, then call begin"
        if kind is Kind.META and state in STREAMING:
            return "; send Meta before all other events"
        if kind is Kind.DONE and state in STREAMING:
            return "; send an answer first (Text, File or Json), or an Error"
        return ""

    def _excess(self, limit: str) -> LocalProtocolError:
        cls = TooManyFiles if limit == "files" else LocalProtocolError
        return cls(f"the reply would have {self._quota.describe(limit)}")

    @staticmethod
    def _has_key(head: RequestHead, accepted: frozenset[bytes]) -> bool:
        values = head.get_all("authorization")
        key = bearer_key(values[0]) if len(values) == 1 else None
        return key is not None and key_matches(key, accepted)

    def _raise_if_failed(self) -> None:
        if self.error is not None:
            raise self.error

    def _reject(
        self,
        status: int,
        message: str,
        headers: Iterable[tuple[str, str]] = (),
        *,
        path: str = "",
        cause: Exception | None = None,
    ) -> NoReturn:
        error = RemoteProtocolError(message, path=path)
        body = {"error": str(error), "path": path} if path else {"error": message}
        self._fail(error, _error_response(status, body, headers), cause)

    def _reject_body(self) -> NoReturn:
        message = f"the request's body is larger than {self._limits.request_body} bytes"
        self._fail(LimitExceeded(message, limit="request_body"), _error_response(413, {"error": message}), None)

    def _fail(self, error: RemoteProtocolError, response: HttpResponse, cause: Exception | None) -> NoReturn:
        self._body.clear()
        self._state.poe = State.ERROR
        if self._state.bot_sends(Kind.RESPONSE):
            error.response = response
        self.error = error
        raise error from cause


def _error_response(status: int, body: dict[str, str], headers: Iterable[tuple[str, str]] = ()) -> HttpResponse:
    return HttpResponse.of(status, "application/json", dumps(body), headers)
