"""A script that asks a bot on Poe: one question, then a conversation. It runs on asyncio as well as on trio.

The key is your own, from https://poe.com/api_key, and what the bot costs is yours to pay: this is for trying bots out.

Run it with: POE_API_KEY=... python docs/examples/asking.py
"""

import os

import anyio

from poeproto import Endpoints, Error, Message, QueryRequest, Text
from poeproto_h11 import Client, get_bot_response

BOT = "GPT-4o-Mini"  # or the URL of a bot server, with `access_key=` in place of the API key
# A simulator's address, for instance, in place of Poe's.
ENDPOINTS = Endpoints.at(os.environ["POE_ENDPOINT"]) if "POE_ENDPOINT" in os.environ else Endpoints()


async def ask_once(api_key: str) -> None:
    async for event in get_bot_response("What is a tide?", BOT, api_key, endpoints=ENDPOINTS):
        if isinstance(event, Text):
            print(event.text, end="", flush=True)
        elif isinstance(event, Error):  # an event like any other to those who read events
            print(f"[the bot failed: {event.text}]", end="")
    print()


async def talk(api_key: str) -> None:
    conversation: list[Message] = []
    async with Client(api_key, endpoints=ENDPOINTS) as client:  # keeps its connection from one question to the next
        for question in ("What is a spring tide?", "And how often is it?"):
            conversation.append(Message("user", question))
            async with client.query(BOT, QueryRequest(conversation)) as reply:
                answer = await reply.text()  # raises a PoeprotoError for whatever is no answer
            conversation.append(Message("bot", answer))
            print(f"{question} {answer}")


async def main() -> None:
    api_key = os.environ["POE_API_KEY"]
    await ask_once(api_key)
    await talk(api_key)


if __name__ == "__main__":
    anyio.run(main)
