"""What a client needs to know of a URL (RFC 3986, RFC 9110)."""

from __future__ import annotations

import re
from contextlib import suppress
from functools import lru_cache
from urllib.parse import quote, urlsplit

import attrs

from poeproto import LocalProtocolError

_DEFAULT_PORTS = {"http": 80, "https": 443}
# A name or an address, and a port (RFC 3986, 3.2.2). urlsplit takes more, a name behind an address for one.
_AUTHORITY = re.compile(r"([A-Za-z0-9._~-]+|\[[0-9A-Fa-f.]*:[0-9A-Fa-f:.]*(%[A-Za-z0-9._~-]+)?\])(:\d*)?", re.ASCII)
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
        LocalProtocolError: when the URL is not absolute, not http or https, or holds credentials; the message shows
            nothing of it, since a key may be anywhere.
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
        raise LocalProtocolError("not an http or https URL with a host")
    if not _AUTHORITY.fullmatch(parts.netloc):
        raise LocalProtocolError("not a URL: its host is no address, and no name in ASCII as xn--… is")
    port = _DEFAULT_PORTS[parts.scheme] if port is None else port
    with suppress(UnicodeEncodeError):  # whose exception holds the URL, and would be the context of ours
        target = quote(parts.path or "/", safe=_SAFE)
        query = f"?{quote(parts.query, safe=_SAFE)}" if parts.query else ""
        return Origin(parts.scheme, parts.hostname, port), target + query
    raise LocalProtocolError("not a URL: there is half a character in it, a lone surrogate")
