"""The file service: what bots upload, and what they have fetched."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from poeproto import HttpResponse
from poeproto_simulator.asgi import Receive, Scope, key_of, root_of
from poeproto_simulator.files import StoredFile
from poeproto_simulator.forms import Form, read_form
from poeproto_simulator.refusals import Refused, json_response

if TYPE_CHECKING:
    from poeproto_simulator.app import Simulator


async def upload(simulator: Simulator, scope: Scope, receive: Receive) -> HttpResponse:
    """Answer ``POST /poe_api/file_upload_3RD_PARTY_POST``.

    Raises:
        Refused: with status 401 for an unknown key (strict only), 400, 413 or 415 for what is no upload, 403 for a URL
            that may not be fetched.
    """
    form = await read_form(scope, receive, simulator.limits.file_size)
    # The key stands by itself here, though some clients write "Bearer" before it all the same.
    simulator.engine.callers.known(key_of(scope, bare=True))
    if form.file is not None:
        stored = await simulator.files.store(form.file.data, form.file.name, form.file.content_type)
    else:
        stored = await _fetched(simulator, form)
    simulator.engine.note("upload", name=stored.name, content_type=stored.content_type, size=stored.size)
    return json_response(
        {"attachment_url": stored.url(root_of(scope)), "mime_type": stored.content_type, "size": stored.size},
    )


async def _fetched(simulator: Simulator, form: Form) -> StoredFile:
    url = form.fields.get("download_url")
    if not url:
        raise Refused(400, "the form has neither a file nor a download_url")
    own = simulator.files.find(url)
    if own is None:
        found = await simulator.fetcher.fetch(url)
        data, content_type = found.body, found.get("content-type")
    elif own.expired is not None:
        raise Refused(400, f"the file could not be fetched: status {own.expired}")
    else:
        data, content_type = await simulator.files.read(own), own.content_type
    # Only now: it is a URL, or nothing would have been fetched.
    name = form.fields.get("download_filename") or unquote(urlsplit(url).path.rpartition("/")[2])
    return await simulator.files.store(data, name, content_type)
