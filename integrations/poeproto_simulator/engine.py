"""The simulated Poe itself, without any I/O: who is there, what was said, what it costs, and who may call whom."""

from __future__ import annotations

import hashlib
import secrets
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

import attrs

from poeproto import (
    Attachment,
    Bot,
    Error,
    InvalidValue,
    Limits,
    LocalProtocolError,
    Message,
    PoeprotoError,
    QueryRequest,
    ReplyFold,
    Sender,
    SettingsResponse,
    User,
    make_identifier,
)
from poeproto_h11.client.urls import split_url
from poeproto_simulator.callers import Callers
from poeproto_simulator.ledger import Ledger
from poeproto_simulator.opinions import Opinions
from poeproto_simulator.records import (
    DEFAULT_BALANCE,
    Account,
    BotQuery,
    Charge,
    Conversation,
    LogEntry,
    RegisteredBot,
)
from poeproto_simulator.refusals import Refused
from poeproto_simulator.scripted import Echo
from poeproto_simulator.seeing import seen_by

_LOG_LENGTH = 10_000
_QUERIES_KEPT = 10_000
_RANDOM_BYTES = 20


class Poe:
    """The engine of the simulator.

    Nothing here waits or talks to anyone: `Simulator` carries out what it decides, and a user interface may show it.

    Args:
        strict: refuse unknown keys, bots and queries, as Poe does. Otherwise an unknown key is the first user's, and
            an unknown bot is made up.
        balance: what a user may spend at first, in thousandths of a US cent.
        api_key: the first user's key.
        limits: `Limits.messages` bounds a query.
        now: the clock, in seconds since the epoch.
        random_bytes: makes identifiers, from so many bytes.

    Attributes:
        users: by `Account.id`; the first pays for calls with unknown keys.
        bots: by name.
        conversations: by identifier.
        queries: the last 10,000 that were sent to bots, by `bot_query_id`.
        charges: what was captured.
        reports: feedback, reactions and errors that were sent to bots, as JSON.
        log: the last 10,000 things that happened.
        on_log: functions that are called with each new entry of the log.
        changed: kinds and keys of the records that changed since they were last saved.
        callers: keys, dependencies and the calls of bots to bots.
        ledger: costs.
        opinions: feedback and reactions.
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
        self.strict = strict
        self.balance = balance
        self.api_key = api_key
        self.limits = limits or Limits()
        self.now = now
        self._random_bytes = random_bytes
        self.users: dict[str, Account] = {}
        self.bots: dict[str, RegisteredBot] = {}
        self.conversations: dict[str, Conversation] = {}
        self.queries: dict[str, BotQuery] = {}
        self.charges: list[Charge] = []
        self.reports: list[dict[str, Any]] = []
        self.log: deque[LogEntry] = deque(maxlen=_LOG_LENGTH)
        self.changed: dict[tuple[str, str], None] = {}  # a set in the order of its making
        self.on_log: list[Callable[[LogEntry], object]] = []
        self.callers = Callers(self)
        self.ledger = Ledger(self)
        self.opinions = Opinions(self)
        self._entries = 0

    # --- who is there

    def add_user(self, name: str = "user", *, balance: int | None = None, api_key: str | None = None) -> Account:
        """A new user.

        Args:
            name: the name bots see.
            balance: what may be spent, in thousandths of a US cent; by default what every user has at first.
            api_key: the key for calls without a user interface.
        """
        account = Account(self.identifier("u"), name, api_key, self.balance if balance is None else balance)
        self.users[account.id] = account
        self.touch("user", account.id)
        return account

    @property
    def first_user(self) -> Account:
        """The user who is meant where none is named; made up if there is none."""
        return next(iter(self.users.values()), None) or self.add_user()

    def register(
        self,
        name: str,
        bot: Bot | str,
        *,
        access_key: str | None = None,
        settings: SettingsResponse | None = None,
    ) -> RegisteredBot:
        """Make a bot known, in the place of another of that name.

        Args:
            name: its name on Poe.
            bot: the bot, to be run in this process; or the URL of its server.
            access_key: the key that Poe and the bot's server share.
            settings: its settings, if they are not to be fetched.

        Raises:
            ValueError: when there is no name, the URL cannot be used, or the key cannot be sent.
        """
        url, inside = (bot, None) if isinstance(bot, str) else (None, bot)
        if url is not None:
            try:
                split_url(url)
            except LocalProtocolError as exc:  # to a client, a bot without one would be a bot on Poe
                raise InvalidValue(str(exc)) from None
        made_up = self.bots.get(name)
        if settings is None and made_up is not None and made_up.made_up:
            settings = made_up.settings  # pushed by the bot when it started, before it was known here
        self.bots[name] = RegisteredBot(name=name, access_key=access_key, url=url, bot=inside, settings=settings)
        self.touch("bot", name)
        return self.bots[name]

    def make_up(self, name: str) -> RegisteredBot:
        """A bot of that name that repeats what it is told, until somebody registers another.

        Raises:
            ValueError: when there is no name.
        """
        self.bots[name] = RegisteredBot(name=name, bot=Echo(), made_up=True)
        return self.bots[name]

    def give_key(self, name: str, access_key: str) -> RegisteredBot:
        """The bot of that name, from now on with this key.

        Raises:
            ValueError: when the key cannot be sent.
        """
        self.bots[name] = attrs.evolve(self.bot(name), access_key=access_key)
        self.touch("bot", name)
        return self.bots[name]

    def bot(self, name: str) -> RegisteredBot:
        """The bot of that name.

        Raises:
            Refused: with status 404, when there is none.
        """
        found = self.bots.get(name)
        if found is None:
            raise Refused(404, f"there is no bot called {name!r}")
        return found

    def change_settings(self, name: str, settings: SettingsResponse) -> None:
        """Take over a bot's settings, as it pushed them or as they were fetched.

        Raises:
            Refused: with status 404, for an unknown bot; 400 for settings with fields that Poe does not know.
        """
        if settings.extra:
            raise Refused(400, f"settings have no {', '.join(sorted(settings.extra))}")
        if settings.response_version < 2:
            settings = attrs.evolve(settings, parameter_controls=None)  # as Poe does, and says nothing either
        self.bots[name] = attrs.evolve(self.bot(name), settings=settings)
        self.touch("bot", name)
        self.note("settings", bot=name, server_bot_dependencies=settings.server_bot_dependencies)

    # --- conversations

    def conversation(self, conversation_id: str | None = None, user: Account | None = None) -> Conversation:
        """The conversation of that identifier; a new one where there is none of it, or none is given."""
        found = self.conversations.get(conversation_id or "")
        if found is None:
            found = Conversation(conversation_id or self.identifier("c"), (user or self.first_user).id)
            self.conversations[found.id] = found
        return found

    def message(self, message_id: str) -> Message:
        """The message of that identifier, in whatever conversation.

        Raises:
            Refused: with status 404, when there is none.
        """
        for conversation in self.conversations.values():
            if found := conversation.find(message_id):
                return found
        raise Refused(404, f"there is no message {message_id!r}")

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
        """Take a user's message to a bot into the conversation, and make the query it leads to.

        Args:
            bot_name: which bot is asked.
            text: what the user writes.
            conversation: where.
            user: who writes, and pays; by default whose conversation it is.
            attachments: the message's files.
            parameters: values of the bot's parameter controls.
            referenced_message: the message it answers, if it is not just the next.
            options: further fields of the query: `temperature`, `language_code` and the like.

        Raises:
            TypeError: for options that are no fields, or that Poe sets itself.
            Refused: for an unknown bot; with status 400, for files that its settings do not allow (strict only).
        """
        bot = self.bot(bot_name)
        user = user or self.users[conversation.user_id]
        files = list(attachments)
        if files and self.strict and not (bot.settings and bot.settings.allow_attachments):
            raise Refused(400, f"the settings of {bot_name} do not allow attachments")
        said = Message(
            "user",
            text,
            message_id=self.identifier("m"),
            timestamp=self._microseconds(),
            sender=Sender(user.id, user.name),
            attachments=files,
            parameters=dict(parameters or {}),
            referenced_message=referenced_message,
        )
        conversation.messages.append(said)
        self.touch("conversation", conversation.id)
        user_seen = partial(self._user_seen, bot_name, conversation)
        seen = [user_seen(message) for message in conversation.messages if message.role == "user"]
        request = QueryRequest(
            seen_by(bot, conversation.messages[-self.limits.messages :], user_seen),
            user_id=self.user_id_for(user, bot_name),
            conversation_id=conversation.id,
            users=[User(sender.id or "", sender.name) for sender in dict.fromkeys(seen)],
            query_creation_time=self._microseconds(),
            **(options or {}),
        )
        return self.open_query(bot_name, user, request)

    def open_query(self, bot_name: str, user: Account, request: QueryRequest) -> BotQuery:
        """A query about to be sent to a bot, with every identifier that Poe gives it.

        What the request says already stays: the identifiers of the message for which one bot calls another.
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
        self.note("query", bot=bot_name, message_id=request.message_id, messages=len(request.query))
        return query

    def close_query(self, query: BotQuery) -> None:
        """A reply is over: what it had set aside is free again, and no further calls belong to it."""
        query.authorized = 0
        self.callers.forget(query)

    def finish(self, query: BotQuery, fold: ReplyFold, failure: PoeprotoError | None = None) -> Message | None:
        """The end of the reply to a user's message.

        A successful reply becomes a message of the conversation, and is returned; of another nothing is kept there.
        """
        self.close_query(query)
        request = query.request
        details: dict[str, Any] = {"bot": query.bot_name, "message_id": request.message_id}
        if failure is not None or fold.error is not None or not fold.done:
            self.note("reply", **details, failure=str(failure or _error_text(fold.error)))
            return None
        reply = Message(
            "bot",
            fold.text,
            content_type=fold.meta.content_type if fold.meta else "text/markdown",
            message_id=request.message_id,
            timestamp=self._microseconds(),
            sender=Sender(name=query.bot_name),
            attachments=[Attachment(file.url, file.content_type, file.name, file.inline_ref) for file in fold.files],
            metadata=fold.metadata,
        )
        self.conversations[request.conversation_id].messages.append(reply)
        self.touch("conversation", request.conversation_id)
        self.note("reply", **details, characters=len(fold.text), files=len(fold.files))
        return reply

    def _user_seen(self, bot_name: str, conversation: Conversation, message: Message) -> Sender:
        author = self.users.get((message.sender and message.sender.id) or "") or self.users[conversation.user_id]
        return Sender(self.user_id_for(author, bot_name), author.name)

    def user_id_for(self, user: Account, bot_name: str) -> str:
        """The identifier under which a bot knows a user: always the same, and another one for each bot."""
        digest = hashlib.sha256(f"{user.id} {bot_name}".encode("utf-8", "surrogatepass")).digest()
        return make_identifier("u", digest[:_RANDOM_BYTES])

    # --- what happened

    def report(self, bot_name: str, kind: str, **details: Any) -> None:
        """Remember what was reported to a bot."""
        self.reports.append({"bot": bot_name, "type": kind, **details})
        self.touch("report", str(len(self.reports) - 1))
        self.note("report", bot=bot_name, type=kind)

    def note(self, kind: str, /, **details: Any) -> None:
        """Write something into the log."""
        self._entries += 1
        entry = LogEntry(self._entries, self.now(), kind, details)
        self.log.append(entry)
        for listener in self.on_log:
            listener(entry)

    def touch(self, kind: str, key: str) -> None:
        """Note that a record has changed, so that it is saved."""
        self.changed[kind, key] = None

    def identifier(self, tag: str) -> str:
        """A new identifier."""
        return make_identifier(tag, self._random_bytes(_RANDOM_BYTES))

    def _microseconds(self) -> int:
        return int(self.now() * 1_000_000)


def _error_text(error: Error | None) -> str:
    return "the reply did not end" if error is None else error.text or "an error without a text"
