"""Uploads: a file in an HTML form, or the URL of a file to fetch.

Forms are multipart/form-data (RFC 7578) or application/x-www-form-urlencoded. python-multipart parses the former, as in
Starlette and FastAPI: the standard library has no parser since `cgi` was removed.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, unquote, urlsplit

import attrs

from poeproto import FetchForbidden, HttpResponse, Limits, PoeprotoError, RequestRefused, RetryPolicy
from poeproto_asgi.asgi import Receive, Scope
from poeproto_h11 import make_outbound
from poeproto_runtime import FetchPolicy
from poeproto_runtime.fetch import fetch
from poeproto_simulator.asgi import header_of, read_body
from poeproto_simulator.files import Files, StoredFile
from poeproto_simulator.responses import HTTPError

if TYPE_CHECKING:
    from python_multipart.multipart import Field, File

_FILE_FIELD = b"file"
# For the fields of a form besides the file. The longest of them is a URL.
_FIELDS_SIZE = 64 * 1024


class Uploads:
    """Reads uploads, and stores their files.

    Args:
        files: where files are stored.
        fetch_origins: the servers that files may be fetched from, as in ``https://files.example``.
        limits: `Limits.file_size` bounds a file.

    Raises:
        LocalProtocolError: when an origin is invalid.
    """

    def __init__(self, files: Files, fetch_origins: Iterable[str], limits: Limits) -> None:
        self._files = files
        self._fetcher = Fetcher(fetch_origins, limits)
        self._limits = limits

    async def read_form(self, scope: Scope, receive: Receive) -> Form:
        """Read the form in the body of a request. All of it is held in memory.

        Raises:
            HTTPError: with status 415 for another content type, 413 for too large a body, 400 for a malformed form.
            ClientDisconnected: when the client has disconnected.
        """
        body = await read_body(receive, self._limits.file_size + _FIELDS_SIZE)
        return parse_form(header_of(scope, b"content-type"), body)

    async def store(self, form: Form) -> StoredFile:
        """Store the file of a form, which may have to be fetched first.

        Raises:
            HTTPError: with status 400 when there is no file, 403 for a URL that may not be fetched, 413 for too large a
                file.
        """
        if form.file is not None:
            return await self._files.store(form.file.data, form.file.name, form.file.content_type)
        url = form.fields.get("download_url")
        if not url:
            raise HTTPError(400, "the form has neither a file nor a download_url")
        own = self._files.find(url)
        if own is None:
            response = await self._fetcher.fetch(url)
            data, content_type = response.body, response.get("content-type")
        elif own.expired is not None:
            raise HTTPError(400, f"the file could not be fetched: status {own.expired}")
        else:
            data, content_type = await self._files.read(own), own.content_type
        # After the fetch, which refuses a malformed URL: urlsplit would raise here.
        name = form.fields.get("download_filename") or unquote(urlsplit(url).path.rpartition("/")[2])
        return await self._files.store(data, name, content_type)


# --- forms


@attrs.frozen
class FormFile:
    """The file in a form."""

    name: str
    content_type: str | None
    data: bytes


@attrs.define
class Form:
    """A parsed form.

    Attributes:
        fields: the values by name; the last one of those with the same name.
        file: the file in the field "file".
    """

    fields: dict[str, str] = attrs.field(factory=dict[str, str])
    file: FormFile | None = None


def parse_form(content_type: str, body: bytes) -> Form:
    """The form in a body of this content type.

    Raises:
        HTTPError: with status 415 for another content type, 400 for a malformed form.
    """
    # Imported here, so that only uploads pay for it.
    from python_multipart.multipart import parse_options_header

    kind, options = parse_options_header(content_type)
    if kind == b"application/x-www-form-urlencoded":
        return Form(dict(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True)))
    if kind != b"multipart/form-data":
        raise HTTPError(415, f"a form is expected, got {content_type or 'no content type'}")
    return _parse_multipart(options.get(b"boundary"), body)


def _parse_multipart(boundary: bytes | None, body: bytes) -> Form:
    from python_multipart.exceptions import FormParserError
    from python_multipart.multipart import FormParser

    if not boundary:
        raise HTTPError(400, "the form cannot be read: its content type has no boundary")
    parts = _FormParts()
    in_memory = {"MAX_MEMORY_FILE_SIZE": float("inf")}
    try:
        parser = FormParser(
            "multipart/form-data", parts.on_field, parts.on_file, parts.on_end, boundary=boundary, config=in_memory
        )
        parser.write(body)
        parser.finalize()
    except FormParserError as exc:
        raise HTTPError(400, f"the form cannot be read: {exc}") from exc
    if not parts.complete:
        raise HTTPError(400, "the form cannot be read: it is incomplete")
    return parts.form


class _FormParts:
    """The callbacks of the parser."""

    def __init__(self) -> None:
        self.form = Form()
        self.complete = False

    def on_field(self, field: Field) -> None:
        name, value = field.field_name or b"", field.value or b""
        self.form.fields[name.decode("utf-8", "replace")] = value.decode("utf-8", "replace")

    def on_file(self, file: File) -> None:
        if file.field_name != _FILE_FIELD:
            return
        if self.form.file is not None:
            raise HTTPError(400, "there are two files in the form, and one is expected")
        file.file_object.seek(0)
        name = (file.file_name or b"").decode("utf-8", "replace")
        # HTML percent-encodes quotes and line ends in a file name, and nothing else.
        name = name.replace("%22", '"').replace("%0D", "\r").replace("%0A", "\n")
        self.form.file = FormFile(name, file.content_type, file.file_object.read())

    def on_end(self) -> None:
        self.complete = True


# --- files at URLs


@attrs.frozen(kw_only=True)
class ListedOriginsPolicy(FetchPolicy):
    """Allows the listed origins only. (`FetchPolicy` also allows public addresses.)

    Any client of the simulator could otherwise use it as a proxy.
    """

    def check_origin(self, scheme: str, origin: str) -> bool:
        """As `FetchPolicy.check_origin`."""
        if origin not in self.origins:
            allow = f"poeproto simulate --fetch-from {origin} allows it, and Simulator(fetch_origins=[...])"
            raise FetchForbidden(f"fetching from {origin} has not been allowed; {allow}")
        return True


class Fetcher:
    """Fetches files over HTTP from listed servers. It follows no redirect.

    Args:
        origins: the servers, as in ``https://files.example``.
        limits: `Limits.file_size` bounds a file.

    Raises:
        LocalProtocolError: when an origin is invalid.
    """

    def __init__(self, origins: Iterable[str] = (), limits: Limits | None = None) -> None:
        self._limits = limits or Limits()
        policy, once = ListedOriginsPolicy(origins=origins), RetryPolicy(attempts=1)
        self._outbound = make_outbound(self._limits, fetch_policy=policy, retry=once)

    async def fetch(self, url: str) -> HttpResponse:
        """Fetch a file: it is the body of the response, which has its ``Content-Type``.

        Raises:
            HTTPError: with status 403 for a server that is not listed, 400 when the file cannot be fetched.
        """
        try:
            return await fetch(url, self._outbound, self._limits)
        except FetchForbidden as exc:
            raise HTTPError(403, str(exc)) from exc
        except RequestRefused as exc:
            raise HTTPError(400, f"the file could not be fetched: status {exc.status}") from exc
        except PoeprotoError as exc:
            raise HTTPError(400, f"the file could not be fetched: {exc}") from exc
