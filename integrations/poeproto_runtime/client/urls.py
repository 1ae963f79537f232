"""URLs as a client needs them: the origin to connect to, and the request target (RFC 3986, RFC 9110)."""

from __future__ import annotations

import re
from contextlib import suppress
from functools import lru_cache
from urllib.parse import quote, urlsplit

import attrs

from poeproto import LocalProtocolError
from poeproto.http import DEFAULT_PORTS

__all__ = ["Origin", "split_url"]

# A name or an address, and a port (RFC 3986, 3.2.2). urlsplit accepts more, such as a name after an address.
_AUTHORITY = re.compile(r"([A-Za-z0-9._~-]+|\[[0-9A-Fa-f.]*:[0-9A-Fa-f:.]*(%[A-Za-z0-9._~-]+)?\])(:\d*)?", re.ASCII)
# The characters that a path or query may contain unencoded, and the percent sign of encoded ones.
_SAFE = "/?:@!$&'()*+,;=-._~%"


@attrs.frozen
class Origin:
    """The origin of a URL: scheme, host and port (RFC 6454).

    Attributes:
        scheme: "http" or "https".
        host: a name or an address, without brackets.
        port: the port, also if it is the default of the scheme.
    """

    scheme: str
    host: str
    port: int

    @property
    def authority(self) -> str:
        """Host and port as in the ``Host`` header: without the port if it is the default."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"

    def __str__(self) -> str:
        return f"{self.scheme}://{self.authority}"


@lru_cache(maxsize=256)  # each request needs this three times
def split_url(url: str) -> tuple[Origin, str]:
    """The origin of a URL, and the request target for it.

    Raises:
        LocalProtocolError: when the URL is not absolute, not http or https, or contains credentials. The message quotes
            nothing of the URL, since a key may be anywhere in it.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        # urlsplit's message may quote credentials: it reads "user:pass/word@host" as a host and a port.
        raise LocalProtocolError("not a URL: its host or port is malformed") from None
    if parts.username is not None or parts.password is not None:
        raise LocalProtocolError(
            "a URL must not contain credentials, since URLs end up in logs: pass access_key instead"
        )
    if parts.scheme not in DEFAULT_PORTS or not parts.hostname:
        raise LocalProtocolError("not a usable URL: expected an http or https URL with a host")
    if not _AUTHORITY.fullmatch(parts.netloc):
        raise LocalProtocolError(
            "not a URL: its host is neither an address nor a name in ASCII (write other names as xn--…)"
        )
    port = DEFAULT_PORTS[parts.scheme] if port is None else port
    with suppress(
        UnicodeEncodeError
    ):  # its exception contains the URL, and would be the __context__ of the error below
        target = quote(parts.path or "/", safe=_SAFE)
        query = f"?{quote(parts.query, safe=_SAFE)}" if parts.query else ""
        return Origin(parts.scheme, parts.hostname, port), target + query
    raise LocalProtocolError("not a URL: it contains half a character (a lone surrogate)")
