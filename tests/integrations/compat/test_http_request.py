"""The HTTP request that bots read from the context."""

from __future__ import annotations

import pytest

from poeproto import RequestHead
from poeproto_compat.http_request import HttpRequest, MultiDict, Url

pytestmark = pytest.mark.anyio

HEAD = RequestHead(
    "POST",
    "/bot%20a?x=1&x=2&y=%20",
    [("Host", "bots.invalid"), ("X-Own", "1"), ("x-own", "2"), ("Cookie", "a=1; b=2; c"), ("authorization", "secret")],
    client=("192.0.2.1", 7),
)


@pytest.fixture
def request_() -> HttpRequest:
    return HttpRequest(HEAD, b'{"type": "query"}')


async def test_the_parts_of_a_request(request_: HttpRequest) -> None:
    assert request_.method == "POST"
    assert request_.client is not None
    assert (request_.client.host, request_.client.port) == ("192.0.2.1", 7)
    assert request_.path_params == {}
    assert request_.cookies == {"a": "1", "b": "2"}
    assert await request_.body() == b'{"type": "query"}'
    assert await request_.json() == {"type": "query"}
    assert repr(request_) == "<HttpRequest POST /bot a>"


def test_headers_are_case_insensitive(request_: HttpRequest) -> None:
    headers = request_.headers
    assert headers["X-Own"] == headers["x-own"] == "1"
    assert headers.get("X-None", "no") == "no"
    assert "X-OWN" in headers
    assert 7 not in headers
    assert headers.getlist("X-Own") == ["1", "2"]
    assert dict(headers)["host"] == "bots.invalid"
    assert len(headers) == len(list(headers)) == 4
    assert ("x-own", "2") in headers.multi_items()


def test_the_last_value_of_a_query_counts(request_: HttpRequest) -> None:
    assert dict(request_.query_params) == {"x": "2", "y": " "}
    assert request_.query_params.getlist("x") == ["1", "2"]
    assert "X" not in request_.query_params


def test_a_url_has_parts(request_: HttpRequest) -> None:
    url = request_.url
    assert str(url) == url == "http://bots.invalid/bot%20a?x=1&x=2&y=%20"
    assert (url.scheme, url.hostname, url.path, url.query) == (
        "http", "bots.invalid", "/bot%20a", "x=1&x=2&y=%20",
    )  # fmt: skip
    assert repr(url) == "Url('http://bots.invalid/bot%20a?x=1&x=2&y=%20')"
    assert len({url, Url(str(url))}) == 1
    with pytest.raises(AttributeError, match="nothing"):
        _ = url.nothing


def test_the_scheme_and_host_that_a_proxy_reports() -> None:
    head = RequestHead("GET", "/", [("x-forwarded-proto", "https, http")])
    assert str(HttpRequest(head, b"").url) == "https://localhost/"
    assert HttpRequest(head, b"").client is None
    assert str(HttpRequest(RequestHead("GET", "http://a.invalid/b"), b"").url) == "http://a.invalid/b"


def test_an_empty_mapping() -> None:
    assert not MultiDict([])
