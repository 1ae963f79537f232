"""The policy for URLs that a server fetches for its bots: public addresses only, against request forgery (SSRF).

Users choose these URLs, and a server often has access to networks that its users must not reach.
"""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from urllib.parse import urlsplit

import attrs

from poeproto import FetchForbidden, InvalidValue, LocalProtocolError
from poeproto_runtime.client.urls import split_url

__all__ = ["FetchPolicy"]

# NAT64 (RFC 6052): the last four bytes are an IPv4 address.
_NAT64 = IPv6Network("64:ff9b::/96")
# `is_global` depends on the Python version, and follows only the registries of the IANA.
_NOT_PUBLIC = (
    IPv4Network("192.0.0.0/24"),  # IETF protocol assignments (RFC 6890), including the global ones
    IPv4Network("192.88.99.0/24"),  # 6to4 relays (RFC 7526)
    IPv4Network("168.63.129.16/32"),  # the host agent of virtual machines in Azure
    IPv6Network("2001::/23"),  # IETF protocol assignments (RFC 2928), likewise
    IPv6Network("3fff::/20"),  # documentation (RFC 9637)
)
# The ISATAP interface identifier (RFC 5214, 6.1); the IPv4 address follows it. Its "u" bit may be set.
_ISATAP = frozenset({0x00005EFE, 0x02005EFE})


def _normalised(origins: Iterable[str]) -> frozenset[str]:
    if isinstance(origins, str):
        raise TypeError("FetchPolicy.origins must be a list of origins, not a string")
    return frozenset(map(_origin, origins))


def _origin(listed: str) -> str:
    try:
        origin, target = split_url(listed.rstrip("/"))
    except LocalProtocolError:
        origin, target = None, ""
    if origin is None or target != "/" or "?" in listed or "#" in listed:
        # The message does not quote it: it may contain a password.
        raise InvalidValue("this is not an origin as in https://files.example:8443", path="origins")
    return str(origin)


@attrs.frozen(kw_only=True)
class FetchPolicy:
    """Allows https URLs with public addresses and the default port, and all URLs of the listed origins.

    The client connects to the very address that was checked, so a name cannot resolve to another one in between. No
    redirect is followed, and no key is sent.

    Attributes:
        origins: the origins that are allowed whatever their scheme and address, each as ``scheme://host:port``; that of
            a simulator, for instance. Normalised: lower case, and no port if it is the default of the scheme.

    Raises:
        TypeError: for a single string instead of a list.
        InvalidValue: for an invalid origin; a `ValueError`.
    """

    origins: frozenset[str] = attrs.field(default=frozenset(), converter=_normalised)

    def check_origin(self, scheme: str, origin: str) -> bool:
        """Whether the origin is listed, so that its address need not be checked.

        Args:
            scheme: of the URL.
            origin: of the URL, normalised.

        Raises:
            FetchForbidden: for an origin that is not listed, if its scheme is not https or its port not 443. Services
                on other ports are usually not meant to be public.
        """
        if origin in self.origins:
            return True
        if scheme != "https":
            raise FetchForbidden(
                f"only https URLs are fetched, not those of {origin} (FetchPolicy.origins can allow it)"
            )
        if urlsplit(origin).port is not None:
            raise FetchForbidden(
                f"only URLs at port 443 are fetched, not those of {origin} (FetchPolicy.origins can allow it)"
            )
        return False


def check_address(address: str) -> None:
    """Raise an error unless the address is public.

    Args:
        address: an IPv4 or IPv6 address, as name resolution returns it.

    Raises:
        FetchForbidden: for a private, loopback, link-local, multicast or reserved address, and for an IPv6 address that
            embeds one.
    """
    if not _is_public(ip_address(address)):
        raise FetchForbidden("the URL's host has an address that is not public")


def _is_public(address: IPv4Address | IPv6Address) -> bool:
    if isinstance(address, IPv6Address):
        embedded = IPv4Address(int(address) & 0xFFFFFFFF) if address in _NAT64 else address.ipv4_mapped
        if embedded is not None:
            return _is_public(embedded)
        # The relay decides where these lead, and hardly any relay is left.
        if address.sixtofour is not None or address.teredo is not None or address.is_site_local:
            return False
        if int(address) >> 32 & 0xFFFFFFFF in _ISATAP:
            return False
    if any(address in network for network in _NOT_PUBLIC):
        return False
    return address.is_global and not (address.is_multicast or address.is_reserved)
