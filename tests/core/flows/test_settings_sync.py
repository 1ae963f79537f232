from __future__ import annotations

import pytest

from poeproto import (
    Endpoints,
    HttpResponse,
    LocalProtocolError,
    RequestRefused,
    SettingsResponse,
    decode_settings,
    encode_settings,
)
from poeproto.flows import fetch_settings_request, read_settings_sync, update_settings_request
from poeproto.testing import TEST_ACCESS_KEY, sample_settings


def test_settings_are_pushed() -> None:
    request = update_settings_request("My Bot/é", sample_settings(), access_key=TEST_ACCESS_KEY)
    assert request.method == "POST"
    assert request.url == f"https://api.poe.com/bot/update_settings/My%20Bot%2F%C3%A9/{TEST_ACCESS_KEY}/1.2"
    assert request.get("content-type") == "application/json"
    assert request.get("accept-encoding") == "identity"
    assert isinstance(request.body, bytes)
    assert decode_settings(request.body) == sample_settings()
    assert TEST_ACCESS_KEY not in repr(request)


def test_settings_are_asked_for() -> None:
    endpoints = Endpoints.at("http://127.0.0.1:8000/")
    request = fetch_settings_request("Bot", access_key=TEST_ACCESS_KEY, endpoints=endpoints, version="1.1")
    assert request.url == f"http://127.0.0.1:8000/bot/fetch_settings/Bot/{TEST_ACCESS_KEY}/1.1"
    assert (request.method, request.body) == ("POST", b"")
    assert request.get("accept-encoding") == "identity"


@pytest.mark.parametrize(("name", "key"), [("", "k"), ("..", "k"), ("Bot", ""), ("Bot", "."), ("\ud83d", "k")])
def test_characters_that_a_url_cannot_have_are_refused(name: str, key: str) -> None:
    with pytest.raises(ValueError, match="is not"):
        fetch_settings_request(name, access_key=key)


def test_a_key_that_is_refused_is_not_shown() -> None:
    with pytest.raises(ValueError, match="an access key") as caught:
        fetch_settings_request("Bot", access_key=TEST_ACCESS_KEY + "\ud83d")
    assert TEST_ACCESS_KEY not in str(caught.value)


def test_settings_that_cannot_be_written_are_refused() -> None:
    with pytest.raises(LocalProtocolError):
        update_settings_request("Bot", SettingsResponse(extra={"new": 1}), access_key=TEST_ACCESS_KEY)


def test_the_answer_repeats_the_settings_or_says_nothing() -> None:
    def read(body: bytes) -> SettingsResponse | None:
        return read_settings_sync(HttpResponse(200, [], body), access_key=TEST_ACCESS_KEY)

    assert read(encode_settings(sample_settings())) == sample_settings()
    assert read(b'{"allow_attachments": false}') == SettingsResponse(response_version=0, allow_attachments=False)
    assert read(b'{"status": "ok", "rate_card": "Free"}') is not None
    for body in (b"", b"Updated", b"[]", b"{}", b'{"status": "ok"}', b'{"response_version": 0, "rate_card": null}'):
        assert read(body) is None


def test_a_refusal_shows_everything_but_the_key() -> None:
    response = HttpResponse(
        429, [("retry-after", "7"), ("x-ratelimit-limit", "500")], b"no " + TEST_ACCESS_KEY.encode()
    )
    with pytest.raises(RequestRefused, match="status 429 to a change of settings") as caught:
        read_settings_sync(response, access_key=TEST_ACCESS_KEY)
    error = caught.value
    assert (error.status, error.retry_after, error.body_start) == (429, "7", b"no <hidden>")
    assert error.rate_limit is not None
    assert error.rate_limit.limit == 500
