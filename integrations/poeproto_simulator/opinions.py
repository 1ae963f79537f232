"""What users think of bots' messages: kept in the conversation, and reported to the bot."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from poeproto import Feedback, Message, Reaction, ReportFeedbackRequest, ReportReactionRequest, reaction_change
from poeproto_simulator.records import Conversation, RegisteredBot, author_of
from poeproto_simulator.refusals import Refused

if TYPE_CHECKING:
    from poeproto_simulator.engine import Poe


class Opinions:
    """Feedback and reactions."""

    def __init__(self, engine: Poe) -> None:
        self._engine = engine

    def give_feedback(
        self, message_id: str, feedback_type: str, reason: str | None = None
    ) -> tuple[RegisteredBot, ReportFeedbackRequest]:
        """Put a user's feedback on a bot's message; gives the bot and the report it is due.

        Raises:
            Refused: with status 404, for an unknown message.
        """
        conversation, message, bot, user_id = self._find(message_id)
        feedback = Feedback(feedback_type, reason)
        self._replace(conversation, attrs.evolve(message, feedback=[*message.feedback, feedback]))
        return bot, ReportFeedbackRequest(message_id, user_id, conversation.id, feedback_type)

    def react(
        self, message_id: str, reaction: str, action: str = "added"
    ) -> tuple[RegisteredBot, ReportReactionRequest]:
        """Put a user's reaction on a bot's message, or with the action "removed" take it away.

        Gives the bot and the report it is due.

        Raises:
            Refused: with status 404, for an unknown message.
        """
        conversation, message, bot, user_id = self._find(message_id)
        report = ReportReactionRequest(message_id, user_id, conversation.id, reaction, extra={"action": action})
        change = reaction_change(report)
        given = Reaction(user_id, change.reaction)
        reactions = [old for old in message.reactions if old != given] + ([given] if change.added else [])
        self._replace(conversation, attrs.evolve(message, reactions=reactions))
        return bot, report

    def _find(self, message_id: str) -> tuple[Conversation, Message, RegisteredBot, str]:
        engine = self._engine
        for conversation in engine.conversations.values():
            message = conversation.find(message_id)
            if message is not None and message.role == "bot":
                bot = engine.bot(author_of(message) or "")
                return conversation, message, bot, engine.user_id_for(engine.users[conversation.user_id], bot.name)
        raise Refused(404, f"no bot has written a message {message_id!r}")

    def _replace(self, conversation: Conversation, message: Message) -> None:
        conversation.replace(message)
        self._engine.touch("conversation", conversation.id)
