"""A bot that is called into a conversation of several people and bots, and sees for itself who said what.

Serve it with: poeproto serve docs/examples/taking_minutes.py:bot --allow-without-key
"""

from collections.abc import AsyncIterator

from poeproto import Bot, Context, Message, QueryRequest, SettingsRequest, SettingsResponse


def author(message: Message) -> str:
    """The name of whoever wrote a message, as far as Poe tells it."""
    return (message.sender and message.sender.name) or message.role


class MinutesBot(Bot):
    async def get_response(self, request: QueryRequest, context: Context) -> AsyncIterator[str]:
        people = [user.name or "someone" for user in request.users or []]
        yield f"Present: {', '.join(people)}\n\n"
        for message in request.query:
            yield f"- {author(message)}: {' '.join(message.content.split())}\n"

    async def get_settings(self, request: SettingsRequest, context: Context) -> SettingsResponse:
        # Said aloud, because some versions of Poe take the absence for a yes; see talking_in_company.py.
        return SettingsResponse(enable_multi_entity_prompting=False)


bot = MinutesBot()
