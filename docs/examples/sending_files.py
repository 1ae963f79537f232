"""A bot that sends files with its answer: from memory, from disk, from the web, and one inline in the text.

Serve it with: poeproto serve docs/examples/sending_files.py:bot --access-key ...
Allow a simulator to fetch the file from the web: poeproto simulate --fetch-from https://www.apache.org ...
"""

from base64 import b64decode
from collections.abc import AsyncIterator
from pathlib import Path

from poeproto import Bot, Context, QueryRequest
from poeproto.markdown import inline_reference

LICENSE = "https://www.apache.org/licenses/LICENSE-2.0.txt"
RED_DOT = b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAABAAAAAQAQMAAAAlPW0iAAAABlBMVEX////gMDAFvwWBAAAAJklEQVR42mNgYGBgf8DA/4FB/geD/R+G+n/oCCgI"
    "lAIqACpjYAAAnEIRX83CMnEAAAAASUVORK5CYII="
)


class FilingBot(Bot):
    async def get_response(self, request: QueryRequest, context: Context) -> AsyncIterator[str]:
        # This sends the `file` event before the next yielded event. Do not yield the file itself.
        await context.post_attachment(request.query[-1].content.encode(), name="what-you-said.txt")
        yield "Here is what you said, "

        await context.post_attachment(Path(__file__), content_type="text/x-python")
        yield "what I am made of, "

        await context.post_attachment(url=LICENSE, name="license.txt")  # fetched by Poe, not by this server
        yield "and what you may do with it.\n\n"

        # Poe shows the other files below the answer, and an inline file where the text refers to it.
        dot = await context.post_attachment(RED_DOT, name="dot.png", inline=True)
        yield f"Signed: {inline_reference(dot, 'a red dot')}"


bot = FilingBot()
