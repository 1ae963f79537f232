from collections.abc import AsyncIterable

import poeproto_compat as fp

PICTURE = "https://pictures.invalid/heron.jpeg"


class PictureBot(fp.PoeBot):
    async def get_response(self, request: fp.QueryRequest) -> AsyncIterable[fp.PartialResponse]:
        yield fp.PartialResponse(text=f"A heron: ![heron]({PICTURE})")


def main():
    bot = PictureBot()
    app = fp.make_app(bot, allow_without_key=True)
    return app
