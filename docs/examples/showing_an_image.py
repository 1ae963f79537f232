"""A bot that shows an image which is on the web already. For one that is not, see sending_files.py.

Serve it with: poeproto serve docs/examples/showing_an_image.py:bot --allow-without-key
"""

from collections.abc import AsyncIterator

from poeproto import Bot, Context, QueryRequest, markdown_image

IMAGE = "https://upload.wikimedia.org/wikipedia/commons/3/3f/Fronalpstock_big.jpg"


class PostcardBot(Bot):
    async def get_response(self, request: QueryRequest, context: Context) -> AsyncIterator[str]:
        caption = request.query[-1].content
        yield "Greetings from the mountains!\n\n"
        # Brackets and line ends in the caption would break the Markdown, so that it is escaped.
        yield markdown_image(IMAGE, caption)


bot = PostcardBot()
