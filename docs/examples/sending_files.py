"""A bot that sends files with its answer: from memory, from the disk, from the web, and one within the text.

Serve it with: poeproto serve docs/examples/sending_files.py:bot --access-key ...
A simulator has to be allowed to fetch the file from the web: poeproto simulate --fetch-from https://www.apache.org ...
"""

from base64 import b64decode
from collections.abc import AsyncIterator
from pathlib import Path

from poeproto import Bot, Context, QueryRequest, inline_reference

LICENSE = "https://www.apache.org/licenses/LICENSE-2.0.txt"
RED_DOT = b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAABAAAAAQAQMAAAAlPW0iAAAABlBMVEX////gMDAFvwWBAAAAJklEQVR42mNgYGBgf8DA/4FB/geD/R+G+n/oCCgI"
    "lAIqACpjYAAAnEIRX83CMnEAAAAASUVORK5CYII="
)


class FilingBot(Bot):
    async def get_response(self, request: QueryRequest, context: Context) -> AsyncIterator[str]:
        # Posting a file is all: it comes before whatever the bot yields next, and is not to be yielded itself.
        await context.post_attachment(request.query[-1].content.encode(), name="what-you-said.txt")
        yield "Here is what you said, "

        await context.post_attachment(Path(__file__), content_type="text/x-python")
        yield "what I am made of, "

        await context.post_attachment(url=LICENSE, name="license.txt")  # fetched by Poe, not by this server
        yield "and what you may do with it.\n\n"

        # The others stand below the answer; this one has a place in it.
        dot = await context.post_attachment(RED_DOT, name="dot.png", inline=True)
        yield f"Signed: {inline_reference(dot, 'a red dot')}"


bot = FilingBot()
