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
from poeproto.exchange.refusals import refusal
from poeproto.vocabulary.http import ACCEPT_IDENTITY
from poeproto_runtime.client.flow_runner import FlowRunner
from poeproto_runtime.outbound import Outbound

# Poe's URLs are signed, and their host answers with one of these once the time is over.
_GONE = frozenset({403, 404, 410})


async def fetch(url: str, outbound: Outbound, limits: Limits, max_size: int | None = None) -> HttpResponse:
    """The response that brings what is at the URL; arguments and errors as in `poeproto.Context.fetch_attachment`."""
    if outbound.fetch_policy is None:
        raise FetchForbidden("this server fetches nothing for its bots; a FetchPolicy would let it")
    size = limits.file_size if max_size is None else max_size
    request = HttpRequest("GET", url, [("accept", "*/*"), ACCEPT_IDENTITY])
    flow = call_flow(request, limits=attrs.evolve(limits, answer_size=size), retry=outbound.retry)
    outbound.fetching.hold()
    try:
        response = await FlowRunner(flow, outbound.fetching).run()
    except LimitExceeded:
        raise LimitExceeded(f"the attachment is larger than {size} bytes", limit="file_size") from None
    finally:
        await outbound.fetching.release()
    if response.status == 200 and response.content_coding == "identity":
        return response
    if response.status == 200:
        raise RemoteProtocolError(f"the attachment came packed as {response.content_coding!r}, which was not asked for")
    # Without the URL, whose query opens the file to anyone, and which a server may repeat.
    message = f"fetching the attachment was answered with status {response.status}"
    kind = AttachmentExpired if response.status in _GONE else RequestRefused
    raise refusal(kind, message, response, response.body, urlsplit(url).query.encode(), limits)
