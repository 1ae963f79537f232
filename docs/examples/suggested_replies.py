"""A bot that suggests replies: Poe shows each as a button that sends it.

Serve it with: poeproto serve docs/examples/suggested_replies.py:bot --access-key ...
"""

from collections.abc import AsyncIterator

from poeproto import Bot, Context, Event, Meta, QueryRequest, SuggestedReply

WAYS = {
    "the shore": ["the lighthouse", "the dunes"],
    "the lighthouse": ["the shore", "the stairs"],
    "the dunes": ["the shore"],
    "the stairs": ["the lighthouse"],
}


class WalkingBot(Bot):
    async def get_response(self, request: QueryRequest, context: Context) -> AsyncIterator[Event | str]:
        # True makes Poe suggest replies of its own. A `meta` event is valid only as the first event.
        yield Meta(suggested_replies=False)
        wanted = request.query[-1].content.strip().lower()
        place = wanted if wanted in WAYS else "the shore"
        yield f"You are at {place}. Where do you go?"
        for way in WAYS[place]:
            yield SuggestedReply(way)


bot = WalkingBot()
