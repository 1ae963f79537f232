"""A bot that shows an image from the web. To show a file of your own, see sending_files.py.

Serve it with: poeproto serve docs/examples/showing_an_image.py:bot --allow-without-key
"""

from collections.abc import AsyncIterator

from poeproto import Bot, Context, QueryRequest
from poeproto.markdown import markdown_image

IMAGE = "https://upload.wikimedia.org/wikipedia/commons/3/3f/Fronalpstock_big.jpg"


class PostcardBot(Bot):
    async def get_response(self, request: QueryRequest, context: Context) -> AsyncIterator[str]:
        caption = request.query[-1].content
        yield "Greetings from the mountains!\n\n"
        # It escapes brackets and line ends in the caption, which would break the Markdown.
        yield markdown_image(IMAGE, caption)


bot = PostcardBot()
