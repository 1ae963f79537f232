"""A bot that charges for its work: it authorises the highest possible cost first, and captures the actual cost last.

Serve it with: poeproto serve docs/examples/charging.py:bot --access-key ...
"""

from collections.abc import AsyncIterator

from poeproto import Bot, Context, CostItem, QueryRequest, SettingsRequest, SettingsResponse

# In thousandths of a US cent.
PER_WORD = 10
MOST_WORDS = 100


class SpellingBot(Bot):
    async def get_response(self, request: QueryRequest, context: Context) -> AsyncIterator[str]:
        words = request.query[-1].content.split()[:MOST_WORDS]
        if not words:
            yield "Write something, and I spell it."
            return
        # If the user cannot pay this, it raises InsufficientFunds, and the reply ends with an `error` event of the type
        # "insufficient_fund". Do not catch it: Poe then offers to buy points.
        await context.authorize_cost(CostItem(PER_WORD * len(words), "up to that many words"))
        spelt = 0
        for word in words:
            if word.isalpha():
                yield f"{'-'.join(word.upper())}\n"
                spelt += 1
        if spelt:
            await context.capture_cost(CostItem(PER_WORD * spelt, f"{spelt} words"))
        else:
            yield "There is nothing to spell, and nothing to pay."

    async def get_settings(self, request: SettingsRequest, context: Context) -> SettingsResponse:
        return SettingsResponse(
            rate_card="| what | price |\n|---|---|\n| a word | 0.01 ¢ |",
            cost_label="0.01 ¢ a word",
        )


bot = SpellingBot()
