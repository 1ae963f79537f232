"""A bot that helps its users to create a prompt bot: its link opens Poe's form with the fields filled in.

Serve it with: poeproto serve docs/examples/making_prompt_bots.py:bot --allow-without-key
"""

from collections.abc import AsyncIterator

from poeproto import Bot, Context, QueryRequest
from poeproto.markdown import create_bot_url, markdown_link

BASE = "GPT-4o-Mini"


class CastingBot(Bot):
    async def get_response(self, request: QueryRequest, context: Context) -> AsyncIterator[str]:
        part = request.query[-1].content.strip()
        prompt = f"You play this part, and never step out of it: {part}"
        # The link creates nothing: the user sees the form, and can change it first.
        link = markdown_link(create_bot_url(prompt=prompt, base_bot=BASE), "Make this bot")
        yield f"I have written a prompt for {BASE}. {link}"


bot = CastingBot()
