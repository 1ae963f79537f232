"""A script that makes Poe fetch the settings of a bot again, for a server that does not sync them when it starts.

Run it with: POE_ACCESS_KEY=... python docs/examples/syncing_by_script.py BOT_NAME
The address of a simulator after the name replaces Poe.
"""

import os
import sys

import anyio

from poeproto import Endpoints, PoeprotoError
from poeproto_h11 import Client


async def sync(bot_name: str, access_key: str, endpoints: Endpoints) -> str:
    """Make Poe fetch the settings; returns the new introduction message."""
    async with Client(access_key=access_key, endpoints=endpoints) as client:
        # Poe queries the bot, which must be reachable. `sync_settings(bot_name, settings)` sends them instead.
        settings = await client.sync_settings(bot_name)
    return (settings and settings.introduction_message) or "none"


def main() -> None:
    try:
        access_key = os.environ["POE_ACCESS_KEY"]
        bot_name, *address = sys.argv[1:]
    except (KeyError, ValueError):
        sys.exit(__doc__)
    try:
        introduction = anyio.run(sync, bot_name, access_key, Endpoints.at(address[0]) if address else Endpoints())
    except PoeprotoError as exc:
        sys.exit(f"{bot_name} is not synced: {exc}")  # the message does not contain the key
    print(f"{bot_name} is synced. Its introduction: {introduction}")


if __name__ == "__main__":
    main()
