"""Uploaded files: stored in a temporary folder, and served from there until they expire or the simulator closes."""

from __future__ import annotations

import mimetypes
import re
import secrets
import tempfile
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

import anyio
import attrs

from poeproto import HttpResponse, Limits
from poeproto_asgi.asgi import Scope, Send
from poeproto_simulator.asgi import header_of, respond, start
from poeproto_simulator.byte_range import requested_range
from poeproto_simulator.responses import HTTPError

_CHUNK = 64 * 1024
_UNKNOWN_TYPE = "application/octet-stream"
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
# Clients resolve dots as relative references (RFC 3986, 5.2.4): their URLs would be those of a folder.
_NOT_IN_URLS = frozenset({"", ".", ".."})


@attrs.define
class StoredFile:
    """A stored file.

    Attributes:
        id: its identifier, which is part of its URL.
        name: its name, as uploaded.
        content_type: its media type.
        size: in bytes.
        path: the file on disk.
        expired: the status of the response once the file has expired; None before.
    """

    id: str
    name: str
    content_type: str
    size: int
    path: Path
    expired: int | None = None

    def url(self, root: str) -> str:
        """The URL of the file, where `root` is the simulator's address."""
        return f"{root}/files/{self.id}/{quote(self.name, safe='')}"


class Files:
    """The files of one simulator. The folder is created with the first file.

    Args:
        limits: `Limits.file_size` bounds each file.
    """

    def __init__(self, limits: Limits | None = None) -> None:
        self._largest = (limits or Limits()).file_size
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._files: dict[str, StoredFile] = {}

    async def store(self, data: bytes, name: str, content_type: str | None = None) -> StoredFile:
        """Store a file.

        Args:
            data: its content.
            name: its name; a path before it is dropped. A name that cannot end a URL is replaced by "file".
            content_type: its media type; by default guessed from its name.

        Raises:
            HTTPError: with status 413, when it is too large; 400, when the media type has a control character.
        """
        if len(data) > self._largest:
            raise HTTPError(413, f"the file has {len(data)} bytes, and {self._largest} are allowed")
        content_type = (content_type or "").strip()
        if _CONTROL.search(content_type):
            # A header with it could not be sent, so the file could not be fetched.
            raise HTTPError(400, f"the media type {content_type!r} has a control character")
        if self._folder is None:
            self._folder = tempfile.TemporaryDirectory(prefix="poeproto-simulator-")
        name = name.encode("utf-8", "replace").decode().replace("\\", "/").rpartition("/")[2]
        if name in _NOT_IN_URLS:
            name = "file"
        if content_type in ("", _UNKNOWN_TYPE):
            content_type = mimetypes.guess_type(name)[0] or ""
        path = Path(self._folder.name, secrets.token_hex(16))
        await anyio.Path(path).write_bytes(data)
        stored = StoredFile(path.name, name, content_type or _UNKNOWN_TYPE, len(data), path)
        self._files[stored.id] = stored
        return stored

    def find(self, url_or_id: str) -> StoredFile | None:
        """The file with that URL, whatever its host, or with that identifier.

        An identifier is 32 random hexadecimal digits, so the URL of another server's file matches none.
        """
        try:
            parts = urlsplit(url_or_id).path.split("/")
        except ValueError:
            return None  # bots and users may send any string as a URL
        if len(parts) >= 3 and parts[-3] == "files":
            stored = self._files.get(parts[-2])
            return stored if stored and stored.name == unquote(parts[-1]) else None
        return self._files.get(url_or_id)

    def expire(self, url_or_id: str, status: int = 403) -> None:
        """Let a file expire, as Poe's files do ten minutes after a query.

        Args:
            url_or_id: the file.
            status: the status of further responses: 403 as storage services send it, 410 as others do.

        Raises:
            KeyError: when there is no such file.
        """
        stored = self.find(url_or_id)
        if stored is None:
            raise KeyError(url_or_id)
        stored.expired = status

    async def read(self, stored: StoredFile) -> bytes:
        """The content of the file."""
        return await anyio.Path(stored.path).read_bytes()

    async def serve(self, scope: Scope, file_id: str, name: str, send: Send) -> None:
        """Respond to a GET or HEAD request for a file, or for a range of its bytes, as players of audio and video send.

        Raises:
            HTTPError: with status 404, for an unknown file; 416, for a range that the file does not have.
        """
        stored = self._files.get(file_id)
        if stored is None or stored.name != name:
            raise HTTPError(404, "there is no such file")
        if stored.expired is not None:
            await respond(send, HttpResponse.of(stored.expired, "text/plain", b"this link has expired"))
            return
        etag, part = f'"{stored.id}"', None
        if scope["method"] == "GET":  # a range means nothing for other methods
            part = requested_range(header_of(scope, b"range"), header_of(scope, b"if-range"), etag, stored.size)
        sent = range(stored.size) if part is None else part
        headers = {
            "content-type": stored.content_type,
            "content-length": str(len(sent)),
            "accept-ranges": "bytes",
            "etag": etag,  # a file never changes
            # An uploaded page or script must not run with the origin of the simulator.
            "x-content-type-options": "nosniff",
            "content-security-policy": "sandbox; default-src 'none'",
        }
        if part is not None:
            headers["content-range"] = f"bytes {part.start}-{part.stop - 1}/{stored.size}"
        status = 200 if part is None else 206
        encoded = [(key.encode(), value.encode("latin-1", "replace")) for key, value in headers.items()]
        await start(send, status, encoded)
        if scope["method"] == "GET":
            await _send_part(stored.path, sent, send)
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def aclose(self) -> None:
        """Delete the folder and all files. New files may be stored after that."""
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(self.close)

    def close(self) -> None:
        """Do as `aclose`, without an event loop."""
        folder, self._folder = self._folder, None
        self._files.clear()
        if folder is not None:
            folder.cleanup()


async def _send_part(path: Path, part: range, send: Send) -> None:
    left = len(part)
    async with await anyio.open_file(path, "rb") as source:
        await source.seek(part.start)
        while left and (chunk := await source.read(min(_CHUNK, left))):
            left -= len(chunk)
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
