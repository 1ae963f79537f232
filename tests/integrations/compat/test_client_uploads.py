"""fastapi_poe's upload_file: its arguments, its attempts, and its synchronous form."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import anyio.to_thread
import pytest

from poeproto_compat.client import AttachmentUploadError, upload_file, upload_file_sync

from ...support.scripted_peer import answering, response, scripted

pytestmark = pytest.mark.anyio

UPLOADED = response(200, json.dumps({"attachment_url": "https://files.invalid/a", "mime_type": "text/x"}).encode())


def ignore(exc: Exception, message: str) -> None:
    """An error handler; the default one prints."""


async def test_bytes_and_files_with_their_names(tmp_path: Path) -> None:
    path = tmp_path / "b.txt"
    path.write_bytes(b"of a file")
    async with scripted(answering(UPLOADED)) as server:
        options: dict[str, Any] = {"api_key": "k", "base_url": server.address + "poe_api"}
        given = await upload_file(b"", file_name="a.txt", **options)
        with path.open("rb") as file:
            own = await upload_file(file, **options)
        named = await upload_file(io.BytesIO(b"x"), file_name="c", **options)
        linked = await upload_file(file_url="https://files.invalid/d", **options)
    assert [each.name for each in (given, own, named, linked)] == ["a.txt", "b.txt", "c", "file"]
    assert given.content_type == "text/x"
    assert b"of a file" in server.requests[1].body
    assert {request.line.split()[1] for request in server.requests} == {"/poe_api/file_upload_3RD_PARTY_POST"}


async def test_attempts() -> None:
    failures: list[str] = []

    def on_error(exc: Exception, message: str) -> None:
        failures.append(f"{type(exc).__name__}: {message}")

    async with scripted(answering(response(500, b"broken"))) as server:
        options: dict[str, Any] = {"on_error": on_error, "retry_sleep_time": 0, "base_url": server.address}
        with pytest.raises(AttachmentUploadError, match="500"):
            await upload_file(io.BytesIO(b"whole"), file_name="a", api_key="k", **options)
        bodies = [request.body for request in server.requests]
    assert failures == [
        "AttachmentUploadError: upload attempt 1/2 failed",
        "AttachmentUploadError: upload attempt 2/2 failed",
    ]
    assert all(b"whole" in body for body in bodies)


async def test_answers_of_another_form() -> None:
    async with scripted(answering(response(200, b"{}"))) as server:
        with pytest.raises(AttachmentUploadError, match="attachment_url"):
            options: dict[str, Any] = {"on_error": ignore, "retry_sleep_time": 0, "base_url": server.address}
            await upload_file(b"a", file_name="a", api_key="k", **options)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"file": b"a", "file_name": "a"}, "api_key"),
        ({"api_key": "k"}, "either"),
        ({"api_key": "k", "file": b"a", "file_url": "https://a.invalid"}, "either"),
        ({"api_key": "k", "file": b"a"}, "required for bytes"),
        ({"api_key": "k", "file": io.BytesIO()}, "has no name"),
        ({"api_key": "k", "file": "text"}, "not str"),
        ({"api_key": "k", "file": b"a", "file_name": "a", "num_tries": 0}, "num_tries"),
    ],
)
async def test_arguments_that_do_not_fit(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        await upload_file(**arguments)


async def test_synchronous_uploads() -> None:
    async with scripted(answering(UPLOADED)) as server:

        def upload() -> str:
            return upload_file_sync(b"a", file_name="a.txt", api_key="k", base_url=server.address).url

        assert await anyio.to_thread.run_sync(upload) == "https://files.invalid/a"
    with pytest.raises(ValueError, match="an event loop is running"):
        upload_file_sync(b"a", file_name="a", api_key="k", session=object())  # pyright: ignore
