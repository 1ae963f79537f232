"""A bot in a conversation of several people and bots, which reads the sender of each message.

Serve it with: poeproto serve docs/examples/taking_minutes.py:bot --allow-without-key
"""

from collections.abc import AsyncIterator

from poeproto import Bot, Context, Message, QueryRequest, SettingsRequest, SettingsResponse


def author(message: Message) -> str:
    """The name of a message's sender, or the role if Poe sends no name."""
    return (message.sender and message.sender.name) or message.role


class MinutesBot(Bot):
    async def get_response(self, request: QueryRequest, context: Context) -> AsyncIterator[str]:
        people = [user.name or "someone" for user in request.users or []]
        yield f"Present: {', '.join(people)}\n\n"
        for message in request.query:
            yield f"- {author(message)}: {' '.join(message.content.split())}\n"

    async def get_settings(self, request: SettingsRequest, context: Context) -> SettingsResponse:
        # Set explicitly, because some versions of Poe default to true; see talking_in_company.py.
        return SettingsResponse(enable_multi_entity_prompting=False)


bot = MinutesBot()
