"""The engine of the simulator: how the simulated Poe handles messages, queries, replies and feedback. No I/O."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

import attrs

from poeproto import (
    Attachment,
    Done,
    Error,
    Feedback,
    Limits,
    Message,
    PoeprotoError,
    QueryRequest,
    Reaction,
    ReplyFold,
    ReportFeedbackRequest,
    ReportReactionRequest,
    Sender,
    User,
)
from poeproto.conversation import alternate_roles
from poeproto.reactions import reaction_change
from poeproto_simulator.callers import Callers
from poeproto_simulator.ledger import Ledger
from poeproto_simulator.records import DEFAULT_BALANCE, Account, BotQuery, Conversation, RegisteredBot, author_of
from poeproto_simulator.responses import HTTPError
from poeproto_simulator.state import State

__all__ = ["Poe"]

_QUERIES_KEPT = 10_000
_MULTI_ENTITY_PROMPT = "Several people and bots take part in this conversation. This is what was said before:"


class Poe(State):
    """The engine of the simulator: the state of the simulated Poe, and its rules.

    It does no I/O. `Simulator` sends the queries that it makes.

    Args:
        strict: refuse unknown keys, bots and queries, as Poe does. Otherwise calls with an unknown key are the first
            user's, and an unknown bot is an `Echo`.
        balance: the initial balance of each user, in thousandths of a US cent.
        api_key: the first user's key.
        limits: `Limits.messages` bounds a query.
        now: the clock, in seconds since the epoch.
        random_bytes: returns the given number of random bytes, for identifiers.

    Attributes:
        users: by `Account.id`; the first one pays for calls with unknown keys.
        bots: by name.
        conversations: by identifier.
        queries: the last 10,000 queries that were sent to bots, by `bot_query_id`.
        charges: the costs that were captured.
        reports: feedback, reactions and errors that were sent to bots, as JSON.
        log: the last 10,000 entries.
        on_log: functions that are called with each new entry of the log.
        changed: kinds and keys of the records that have changed since they were saved.
        callers: keys, declared calls and the rate limit.
        ledger: costs.
    """

    def __init__(
        self,
        *,
        strict: bool = False,
        balance: int = DEFAULT_BALANCE,
        api_key: str | None = None,
        limits: Limits | None = None,
        now: Callable[[], float] = time.time,
        random_bytes: Callable[[int], bytes] = secrets.token_bytes,
    ) -> None:
        super().__init__(strict, balance, api_key, limits or Limits(), now, random_bytes)
        self.callers = Callers(self)
        self.ledger = Ledger(self)

    # --- queries

    def ask(
        self,
        bot_name: str,
        text: str,
        *,
        conversation: Conversation,
        user: Account | None = None,
        attachments: Iterable[Attachment] = (),
        parameters: Mapping[str, Any] | None = None,
        referenced_message: Message | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> BotQuery:
        """Add a user's message to the conversation, and make the query that it leads to.

        Args:
            bot_name: the bot that is asked.
            text: the text of the message.
            conversation: the conversation.
            user: who writes, and pays; by default the user who began the conversation.
            attachments: the message's files.
            parameters: values of the bot's parameter controls.
            referenced_message: the message that this one replies to, if not the last.
            options: further fields of the query: `temperature`, `language_code` and so on.

        Raises:
            TypeError: for options that are not fields of a query, or that Poe sets itself.
            HTTPError: with status 404, for an unknown bot; 400 for files that its settings do not allow (strict only).
        """
        bot = self.bot(bot_name)
        user = user or self.users[conversation.user_id]
        files = list(attachments)
        if files and self.strict and not (bot.settings and bot.settings.allow_attachments):
            raise HTTPError(400, f"the settings of {bot_name} do not allow attachments")
        message = Message(
            "user",
            text,
            message_id=self.identifier("m"),
            timestamp=self._microseconds(),
            sender=Sender(user.id, user.name),
            attachments=files,
            parameters=dict(parameters or {}),
            referenced_message=referenced_message,
        )
        conversation.messages.append(message)
        self.mark_changed("conversation", conversation.id)
        sender_for_bot = partial(self._sender_for_bot, bot_name, conversation)
        senders = [sender_for_bot(each) for each in conversation.messages if each.role == "user"]
        request = QueryRequest(
            conversation_view(bot, conversation.messages[-self.limits.messages :], sender_for_bot),
            user_id=self.user_id_for(user, bot_name),
            conversation_id=conversation.id,
            users=[User(sender.id or "", sender.name) for sender in dict.fromkeys(senders)],
            query_creation_time=self._microseconds(),
            **(options or {}),
        )
        return self.open_query(bot_name, user, request)

    def open_query(self, bot_name: str, user: Account, request: QueryRequest) -> BotQuery:
        """Record a query that is about to be sent to a bot, with all identifiers that Poe gives it.

        Identifiers that the request has already are kept: they belong to the message for which one bot calls another.
        """
        request = attrs.evolve(
            request,
            user_id=request.user_id or self.user_id_for(user, bot_name),
            conversation_id=request.conversation_id or self.identifier("c"),
            message_id=request.message_id or self.identifier("m"),
            metadata=request.metadata or self.identifier("d"),
            bot_query_id=self.identifier("b"),
            query=request.query[-self.limits.messages :],
        )
        if len(self.queries) >= _QUERIES_KEPT:
            self.close_query(self.queries.pop(next(iter(self.queries))))
        query = self.queries[request.bot_query_id] = BotQuery(bot_name, user.id, request)
        self.callers.open(query)
        self.add_log_entry("query", bot=bot_name, message_id=request.message_id, messages=len(request.query))
        return query

    def close_query(self, query: BotQuery) -> None:
        """End a query whose reply is over: release the amount it reserved, and admit no further calls for it."""
        query.authorized = 0
        self.callers.close(query)

    def finish(self, query: BotQuery, fold: ReplyFold, failure: PoeprotoError | None = None) -> Message | None:
        """End the reply to a user's message.

        A successful reply is added to the conversation as a message, which is returned. A failed reply is not added.
        """
        self.close_query(query)
        request = query.request
        details: dict[str, Any] = {"bot": query.bot_name, "message_id": request.message_id}
        if failure is not None or not isinstance(fold.ending, Done):
            self.add_log_entry("reply", **details, failure=str(failure or _error_text(fold.error)))
            return None
        message = Message(
            "bot",
            fold.text,
            content_type=fold.meta.content_type if fold.meta else "text/markdown",
            message_id=request.message_id,
            timestamp=self._microseconds(),
            sender=Sender(name=query.bot_name),
            attachments=[Attachment(file.url, file.content_type, file.name, file.inline_ref) for file in fold.files],
            metadata=fold.metadata,
        )
        self.conversations[request.conversation_id].messages.append(message)
        self.mark_changed("conversation", request.conversation_id)
        self.add_log_entry("reply", **details, characters=len(fold.text), files=len(fold.files))
        return message

    def _sender_for_bot(self, bot_name: str, conversation: Conversation, message: Message) -> Sender:
        author = self.users.get((message.sender and message.sender.id) or "") or self.users[conversation.user_id]
        return Sender(self.user_id_for(author, bot_name), author.name)

    def _microseconds(self) -> int:
        return int(self.now() * 1_000_000)

    # --- feedback and reactions

    def add_feedback(
        self, message_id: str, feedback_type: str, reason: str | None = None
    ) -> tuple[RegisteredBot, ReportFeedbackRequest]:
        """Add a user's feedback to a bot's message; returns the bot and the report for it.

        Raises:
            HTTPError: with status 404, for an unknown message.
        """
        conversation, message, bot, user_id = self._find_bot_message(message_id)
        feedback = Feedback(feedback_type, reason)
        self._replace_message(conversation, attrs.evolve(message, feedback=[*message.feedback, feedback]))
        return bot, ReportFeedbackRequest(message_id, user_id, conversation.id, feedback_type)

    def change_reaction(
        self, message_id: str, reaction: str, action: str = "added"
    ) -> tuple[RegisteredBot, ReportReactionRequest]:
        """Add a user's reaction to a bot's message, or remove it (action "removed").

        Returns the bot and the report for it.

        Raises:
            HTTPError: with status 404, for an unknown message.
        """
        conversation, message, bot, user_id = self._find_bot_message(message_id)
        report = ReportReactionRequest(message_id, user_id, conversation.id, reaction, extra={"action": action})
        change = reaction_change(report)
        changed = Reaction(user_id, change.reaction)
        reactions = [old for old in message.reactions if old != changed] + ([changed] if change.added else [])
        self._replace_message(conversation, attrs.evolve(message, reactions=reactions))
        return bot, report

    def _find_bot_message(self, message_id: str) -> tuple[Conversation, Message, RegisteredBot, str]:
        for conversation in self.conversations.values():
            message = conversation.find(message_id)
            if message is not None and message.role == "bot":
                bot = self.bot(author_of(message) or "")
                return conversation, message, bot, self.user_id_for(self.users[conversation.user_id], bot.name)
        raise HTTPError(404, f"no bot has written a message {message_id!r}")

    def _replace_message(self, conversation: Conversation, message: Message) -> None:
        conversation.replace(message)
        self.mark_changed("conversation", conversation.id)


def _error_text(error: Error | None) -> str:
    return "the reply did not end" if error is None else error.text or "an error without a text"


def conversation_view(
    bot: RegisteredBot, messages: Iterable[Message], sender_for_bot: Callable[[Message], Sender]
) -> list[Message]:
    """The messages of a conversation as they are sent to one bot, in the form that its settings ask for.

    Args:
        bot: the bot.
        messages: oldest first.
        sender_for_bot: the author of a user's message, with the identifier by which the bot knows that user.
    """
    view = [
        attrs.evolve(message, sender=sender_for_bot(message))
        if message.role == "user"
        # The metadata of another bot's message is private to that bot.
        else attrs.evolve(message, metadata=message.metadata if author_of(message) == bot.name else None)
        for message in messages
    ]
    if bot.settings is not None and bot.settings.enable_multi_entity_prompting:
        view = _merge_multi_entity(view, bot.name)
    alternating = bot.settings is not None and bot.settings.enforce_author_role_alternation
    return alternate_roles(view) if alternating else view


def _merge_multi_entity(messages: list[Message], bot_name: str) -> list[Message]:
    """If others than one user and this bot take part, merge all messages but the last into one that names authors."""
    *before, last = messages
    users = {message.sender and message.sender.id for message in messages if message.role == "user"}
    bots = {author_of(message) for message in before if message.role == "bot"}
    if not before or (len(users) < 2 and bots <= {bot_name}):
        return messages
    lines = [f"{author_of(message) or message.role}: {message.content}" for message in before]
    merged = alternate_roles([attrs.evolve(message, role="user") for message in before])[0]
    content = "\n\n".join([_MULTI_ENTITY_PROMPT, *lines])
    return [attrs.evolve(merged, content=content, message_id="", sender=None), last]
