"""A conversation as one of the bots in it is shown it."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import attrs

from poeproto import Message, Sender, alternate_roles
from poeproto_simulator.records import RegisteredBot, author_of

_PROMPT = "Several people and bots take part in this conversation. This is what was said before:"


def seen_by(bot: RegisteredBot, messages: Iterable[Message], user_seen: Callable[[Message], Sender]) -> list[Message]:
    """The messages as that bot gets them, in the form that its settings ask for.

    Args:
        bot: the bot.
        messages: oldest first.
        user_seen: the author of a user's message, under the identifier by which the bot knows that user.
    """
    seen = [
        attrs.evolve(message, sender=user_seen(message))
        if message.role == "user"
        # What a bot stored is nobody else's.
        else attrs.evolve(message, metadata=message.metadata if author_of(message) == bot.name else None)
        for message in messages
    ]
    if bot.settings is not None and bot.settings.enable_multi_entity_prompting:
        seen = _told(seen, bot.name)
    alternating = bot.settings is not None and bot.settings.enforce_author_role_alternation
    return alternate_roles(seen) if alternating else seen


def _told(messages: list[Message], bot_name: str) -> list[Message]:
    """Where others take part than one user and this bot, all but the last message made one that says who said what."""
    *before, last = messages
    users = {message.sender and message.sender.id for message in messages if message.role == "user"}
    bots = {author_of(message) for message in before if message.role == "bot"}
    if not before or (len(users) < 2 and bots <= {bot_name}):
        return messages
    lines = [f"{author_of(message) or message.role}: {message.content}" for message in before]
    united = alternate_roles([attrs.evolve(message, role="user") for message in before])[0]
    return [attrs.evolve(united, content="\n\n".join([_PROMPT, *lines]), message_id="", sender=None), last]
