"""A script that asks a bot on Poe without an event loop; the same works in a notebook, where one is running.

The key is your own, from https://poe.com/api_key, and what the bot costs is yours to pay: this is for trying bots out.

Run it with: POE_API_KEY=... python docs/examples/asking_blocking.py
"""

import os

from poeproto import Endpoints, Error, Message, QueryRequest, Text
from poeproto_h11 import BlockingClient, get_bot_response_sync

BOT = "GPT-4o-Mini"  # or the URL of a bot server, with `access_key=` in place of the API key
# A simulator's address, for instance, in place of Poe's.
ENDPOINTS = Endpoints.at(os.environ["POE_ENDPOINT"]) if "POE_ENDPOINT" in os.environ else Endpoints()


def ask_once(api_key: str) -> None:
    for event in get_bot_response_sync("What is a tide?", BOT, api_key, endpoints=ENDPOINTS):
        if isinstance(event, Text):
            print(event.text, end="", flush=True)
        elif isinstance(event, Error):  # an event like any other to those who read events
            print(f"[the bot failed: {event.text}]", end="")
    print()


def talk(api_key: str) -> None:
    conversation: list[Message] = []
    with BlockingClient(api_key, endpoints=ENDPOINTS) as client:  # threads may share it
        for question in ("What is a spring tide?", "And how often is it?"):
            conversation.append(Message("user", question))
            with client.query(BOT, QueryRequest(conversation)) as reply:
                answer = reply.text()  # raises a PoeprotoError for whatever is no answer
            conversation.append(Message("bot", answer))
            print(f"{question} {answer}")


def main() -> None:
    api_key = os.environ["POE_API_KEY"]
    ask_once(api_key)
    talk(api_key)


if __name__ == "__main__":
    main()
