"""A bot whose answers come with buttons, each of which sends what is written on it.

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
        # True would have Poe think of replies of its own. The event comes first or not at all.
        yield Meta(suggested_replies=False)
        wanted = request.query[-1].content.strip().lower()
        place = wanted if wanted in WAYS else "the shore"
        yield f"You are at {place}. Where do you go?"
        for way in WAYS[place]:
            yield SuggestedReply(way)


bot = WalkingBot()
