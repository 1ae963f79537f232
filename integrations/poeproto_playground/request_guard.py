"""Who may call the playground: the checks of `Host`, `Origin` and the token.

Any web page that its user has open can send requests to a server on this machine. So:

- the `Host` must be the playground's own: a name that an attacker lets point to 127.0.0.1 (DNS rebinding) is refused;
- an `Origin`, which browsers send with what scripts of other pages ask for, must be the playground's own;
- each call of the API needs a token that is made at each launch. Without one, a page or any other user of the machine
  could start programs here, as with CVE-2025-49596 of another protocol's inspector.
"""

from __future__ import annotations

import ipaddress
import secrets
from hmac import compare_digest
from urllib.parse import urlsplit

from poeproto_asgi.asgi import Scope
from poeproto_simulator import HTTPError
from poeproto_simulator.asgi import key_of

_LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})


class RequestGuard:
    """Checks requests.

    Args:
        token: the token that each call of the API has in its `Authorization`; made if None.
        exposed: whether the playground is bound to the network on purpose. Then any IP address is accepted as host:
            an attacker's page can only make a name point here.
    """

    def __init__(self, token: str | None = None, *, exposed: bool = False) -> None:
        self.token = token or secrets.token_urlsafe(32)
        self._exposed = exposed

    def check_source(self, scope: Scope) -> None:
        """Check `Host` and `Origin`.

        Raises:
            HTTPError: with status 403.
        """
        hosts = [value.decode("latin-1") for name, value in scope["headers"] if name.lower() == b"host"]
        if len(hosts) != 1 or not self._is_own_host(hosts[0], scope):
            raise HTTPError(403, "this host is not the playground's; open the address that `poeproto play` has printed")
        for name, value in scope["headers"]:
            if name.lower() == b"origin" and value.decode("latin-1") != f"{scope.get('scheme') or 'http'}://{hosts[0]}":
                raise HTTPError(403, "pages of another origin may not call the playground")

    def check_token(self, scope: Scope) -> None:
        """Check the token.

        Raises:
            HTTPError: with status 403.
        """
        given = key_of(scope).encode("utf-8", "surrogatepass")
        if not compare_digest(given, self.token.encode()):
            raise HTTPError(
                403, "the token is missing or wrong; open the address that `poeproto play` has printed at this launch"
            )

    def _is_own_host(self, host: str, scope: Scope) -> bool:
        try:
            parts = urlsplit(f"//{host}")
            name, port = parts.hostname or "", parts.port
        except ValueError:
            return False
        if parts.path or parts.query or parts.fragment or "@" in host:
            return False
        server = scope.get("server")
        if server and server[1] is not None and (port or 80) != int(server[1]):
            return False
        return name in _LOOPBACK_NAMES or (self._exposed and _is_address(name))


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
