"""A bot that repeats the message. Serve it with: poeproto serve docs/examples/echo.py:bot --allow-without-key."""

from collections.abc import AsyncIterator

from poeproto import Bot, Context, QueryRequest


class EchoBot(Bot):
    async def get_response(self, request: QueryRequest, context: Context) -> AsyncIterator[str]:
        yield request.query[-1].content


bot = EchoBot()
