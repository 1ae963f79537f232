"""Which URLs a server may fetch for its bots.

Users choose them, and the server often stands where its users must not reach.
"""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from urllib.parse import urlsplit

import attrs

from poeproto import FetchForbidden

# NAT64 (RFC 6052): the last four bytes are an IPv4 address.
_NAT64 = IPv6Network("64:ff9b::/96")


def _without_slashes(origins: Iterable[str]) -> frozenset[str]:
    return frozenset(origin.rstrip("/") for origin in origins)


@attrs.frozen(kw_only=True)
class FetchPolicy:
    """Allows https to public addresses, and whatever origins are listed.

    The address is checked after the name was resolved, and is the one that is then connected to, so that a name cannot
    change its meaning in between. No redirect is followed, and no key is sent.

    Attributes:
        origins: what is allowed whatever its scheme and address, each as ``scheme://host:port``, without the port where
            it is the scheme's own: a simulator's, for instance.

    Raises:
        ValueError: for an origin that is none.
    """

    origins: frozenset[str] = attrs.field(default=frozenset(), converter=_without_slashes)

    def __attrs_post_init__(self) -> None:
        for origin in self.origins:
            parts = urlsplit(origin)
            known = parts.scheme in ("http", "https") and parts.hostname and "@" not in parts.netloc
            if not known or f"{parts.scheme}://{parts.netloc}" != origin:
                raise ValueError(f"{origin!r} is not an origin as in https://files.example:8443")

    def check_origin(self, scheme: str, origin: str) -> bool:
        """Whether the origin is listed, so that its address does not matter.

        Raises:
            FetchForbidden: when it is not, and its scheme is not https.
        """
        if origin in self.origins:
            return True
        if scheme != "https":
            raise FetchForbidden(f"only https URLs are fetched, and this is at {origin}")
        return False


def check_address(address: str) -> None:
    """Let public addresses pass.

    Args:
        address: an IPv4 or IPv6 address, as name resolution returns it.

    Raises:
        FetchForbidden: for one that is private, of this machine or link, of a group, or reserved; also for one in which
            such an address is wrapped.
    """
    if not _is_public(ip_address(address)):
        raise FetchForbidden("the URL leads to an address that is not public")


def _is_public(address: IPv4Address | IPv6Address) -> bool:
    if isinstance(address, IPv6Address):
        wrapped = IPv4Address(int(address) & 0xFFFFFFFF) if address in _NAT64 else address.ipv4_mapped
        if wrapped is not None:
            return _is_public(wrapped)
        # What these lead to is for a relay to say, and nobody runs one any more.
        if address.sixtofour is not None or address.teredo is not None or address.is_site_local:
            return False
    return address.is_global and not (address.is_multicast or address.is_reserved)
