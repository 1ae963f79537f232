"""A script that queries a bot on Poe: one question, then a conversation. It runs on asyncio and on trio.

It uses your own key, from https://poe.com/api_key, and you pay for the bot: use it to try bots out.

Run it with: POE_API_KEY=... python docs/examples/asking.py
"""

import os

import anyio

from poeproto import Endpoints, Error, Message, QueryRequest, Text
from poeproto_h11 import Client, get_bot_response

BOT = "GPT-4o-Mini"  # or the URL of a bot server, with `access_key=` instead of the API key
# POE_ENDPOINT replaces Poe's servers, for example by a simulator.
ENDPOINTS = Endpoints.at(os.environ["POE_ENDPOINT"]) if "POE_ENDPOINT" in os.environ else Endpoints()


async def ask_once(api_key: str) -> None:
    async for event in get_bot_response("What is a tide?", BOT, api_key, endpoints=ENDPOINTS):
        if isinstance(event, Text):
            print(event.text, end="", flush=True)
        elif isinstance(event, Error):  # an `error` event does not raise for a reader of events
            print(f"[the bot failed: {event.text}]", end="")
    print()


async def talk(api_key: str) -> None:
    conversation: list[Message] = []
    async with Client(api_key, endpoints=ENDPOINTS) as client:  # reuses its connection for the next question
        for question in ("What is a spring tide?", "And how often is it?"):
            conversation.append(Message("user", question))
            async with client.query(BOT, QueryRequest(conversation)) as reply:
                answer = await reply.text()  # raises a PoeprotoError if there is no complete answer
            conversation.append(Message("bot", answer))
            print(f"{question} {answer}")


async def main() -> None:
    api_key = os.environ["POE_API_KEY"]
    await ask_once(api_key)
    await talk(api_key)


if __name__ == "__main__":
    anyio.run(main)
