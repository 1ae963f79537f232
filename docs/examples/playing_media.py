"""A bot that sends audio and video, for which Poe shows a player. Send "film" for the video.

Serve it with: poeproto serve docs/examples/playing_media.py:bot --access-key ...
Allow a simulator to fetch the files: poeproto simulate --fetch-from https://upload.wikimedia.org
--fetch-from https://interactive-examples.mdn.mozilla.net ...
"""

from collections.abc import AsyncIterator

from poeproto import Bot, Context, QueryRequest

# Poe reads the type of a file from the response, not from the extension of the URL.
SOUND = "https://upload.wikimedia.org/wikipedia/commons/transcoded/c/c8/Example.ogg/Example.ogg.mp3"
FILM = "https://interactive-examples.mdn.mozilla.net/media/cc0-videos/flower.mp4"


class PlayingBot(Bot):
    async def get_response(self, request: QueryRequest, context: Context) -> AsyncIterator[str]:
        if "film" in request.query[-1].content.lower():
            await context.post_attachment(url=FILM, name="flower.mp4")
            yield "Look how it opens."
        else:
            await context.post_attachment(url=SOUND, name="example.mp3")
            yield "Listen to this."


bot = PlayingBot()
