"""HTTP proxies: which proxy a request goes through, from an argument or from the variables of the environment.

How it goes through: an http request is forwarded, with its whole URL as the request target (the absolute form, RFC
9112, 3.2.2); for https the proxy opens a tunnel (CONNECT, RFC 9110, 9.3.6), so it sees host and port only. `tunnel.py`
opens the tunnels, and `connection.py` writes the absolute form.
"""

from __future__ import annotations

import os
from base64 import b64encode
from collections.abc import Mapping
from contextlib import suppress
from ipaddress import ip_address, ip_network
from typing import Literal
from urllib.parse import unquote, urlsplit

import attrs

from poeproto import ConnectFailed, InvalidValue, LocalProtocolError, ResponseHead
from poeproto.http import DEFAULT_PORTS
from poeproto_runtime.client.urls import Origin, split_url

__all__ = ["ProxyFailed", "ProxyOption"]

ProxyOption = str | Literal[False] | None
"""A proxy's URL; None: that of the environment, as curl chooses it; False: none."""

_EXPECTED = "expected a URL as http://HOST:PORT or http://USER:PASSWORD@HOST:PORT"


class ProxyFailed(ConnectFailed):
    """No connection was made, because of the proxy: it cannot be reached, refuses, or cannot reach the server."""


@attrs.frozen
class Proxy:
    """An HTTP proxy.

    Attributes:
        origin: where it listens; TLS is spoken with it if its scheme is https.
        authorization: the value of `Proxy-Authorization`; None without a user in its URL.
        variable: the variable of the environment that names it; empty if it was an argument.
    """

    origin: Origin
    authorization: bytes | None = attrs.field(default=None, repr=False)
    variable: str = ""

    def __str__(self) -> str:
        return f"{self.origin} (from {self.variable})" if self.variable else str(self.origin)

    def is_refusal(self, head: ResponseHead) -> bool:
        """Whether the response to a forwarded request says that the proxy does not accept the credentials."""
        # tinyproxy answers 401 to a wrong password, as if it were the server. It does not rename the server otherwise.
        return head.status == 407 or (head.status == 401 and (head.get("server") or "").startswith("tinyproxy"))

    def refusal_reason(self, head: ResponseHead) -> str:
        """The reason why the proxy refused a request, and how to fix it."""
        if head.status in (401, 407):
            return self._credentials_reason(head)
        if head.status >= 500:  # tinyproxy answers 500
            return f"it cannot reach the server (status {head.status})"
        return f"it refused the connection with status {head.status}; its configuration decides what it allows"

    def _credentials_reason(self, head: ResponseHead) -> str:
        status = f"(status {head.status})"
        offered = [value.split()[0].lower() for value in head.get_all("proxy-authenticate") if value.strip()]
        if offered and b"basic" not in offered:
            return f"it requires authentication of another kind than Basic, which this client does not have {status}"
        if self.authorization is None:
            return f"it requires a user and a password {status}; put them into its URL: http://USER:PASSWORD@HOST"
        return f"it does not accept the user and the password in its URL {status}"


def parse_proxy(url: str, variable: str = "") -> Proxy:
    """The proxy at a URL, which may contain a user and a password (percent-encoded), and may lack its scheme.

    Raises:
        InvalidValue: when it is not the URL of an HTTP proxy. The message quotes nothing of it but its scheme.
    """
    path = variable or "proxy"
    try:
        parts = urlsplit(url if "://" in url else f"http://{url}")
    except ValueError:
        parts = urlsplit("")  # its exception may quote the credentials
    if parts.scheme not in DEFAULT_PORTS:
        kind = "SOCKS proxies are not supported" if parts.scheme.startswith("socks") else "this is not a proxy's URL"
        raise InvalidValue(f"{kind}; {_EXPECTED}", path=path)
    userinfo, _, address = parts.netloc.rpartition("@")
    if parts.path not in ("", "/") or parts.query or parts.fragment:
        raise InvalidValue(
            f"a proxy's URL ends with its port; {_EXPECTED} (percent-encode /, ?, # and @ in a password)", path=path
        )
    try:
        origin, _ = split_url(f"{parts.scheme}://{address}")
    except LocalProtocolError:
        origin = None
    if origin is None or origin.port == 0:
        raise InvalidValue(f"this is not a proxy's URL: its host or port is malformed; {_EXPECTED}", path=path)
    return Proxy(origin, _basic(userinfo, path) if userinfo else None, variable)


def _basic(userinfo: str, path: str) -> bytes:
    """The value of `Proxy-Authorization` (RFC 7617)."""
    user, _, password = userinfo.partition(":")
    if ":" in unquote(user):
        raise InvalidValue("the user of a proxy must not contain a colon", path=path)
    with suppress(UnicodeEncodeError):  # its exception contains the password
        return b"Basic " + b64encode(f"{unquote(user)}:{unquote(password)}".encode())
    raise InvalidValue("the user or the password contains half a character (a lone surrogate)", path=path)


@attrs.frozen
class ProxyRules:
    """The proxy for each origin. The default is none.

    Attributes:
        http: the proxy for http URLs, or why the one that is configured cannot be used.
        https: the same for https URLs.
        no_proxy: the hosts that are reached directly, as in the variable ``NO_PROXY``.
    """

    http: Proxy | InvalidValue | None = None
    https: Proxy | InvalidValue | None = None
    no_proxy: tuple[str, ...] = ()

    def find(self, origin: Origin) -> Proxy | None:
        """The proxy for this origin; None if it is reached directly.

        Raises:
            InvalidValue: when the proxy of the environment cannot be used.
        """
        proxy = self.https if origin.scheme == "https" else self.http
        if proxy is None or any(_matches(entry, origin) for entry in self.no_proxy):
            return None
        if isinstance(proxy, InvalidValue):
            raise InvalidValue(proxy.message, path=proxy.path)  # a new one: each is raised once
        return proxy


def proxy_rules(option: ProxyOption) -> ProxyRules:
    """The rules for an argument `proxy`.

    Raises:
        InvalidValue: when it is not the URL of an HTTP proxy.
        TypeError: when it is of another type.
    """
    if option is None:
        return environment_rules(os.environ)
    if option is False:
        return ProxyRules()
    if not isinstance(option, str):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise TypeError(f"proxy must be the URL of a proxy, None or False, not {type(option).__name__}")
    proxy = parse_proxy(option)
    return ProxyRules(proxy, proxy)


def client_rules(option: ProxyOption, others: Mapping[str, object]) -> ProxyRules:
    """The rules for a client.

    Args:
        option: the client's argument `proxy`.
        others: its other arguments that say how to connect, by name. With one of them, there is no proxy.

    Raises:
        InvalidValue: when `option` is not the URL of an HTTP proxy.
        TypeError: when `option` is of another type, and when two of all these arguments are given.
    """
    given = [name for name, value in others.items() if value is not None]
    if option:
        given.append("proxy")
    if len(given) > 1:
        raise TypeError(f"{' and '.join(given)} exclude each other: each says how to connect; pass one of them")
    return proxy_rules(option) if not given or option else ProxyRules()


def environment_rules(environment: Mapping[str, str]) -> ProxyRules:
    """The rules of ``HTTP_PROXY``, ``HTTPS_PROXY``, ``ALL_PROXY`` and ``NO_PROXY``, each also in lower case.

    The lower case takes precedence, also if it is empty. A URL that cannot be used is an error only when it is needed:
    the variables may be meant for other programs.
    """
    # A CGI script gets the request's header "Proxy" in HTTP_PROXY: anyone could choose the proxy. https://httpoxy.org
    ignored = {"HTTP_PROXY"} if "REQUEST_METHOD" in environment else set[str]()

    def first(*names: str) -> Proxy | InvalidValue | None:
        for name in names:
            variable = name.lower() if name.lower() in environment else name
            value = "" if variable in ignored else environment.get(variable, "").strip()
            if value:
                try:
                    return parse_proxy(value, variable)
                except InvalidValue as exc:
                    return exc
        return None

    exceptions = environment.get("no_proxy", environment.get("NO_PROXY", ""))
    return ProxyRules(
        first("HTTP_PROXY", "ALL_PROXY"),
        first("HTTPS_PROXY", "ALL_PROXY"),
        tuple(exceptions.lower().replace(",", " ").split()),
    )


def _matches(entry: str, origin: Origin) -> bool:
    """Whether an entry of ``NO_PROXY`` means this origin.

    An entry is a name (with its subdomains), an address or a network, the first two also with a port; or an asterisk.
    """
    host = origin.host.rstrip(".")
    if entry == "*":
        return True
    with suppress(ValueError):
        return ip_address(host) in ip_network(entry, strict=False)
    name, port = _split_port(entry)
    if port and port != str(origin.port):
        return False
    with suppress(ValueError):
        return ip_address(host) == ip_address(name)
    name = name.removeprefix("*").strip(".")
    return bool(name) and (host == name or host.endswith(f".{name}"))


def _split_port(entry: str) -> tuple[str, str]:
    name, separator, port = entry.rpartition(":")
    if not separator or not port.isdecimal() or (":" in name and not name.startswith("[")):
        name, port = entry, ""
    return name.removeprefix("[").removesuffix("]"), port
