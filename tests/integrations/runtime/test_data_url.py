"""Files in `data:` URLs: how they are read, and that a bot may fetch them without a policy."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from poeproto import Attachment, Context, InvalidValue, LimitExceeded, Limits, QueryRequest
from poeproto_runtime.data_url import DataUrl, is_data_url, read_data_url

from ...support.calling_bots import CallingBot, calling
from ...support.scripted_peer import answering


@pytest.mark.parametrize(
    ("url", "content_type", "content"),
    [
        ("data:image/png;base64,aGk=", "image/png", b"hi"),
        ("DATA:Image/PNG;charset=x;BASE64,aGk", "image/png", b"hi"),
        ("data:;base64,aG\r\n k%3D", "text/plain", b"hi"),
        ("data:text/csv,a%2Cb,c", "text/csv", b"a,b,c"),
        ("data:,", "text/plain", b""),
    ],
)
def test_content(url: str, content_type: str, content: bytes) -> None:
    assert is_data_url(url)
    assert read_data_url(url, len(content)) == DataUrl(content_type, content)


@pytest.mark.parametrize("url", ["https://example.com/", "data:image/png", "data:;base64,?", "data:;base64,a"])
def test_data_urls_that_cannot_be_read(url: str) -> None:
    with pytest.raises(ValueError, match=r"data: URL|not base64"):
        read_data_url(url)


def test_the_size_is_bounded() -> None:
    with pytest.raises(LimitExceeded, match="larger than the 2 bytes") as caught:
        read_data_url("data:,abc", 2)
    assert caught.value.limit == "file_size"


@pytest.mark.anyio
async def test_a_bot_fetches_them_without_a_policy() -> None:
    seen: list[Any] = []

    async def bot(request: QueryRequest, context: Context) -> AsyncIterator[str]:
        seen.append(await context.fetch_attachment(Attachment("data:,abc", "text/plain", "a.txt")))
        for url, most in (("data:,abcd", None), ("data:,abc", 2), ("data:;base64,?", None)):
            try:
                await context.fetch_attachment(url, max_size=most)
            except (LimitExceeded, InvalidValue) as exc:
                seen.append(type(exc))
        yield "over"

    async with calling(CallingBot(bot), answering(b""), limits=Limits(file_size=3)) as served:
        await served.answer()
    assert seen == [b"abc", LimitExceeded, LimitExceeded, InvalidValue]
