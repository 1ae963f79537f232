from __future__ import annotations

import os
import tempfile
from collections.abc import AsyncIterable

import httpx
from pypdf import PdfReader

import poeproto_compat as fp


class NotDownloaded(Exception):
    pass


def download_and_count_pages(url: str) -> int:
    response = httpx.get(url)
    if response.status_code != 200:
        raise NotDownloaded()
    path = os.path.join(tempfile.mkdtemp(), "document.pdf")
    with open(path, "wb") as file:
        file.write(response.content)
    reader = PdfReader(path)
    return len(reader.pages)


class PagesBot(fp.PoeBot):
    async def get_response(self, request: fp.QueryRequest) -> AsyncIterable[fp.PartialResponse]:
        for message in reversed(request.query):
            for attachment in message.attachments:
                if attachment.content_type == "application/pdf":
                    try:
                        pages = download_and_count_pages(attachment.url)
                        yield fp.PartialResponse(text=f"{attachment.name}: {pages} pages")
                    except NotDownloaded:
                        yield fp.PartialResponse(text="The document could not be downloaded.")
                    return

    async def get_settings(self, setting: fp.SettingsRequest) -> fp.SettingsResponse:
        return fp.SettingsResponse(allow_attachments=True)


def main():
    bot = PagesBot()
    app = fp.make_app(bot, access_key="0123456789abcdef0123456789abcdef", bot_name="Program")
    return app
