"""The simulator over HTTP: paths, error responses, and files."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from typing import Any
from urllib.parse import quote

import pytest

from poeproto import (
    Done,
    Error,
    Limits,
    QueryRequest,
    ReportErrorRequest,
    ReportReactionRequest,
    Request,
    SettingsRequest,
    SettingsResponse,
    Text,
    encode_request,
    encode_settings,
)
from poeproto_simulator import Canned, Echo, Scripted, Simulator

from ...support.bots import BEARER, KEY, query_body
from ...support.raw_http import Response, chunk, connect, fetch, http_request

pytestmark = pytest.mark.anyio

UPLOAD = "/poe_api/file_upload_3RD_PARTY_POST"
FORM = "Content-Type: multipart/form-data; boundary=x"
URLENCODED = "Content-Type: application/x-www-form-urlencoded"


@pytest.fixture
async def lenient() -> AsyncGenerator[tuple[Simulator, str]]:
    simulator = Simulator()
    async with simulator.serving() as address:
        yield simulator, address


@pytest.fixture
async def strict() -> AsyncGenerator[tuple[Simulator, str]]:
    simulator = Simulator(strict=True, api_key="mine")
    simulator.register("Cat", Canned("Meow"), access_key=KEY)
    async with simulator.serving() as address:
        yield simulator, address


async def post(address: str, path: str, body: bytes, *headers: str, key: str | None = BEARER) -> Response:
    return await fetch(address, http_request(body, path=path, key=key, headers=headers))


def error_in(response: Response) -> str:
    assert response.headers["content-type"] == "application/json"
    return json.loads(response.body)["error"]


def a_part(name: str, data: bytes, *, filename: str | None = None, content_type: str | None = None) -> bytes:
    head = f'--x\r\nContent-Disposition: form-data; name="{name}"'
    if filename is not None:
        head += f'; filename="{filename}"'
    if content_type is not None:
        head += f"\r\nContent-Type: {content_type}"
    return head.encode() + b"\r\n\r\n" + data + b"\r\n"


# --- paths


async def test_any_bot_and_any_key_unless_strict(lenient: tuple[Simulator, str]) -> None:
    _, address = lenient
    for key in (None, BEARER, "Bearer whatever"):
        response = await post(address, "/bot/Who%2Fever", query_body("hello"), key=key)
        assert (response.status, response.headers["content-type"]) == (200, "text/event-stream; charset=utf-8")
        assert response.events == [Text("hello"), Done()]
        assert response.headers["x-ratelimit-limit-requests"] == "500"


@pytest.mark.parametrize("path", ["/", "/bot/", "/bot", "/bot/cost/b-1/refund", "/bot/a/b", "/nowhere", "/files/x/y"])
async def test_unknown_paths(lenient: tuple[Simulator, str], path: str) -> None:
    _, address = lenient
    response = await post(address, path, query_body())
    if path == "/":
        assert (response.status, response.headers["allow"]) == (405, "GET, HEAD")
    elif path.startswith("/files/"):
        assert (response.status, response.headers["allow"]) == (405, "GET, HEAD")
        assert (await fetch(address, http_request(b"", method="GET", path=path))).status == 404
    else:
        assert response.status == 404
        assert error_in(response) == "the simulator has no such path"


@pytest.mark.parametrize("path", ["/bot/Cat", "/bot/cost/b/capture", "/bot/fetch_settings/Cat/key/1.2", UPLOAD])
async def test_other_methods(lenient: tuple[Simulator, str], path: str) -> None:
    _, address = lenient
    for method in ("GET", "PUT"):
        response = await fetch(address, http_request(b"{}", method=method, path=path))
        assert (response.status, response.headers["allow"]) == (405, "POST")
        assert error_in(response) == "this path takes POST"


async def test_the_root_describes_the_server(lenient: tuple[Simulator, str]) -> None:
    response = await fetch(lenient[1], http_request(b"", method="GET", key=None))
    assert response.status == 200
    assert json.loads(response.body) == {"poeproto_simulator": "Poe's paths are under this root"}


# --- queries


async def test_a_wrong_key_when_strict(strict: tuple[Simulator, str]) -> None:
    _, address = strict
    for key in (None, "Bearer wrong", "Basic mine"):
        response = await post(address, "/bot/Cat", query_body(), key=key)
        assert (response.status, response.headers["www-authenticate"]) == (401, "Bearer")
        assert error_in(response) == "the key is unknown"
    assert (await post(address, "/bot/Cat", query_body(), key="bearer mine")).events == [Text("Meow"), Done()]


async def test_an_unknown_bot_when_strict(strict: tuple[Simulator, str]) -> None:
    response = await post(strict[1], "/bot/Dog", query_body(), key="Bearer mine")
    assert response.status == 404
    assert error_in(response) == "there is no bot called 'Dog'"


async def test_a_call_that_was_not_declared(strict: tuple[Simulator, str]) -> None:
    simulator, address = strict
    simulator.register("Caller", Echo(SettingsResponse()), access_key="c" * 32)
    response = await post(address, "/bot/Cat", query_body(), key=f"Bearer {'c' * 32}")
    assert response.status == 200
    assert response.events == [Error(text="Caller called without a message to answer"), Done()]


@pytest.mark.parametrize(("body", "status"), [(b"{", 400), (b"[]", 400), (b'{"type": "dance"}', 501), (b"{}", 400)])
async def test_invalid_requests(lenient: tuple[Simulator, str], body: bytes, status: int) -> None:
    response = await post(lenient[1], "/bot/Cat", body)
    assert response.status == status
    assert error_in(response)


async def test_a_body_that_is_too_large() -> None:
    async with Simulator(limits=Limits(request_body=1000)).serving() as address:
        response = await post(address, "/bot/Cat", b"x" * 200_000)
    assert response.status == 413
    assert error_in(response) == "the body has 200000 bytes, and 1000 are allowed"


async def test_a_client_that_disconnects_within_its_request(lenient: tuple[Simulator, str]) -> None:
    simulator, address = lenient
    async with connect(address) as connection:
        await connection.send(http_request(path="/bot/Cat", chunked=True) + chunk(b'{"type"'))
    assert (await post(address, "/bot/Cat", query_body("hello"))).events == [Text("hello"), Done()]
    assert len(simulator.engine.queries) == 1


async def test_rates_are_limited_when_strict(strict: tuple[Simulator, str]) -> None:
    simulator, address = strict
    simulator.engine.callers.rate_limit.count("mine", simulator.engine.now())
    for _ in range(498):
        simulator.engine.callers.rate_limit.count("mine", simulator.engine.now())
    last = await post(address, "/bot/Cat", query_body(), key="Bearer mine")
    assert (last.status, last.headers["x-ratelimit-remaining-requests"]) == (200, "0")
    refused = await post(address, "/bot/Cat", query_body(), key="Bearer mine")
    assert refused.status == 429
    assert error_in(refused) == "too many requests"
    assert 0 < int(refused.headers["retry-after"]) <= 60
    assert (await post(address, "/bot/Cat", query_body(), key=BEARER)).status == 200, "each key has its own limit"


async def test_the_last_thousand_messages_arrive(lenient: tuple[Simulator, str]) -> None:
    simulator, address = lenient
    bot = Scripted(lambda request: str(len(request.query)))
    simulator.register("Counter", bot)
    wire = json.loads(query_body("hello"))
    wire["query"] *= 1200
    response = await post(address, "/bot/Counter", json.dumps(wire).encode())
    assert response.events == [Text("1000"), Done()]


@pytest.mark.parametrize(
    "request_", [ReportErrorRequest("no"), ReportReactionRequest("m", "u", "c", "like"), SettingsRequest()]
)
async def test_other_requests_reach_the_bot(lenient: tuple[Simulator, str], request_: Request) -> None:
    simulator, address = lenient
    got: list[Request] = []

    class Listening(Echo):
        async def on_error(self, request: Any, context: Any) -> None:
            got.append(request)

        async def on_reaction(self, request: Any, context: Any) -> None:
            got.append(request)

    simulator.register("Cat", Listening(SettingsResponse(introduction_message="hi")))
    response = await post(address, "/bot/Cat", encode_request(request_))
    assert response.status == 200
    if isinstance(request_, SettingsRequest):
        assert json.loads(response.body) == {"response_version": 2, "introduction_message": "hi"}
    else:
        assert got == [request_]


# --- settings and costs


async def test_settings_without_and_with_a_version(strict: tuple[Simulator, str]) -> None:
    simulator, address = strict
    for path in (f"/bot/fetch_settings/Cat/{KEY}", f"/bot/fetch_settings/Cat/{KEY}/1.1"):
        response = await post(address, path, b"", key=None)
        assert (response.status, json.loads(response.body)) == (200, {"response_version": 2})
    for path in (f"/bot/update_settings/Cat/{KEY}", f"/bot/update_settings/Cat/{KEY}/1.2"):
        assert (await post(address, path, encode_settings(SettingsResponse(rate_card="a lot")), key=None)).status == 200
    assert simulator.settings_of("Cat") == SettingsResponse(rate_card="a lot")
    wrong = await post(address, "/bot/fetch_settings/Cat/wrong/1.2", b"", key=None)
    assert (wrong.status, error_in(wrong)) == (401, "this is not the access key of Cat")
    nobody = await post(address, f"/bot/fetch_settings/Dog/{KEY}/1.2", b"", key=None)
    assert (nobody.status, error_in(nobody)) == (404, "there is no bot called 'Dog'")


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"{", "not"),
        (b'{"allow_attachments": "yes"}', "allow_attachments"),
        (b'{"response_version": 2, "colour": "red"}', "colour"),
    ],
)
async def test_invalid_settings(lenient: tuple[Simulator, str], body: bytes, words: str) -> None:
    response = await post(lenient[1], "/bot/update_settings/Cat/some-key/1.2", body, key=None)
    assert response.status == 400
    assert error_in(response).startswith("the settings are invalid:")
    assert words in error_in(response)


async def test_an_invalid_key(lenient: tuple[Simulator, str]) -> None:
    simulator, address = lenient
    for key in ("", "%C3%A9", "a%20b"):
        response = await post(address, f"/bot/update_settings/Cat/{key}/1.2", b"{}", key=None)
        assert (response.status, error_in(response)) == (
            400,
            "this is not a valid access key: expected visible ASCII characters",
        )
    with pytest.raises(ValueError, match="ASCII"):
        simulator.register("Cat", Echo(), access_key="é")
    with pytest.raises(ValueError, match="a bot needs a name"):
        simulator.register("", Echo())


async def test_settings_of_a_bot_whose_server_is_down(lenient: tuple[Simulator, str]) -> None:
    simulator, address = lenient
    simulator.register("Down", "http://127.0.0.1:9/")
    response = await post(address, "/bot/fetch_settings/Down/some-key/1.2", b"", key=None)
    assert response.status == 502
    assert error_in(response).startswith("the settings of Down could not be fetched: no connection to")


async def test_settings_of_version_1_lose_their_controls(lenient: tuple[Simulator, str]) -> None:
    simulator, address = lenient
    controls = {"api_version": "2", "sections": [{"controls": [{"control": "divider"}]}]}
    body = json.dumps({"parameter_controls": controls}).encode()
    assert (await post(address, "/bot/update_settings/Cat/some-key/1.2", body, key=None)).status == 200
    settings = simulator.settings_of("Cat")
    assert settings is not None
    assert settings.parameter_controls is None


def cost_body(*amounts: object, key: str = KEY) -> bytes:
    return json.dumps({"amounts": [{"amount_usd_milli_cents": a} for a in amounts], "access_key": key}).encode()


async def test_any_query_is_charged_unless_strict(lenient: tuple[Simulator, str]) -> None:
    simulator, address = lenient
    simulator.balance = 100
    response = await post(address, "/bot/cost/whatever/capture", cost_body(60, 30), key=None)
    assert (response.status, response.body) == (200, b'event: result\ndata: {"status": "success"}\n\n')
    assert simulator.balance == 10
    response = await post(address, "/bot/cost/whatever/authorize", cost_body(11), key=None)
    assert (response.status, response.body) == (200, b'event: result\ndata: {"status": "insufficient_fund"}\n\n')


async def test_invalid_costs(strict: tuple[Simulator, str]) -> None:
    simulator, address = strict
    reply = await simulator.say("Cat", "hello")
    path = f"/bot/cost/{quote(reply.query.request.bot_query_id)}/capture"
    for where, body, status in [
        ("/bot/cost/whatever/capture", cost_body(1), 404),
        (path, cost_body(1, key="wrong"), 401),
        (path, cost_body(), 400),
        (path, cost_body(-1), 400),
        (path, cost_body("1"), 400),
        (path, b'{"amounts": [1]}', 400),
        (path, b'{"amounts": [{"amount_usd_milli_cents": 1}]}', 401),
        (path, b"[]", 400),
        (path, b"{", 400),
        (path, b'{"amounts": ' + b"[" * 200_000 + b"]" * 200_000 + b"}", 400),
    ]:
        response = await post(address, where, body, key=None)
        assert (response.status, where) == (status, where)
        assert response.body.startswith(b"event: error\ndata: {")
    assert (await post(address, path, cost_body(1), key=None)).status == 200


# --- files


async def test_an_upload_is_served_back(strict: tuple[Simulator, str]) -> None:
    _, address = strict
    form = a_part("note", b"is ignored") + a_part("file", b"\x00warm", filename="a/b%22.txt", content_type="text/x")
    response = await post(address, UPLOAD, form + b"--x--\r\n", FORM, key="mine")
    assert response.status == 200
    uploaded = json.loads(response.body)
    assert (uploaded["mime_type"], uploaded["size"]) == ("text/x", 5)
    path = uploaded["attachment_url"].removeprefix("http://localhost")
    assert path.endswith("/b%22.txt")
    served = await fetch(address, http_request(b"", method="GET", path=path, key=None))
    assert (served.status, served.body, served.headers["content-type"]) == (200, b"\x00warm", "text/x")
    async with connect(address) as connection:
        await connection.send(http_request(b"", method="HEAD", path=path, key=None))
        status, headers = await connection.read_head()
    assert (status, headers["content-length"]) == (200, "5")


RANGES: list[tuple[str, int, bytes, str | None]] = [
    ("bytes=0-3", 206, b"0123", "bytes 0-3/10"),
    ("bytes=4-", 206, b"456789", "bytes 4-9/10"),
    ("bytes=8-100", 206, b"89", "bytes 8-9/10"),
    ("bytes=-3", 206, b"789", "bytes 7-9/10"),
    ("bytes=-100", 206, b"0123456789", "bytes 0-9/10"),
    ("BYTES= 9-9 ", 206, b"9", "bytes 9-9/10"),
    ("bytes=10-", 416, b"the file has 10 bytes", "bytes */10"),
    ("bytes=10-12", 416, b"the file has 10 bytes", "bytes */10"),
    ("bytes=-0", 416, b"the file has 10 bytes", "bytes */10"),
    ("bytes=3-1", 200, b"0123456789", None),
    ("bytes=0-1,3-4", 200, b"0123456789", None),
    ("bytes=", 200, b"0123456789", None),
    ("bytes=x-y", 200, b"0123456789", None),
    ("bytes=-", 200, b"0123456789", None),
    ("bytes=\u00b2-", 200, b"0123456789", None),
    ("lines=0-1", 200, b"0123456789", None),
]


@pytest.mark.parametrize(("ranges", "status", "body", "content_range"), RANGES)
async def test_a_range_of_a_file(
    lenient: tuple[Simulator, str], ranges: str, status: int, body: bytes, content_range: str | None
) -> None:
    simulator, address = lenient
    path = (await simulator.store_file(b"0123456789", "a.mp3", "audio/mpeg")).url.removeprefix(address)
    request = http_request(b"", method="GET", path=path, headers=[f"Range: {ranges}"])
    response = await fetch(address, request)
    assert response.status == status
    assert response.headers.get("content-range") == content_range
    assert body in response.body if status == 416 else body == response.body
    assert int(response.headers["content-length"]) == len(response.body)
    if status != 416:
        assert (response.headers["accept-ranges"], response.headers["content-type"]) == ("bytes", "audio/mpeg")


async def test_a_range_if_the_file_is_the_same(lenient: tuple[Simulator, str]) -> None:
    simulator, address = lenient
    path = (await simulator.store_file(b"0123456789", "a.mp3")).url.removeprefix(address)
    etag = (await fetch(address, http_request(b"", method="GET", path=path))).headers["etag"]
    for condition, status in [(etag, 206), (f"W/{etag}", 200), ('"x"', 200), ("Sun, 29 Nov 2026 14:00:00 GMT", 200)]:
        headers = ["Range: bytes=2-3", f"If-Range: {condition}"]
        response = await fetch(address, http_request(b"", method="GET", path=path, headers=headers))
        assert (response.status, response.body) == (status, b"23" if status == 206 else b"0123456789")


async def test_a_range_of_a_head_request_or_of_an_empty_file_is_ignored(lenient: tuple[Simulator, str]) -> None:
    simulator, address = lenient
    path = (await simulator.store_file(b"0123456789", "a.mp3")).url.removeprefix(address)
    async with connect(address) as connection:
        await connection.send(http_request(b"", method="HEAD", path=path, headers=["Range: bytes=2-3"]))
        status, headers = await connection.read_head()
    assert (status, headers["content-length"], headers["accept-ranges"]) == (200, "10", "bytes")
    path = (await simulator.store_file(b"", "a.mp3")).url.removeprefix(address)
    response = await fetch(address, http_request(b"", method="GET", path=path, headers=["Range: bytes=-1"]))
    assert (response.status, response.body) == (200, b"")


async def test_a_range_of_a_large_file(lenient: tuple[Simulator, str]) -> None:
    simulator, address = lenient
    data = bytes(index * 7 % 256 for index in range(300_001))
    path = (await simulator.store_file(data, "a.mp4")).url.removeprefix(address)
    for first, last in [(0, 300_000), (65_535, 65_536), (1, 200_000)]:
        headers = [f"Range: bytes={first}-{last}"]
        response = await fetch(address, http_request(b"", method="GET", path=path, headers=headers))
        assert (response.status, response.body == data[first : last + 1]) == (206, True)


async def test_the_type_of_a_file_without_one(lenient: tuple[Simulator, str]) -> None:
    _, address = lenient
    for name, kind in [("a.png", "image/png"), ("a.nothing", "application/octet-stream"), ("", None)]:
        form = a_part("file", b"x", filename=name) + b"--x--\r\n"
        response = await post(address, UPLOAD, form, FORM, key=None)
        assert json.loads(response.body)["mime_type"] == (kind or "application/octet-stream")


@pytest.mark.parametrize(
    ("header", "body", "status", "words"),
    [
        (FORM, a_part("file", b"x", filename="a"), 400, "it is incomplete"),
        (FORM, a_part("file", b"x", filename="a", content_type="a/\x1bb") + b"--x--\r\n", 400, "control character"),
        (FORM, a_part("file", b"x", filename="a", content_type="a/\x7fb") + b"--x--\r\n", 400, "control character"),
        (FORM, a_part("file", b"x", filename="a", content_type="a/b;\tc=d") + b"--x--\r\n", 400, "control character"),
        (FORM, b"no form", 400, "the form cannot be read"),
        (FORM, a_part("file", b"x", filename="a") * 2 + b"--x--\r\n", 400, "there are two files"),
        (FORM, a_part("note", b"x") + b"--x--\r\n", 400, "neither a file nor a download_url"),
        ("Content-Type: multipart/form-data", b"--x--\r\n", 400, "no boundary"),
        ("Content-Type: application/json", b"{}", 415, "a form is expected, got application/json"),
        (URLENCODED, b"download_filename=x", 400, "neither a file nor a download_url"),
        (URLENCODED, b"download_url=file%3A%2F%2F%2Fetc%2Fpasswd", 400, "expected an http or https URL"),
        (URLENCODED, b"download_url=http%3A%2F%2F%5Bbad", 400, "not a URL"),
        (URLENCODED, b"download_url=http%3A%2F%2F127.0.0.1%3A9%2F", 403, "has not been allowed"),
    ],
)
async def test_invalid_uploads(
    lenient: tuple[Simulator, str], header: str, body: bytes, status: int, words: str
) -> None:
    response = await post(lenient[1], UPLOAD, body, header)
    assert response.status == status
    assert words in error_in(response)


async def test_an_upload_with_a_wrong_key(strict: tuple[Simulator, str]) -> None:
    form = a_part("file", b"x", filename="a") + b"--x--\r\n"
    assert (await post(strict[1], UPLOAD, form, FORM, key="wrong")).status == 401
    assert (await post(strict[1], UPLOAD, form, FORM, key=KEY)).status == 200


async def test_a_file_that_is_too_large() -> None:
    async with Simulator(limits=Limits(file_size=10)).serving() as address:
        form = a_part("file", b"x" * 11, filename="a") + b"--x--\r\n"
        response = await post(address, UPLOAD, form, FORM)
        assert (response.status, error_in(response)) == (413, "the file has 11 bytes, and 10 are allowed")
        form = a_part("file", b"x" * 200_000, filename="a") + b"--x--\r\n"
        assert (await post(address, UPLOAD, form, FORM)).status == 413


async def test_a_file_expires(lenient: tuple[Simulator, str]) -> None:
    simulator, address = lenient
    stored = await simulator.store_file(b"x", "x.txt")
    path = stored.url.removeprefix(address)
    assert (await fetch(address, http_request(b"", method="GET", path=path))).status == 200
    simulator.files.expire(stored.url)
    assert (await fetch(address, http_request(b"", method="GET", path=path))).status == 403
    response = await post(address, UPLOAD, f"download_url={quote(stored.url)}".encode(), URLENCODED)
    assert (response.status, error_in(response)) == (400, "the file could not be fetched: status 403")
    with pytest.raises(KeyError):
        simulator.files.expire("nothing")


async def test_files_are_deleted_at_the_end() -> None:
    simulator = Simulator()
    async with simulator.serving():
        stored = simulator.files.find((await simulator.store_file(b"x", "x.txt")).url)
        assert stored is not None
        assert stored.path.exists()
    assert not stored.path.parent.exists()


async def test_the_sample_query_of_the_specification(lenient: tuple[Simulator, str]) -> None:
    body = b'{"version":"1.0","type":"query","query":[{"role":"user","content":"hi"}],"user":"u","conversation":"c"}'
    assert (await post(lenient[1], "/bot/Cat", body)).events == [Text("hi"), Done()]
    assert isinstance(next(iter(lenient[0].engine.queries.values())).request, QueryRequest)
