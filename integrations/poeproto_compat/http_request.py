"""The HTTP request as bots read it from `RequestContext`: Starlette's attributes, without Starlette."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Iterator, Mapping
from functools import cached_property
from types import SimpleNamespace
from typing import Any, NamedTuple
from urllib.parse import SplitResult, parse_qsl, urlencode, urlsplit

from poeproto import RequestHead

__all__ = ["HttpRequest"]


class Address(NamedTuple):
    """The address of the peer."""

    host: str
    port: int


class MultiDict(Mapping[str, str]):
    """A mapping in which a name may have several values; `[]` and `get` find one of them.

    Args:
        pairs: the names and values, in order.
        last: whether `[]` finds the last value of a name, as for a query, or the first, as for headers.
        folded: whether names are case-insensitive.
    """

    def __init__(self, pairs: list[tuple[str, str]], *, last: bool = False, folded: bool = False) -> None:
        self._pairs = pairs
        self._folded = folded
        ordered = pairs if last else reversed(pairs)
        self._values = {self._key(name): value for name, value in ordered}

    def _key(self, name: str) -> str:
        return name.lower() if self._folded else name

    def __getitem__(self, name: str) -> str:
        return self._values[self._key(name)]

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and self._key(name) in self._values

    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys(name for name, _ in self._pairs))

    def __len__(self) -> int:
        return len(self._values)

    def getlist(self, name: str) -> list[str]:
        """All values of a name, in order."""
        key = self._key(name)
        return [value for other, value in self._pairs if self._key(other) == key]

    def __repr__(self) -> str:
        return repr(self._pairs)

    def __str__(self) -> str:
        """Encoded as in a URL, for a query."""
        return repr(self) if self._folded else urlencode(self._pairs)

    def multi_items(self) -> list[tuple[str, str]]:
        """All pairs of name and value, in order."""
        return list(self._pairs)


class Url:
    """The URL of a request; `str` gives the whole."""

    def __init__(self, url: str) -> None:
        self._url = url

    @cached_property
    def components(self) -> SplitResult:
        """The parts of the URL, as `urllib.parse.urlsplit` gives them."""
        return urlsplit(self._url)

    def __getattr__(self, name: str) -> Any:
        if name in ("scheme", "netloc", "path", "query", "fragment", "hostname", "port", "username", "password"):
            return getattr(self.components, name)
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    @property
    def is_secure(self) -> bool:
        """Whether it is https or wss."""
        return self.components.scheme in ("https", "wss")

    def __str__(self) -> str:
        return self._url

    def __eq__(self, other: object) -> bool:
        return str(self) == str(other)

    def __hash__(self) -> int:
        return hash(self._url)

    def __repr__(self) -> str:
        return f"Url({self._url!r})"


class HttpRequest:
    """The HTTP request of a call of the bot.

    Args:
        head: the head of the request.
        body: the whole body.

    Attributes:
        method: the method.
        client: the peer's address, if the server knows it.
        path_params: always empty.
        state: data that the program stores with the request.
    """

    def __init__(self, head: RequestHead, body: bytes) -> None:
        self._head = head
        self._body = body
        self.method = head.method
        self.client = None if head.client is None else Address(*head.client)
        self.path_params: dict[str, Any] = {}
        self.state = SimpleNamespace()

    @cached_property
    def headers(self) -> MultiDict:
        """The headers, by case-insensitive names."""
        pairs = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in self._head.headers]
        return MultiDict(pairs, folded=True)

    @cached_property
    def query_params(self) -> MultiDict:
        """The decoded query of the URL."""
        return MultiDict(parse_qsl(self._head.query_string, keep_blank_values=True), last=True)

    @cached_property
    def cookies(self) -> dict[str, str]:
        """The cookies."""
        pairs = (part.partition("=") for part in self.headers.get("cookie", "").split(";"))
        return {name.strip(): value.strip() for name, separator, value in pairs if separator}

    @cached_property
    def url(self) -> Url:
        """The URL. Its scheme is that of `X-Forwarded-Proto`, or http."""
        target = self._head.target
        if not target.startswith("/"):
            return Url(target)
        scheme = self.headers.get("x-forwarded-proto", "http").partition(",")[0].strip()
        return Url(f"{scheme}://{self.headers.get('host', 'localhost')}{target}")

    @cached_property
    def base_url(self) -> Url:
        """The URL of the server's root."""
        return Url(f"{self.url.scheme}://{self.url.netloc}/")

    @cached_property
    def scope(self) -> dict[str, Any]:
        """The request as an ASGI server describes it; also the items of this object."""
        return {
            "type": "http",
            "http_version": "1.1",
            "method": self.method,
            "scheme": self.url.scheme,
            "path": self.url.path,
            "query_string": self._head.query_string.encode(),
            "headers": list(self._head.headers),
            "client": self.client,
            "path_params": self.path_params,
        }

    def __getitem__(self, name: str) -> Any:
        return self.scope[name]

    def get(self, name: str, default: Any = None) -> Any:
        """A value of the scope."""
        return self.scope.get(name, default)

    async def is_disconnected(self) -> bool:
        """Always False: a bot whose client disconnects is cancelled."""
        return False

    async def body(self) -> bytes:
        """The body."""
        return self._body

    async def stream(self) -> AsyncGenerator[bytes]:
        """The body in parts: the whole, and an empty one at the end."""
        if self._body:
            yield self._body
        yield b""

    async def json(self) -> Any:
        """The body, decoded from JSON."""
        return json.loads(self._body)

    def __repr__(self) -> str:
        return f"<HttpRequest {self.method} {self._head.path}>"
