"""Which URLs a server may fetch for its bots.

Users choose them, and the server often stands where its users must not reach.
"""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from urllib.parse import urlsplit

import attrs

from poeproto import FetchForbidden, InvalidValue

# NAT64 (RFC 6052): the last four bytes are an IPv4 address.
_NAT64 = IPv6Network("64:ff9b::/96")
# What an `is_global` says depends on the interpreter's age, and it goes by the IANA's registries alone.
_NOT_PUBLIC = (
    IPv4Network("192.0.0.0/24"),  # IETF protocol assignments (RFC 6890), those that are global included
    IPv4Network("192.88.99.0/24"),  # relays of 6to4 (RFC 7526)
    IPv4Network("168.63.129.16/32"),  # the host's agent, as a virtual machine in Azure sees it
    IPv6Network("2001::/23"),  # IETF protocol assignments (RFC 2928), likewise
    IPv6Network("3fff::/20"),  # documentation (RFC 9637)
)
# The interface identifier of ISATAP (RFC 5214, 6.1), before the IPv4 address that it leads to; its "u" bit may be set.
_ISATAP = frozenset({0x00005EFE, 0x02005EFE})


_PORTS = {"http": 80, "https": 443}


def _normalised(origins: Iterable[str]) -> frozenset[str]:
    if isinstance(origins, str):
        raise TypeError("a list of origins is expected, got a string")
    return frozenset(map(_origin, origins))


def _origin(listed: str) -> str:
    """The origin as a URL's is written: in lower case, and without the port that its scheme has anyway."""
    # Without it: there may be a password in it.
    refused = InvalidValue("this is not an origin as in https://files.example:8443", path="origins")
    given = listed.rstrip("/")
    try:
        parts = urlsplit(given)
        host, port = parts.hostname, parts.port
    except ValueError:
        raise refused from None
    alone = f"{parts.scheme}://{parts.netloc}".lower() == given.lower()
    if parts.scheme not in _PORTS or not host or "@" in parts.netloc or not alone:
        raise refused
    host = f"[{host}]" if ":" in host else host
    return f"{parts.scheme}://{host}" + ("" if port in (None, _PORTS[parts.scheme]) else f":{port}")


@attrs.frozen(kw_only=True)
class FetchPolicy:
    """Allows https to public addresses at its own port, and whatever origins are listed.

    The address is checked after the name was resolved, and is the one that is then connected to, so that a name cannot
    change its meaning in between. No redirect is followed, and no key is sent.

    Attributes:
        origins: what is allowed whatever its scheme and address, each as ``scheme://host:port``: a simulator's, for
            instance. Kept in lower case, and without the port where it is the scheme's own.

    Raises:
        TypeError: for one string instead of several.
        ValueError: for an origin that is none.
    """

    origins: frozenset[str] = attrs.field(default=frozenset(), converter=_normalised)

    def check_origin(self, scheme: str, origin: str) -> bool:
        """Whether the origin is listed, so that its address does not matter.

        Raises:
            FetchForbidden: when it is not, and its scheme is not https, or its port another than 443: what answers at
                other ports has most often not been meant for the world.
        """
        if origin in self.origins:
            return True
        if scheme != "https":
            raise FetchForbidden(f"only https URLs are fetched, and this is at {origin}")
        if urlsplit(origin).port is not None:
            raise FetchForbidden(f"only URLs without a port of their own are fetched, and this is at {origin}")
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
        if int(address) >> 32 & 0xFFFFFFFF in _ISATAP:
            return False
    if any(address in network for network in _NOT_PUBLIC):
        return False
    return address.is_global and not (address.is_multicast or address.is_reserved)
