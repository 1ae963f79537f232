"""A bot that reads out a recipe step by step: each reply stores the current step, which the user does not see.

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
    """The number of steps read out so far."""
    # Poe drops old messages of a long conversation, so each reply stores the whole state.
    for message in reversed(request.query):
        # Poe does not send the metadata of other bots' replies.
        if message.role == "bot" and message.metadata is not None:
            return json.loads(message.metadata)["steps_read"]
    return 0


class RecipeBot(Bot):
    async def get_response(self, request: QueryRequest, context: Context) -> AsyncIterator[Event | str]:
        done = steps_read(request)
        if done < len(STEPS):
            yield f"{done + 1}. {STEPS[done]}"
            yield Data(json.dumps({"steps_read": done + 1}))  # the last `data` event of a reply counts
        else:
            yield "That was all. Enjoy your meal!"
            yield Data(json.dumps({"steps_read": 0}))


bot = RecipeBot()
