"""What a client needs to know of a URL (RFC 3986, RFC 9110)."""

from __future__ import annotations

import re
from functools import lru_cache
from urllib.parse import quote, urlsplit

import attrs

from poeproto import LocalProtocolError

_DEFAULT_PORTS = {"http": 80, "https": 443}
_HOST = re.compile(r"[A-Za-z0-9._~-]+|[0-9A-Fa-f:.]+(%[A-Za-z0-9._~-]+)?")  # a name or an address (RFC 3986, 3.2.2)
# All that a path or query may hold by itself, and the percent sign of what is encoded already.
_SAFE = "/?:@!$&'()*+,;=-._~%"


@attrs.frozen
class Origin:
    """A server, as RFC 6454 tells servers apart.

    Attributes:
        scheme: "http" or "https".
        host: a name or an address, without brackets.
        port: the port, also where it is the scheme's own.
    """

    scheme: str
    host: str
    port: int

    @property
    def authority(self) -> str:
        """Host and port as the ``Host`` header has them."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"

    def __str__(self) -> str:
        return f"{self.scheme}://{self.authority}"


@lru_cache(maxsize=256)  # a request needs this three times, and one bot is asked many times
def split_url(url: str) -> tuple[Origin, str]:
    """The origin of a URL, and the target to ask it for.

    Raises:
        LocalProtocolError: when the URL is not absolute, not http or https, or holds credentials; the message does not
            show them.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        # What urlsplit says may quote credentials: it takes "user:pass/word@host" for a host and a port.
        raise LocalProtocolError("not a URL: its host or port is malformed") from None
    if parts.username is not None or parts.password is not None:
        raise LocalProtocolError("a URL with credentials in it is refused: they end up in logs; pass access_key")
    if parts.scheme not in _DEFAULT_PORTS or not parts.hostname:
        raise LocalProtocolError(f"not an http or https URL: {url!r}")
    if not _HOST.fullmatch(parts.hostname):
        raise LocalProtocolError(f"not a host name in ASCII, as xn--… is: {parts.hostname!r}")
    try:
        target = quote(parts.path or "/", safe=_SAFE)
        if parts.query:
            target += "?" + quote(parts.query, safe=_SAFE)
    except UnicodeEncodeError as exc:
        raise LocalProtocolError(f"not a URL: {exc}") from exc
    return Origin(parts.scheme, parts.hostname, _DEFAULT_PORTS[parts.scheme] if port is None else port), target
