"""HTTP requests and responses as values: what an integration is handed to move, whatever library moves it.

Header names are kept in lower case, names and values as bytes, in the order they came: the form that ASGI and h11
share. Reprs show what tells values apart, and leave out where keys and conversations are: the values of all headers
but a few, URLs but for scheme and host, queries, bodies.

https://www.rfc-editor.org/rfc/rfc9110
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from contextlib import suppress
from itertools import chain
from typing import Any
from urllib.parse import parse_qs, quote, unquote, urlsplit

import attrs

from poeproto.errors import InvalidValue, LocalProtocolError
from poeproto.vocabulary.validation import check_types, checked

Headers = tuple[tuple[bytes, bytes], ...]
HeaderPairs = Iterable[tuple[bytes | str, bytes | str]]

# A compressed stream arrives late, and unpacking what a stranger packed needs bounds of its own.
ACCEPT_IDENTITY: tuple[str, str] = ("accept-encoding", "identity")

# A scheme, what may be a user and a password, and a host with its port (RFC 3986, 3.2).
_ORIGIN = re.compile(
    r"([A-Za-z][A-Za-z0-9+.-]*://)(?:[^/?#\\]*@)?([\w.-]+(?::\d+)?|\[[0-9A-Fa-f:.]+\](?::\d+)?)(?![^/?#])"
)

# What these say tells values apart. In any other there may be a key, or a peer may repeat one there.
_SAFE_TO_LOG = frozenset(
    {
        b"accept",
        b"accept-encoding",
        b"allow",
        b"cache-control",
        b"connection",
        b"content-encoding",
        b"content-length",
        b"content-type",
        b"date",
        b"host",
        b"retry-after",
        b"transfer-encoding",
    }
)
# No word in them is that long, and Poe's keys have 32 characters.
_LIKE_A_KEY = re.compile(rb"\w{16,}", re.ASCII)
_HIDDEN = b"<hidden>"

# The paths of Poe that end in a bot's name, its key and a version. Decoded, a key may have slashes.
_KEY_IN_PATH = re.compile(r"((?:update|fetch)_settings/[^/?]*/)[^?]+")

_FORBIDDEN_IN_A_LINE = re.compile("[\r\n\0]")


def normalise_headers(pairs: HeaderPairs) -> Headers:
    """Header pairs in the form this library keeps them; strings are taken as Latin-1 (RFC 9110, 5.5).

    Raises:
        UnicodeEncodeError: when a string holds other characters, so that it cannot travel in a header.
    """
    return tuple([(_lower(_header_bytes(name)), _header_bytes(value)) for name, value in pairs])


def _lower(name: bytes) -> bytes:
    lower = name.lower()
    return name if name == lower else lower  # servers keep theirs, too, so the same bytes are held once


def _header_bytes(text: bytes | str) -> bytes:
    if type(text) is bytes:  # nearly always
        return text
    if not isinstance(text, str):
        return bytes(memoryview(text))  # bytes(5) would be five zeros, so a number must not get there
    try:
        return text.encode("latin-1")
    except UnicodeEncodeError as exc:
        # Its repr shows the whole text, which may be a key.
        hidden = UnicodeEncodeError(exc.encoding, "?" * len(text), exc.start, exc.end, exc.reason)
    raise hidden


def _without_secrets(headers: Headers) -> str:
    return repr(
        tuple((name, _LIKE_A_KEY.sub(_HIDDEN, value) if name in _SAFE_TO_LOG else _HIDDEN) for name, value in headers)
    )


def _size(body: bytes | StreamedBody) -> str:
    # Bodies carry conversations, and some calls to Poe carry the key in them.
    return f"<{len(body)} bytes>"


def without_path(url: str) -> str:
    """The URL as a repr may show it: the scheme and the host.

    Some of Poe's paths end in a key, and in someone's URL one may stand anywhere.
    """
    origin = _ORIGIN.match(url)
    return repr(f"{origin[1]}{origin[2]}{'' if origin.end() == len(url) else '/…'}" if origin else "…")


def _without_query(target: str) -> str:
    path, question_mark, _ = without_key(target).partition("?")
    return repr(f"{path}?…" if question_mark else path)


def _without_credentials(root: str) -> str:
    return without_path(root) if "@" in root or "?" in root else repr(root)


def without_key(path: str) -> str:
    """The path as logs may show it: without the key in those of Poe that hold one, wherever they were sent."""
    return _KEY_IN_PATH.sub(r"\1…", path)


class _Head:
    """Reading headers, the same for all four."""

    __slots__ = ()
    headers: Headers

    def get_all(self, name: str) -> list[bytes]:
        """Every value of that header, in order; the name's case does not matter."""
        wanted = name.lower().encode("ascii")
        return [value for key, value in self.headers if key == wanted]

    def get(self, name: str) -> str | None:
        """The first value of that header, decoded as Latin-1, or None where there is none."""
        values = self.get_all(name)
        return values[0].decode("latin-1") if values else None

    @property
    def media_type(self) -> str:
        """The ``Content-Type`` in lower case without its parameters; empty where there is none (RFC 9110, 8.3.1)."""
        return (self.get("content-type") or "").partition(";")[0].strip().lower()

    @property
    def content_coding(self) -> str:
        """The ``Content-Encoding`` in lower case, over all headers; "identity" where there is none (RFC 9110, 8.4)."""
        listed = b",".join(self.get_all("content-encoding")).decode("latin-1").lower().split(",")
        return ", ".join(coding for name in listed if (coding := name.strip()) not in ("", "identity")) or "identity"


@checked
@attrs.frozen
class RequestHead(_Head):
    """The start of a request that a server received.

    Attributes:
        method: as sent.
        target: the path and query as sent, still percent-encoded (RFC 9112, 3.2).
        headers: pairs of name and value.
        client: the address the request came from and its port, where the server knows; a proxy's own, behind one.
    """

    method: str
    target: str = attrs.field(repr=_without_query)
    headers: Headers = attrs.field(default=(), converter=normalise_headers, repr=_without_secrets)
    client: tuple[str, int] | None = attrs.field(default=None, kw_only=True, repr=False)

    @property
    def path(self) -> str:
        """The path of the target, decoded; a mount's included. Empty for a target that is no URL."""
        path = self.target.partition("?")[0]
        if not path.startswith("/"):
            # The absolute form, which a server must accept (RFC 9112, 3.2.2).
            try:
                path = urlsplit(path).path or "/"
            except ValueError:
                return ""
        return unquote(path)

    @property
    def query_string(self) -> str:
        """The query of the target as sent; empty where there is none."""
        return self.target.partition("?")[2]

    @property
    def query(self) -> dict[str, list[str]]:
        """The query of the target, decoded: the values of each name, in their order."""
        return parse_qs(self.query_string, keep_blank_values=True)


@checked
@attrs.frozen
class ResponseHead(_Head):
    """The start of a response whose body follows in parts.

    Attributes:
        status: the status code.
        headers: pairs of name and value.
    """

    status: int
    headers: Headers = attrs.field(default=(), converter=normalise_headers, repr=_without_secrets)


@attrs.frozen
class StreamedBody:
    """A body that is never in memory as a whole: a file with something before and after it.

    Attributes:
        prefix: what comes before the file.
        source: where the integration that sends it reads the file; of no concern to the core.
        source_size: the file's size in bytes.
        suffix: what comes after it.
        repeatable: whether the file can be read again from its start, so that the request can be sent a second time.

    Raises:
        TypeError: for a field of another type.
        InvalidValue: for a size below zero.
    """

    prefix: bytes = attrs.field(repr=_size)
    source: Any = attrs.field(repr=False)
    source_size: int
    suffix: bytes = attrs.field(repr=_size)
    repeatable: bool = False

    def __attrs_post_init__(self) -> None:
        check_types(self)
        if self.source_size < 0:
            raise InvalidValue(f"{self.source_size} is below zero", path="source_size")

    def __len__(self) -> int:
        return len(self.prefix) + self.source_size + len(self.suffix)


class BodyWriter:
    """Writes a `StreamedBody` part by part, and sees to it that its declared length is the true one.

    The calls are `begin`, `send` for each part of the file, and `end`; out of this order they raise
    `LocalProtocolError`.
    """

    def __init__(self, body: StreamedBody) -> None:
        self._body = body
        self._left = body.source_size
        self._begun = False
        self._ended = False

    def begin(self) -> bytes:
        """What comes before the file."""
        if self._ended or self._begun:
            raise LocalProtocolError(f"the body has {'ended' if self._ended else 'begun already'}")
        self._begun = True
        return self._body.prefix

    def send(self, chunk: bytes) -> bytes:
        """The next part of the file.

        Raises:
            LocalProtocolError: as soon as there is more of it than was declared.
        """
        self._raise_unless_under_way()
        if len(chunk) > self._left:
            raise LocalProtocolError(f"the file is larger than the {self._body.source_size} bytes that were declared")
        self._left -= len(chunk)
        return chunk

    def end(self) -> bytes:
        """What comes after the file.

        Raises:
            LocalProtocolError: when there was less of it than declared.
        """
        self._raise_unless_under_way()
        if self._left:
            raise LocalProtocolError(f"the file ended {self._left} bytes before its declared size")
        self._ended = True
        return self._body.suffix

    def _raise_unless_under_way(self) -> None:
        if self._ended or not self._begun:
            raise LocalProtocolError(f"the body has {'ended' if self._ended else 'not begun'}")


@attrs.frozen
class HttpRequest(_Head):
    """A whole request for a client to send.

    Attributes:
        method: in upper case.
        url: absolute, with scheme and host.
        headers: pairs of name and value; the client adds ``Host`` and ``Content-Length``.
        body: the payload; for an upload, in parts.

    Raises:
        TypeError: for a field of another type.
        InvalidValue: for CR, LF or NUL in the method, the URL or a header, where they would begin something new.
    """

    method: str
    url: str = attrs.field(repr=without_path)
    headers: Headers = attrs.field(default=(), converter=normalise_headers, repr=_without_secrets)
    body: bytes | StreamedBody = attrs.field(default=b"", repr=_size)

    def __attrs_post_init__(self) -> None:
        check_types(self)
        headers = b"".join(chain.from_iterable(self.headers)).decode("latin-1")
        for name, line in (("method", self.method), ("url", self.url), ("headers", headers)):
            if _FORBIDDEN_IN_A_LINE.search(line):
                raise InvalidValue("holds CR, LF or NUL", path=name)


@checked
@attrs.frozen
class HttpResponse(_Head):
    """A whole response: for a server to send, or as a client received it.

    Attributes:
        status: the status code.
        headers: pairs of name and value; `of` declares the length.
        body: the payload; of a refusal that a client received, its start.
    """

    status: int
    headers: Headers = attrs.field(default=(), converter=normalise_headers, repr=_without_secrets)
    body: bytes = attrs.field(default=b"", repr=_size)

    @classmethod
    def of(cls, status: int, content_type: str, body: bytes, headers: HeaderPairs = ()) -> HttpResponse:
        """A response with this body, its type and length declared, and these headers besides."""
        described = (("content-type", content_type), ("content-length", str(len(body))))
        return cls(status, (*described, *headers), body)


@checked
@attrs.frozen
class Endpoints:
    """Where Poe is: another address lets tests and simulators stand in.

    Attributes:
        api: the root of the bot query API, without a slash at its end.
        files: the root of the file service, likewise.
    """

    api: str = attrs.field(default="https://api.poe.com", repr=_without_credentials)
    files: str = attrs.field(default="https://www.quora.com", repr=_without_credentials)

    @classmethod
    def at(cls, root: str) -> Endpoints:
        """Both under one root, as a simulator has them."""
        root = root.rstrip("/")
        return cls(root, root)

    def bot(self, name: str) -> str:
        """The URL at which the bot of that name is queried.

        Raises:
            ValueError: when the name is empty, a dot segment (RFC 3986, 3.3), or holds a lone surrogate.
        """
        return f"{self.api}/bot/{_segment(name, 'the name of a bot')}"

    def settings(self, call: str, bot_name: str, access_key: str, version: str) -> str:
        """The URL of a call about a bot's settings. It holds the key, so it is not for logs.

        Args:
            call: "update_settings" or "fetch_settings".
            bot_name: the bot's name on Poe.
            access_key: its key.
            version: the protocol's version.

        Raises:
            ValueError: as in `bot`; the message never shows the key.
        """
        name, key = _segment(bot_name, "the name of a bot"), _segment(access_key, "an access key", shown=False)
        return f"{self.api}/bot/{call}/{name}/{key}/{_segment(version, 'a version')}"

    def cost(self, call: str, bot_query_id: str) -> str:
        """The URL of a call about the cost of a query: "authorize" or "capture".

        Raises:
            ValueError: as in `bot`.
        """
        return f"{self.api}/bot/cost/{_segment(bot_query_id, 'a bot_query_id')}/{call}"

    @property
    def file_upload(self) -> str:
        """The URL files are uploaded to."""
        return f"{self.files}/poe_api/file_upload_3RD_PARTY_POST"


def _segment(text: str, what: str, *, shown: bool = True) -> str:
    if text in ("", ".", ".."):
        raise ValueError(f"{text!r} is not {what}")
    with suppress(UnicodeEncodeError):  # whose exception holds the text, and would be the context of ours
        return quote(text, safe="")
    raise ValueError(f"{text!r} is not {what}" if shown else f"what was given is not {what}")
