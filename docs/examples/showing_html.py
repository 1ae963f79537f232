"""A bot that answers in HTML: a code block with a preview, HTML in the text, or another site's page in a frame.

Send "code", "frame" or anything else.
Serve it with: poeproto serve docs/examples/showing_html.py:bot --allow-without-key
"""

from collections.abc import AsyncIterator
from html import escape

from poeproto import Bot, Context, QueryRequest

MAP = "https://www.openstreetmap.org/export/embed.html?bbox=8.77,53.07,8.82,53.09&layer=mapnik"


def page(text: str) -> str:
    """A page with this text. The text is escaped, so that it adds no tags and does not end the block."""
    lines = [line for line in text.splitlines() if line.strip()]  # an empty line ends a block of HTML in Markdown
    return "\n".join(["<html>", "<h1>You said</h1>", *(f"<p>{escape(line)}</p>" for line in lines), "</html>"])


class PageBot(Bot):
    async def get_response(self, request: QueryRequest, context: Context) -> AsyncIterator[str]:
        text = request.query[-1].content
        match text.strip().lower():
            case "code":
                # Poe shows the code with a preview if the block begins with <html>.
                yield f"```html\n{page(text)}\n```\n"
            case "frame":
                # The default height is too small for most pages.
                yield f'<iframe height="400" src="{escape(MAP)}"></iframe>\n'
            case _:
                yield f"{page(text)}\n"


bot = PageBot()
