"""HTTP messages, their headers, and the values that their reprs hide."""

from __future__ import annotations

from collections import UserDict
from collections.abc import Iterable
from types import MappingProxyType
from typing import Any

import attrs
import pytest

from poeproto import HttpRequest, HttpResponse, RequestHead, ResponseHead
from poeproto.vocabulary.headers import normalise_headers

Head = RequestHead | ResponseHead | HttpRequest | HttpResponse

SECRET = "not-a-real-key"


Pairs = Iterable[tuple[bytes | str, bytes | str]]


def heads(headers: Pairs) -> list[Head]:
    pairs = list(headers)
    return [
        RequestHead("POST", "/", pairs),
        ResponseHead(200, pairs),
        HttpRequest("POST", "https://bot.invalid/", pairs),
        HttpResponse(200, pairs),
    ]


def test_names_are_kept_in_lower_case_and_all_as_bytes_in_order() -> None:
    pairs: Pairs = [("X-One", "1"), (b"X-TWO", b"2"), ("x-one", b"3"), (b"Accept", "é")]
    expected = ((b"x-one", b"1"), (b"x-two", b"2"), (b"x-one", b"3"), (b"accept", b"\xe9"))
    assert normalise_headers(pairs) == normalise_headers(pair for pair in pairs) == expected
    for head in heads(pairs):
        assert head.headers == expected


def test_two_spellings_of_the_same_head_are_equal() -> None:
    for one, other in zip(heads([("Content-Type", "a/b")]), heads([(b"content-type", b"a/b")]), strict=True):
        assert one == other
        assert hash(one) == hash(other)


def test_other_bytes_like_values_become_bytes() -> None:
    odd: Any = [(bytearray(b"A"), memoryview(b"b"))]
    assert normalise_headers(odd) == ((b"a", b"b"),)
    assert all(type(part) is bytes for part in normalise_headers(odd)[0])


@pytest.mark.parametrize("bad", [[("content-length", 5)], [(5, "x")], [(None, "x")], [("x", None)], [("x", ["y"])]])
def test_a_header_of_another_type_is_refused(bad: Any) -> None:
    with pytest.raises(TypeError):
        normalise_headers(bad)
    with pytest.raises(TypeError):
        ResponseHead(200, bad)


@pytest.mark.parametrize("mapping", [dict, UserDict, MappingProxyType])
def test_headers_may_be_a_mapping(mapping: Any) -> None:
    headers = mapping({"X-One": "1", "TE": "trailers"})
    expected = ((b"x-one", b"1"), (b"te", b"trailers"))
    assert RequestHead("POST", "/", headers).headers == expected
    assert HttpResponse.of(200, "a/b", b"", headers).headers[2:] == expected
    assert normalise_headers({b"A": b"b"}) == ((b"a", b"b"),)


@pytest.mark.parametrize("bad", [5, "accept", ["accept: */*"], [("a", "b", "c")], {"a": 1}, UserDict({"a": 1})])
def test_the_types_of_headers(bad: Any) -> None:
    with pytest.raises(TypeError, match=r"^headers must be pairs of name and value, each str or bytes, or a mapping$"):
        RequestHead("POST", "/", bad)


def test_a_character_outside_latin_1_is_refused() -> None:
    with pytest.raises(UnicodeEncodeError):
        ResponseHead(200, [("x-name", "🐈")])


@pytest.mark.parametrize("name", ["X-Kind", "x-kind", "X-KIND"])
def test_looking_up_does_not_mind_case(name: str) -> None:
    for head in heads([("X-KinD", "one"), ("x-kind", b"tw\xf6"), ("x-kinder", "no")]):
        assert head.get(name) == "one"
        assert head.get_all(name) == [b"one", b"tw\xf6"]


def test_a_value_is_read_as_latin_1() -> None:
    for head in heads([("x-kind", b"tw\xf6")]):
        assert head.get("x-kind") == "twö"


@pytest.mark.parametrize(
    ("target", "path", "query_string", "query"),
    [
        ("/", "/", "", {}),
        ("/a%20b/c?x=1", "/a b/c", "x=1", {"x": ["1"]}),
        ("/a?x=1&y=&x=%C3%A9+2&z", "/a", "x=1&y=&x=%C3%A9+2&z", {"x": ["1", "é 2"], "y": [""], "z": [""]}),
        ("/a?b?c", "/a", "b?c", {"b?c": [""]}),
        ("//a/b", "//a/b", "", {}),
        ("http://bot.invalid/a?x=1", "/a", "x=1", {"x": ["1"]}),
        ("http://bot.invalid?x=1", "/", "x=1", {"x": ["1"]}),
        ("http://bot.invalid/a%3Fb%2523?x=1", "/a?b%23", "x=1", {"x": ["1"]}),
        ("http://[bad/a?x=1", "", "x=1", {"x": ["1"]}),
        ("*", "*", "", {}),
    ],
)
def test_the_parts_of_a_target(target: str, path: str, query_string: str, query: dict[str, list[str]]) -> None:
    head = RequestHead("POST", target)
    assert (head.path, head.query_string, head.query) == (path, query_string, query)


def test_a_request_may_know_its_client_and_does_not_show_it() -> None:
    assert RequestHead("POST", "/").client is None
    head = RequestHead("POST", "/", client=("192.0.2.7", 4711))
    assert head.client == ("192.0.2.7", 4711)
    assert "192.0.2.7" not in repr(head)
    with pytest.raises(TypeError):
        RequestHead("POST", "/", client="192.0.2.7")  # pyright: ignore[reportArgumentType]


def test_a_missing_header_returns_none() -> None:
    for head in [*heads([("x-kind", "one")]), *heads([])]:
        assert head.get("x-other") is None
        assert head.get_all("x-other") == []


def test_headers_and_body_are_empty_by_default() -> None:
    assert RequestHead("GET", "/").headers == ResponseHead(200).headers == ()
    for whole in (HttpRequest("GET", "https://bot.invalid/"), HttpResponse(204)):
        assert (whole.headers, whole.body) == ((), b"")


@pytest.mark.parametrize(
    "name",
    [
        "Authorization", "authorization", b"AUTHORIZATION", "Proxy-Authorization", "Cookie", "Set-Cookie",
        "X-Api-Key", "Location", "X-Request-Id", "Server",
    ],
)  # fmt: skip
def test_a_repr_never_shows_credentials(name: str | bytes) -> None:
    for head in heads([("accept", "text/html"), (name, f"Bearer {SECRET}"), (name, SECRET)]):
        for text in (repr(head), str(head), f"{head!r:.1000}", repr([head])):
            assert SECRET not in text
            assert "text/html" in text
            assert text.count("<hidden>") == 2


def test_a_key_repeated_in_a_plain_header_is_hidden_as_well() -> None:
    key = "0123456789abcdefABCDEF0123456789"
    for head in heads([("content-type", f"text/{key}; charset=utf-8"), ("retry-after", key)]):
        assert key not in repr(head)
        assert "text/<hidden>; charset=utf-8" in repr(head)
    for head in heads([("content-type", "application/x-www-form-urlencoded"), ("content-length", "123456789012345")]):
        assert "<hidden>" not in repr(head)


@pytest.mark.parametrize(
    ("target", "shown"),
    [
        ("/bot/update_settings/b/the-key/1.2", "/bot/update_settings/b/…"),
        ("/bot/update_settings/b/the/key/1.2?x", "/bot/update_settings/b/…?…"),
        ("/bot/fetch_settings/b/the-key?x=1", "/bot/fetch_settings/b/…?…"),
        ("http://h/bot/fetch_settings/b/the-key", "http://h/bot/fetch_settings/b/…"),
        ("/bot/update_settings/b", "/bot/update_settings/b"),
        ("/bot/settings/b/c", "/bot/settings/b/c"),
    ],
)
def test_a_target_does_not_show_the_key_that_some_of_poes_paths_hold(target: str, shown: str) -> None:
    assert f"target={shown!r}" in repr(RequestHead("POST", target))


def test_hiding_changes_only_the_repr() -> None:
    for head in heads([("Authorization", f"Bearer {SECRET}")]):
        assert head.get("authorization") == f"Bearer {SECRET}"
        assert attrs.evolve(head).headers == head.headers


@pytest.mark.parametrize(
    ("cls", "arguments", "message"),
    [
        (RequestHead, ("GET", b"/"), "RequestHead.target must be str"),
        (RequestHead, (b"GET", "/"), "RequestHead.method must be str"),
        (ResponseHead, ("200",), "ResponseHead.status must be int"),
        (ResponseHead, (True,), "ResponseHead.status must be int"),
        (
            HttpRequest,
            ("GET", "https://bot.invalid/", (), "body"),
            "HttpRequest.body must be bytes | StreamedBody, got a value of type str",
        ),
        (HttpResponse, (200, (), None), "HttpResponse.body must be bytes, got None"),
    ],
)
def test_types_are_checked(cls: type[Any], arguments: tuple[Any, ...], message: str) -> None:
    with pytest.raises(TypeError) as caught:
        cls(*arguments)
    assert str(caught.value).startswith(message)


# --- where Poe is


def test_a_repr_omits_headers_and_bodies() -> None:
    request = HttpRequest(
        "POST", "https://api.poe.com/bot/update_settings/b/the-key/1.2", [], b'{"access_key":"the-key"}'
    )
    assert repr(request).startswith("HttpRequest(method='POST', url='https://api.poe.com/…'")
    response = HttpResponse(200, [], b"the-key")
    for value in (request, response, RequestHead("POST", "/bot?key=the-key")):
        assert "the-key" not in repr(value)
    assert "body=<7 bytes>" in repr(response)
    assert "url='https://api.poe.com'" in repr(HttpRequest("GET", "https://api.poe.com"))
    assert "target='/bot'" in repr(RequestHead("GET", "/bot"))


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://h?access_key=the-key", "https://h/…"),
        ("https://h?access_key=the-key&u=/x", "https://h/…"),
        ("https://h#the-key", "https://h/…"),
        ("https://me:the-key@h/x", "https://h/…"),
        ("https://me:the-key@h", "https://h"),
        ("https://the-key@h:8080", "https://h:8080"),
        ("https://me:the@key@[::1]:80/the-key", "https://[::1]:80/…"),
        ("https://me:the-key/@h/x", "…"),
        ("/bot/update_settings/b/the-key", "…"),
        ("/bot/the-key?next=https://h/x", "…"),
        ("the-key", "…"),
        ("https://h\\the-key", "…"),
        ("http://127.0.0.1:8000/", "http://127.0.0.1:8000/…"),
        ("http://bücher.example/", "http://bücher.example/…"),
    ],
)
def test_of_a_url_the_scheme_and_the_host_are_shown(url: str, shown: str) -> None:
    assert f"url={shown!r}," in repr(HttpRequest("GET", url))


def test_a_content_coding_is_identity_by_default() -> None:
    assert ResponseHead(200).content_coding == "identity"
    assert ResponseHead(200, [("content-encoding", "")]).content_coding == "identity"
    assert HttpResponse(200, [("Content-Encoding", " GZip ")]).content_coding == "gzip"
    # A list, in one header or over several (RFC 9110, 5.3).
    lines = [("content-encoding", "identity"), ("content-type", "a/b"), ("content-encoding", "br, ,Identity,GZIP")]
    assert ResponseHead(200, lines).content_coding == "br, gzip"
    assert ResponseHead(200, [("content-encoding", "identity, ")] * 2).content_coding == "identity"


def test_a_response_of_a_body_declares_it() -> None:
    response = HttpResponse.of(405, "text/plain", b"no", [("Allow", "POST")])
    assert response.headers == ((b"content-type", b"text/plain"), (b"content-length", b"2"), (b"allow", b"POST"))
    assert (response.status, response.body) == (405, b"no")
