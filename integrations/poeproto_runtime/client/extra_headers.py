"""Extra request headers: the caller's own, which a client adds to the requests of its calls.

They are given as values, or by a function that is called for each request: a tracer's propagator, for instance.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, cast

import attrs

from poeproto import HttpRequest, InvalidValue
from poeproto.http import HeaderPairs, Headers, normalise_headers
from poeproto_runtime.client.call_hooks import CallObservation, CallProgress
from poeproto_runtime.client.transport import IncomingResponse, Transport, TransportCall

__all__ = ["ExtraHeaders", "HeadersOfCall"]

# A mapping, or pairs of name and value.
ExtraHeaders = Mapping[str, str] | HeaderPairs
"""Headers that are sent besides those of the protocol."""
HeadersOfCall = Callable[[CallObservation], ExtraHeaders]
"""A function that makes extra headers for each request of a call.

It gets the call as it is then: `attempts` counts this request.
"""

# https://www.rfc-editor.org/rfc/rfc9110#section-5.6.2 and #section-5.5
_NAME = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE = re.compile(rb"([\x21-\x7e\x80-\xff]([\t \x21-\x7e\x80-\xff]*[\x21-\x7e\x80-\xff])?)?")
# Headers that a request already has or that its connection decides, and the alternative to each.
_RESERVED = {
    b"accept": "it says which form of answer the protocol requires",
    b"accept-encoding": "a compressed stream would arrive late",
    b"authorization": "pass api_key or access_key instead",
    b"connection": "the client keeps connections itself",
    b"content-encoding": "the body is sent as it is",
    b"content-length": "the client counts the body",
    b"content-type": "it says which form the body has",
    b"expect": "the client does not wait for an interim response",
    b"host": "it follows from the URL",
    b"keep-alive": "the client keeps connections itself",
    b"proxy-authorization": "put the user and the password into the URL of the proxy",
    b"proxy-connection": "the client keeps connections itself",
    b"te": "the client reads no trailers",
    b"trailer": "the client sends no trailers",
    b"transfer-encoding": "the body is sent with its length",
    b"upgrade": "the client speaks HTTP/1.1 only",
}


def checked_headers(headers: ExtraHeaders | None) -> Headers:
    """Extra headers, normalised; no headers for None.

    Raises:
        InvalidValue: for a header that the client sets itself, and for a name or value that HTTP has no form for. The
            message quotes neither, since both may hold a key.
        TypeError: when they are neither a mapping nor pairs.
    """
    if headers is None:
        return ()
    pairs = cast("Mapping[str, str]", headers).items() if isinstance(headers, Mapping) else headers
    checked: list[tuple[bytes, bytes]] = []
    for number, pair in enumerate(cast("HeaderPairs", pairs)):
        name, value = _normalised(pair, f"headers[{number}]")
        if not _NAME.fullmatch(name):
            raise InvalidValue(
                "its name is not a token: letters, digits, and !#$%&'*+-.^_`|~ (RFC 9110, 5.6.2)",
                path=f"headers[{number}]",
            )
        if name in _RESERVED:
            raise InvalidValue(f"the client sets it itself: {_RESERVED[name]}", path=f"headers[{name.decode()!r}]")
        if not _VALUE.fullmatch(value):
            raise InvalidValue(
                "its value contains a control character, or space at its beginning or end (RFC 9110, 5.5)",
                path=f"headers[{number}]",
            )
        checked.append((name, value))
    return tuple(checked)


def _normalised(pair: Any, path: str) -> tuple[bytes, bytes]:
    if not isinstance(pair, tuple | list) or len(cast("tuple[Any, ...]", pair)) != 2:
        raise TypeError("headers must be a mapping, or pairs of name and value")
    name, value = cast("tuple[Any, Any]", pair)
    if not isinstance(name, str | bytes) or not isinstance(value, str | bytes):
        raise TypeError(
            f"{path} must be a name and a value, each a string, not {type(name).__name__} and {type(value).__name__}"
        )
    try:
        return normalise_headers([(name, value)])[0]
    except UnicodeEncodeError:
        pass  # its exception must not be the __context__ of the error below
    raise InvalidValue("it contains a character that is not in Latin-1 (percent-encode it)", path=path)


def merged_headers(headers: Headers, overriding: Headers) -> Headers:
    """Both sets of headers; for a name in both, only the overriding values."""
    names = {name for name, _ in overriding}
    return (*((name, value) for name, value in headers if name not in names), *overriding)


@attrs.frozen
class RequestHeaders:
    """The extra headers of a client or of a call: values, and functions that are called for each request.

    Attributes:
        sources: each overrides the headers of the same name of those before it.
    """

    sources: tuple[Headers | HeadersOfCall, ...] = attrs.field(default=(), repr=False)

    def __bool__(self) -> bool:
        return bool(self.sources)

    @property
    def needs_progress(self) -> bool:
        """Whether there is a function, which is given the call."""
        return any(callable(source) for source in self.sources)

    def with_source(self, headers: ExtraHeaders | HeadersOfCall | None) -> RequestHeaders:
        """These, and others that override them.

        Raises:
            InvalidValue, TypeError: as `checked_headers` does.
        """
        if headers is None:
            return self
        source = headers if callable(headers) else checked_headers(headers)
        return RequestHeaders((*self.sources, source)) if source else self

    def without_source(self, headers: HeadersOfCall | None) -> RequestHeaders:
        """These, without that function."""
        return RequestHeaders(tuple(source for source in self.sources if source != headers))

    def of_request(self, progress: CallProgress | None) -> Headers:
        """The headers of the next request.

        Args:
            progress: of the call; only functions need it.

        Raises:
            InvalidValue, TypeError: as `checked_headers` does; also the exceptions of a function.
        """
        headers: Headers = ()
        for source in self.sources:
            if callable(source):
                assert progress is not None, "ApiCalls makes one where it is needed"
                source = checked_headers(source(progress.observation()))
            headers = merged_headers(headers, source)
        return headers


class HeaderTransport:
    """A `Transport` that adds headers to each request of one call, in place of those of the same name.

    Args:
        transport: sends the requests.
        headers: the headers to add.
        progress: of the call, if a function gives headers.
    """

    def __init__(self, transport: Transport, headers: RequestHeaders, progress: CallProgress | None = None) -> None:
        self._transport = transport
        self._headers = headers
        self._progress = progress

    def begin(self) -> TransportCall:
        """Start a call; its total timeout starts now."""
        return _HeaderCall(self._transport.begin(), self._headers, self._progress)


class _HeaderCall:
    def __init__(self, call: TransportCall, headers: RequestHeaders, progress: CallProgress | None) -> None:
        self._call = call
        self._headers = headers
        self._progress = progress

    async def send(self, request: HttpRequest) -> IncomingResponse:
        headers = merged_headers(request.headers, self._headers.of_request(self._progress))
        return await self._call.send(attrs.evolve(request, headers=headers))

    async def sleep(self, seconds: float) -> None:
        await self._call.sleep(seconds)
