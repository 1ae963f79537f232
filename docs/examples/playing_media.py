"""A bot whose answers play: Poe has a player for audio, and one for videos. Say "film" for the latter.

Serve it with: poeproto serve docs/examples/playing_media.py:bot --access-key ...
A simulator has to be allowed to fetch them: poeproto simulate --fetch-from https://upload.wikimedia.org
--fetch-from https://interactive-examples.mdn.mozilla.net ...
"""

from collections.abc import AsyncIterator

from poeproto import Bot, Context, QueryRequest

# Where these are, their addresses end in .mp3 and .mp4: what kind of file it is, Poe sees from the response.
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
