"""Uploads of files to Poe."""

from __future__ import annotations

import io
import os
import secrets
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, BinaryIO

import attrs

from poeproto_compat.attempts import sleep
from poeproto_compat.bot_context import ErrorHandler, print_error
from poeproto_compat.errors import AttachmentUploadError
from poeproto_compat.poe_of_request import base_url_in_request
from poeproto_compat.types import Attachment

if TYPE_CHECKING:
    from poeproto import HttpRequest
    from poeproto_httpx import Session
    from poeproto_runtime.client.uploads import MeasuredSource

FILES_URL = "https://www.quora.com/poe_api/"


async def upload_file(
    file: bytes | BinaryIO | None = None,
    file_url: str | None = None,
    file_name: str | None = None,
    api_key: str = "",
    *,
    session: Session | None = None,
    on_error: ErrorHandler = print_error,
    num_tries: int = 2,
    retry_sleep_time: float = 0.5,
    base_url: str = FILES_URL,
    extra_headers: dict[str, str] | None = None,
) -> Attachment:
    """Upload a file to Poe, or have Poe fetch it from a URL.

    Args:
        file: bytes, or a binary file.
        file_url: the URL; pass one of both.
        file_name: the file's name, required for bytes and for a file without a name.
        api_key: an API key, or a bot's access key.
        session: as of `stream_request`, like the others.
        on_error: called with each failure.
        num_tries: the number of attempts.
        retry_sleep_time: seconds between two.
        base_url: where Poe's file service is; that of Poe means, within a request, where the server's calls go.
        extra_headers: further headers.

    Raises:
        ValueError: for arguments that do not fit.
        AttachmentUploadError: when the last attempt fails.
    """
    file_name = _check_upload(file, file_url, file_name, api_key)
    if isinstance(file, io.TextIOBase):  # a type checker refuses it; httpx encodes its text
        text: Any = file.read()
        file = text.encode()
    async with _upload_request(file, file_url, file_name, api_key, base_url) as request:
        operation = "upload_by_url" if file is None else "upload"
        for number in range(num_tries):
            try:
                return await _upload(operation, request, file_name or "file", api_key, session, extra_headers)
            except Exception as exc:
                on_error(exc, f"upload attempt {number + 1}/{num_tries} failed")
                if number == num_tries - 1:
                    raise
            await sleep(retry_sleep_time)
    raise ValueError(f"num_tries must be at least 1, not {num_tries}")


def _check_upload(file: object, file_url: str | None, file_name: str | None, api_key: str) -> str | None:
    """The file's name, given or its own."""
    if not api_key:
        raise ValueError("`api_key` is required: https://poe.com/api_key shows yours")
    if (file is None) == (not file_url):
        raise ValueError("pass either `file` or `file_url`")
    if file is None or file_name:
        return file_name
    if isinstance(file, bytes | bytearray):
        raise ValueError("`file_name` is required for bytes")
    if not callable(getattr(file, "read", None)):
        raise ValueError(f"`file` must be bytes or a binary file, not {type(file).__name__}")
    own = getattr(file, "name", "")
    if not isinstance(own, str) or not own:
        raise ValueError("`file_name` is required: this file has no name")
    return os.path.basename(own)


@asynccontextmanager
async def _upload_request(
    file: bytes | BinaryIO | None, file_url: str | None, file_name: str | None, api_key: str, base_url: str
) -> AsyncGenerator[HttpRequest]:
    """The request that uploads the file. It may be sent more than once."""
    from poeproto import Limits, LocalProtocolError
    from poeproto.flows import upload_by_url_request, upload_request
    from poeproto_runtime.client.uploads import in_worker_thread, measure

    url = f"{base_url_in_request(base_url).rstrip('/')}/file_upload_3RD_PARTY_POST"
    measured: MeasuredSource | None = None
    try:
        if file is None:
            request = upload_by_url_request(file_url or "", access_key=api_key, name=file_name or None)
        else:
            measured = await measure(file, file_name, None, Limits(), in_worker_thread)
            request = upload_request(
                measured,
                size=measured.size,
                name=measured.name,
                content_type=measured.content_type,
                access_key=api_key,
                boundary=secrets.token_hex(16),
                repeatable=True,
            )
        yield attrs.evolve(request, url=url)
    except LocalProtocolError as exc:
        raise AttachmentUploadError(str(exc)) from exc
    finally:
        if measured is not None:
            measured.close()


async def _upload(
    operation: str,
    request: HttpRequest,
    name: str,
    api_key: str,
    session: Session | None,
    extra_headers: Mapping[str, str] | None,
) -> Attachment:
    from poeproto import PoeprotoError, RetryPolicy
    from poeproto.flows import upload_flow
    from poeproto_compat.connections import calls_for

    flow = upload_flow(request, name=name, access_key=api_key, retry=RetryPolicy(attempts=1))
    try:
        calls = await calls_for(session, extra_headers)
        uploaded = await calls.run_flow(flow, operation, request.url)
    except PoeprotoError as exc:
        raise AttachmentUploadError(str(exc)) from exc
    return Attachment(url=uploaded.url, content_type=uploaded.content_type, name=name)
