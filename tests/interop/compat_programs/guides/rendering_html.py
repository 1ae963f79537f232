from collections.abc import AsyncIterable

import poeproto_compat as fp

BLOCK = "```html\n<html>\n  <h1>naïve 🐈</h1>\n</html>\n```\n"
INLINE = "<html>\n  <h1>inline</h1>\n</html>\n"
FRAME = '<iframe\n  height="200"\n  src="https://films.invalid/embed?id=1&start=5"></iframe>\n'


class PageBot(fp.PoeBot):
    async def get_response(self, request: fp.QueryRequest) -> AsyncIterable[fp.PartialResponse]:
        for page in (BLOCK, INLINE, FRAME):
            yield fp.PartialResponse(text=page)


def main():
    return fp.make_app(PageBot(), allow_without_key=True)
