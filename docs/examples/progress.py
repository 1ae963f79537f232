"""A bot that shows the progress of a long computation: each line replaces the one before.

Serve it with: poeproto serve docs/examples/progress.py:bot --access-key ...
"""

import math
from collections.abc import AsyncIterator

import anyio.to_thread

from poeproto import Bot, Context, Event, QueryRequest, ReplaceResponse

PORTIONS = 4
NUMBERS_A_PORTION = 2500


def primes_in(numbers: range) -> int:
    return sum(number > 1 and all(number % low for low in range(2, math.isqrt(number) + 1)) for number in numbers)


class PrimesBot(Bot):
    async def get_response(self, request: QueryRequest, context: Context) -> AsyncIterator[Event]:
        found = 0
        for portion in range(PORTIONS):
            # Poe expects the first event within five seconds.
            yield ReplaceResponse(f"Counting … {100 * portion // PORTIONS} %")
            numbers = range(portion * NUMBERS_A_PORTION, (portion + 1) * NUMBERS_A_PORTION)
            # In a thread, so that the event loop can serve other requests.
            found += await anyio.to_thread.run_sync(primes_in, numbers)
        yield ReplaceResponse(f"There are {found} primes below {PORTIONS * NUMBERS_A_PORTION}.")


bot = PrimesBot()
