"""The state of the simulated Poe: its records, the log, and which records have changed since they were saved."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable
from typing import Any

import attrs

from poeproto import Bot, InvalidValue, Limits, LocalProtocolError, Message, SettingsResponse
from poeproto.identifiers import make_identifier
from poeproto_h11 import split_url
from poeproto_simulator.records import Account, BotQuery, Charge, Conversation, LogEntry, RegisteredBot
from poeproto_simulator.responses import HTTPError
from poeproto_simulator.scripted_bots import Echo

_LOG_LENGTH = 10_000
_IDENTIFIER_BYTES = 20
_KEY_BYTES = 16  # in hexadecimal, a key has 32 characters, as Poe's have


class State:
    """All records of the simulated Poe. `Poe`, which adds the rules, describes arguments and attributes."""

    def __init__(
        self,
        strict: bool,
        balance: int,
        api_key: str | None,
        limits: Limits,
        now: Callable[[], float],
        random_bytes: Callable[[int], bytes],
    ) -> None:
        self.strict = strict
        self.balance = balance
        self.api_key = api_key
        self.limits = limits
        self.now = now
        self._random_bytes = random_bytes
        self.users: dict[str, Account] = {}
        self.bots: dict[str, RegisteredBot] = {}
        self.conversations: dict[str, Conversation] = {}
        self.queries: dict[str, BotQuery] = {}
        self.charges: list[Charge] = []
        self.reports: list[dict[str, Any]] = []
        self.log: deque[LogEntry] = deque(maxlen=_LOG_LENGTH)
        self.on_log: list[Callable[[LogEntry], object]] = []
        self.changed: dict[tuple[str, str], None] = {}  # a dict, because a set has no order
        self._entries = 0

    # --- users

    def add_user(self, name: str = "user", *, balance: int | None = None, api_key: str | None = None) -> Account:
        """Add a user.

        Args:
            name: the name that bots see.
            balance: the amount that may be spent, in thousandths of a US cent; by default the initial balance of every
                user.
            api_key: the key of the user's API calls.
        """
        account = Account(self.identifier("u"), name, api_key, self.balance if balance is None else balance)
        self.users[account.id] = account
        self.mark_changed("user", account.id)
        return account

    @property
    def first_user(self) -> Account:
        """The default user; added if there is no user."""
        return next(iter(self.users.values()), None) or self.add_user()

    def user_id_for(self, user: Account, bot_name: str) -> str:
        """The identifier by which a bot knows a user: constant, and different for each bot."""
        digest = hashlib.sha256(f"{user.id} {bot_name}".encode("utf-8", "surrogatepass")).digest()
        return make_identifier("u", digest[:_IDENTIFIER_BYTES])

    # --- bots

    def register(
        self,
        name: str,
        bot: Bot | str,
        *,
        access_key: str | None = None,
        settings: SettingsResponse | None = None,
    ) -> RegisteredBot:
        """Register a bot; it replaces another one of that name.

        Args:
            name: its name on Poe.
            bot: the bot, to be run in this process; or the URL of its server.
            access_key: the key that Poe and the bot's server share. A bot in this process needs one for its calls, and
                gets a random one by default.
            settings: its settings; by default they are fetched when they are needed.

        Raises:
            ValueError: when the name is empty, or the URL or the key is invalid.
        """
        url, instance = (bot, None) if isinstance(bot, str) else (None, bot)
        if url is not None:
            try:
                split_url(url)
            except LocalProtocolError as exc:  # a client treats any other string as the name of a bot on Poe
                raise InvalidValue(str(exc)) from None
        if instance is not None and access_key is None:
            access_key = self._random_bytes(_KEY_BYTES).hex()
        known = self.bots.get(name)
        if settings is None and known is not None and known.placeholder:
            settings = known.settings  # the bot pushed them when it started, before it was registered
        self.bots[name] = RegisteredBot(name=name, access_key=access_key, url=url, bot=instance, settings=settings)
        self.mark_changed("bot", name)
        return self.bots[name]

    def add_placeholder(self, name: str) -> RegisteredBot:
        """Add an `Echo` under a name for which no bot is registered.

        Raises:
            ValueError: when the name is empty.
        """
        self.bots[name] = RegisteredBot(name=name, bot=Echo(), placeholder=True)
        return self.bots[name]

    def bot(self, name: str) -> RegisteredBot:
        """The bot of that name.

        Raises:
            HTTPError: with status 404, when there is none.
        """
        found = self.bots.get(name)
        if found is None:
            raise HTTPError(404, f"there is no bot called {name!r}")
        return found

    def set_access_key(self, name: str, access_key: str) -> RegisteredBot:
        """Change a bot's access key.

        Raises:
            ValueError: when the key is invalid.
        """
        self.bots[name] = attrs.evolve(self.bot(name), access_key=access_key)
        self.mark_changed("bot", name)
        return self.bots[name]

    def set_settings(self, name: str, settings: SettingsResponse) -> None:
        """Store a bot's settings, as it pushed them or as they were fetched.

        Raises:
            HTTPError: with status 404, for an unknown bot; 400 for settings with fields that Poe does not know.
        """
        if settings.extra:
            raise HTTPError(400, f"unknown settings: {', '.join(sorted(settings.extra))}")
        if settings.response_version < 2:
            settings = attrs.evolve(settings, parameter_controls=None)  # as Poe does, without an error
        self.bots[name] = attrs.evolve(self.bot(name), settings=settings)
        self.mark_changed("bot", name)
        self.add_log_entry("settings", bot=name, server_bot_dependencies=settings.server_bot_dependencies)

    # --- conversations

    def conversation(self, conversation_id: str | None = None, user: Account | None = None) -> Conversation:
        """The conversation with that identifier; a new one if there is none, or no identifier is given."""
        found = self.conversations.get(conversation_id or "")
        if found is None:
            found = Conversation(conversation_id or self.identifier("c"), (user or self.first_user).id)
            self.conversations[found.id] = found
        return found

    def message(self, message_id: str) -> Message:
        """The message with that identifier, from any conversation.

        Raises:
            HTTPError: with status 404, when there is none.
        """
        for conversation in self.conversations.values():
            if found := conversation.find(message_id):
                return found
        raise HTTPError(404, f"there is no message {message_id!r}")

    # --- reports, log, changes

    def add_report(self, bot_name: str, kind: str, **details: Any) -> None:
        """Record a report that was sent to a bot."""
        self.reports.append({"bot": bot_name, "type": kind, **details})
        self.mark_changed("report", str(len(self.reports) - 1))
        self.add_log_entry("report", bot=bot_name, type=kind)

    def add_log_entry(self, kind: str, /, **details: Any) -> None:
        """Write an entry to the log."""
        self._entries += 1
        entry = LogEntry(self._entries, self.now(), kind, details)
        self.log.append(entry)
        for listener in self.on_log:
            listener(entry)

    def mark_changed(self, kind: str, key: str) -> None:
        """Mark a record as changed, so that it is saved."""
        self.changed[kind, key] = None

    def identifier(self, tag: str) -> str:
        """A new identifier."""
        return make_identifier(tag, self._random_bytes(_IDENTIFIER_BYTES))
