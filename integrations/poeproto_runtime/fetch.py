"""Fetches the file at a URL that a user brought, if the server's fetch policy allows it.

The file in a ``data:`` URL needs no connection, so it is read without a policy.
"""

from __future__ import annotations

from urllib.parse import urlsplit

import attrs

from poeproto import (
    AttachmentExpired,
    FetchForbidden,
    HttpRequest,
    HttpResponse,
    InvalidValue,
    LimitExceeded,
    Limits,
    RemoteProtocolError,
    RequestRefused,
)
from poeproto.flows import call_flow
from poeproto.http import ACCEPT_IDENTITY, refusal
from poeproto_runtime.client.call_hooks import CallProgress
from poeproto_runtime.client.observed_runner import CountingRunner
from poeproto_runtime.data_url import is_data_url, read_data_url
from poeproto_runtime.outbound import Outbound

# Poe's URLs are signed for a short time; afterwards their host answers with one of these.
_EXPIRED = frozenset({403, 404, 410})


async def fetch(url: str, outbound: Outbound, limits: Limits, max_size: int | None = None) -> HttpResponse:
    """The file at the URL: the body of a response, which has its ``Content-Type``.

    Arguments and errors as in `poeproto.Context.fetch_attachment`.
    """
    size = limits.file_size if max_size is None else max_size
    if outbound.fetch_policy is None:
        raise FetchForbidden("this server fetches no files for its bots: give it a FetchPolicy to allow that")
    with CallProgress(outbound.hooks, "fetch_attachment", url) as progress:
        return await _fetch(url, outbound, limits, size, progress)


def file_in_url(url: str, limits: Limits, max_size: int | None = None) -> bytes | None:
    """The file in a ``data:`` URL; None for another URL.

    Raises:
        InvalidValue: when the URL cannot be read.
        LimitExceeded: when the file is too large.
    """
    if not is_data_url(url):
        return None
    try:
        return read_data_url(url, limits.file_size if max_size is None else max_size).content
    except ValueError as exc:
        raise InvalidValue(f"the attachment cannot be read: {exc}", path="url") from None


async def _fetch(url: str, outbound: Outbound, limits: Limits, size: int, progress: CallProgress) -> HttpResponse:
    request = HttpRequest("GET", url, [("accept", "*/*"), ACCEPT_IDENTITY])
    flow = call_flow(request, limits=attrs.evolve(limits, answer_size=size), retry=outbound.retry)
    outbound.fetching.hold()
    try:
        response = await CountingRunner(flow, outbound.fetching, progress).run()
    except LimitExceeded:
        raise LimitExceeded(
            f"the attachment is larger than the {size} bytes that are allowed", limit="file_size"
        ) from None
    finally:
        await outbound.fetching.release()
    if response.status == 200 and response.content_coding == "identity":
        return response
    if response.status == 200:
        raise RemoteProtocolError(
            f"the attachment is compressed ({response.content_coding!r}), though the request accepts no compression"
        )
    # The message does not quote the URL, whose query gives anyone access to the file; the body is redacted likewise.
    message = f"the attachment could not be fetched: the server answered with status {response.status}"
    kind = AttachmentExpired if response.status in _EXPIRED else RequestRefused
    raise refusal(kind, message, response, response.body, urlsplit(url).query.encode(), limits)
