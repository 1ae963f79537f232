from __future__ import annotations

from email.parser import BytesParser
from email.policy import HTTP
from typing import Any
from urllib.parse import parse_qs

import pytest

from poeproto import (
    Attachment,
    Endpoints,
    File,
    FileTooLarge,
    HttpRequest,
    HttpResponse,
    InvalidValue,
    Limits,
    LocalProtocolError,
    RemoteProtocolError,
    UploadRefused,
)
from poeproto.flows import UploadedFile, read_upload, upload_by_url_request, upload_request
from poeproto.http import BodyWriter, StreamedBody
from poeproto.testing import TEST_ACCESS_KEY

CONTENT = b"\x00\r\nbytes\r\n--"
ARGUMENTS: dict[str, Any] = {
    "size": len(CONTENT),
    "name": "a.bin",
    "content_type": "application/octet-stream",
    "access_key": TEST_ACCESS_KEY,
    "boundary": "b0undary",
}


def upload(**changes: Any) -> HttpRequest:
    return upload_request(None, **ARGUMENTS | changes)


def written(request: HttpRequest, *chunks: bytes) -> bytes:
    assert isinstance(request.body, StreamedBody)
    writer = BodyWriter(request.body)
    whole = writer.begin() + b"".join(map(writer.send, chunks)) + writer.end()
    assert len(whole) == len(request.body)
    return whole


@pytest.mark.parametrize("chunks", [[CONTENT], [CONTENT[:3], b"", CONTENT[3:]], [bytes([byte]) for byte in CONTENT]])
def test_a_file_is_sent_part_by_part(chunks: list[bytes]) -> None:
    request = upload(name='qu"o\r\nte.é', content_type="text/plain; charset=utf-8")
    assert request.url == "https://www.quora.com/poe_api/file_upload_3RD_PARTY_POST"
    assert request.get("authorization") == TEST_ACCESS_KEY
    assert request.get("accept-encoding") == "identity"
    body = written(request, *chunks)
    head = f"content-type: {request.get('content-type')}\r\n\r\n".encode()
    (part,) = BytesParser(policy=HTTP).parsebytes(head + body).iter_parts()
    assert part.get_content_type() == "text/plain"
    assert CONTENT in body
    assert b'name="file"; filename="qu%22o%0D%0Ate.\xc3\xa9"\r\n' in body


def test_a_repr_shows_neither_boundary_nor_key() -> None:
    assert "b0undary" not in repr(upload().body)
    assert TEST_ACCESS_KEY not in repr(upload())


def test_a_file_has_the_size_that_was_declared() -> None:
    body = StreamedBody(b"<", None, 3, b">")
    writer = BodyWriter(body)
    assert writer.begin() == b"<"
    writer.send(b"ab")
    with pytest.raises(LocalProtocolError, match="1 bytes before its declared size"):
        writer.end()
    with pytest.raises(LocalProtocolError, match="larger than its declared size of 3 bytes"):
        writer.send(b"cd")
    writer.send(b"c")
    assert (writer.end(), len(body)) == (b">", 5)


def test_a_body_is_written_in_order() -> None:
    writer = BodyWriter(StreamedBody(b"<", None, 0, b">"))
    for early in (lambda: writer.send(b""), writer.end):
        with pytest.raises(LocalProtocolError, match="has not begun"):
            early()
    assert writer.begin() == b"<"
    with pytest.raises(LocalProtocolError, match="has begun already"):
        writer.begin()
    assert (writer.send(b""), writer.end()) == (b"", b">")
    for late in (writer.begin, lambda: writer.send(b""), writer.end):
        with pytest.raises(LocalProtocolError, match="has ended"):
            late()


@pytest.mark.parametrize(
    "content_type",
    [
        "text/plain",
        'text/plain; charset="utf-8"',
        'text/plain ;a=b; c="d \\"e\\"; f"',
        "text/plain;charset=utf-8",
        "a/b",
    ],
)
def test_media_types(content_type: str) -> None:
    request = upload(content_type=content_type)
    assert isinstance(request.body, StreamedBody)
    assert request.body.prefix.endswith(f"content-type: {content_type}\r\n\r\n".encode())


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({"size": -5}, "source_size"),
        ({"content_type": 'text/plain; a="b'}, "content_type"),
        ({"content_type": 'text/plain; a="b\r\nx: y"'}, "content_type"),
        ({"content_type": 'text/plain; a="b\\"'}, "content_type"),
        ({"boundary": ""}, "boundary"),
        ({"boundary": "a b"}, "boundary"),
        ({"boundary": "a" * 71}, "boundary"),
        ({"content_type": "text"}, "content_type"),
        ({"content_type": "text/plain\r\nx: y"}, "content_type"),
        ({"name": ""}, "name"),
        ({"name": "\ud83d"}, "name"),
        ({"name": "a\0.png"}, "name"),
        ({"name": "a\x1b[2J.png"}, "name"),
        ({"name": "a\x7f.png"}, "name"),
    ],
)
def test_a_value_that_would_break_the_form_is_refused(changes: dict[str, Any], path: str) -> None:
    with pytest.raises(InvalidValue) as caught:
        upload(**changes)
    assert caught.value.path == path


def test_the_ends_of_lines_and_quotes_are_written_as_browsers_do_and_tabs_stay() -> None:
    body = upload(name='a\t"b"\r\nc.txt').body
    assert isinstance(body, StreamedBody)
    assert b'filename="a\t%22b%22%0D%0Ac.txt"\r\n' in body.prefix


def test_a_file_may_be_too_large() -> None:
    assert upload(size=50 * 1024 * 1024)
    with pytest.raises(FileTooLarge, match="has 11 bytes; the limit is 10"):
        upload(size=11, limits=Limits(file_size=10))


def test_a_key_that_a_header_cannot_carry_is_refused() -> None:
    with pytest.raises(ValueError, match="visible ASCII"):
        upload(access_key="a b")


def test_poe_fetches_a_file() -> None:
    request = upload_by_url_request("https://x.invalid/?a=b&c", name="é.png", access_key=TEST_ACCESS_KEY)
    assert isinstance(request.body, bytes)
    assert parse_qs(request.body.decode()) == {
        "download_url": ["https://x.invalid/?a=b&c"], "download_filename": ["é.png"],
    }  # fmt: skip
    endpoints = Endpoints.at("http://127.0.0.1:8000")
    assert request.get("accept-encoding") == "identity"
    bare = upload_by_url_request("https://x.invalid/", access_key=TEST_ACCESS_KEY, endpoints=endpoints)
    assert bare.url == "http://127.0.0.1:8000/poe_api/file_upload_3RD_PARTY_POST"
    assert bare.body == b"download_url=https%3A%2F%2Fx.invalid%2F"
    with pytest.raises(InvalidValue):
        upload_by_url_request("", access_key=TEST_ACCESS_KEY)


@pytest.mark.parametrize(("size", "read"), [("12", 12), ("12.0", 12), ("1.5", None), ('"12"', None), ("true", None)])
def test_the_answer_is_a_file(size: str, read: int | None) -> None:
    body = f'{{"attachment_url": "https://x.invalid/a", "mime_type": "image/png", "size": {size}, "new": 1}}'
    file = read_upload(HttpResponse(200, [], body.encode()), name="a.png", access_key=TEST_ACCESS_KEY)
    assert file == UploadedFile("https://x.invalid/a", "image/png", "a.png", read)
    assert file.event("a1") == File("https://x.invalid/a", "a.png", "image/png", "a1")
    assert file.event().inline_ref is None
    assert file.event("").inline_ref is None  # the protocol has null there, and not an empty label


@pytest.mark.parametrize(
    ("body", "path"),
    [(b"{}", "attachment_url"), (b'{"attachment_url": "x", "mime_type": 1}', "mime_type"), (b"oops", "")],
)
def test_another_answer_is_a_fault(body: bytes, path: str) -> None:
    with pytest.raises(RemoteProtocolError) as caught:
        read_upload(HttpResponse(200, [], body), name="a.png", access_key=TEST_ACCESS_KEY)
    assert caught.value.path == path


def test_a_compressed_answer_is_a_refusal() -> None:
    with pytest.raises(UploadRefused, match="encoded its answer as 'br'"):
        read_upload(HttpResponse(200, [("content-encoding", "br")], b"{}"), name="a", access_key=TEST_ACCESS_KEY)


def test_a_refusal_shows_everything_but_the_key() -> None:
    body = b"bad key " + TEST_ACCESS_KEY.encode() + b"x" * 2000
    with pytest.raises(UploadRefused, match="status 403") as caught:
        read_upload(HttpResponse(403, [], body), name="a", access_key=TEST_ACCESS_KEY)
    assert caught.value.status == 403
    assert caught.value.body_start.startswith(b"bad key <hidden>xx")
    assert len(caught.value.body_start) <= 1024


def test_an_upload_becomes_an_attachment_of_a_message() -> None:
    uploaded = UploadedFile("https://x.invalid/a", "image/png", "a.png", 5)
    assert uploaded.attachment() == Attachment("https://x.invalid/a", "image/png", "a.png")
    assert uploaded.attachment("ab").inline_ref == "ab"
