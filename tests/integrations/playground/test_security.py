"""Who may call the playground: no page of another origin, no other host name, and nobody without the token."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator

import pytest

from ...support.playground_page import PlaygroundPage, playing, raw_request
from ...support.raw_http import Response, fetch

pytestmark = pytest.mark.anyio

JSON = "Content-Type: application/json"


@pytest.fixture
async def page() -> AsyncGenerator[PlaygroundPage]:
    async with playing() as page:
        yield page


async def send(page: PlaygroundPage, method: str, path: str, *headers: str, host: str | None = None) -> Response:
    return await fetch(page.address, raw_request(page.address, method, path, b"", *headers, host=host))


@pytest.mark.parametrize("path", ["/api/state", "/api/events", "/api/conversations", "/api/export", "/api/nothing"])
async def test_every_call_needs_the_token(page: PlaygroundPage, path: str) -> None:
    for headers in ([], ["Authorization: Bearer wrong"], [f"Authorization: Basic {page.playground.guard.token}"]):
        for method in ("GET", "POST", "DELETE", "OPTIONS"):
            response = await send(page, method, path, *headers)
            assert response.status == 403
            assert b"token" in response.body
            assert "access-control-allow-origin" not in response.headers


@pytest.mark.parametrize(
    "host",
    ["evil.test", "evil.test:80", "127.0.0.1", "127.0.0.1:1", "user@127.0.0.1", "127.0.0.1.evil.test"],
)
@pytest.mark.parametrize("path", ["/", "/assets/app.js", "/frame", "/api/state", "/poe/x/bot/Cat"])
async def test_another_host_is_refused(page: PlaygroundPage, host: str, path: str) -> None:
    token = f"Authorization: Bearer {page.playground.guard.token}"
    response = await send(page, "GET", path, token, host=host)
    assert response.status == 403
    assert b"host" in response.body


@pytest.mark.parametrize("origin", ["http://evil.test", "null", "http://127.0.0.1", "https://127.0.0.1:1", ""])
async def test_another_origin_is_refused_whatever_its_token(page: PlaygroundPage, origin: str) -> None:
    for path in ("/api/state", "/frame", page.playground.address.removeprefix(page.address) + "/bot/Cat"):
        token = f"Authorization: Bearer {page.playground.guard.token}"
        response = await send(page, "GET", path, token, f"Origin: {origin}")
        assert response.status == 403
        assert b"origin" in response.body


async def test_the_own_origin_is_accepted(page: PlaygroundPage) -> None:
    response = await page.fetch("GET", "/api/state", b"", f"Origin: {page.address}")
    assert response.status == 200
    assert response.headers["cache-control"] == "no-store"
    assert response.headers["x-content-type-options"] == "nosniff"
    port = page.address.rpartition(":")[2]
    token = f"Authorization: Bearer {page.playground.guard.token}"
    response = await send(page, "GET", "/api/state", token, host=f"localhost:{port}")
    assert response.status == 200


async def test_no_bot_is_queried_without_the_token(page: PlaygroundPage) -> None:
    for path in ("/poe/wrong/bot/Cat", "/bot/Cat", "/poe//bot/Cat"):
        response = await send(page, "POST", path, JSON, "Authorization: Bearer key")
        assert response.status in (403, 404)
    below = page.playground.address.removeprefix(page.address)
    assert (await send(page, "GET", f"{below}/simulator/state")).status == 404
    assert not list(page.playground.exchanges)
    assert not page.playground.engine.bots


async def test_an_api_body_must_be_json(page: PlaygroundPage) -> None:
    response = await page.fetch("POST", "/api/conversations", b"{}", "Content-Type: text/plain")
    assert response.status == 415


async def test_the_frame_has_an_origin_of_its_own_and_no_network(page: PlaygroundPage) -> None:
    response = await send(page, "GET", "/frame")
    policy = response.headers["content-security-policy"].split("; ")
    assert policy[:4] == [
        "sandbox allow-scripts",
        "default-src 'none'",
        "script-src 'unsafe-inline'",
        "style-src 'unsafe-inline'",
    ]
    assert not [rule for rule in policy if "http" in rule or ("self" in rule and "frame-ancestors" not in rule)]
    assert response.headers["x-content-type-options"] == "nosniff"
    assert b'name.includes("RTC")' in response.body  # which no policy forbids
    switched_on = await send(page, "GET", "/frame?network=1")
    policy = switched_on.headers["content-security-policy"].split("; ")
    assert policy[0] == "sandbox allow-scripts"
    assert "connect-src https:" in policy


async def test_the_page_has_a_strict_policy(page: PlaygroundPage) -> None:
    response = await send(page, "GET", "/")
    policy = response.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self';" in policy
    assert "http" not in policy
    assert response.headers["x-content-type-options"] == "nosniff"
    assert response.headers["cache-control"] == "no-cache"
    again = await send(page, "GET", "/", f"If-None-Match: {response.headers['etag']}")
    assert (again.status, again.body) == (304, b"")


@pytest.mark.parametrize("path", ["/assets/..%2f__init__.py", "/assets/.x", "/assets/app.py", "/assets/nothing.js"])
async def test_no_other_file_is_served(page: PlaygroundPage, path: str) -> None:
    assert (await send(page, "GET", path)).status == 404


async def test_a_bots_file_runs_no_script(page: PlaygroundPage) -> None:
    response = await page.fetch("POST", "/api/files?name=x.html", b"<script>1</script>", "Content-Type: text/html")
    assert response.status == 200
    stored = json.loads(response.body)["url"]
    shown = await send(page, "GET", stored.removeprefix(page.address))
    assert shown.body == b"<script>1</script>"
    assert shown.headers["content-security-policy"].startswith("sandbox;")
