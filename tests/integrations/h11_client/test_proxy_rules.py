"""The proxy for an origin: URLs of proxies, and the variables of the environment."""

from __future__ import annotations

import pytest

from poeproto import InvalidValue
from poeproto_h11 import Client
from poeproto_h11.client.proxy import ProxyRules, environment_rules, parse_proxy, proxy_rules
from poeproto_runtime.client.urls import split_url

SECRET = "swordfish"


def found(environment: dict[str, str], url: str) -> str | None:
    proxy = environment_rules(environment).find(split_url(url)[0])
    return None if proxy is None else str(proxy)


@pytest.mark.parametrize(
    ("url", "origin", "authorization"),
    [
        ("http://proxy.example:3128", "http://proxy.example:3128", None),
        ("http://proxy.example:3128/", "http://proxy.example:3128", None),
        ("proxy.example:3128", "http://proxy.example:3128", None),
        ("proxy.example", "http://proxy.example", None),
        ("HTTPS://proxy.example", "https://proxy.example", None),
        ("http://[::1]:3128", "http://[::1]:3128", None),
        ("u:p@proxy.example:1", "http://proxy.example:1", b"Basic dTpw"),
        ("http://u@proxy.example", "http://proxy.example", b"Basic dTo="),
        ("http://:p@proxy.example", "http://proxy.example", b"Basic OnA="),
        ("http://u:p:@a@proxy.example", "http://proxy.example", b"Basic dTpwOkBh"),
        ("http://%C3%BC:%2F@proxy.example", "http://proxy.example", b"Basic w7w6Lw=="),
    ],
)
def test_the_url_of_a_proxy(url: str, origin: str, authorization: bytes | None) -> None:
    proxy = parse_proxy(url)
    assert (str(proxy), proxy.authorization) == (origin, authorization)
    assert "Basic" not in repr(proxy)


@pytest.mark.parametrize(
    ("url", "message"),
    [
        (f"socks5://u:{SECRET}@proxy.example:1080", "SOCKS proxies are not supported"),
        (f"ftp://u:{SECRET}@proxy.example", "this is not a proxy's URL"),
        (f"http://u:{SECRET}/x@proxy.example", "percent-encode"),
        (f"http://u:{SECRET}#@proxy.example", "percent-encode"),
        (f"http://u:{SECRET}@proxy.example/path", "ends with its port"),
        (f"http://u:{SECRET}@proxy.example:port", "malformed"),
        (f"http://u:{SECRET}@proxy.example:0", "malformed"),
        (f"http://u:{SECRET}@proxy.example:99999", "malformed"),
        (f"http://u:{SECRET}@", "malformed"),
        (f"http://u:{SECRET}@[proxy", "not a proxy's URL"),
        (f"http://u%3A:{SECRET}@proxy.example", "colon"),
        (f"http://u:{SECRET}\ud800@proxy.example", "surrogate"),
        ("", "malformed"),
    ],
)
def test_values_that_are_not_urls_of_a_proxy(url: str, message: str) -> None:
    with pytest.raises(InvalidValue, match=message) as caught:
        parse_proxy(url)
    error: BaseException | None = caught.value
    assert caught.value.path == "proxy"
    while error is not None:
        assert SECRET not in repr(error)
        error = error.__context__


def test_a_client_refuses_it_at_once() -> None:
    with pytest.raises(InvalidValue, match="SOCKS"):
        Client(proxy="socks5h://127.0.0.1:1080")
    for option in (True, b"http://127.0.0.1", {"http": "http://127.0.0.1"}):
        with pytest.raises(TypeError, match="proxy must be the URL of a proxy, None or False, not"):
            Client(proxy=option)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("environment", "http", "https"),
    [
        ({}, None, None),
        ({"HTTP_PROXY": "h:1"}, "http://h:1 (from HTTP_PROXY)", None),
        ({"HTTPS_PROXY": "h:1"}, None, "http://h:1 (from HTTPS_PROXY)"),
        ({"ALL_PROXY": "h:1"}, "http://h:1 (from ALL_PROXY)", "http://h:1 (from ALL_PROXY)"),
        ({"all_proxy": "h:1", "https_proxy": "h:2"}, "http://h:1 (from all_proxy)", "http://h:2 (from https_proxy)"),
        ({"http_proxy": "h:1", "HTTP_PROXY": "h:2"}, "http://h:1 (from http_proxy)", None),
        # As with Python's urllib, an empty one in lower case hides the other.
        ({"http_proxy": "", "HTTP_PROXY": "h:2"}, None, None),
        ({"HTTP_PROXY": " ", "ALL_PROXY": "h:2"}, "http://h:2 (from ALL_PROXY)", "http://h:2 (from ALL_PROXY)"),
        # In a CGI script, a client's header chooses HTTP_PROXY.
        ({"HTTP_PROXY": "h:1", "REQUEST_METHOD": "GET"}, None, None),
        ({"http_proxy": "h:1", "REQUEST_METHOD": "GET"}, "http://h:1 (from http_proxy)", None),
        ({"HTTPS_PROXY": "h:1", "REQUEST_METHOD": "GET"}, None, "http://h:1 (from HTTPS_PROXY)"),
    ],
)
def test_the_variables(environment: dict[str, str], http: str | None, https: str | None) -> None:
    assert found(environment, "http://bot.example/") == http
    assert found(environment, "https://bot.example/") == https


@pytest.mark.parametrize(
    ("exceptions", "url", "is_direct"),
    [
        ("*", "http://bot.example/", True),
        ("bot.example", "http://bot.example/", True),
        ("Bot.Example", "http://BOT.example./", True),
        ("bot.example", "http://a.bot.example/", True),
        (".bot.example", "http://bot.example/", True),
        ("*.bot.example", "http://a.bot.example/", True),
        ("bot.example.", "http://bot.example/", True),
        ("bot.example", "http://robot.example/", False),
        ("example.bot", "http://bot.example/", False),
        ("other, bot.example", "http://bot.example/", True),
        ("other bot.example", "http://bot.example/", True),
        ("bot.example:81", "http://bot.example:81/", True),
        ("bot.example:81", "http://bot.example/", False),
        ("bot.example:443", "https://bot.example/", True),
        ("127.0.0.1", "http://127.0.0.1:8080/", True),
        ("127.0.0.1:8080", "http://127.0.0.1:8080/", True),
        ("127.0.0.1:81", "http://127.0.0.1:8080/", False),
        ("10.0.0.0/8", "http://10.1.2.3/", True),
        ("10.0.0.1/8", "http://10.1.2.3/", True),
        ("10.0.0.0/8", "http://11.1.2.3/", False),
        ("10.0.0.0/8", "http://10.example/", False),
        ("::1", "http://[::1]/", True),
        ("[::1]", "http://[::1]/", True),
        ("[::1]:81", "http://[::1]:81/", True),
        ("[::1]:81", "http://[::1]/", False),
        ("0:0::1", "http://[::1]/", True),
        ("fc00::/7", "http://[fd00::1]/", True),
        ("localhost", "http://127.0.0.1/", False),
        ("", "http://localhost/", False),
        (",.,*.", "http://bot.example/", False),
    ],
)
def test_the_exceptions(exceptions: str, url: str, is_direct: bool) -> None:
    for name in ("NO_PROXY", "no_proxy"):
        assert (found({"ALL_PROXY": "h:1", name: exceptions}, url) is None) is is_direct


def test_an_argument_overrides_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    origin, _ = split_url("http://bot.example/")
    monkeypatch.setenv("ALL_PROXY", "h:1")
    monkeypatch.setenv("NO_PROXY", "*")
    assert str(proxy_rules("h:2").find(origin)) == "http://h:2"
    monkeypatch.delenv("NO_PROXY")
    assert str(proxy_rules(None).find(origin)) == "http://h:1 (from ALL_PROXY)"
    assert proxy_rules(False) == ProxyRules()
