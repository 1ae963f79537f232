"""A bot that fetches and reads a file: it counts the pages of a PDF, with pypdf (pip install pypdf).

Serve it with: poeproto serve docs/examples/counting_pages.py:bot --access-key ... --allow-fetch
"""

from collections.abc import AsyncIterator, Iterable
from io import BytesIO

import anyio.to_thread
from pypdf import PdfReader

from poeproto import (
    Attachment,
    AttachmentExpired,
    Bot,
    Context,
    LimitExceeded,
    Message,
    QueryRequest,
    SettingsRequest,
    SettingsResponse,
)

LARGEST = 20_000_000


def latest_pdf(messages: Iterable[Message]) -> Attachment | None:
    """The last attached PDF, of this message or an earlier one."""
    files = [file for message in messages for file in message.attachments]
    return next((file for file in reversed(files) if file.content_type == "application/pdf"), None)


class Unreadable(Exception):
    """The file is not a PDF, or is damaged or encrypted."""


def count_pages(pdf: bytes) -> int:
    """The number of pages.

    Raises:
        Unreadable: the file cannot be parsed.
    """
    try:
        return PdfReader(BytesIO(pdf)).get_num_pages()
    except Exception as exc:  # for a damaged file, pypdf also raises TypeError and AttributeError
        raise Unreadable from exc


class PageCountingBot(Bot):
    attachment_templates = None

    async def get_response(self, request: QueryRequest, context: Context) -> AsyncIterator[str]:
        file = latest_pdf(request.query)
        if file is None:
            yield "Attach a PDF, and I count its pages."
            return
        try:
            # Users choose the URL: only public addresses are fetched, and at most this many bytes.
            content = await context.fetch_attachment(file, max_size=LARGEST)
            # pypdf takes CPU time, which would block the event loop.
            pages = await anyio.to_thread.run_sync(count_pages, content)
        except AttachmentExpired:
            yield f"The link to {file.name} has expired. Attach it once more, please."
        except LimitExceeded:
            yield f"{file.name} is larger than {LARGEST // 1_000_000} MB."
        except Unreadable:
            yield f"{file.name} is not a PDF that I can read."
        else:
            yield f"{file.name} has {pages} page{'' if pages == 1 else 's'}."

    async def get_settings(self, request: SettingsRequest, context: Context) -> SettingsResponse:
        return SettingsResponse(allow_attachments=True)


bot = PageCountingBot()
