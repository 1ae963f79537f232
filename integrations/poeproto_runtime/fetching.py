"""Fetching what is at a URL that users brought, as far as the server's policy lets it."""

from __future__ import annotations

from urllib.parse import urlsplit

import attrs

from poeproto import (
    AttachmentExpired,
    FetchForbidden,
    HttpRequest,
    HttpResponse,
    LimitExceeded,
    Limits,
    RemoteProtocolError,
    RequestRefused,
    call_flow,
)
from poeproto.http import UNPACKED
from poeproto.refusals import refusal
from poeproto_runtime.driving import FlowRun
from poeproto_runtime.outside import Outside

# Poe's URLs are signed, and their host answers with one of these once the time is over.
_GONE = frozenset({403, 404, 410})


async def fetch(url: str, outside: Outside, limits: Limits, max_size: int | None = None) -> HttpResponse:
    """The response that brings what is at the URL; arguments and errors as in `poeproto.Context.fetch_attachment`."""
    if outside.fetch_policy is None:
        raise FetchForbidden("this server fetches nothing for its bots; a FetchPolicy would let it")
    size = limits.file_size if max_size is None else max_size
    request = HttpRequest("GET", url, [("accept", "*/*"), UNPACKED])
    flow = call_flow(request, limits=attrs.evolve(limits, answer_size=size), retry=outside.retry)
    outside.fetching.hold()
    try:
        response = await FlowRun(flow, outside.fetching).run()
    except LimitExceeded:
        raise LimitExceeded(f"the attachment is larger than {size} bytes", limit="file_size") from None
    finally:
        await outside.fetching.release()
    if response.status == 200 and response.content_coding == "identity":
        return response
    if response.status == 200:
        raise RemoteProtocolError(f"the attachment came packed as {response.content_coding!r}, which was not asked for")
    # Without the URL, whose query opens the file to anyone, and which a server may repeat.
    message = f"fetching the attachment was answered with status {response.status}"
    kind = AttachmentExpired if response.status in _GONE else RequestRefused
    raise refusal(kind, message, response, response.body, urlsplit(url).query.encode(), limits)
