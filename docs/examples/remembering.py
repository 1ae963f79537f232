"""A bot that reads out a recipe step by step: where it stands is stored with each reply, and the user never sees it.

Serve it with: poeproto serve docs/examples/remembering.py:bot --access-key ...
"""

import json
from collections.abc import AsyncIterator

from poeproto import Bot, Context, Data, Event, QueryRequest

STEPS = [
    "Whisk four eggs with a pinch of salt.",
    "Melt butter in a pan until it foams.",
    "Pour in the eggs, and stir once they set at the rim.",
]


def steps_read(request: QueryRequest) -> int:
    """How far the last reply got."""
    # Poe cuts what is long ago from a long conversation, so that each reply stores all there is to know.
    for message in reversed(request.query):
        # The metadata of other bots' replies is not shown to this one.
        if message.role == "bot" and message.metadata is not None:
            return json.loads(message.metadata)["steps_read"]
    return 0


class RecipeBot(Bot):
    async def get_response(self, request: QueryRequest, context: Context) -> AsyncIterator[Event | str]:
        done = steps_read(request)
        if done < len(STEPS):
            yield f"{done + 1}. {STEPS[done]}"
            yield Data(json.dumps({"steps_read": done + 1}))  # of several in a reply the last one counts
        else:
            yield "That was all. Enjoy your meal!"
            yield Data(json.dumps({"steps_read": 0}))


bot = RecipeBot()
