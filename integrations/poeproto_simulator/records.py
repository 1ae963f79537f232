"""What the engine keeps: users, bots, conversations, queries, and what happened."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import attrs

from poeproto import (
    Bot,
    CostItem,
    Message,
    QueryRequest,
    SettingsResponse,
    decode_request,
    decode_settings,
    encode_request,
    encode_settings,
)
from poeproto.auth import access_key_set
from poeproto.vocabulary.http import without_path

# Ten dollars, in thousandths of a cent.
DEFAULT_BALANCE = 1_000_000


@attrs.define
class Account:
    """A user of the simulated Poe.

    Attributes:
        id: the engine's own identifier. Bots see others, one for each bot.
        name: the name to show.
        api_key: the key by which this user calls bots without a user interface.
        balance: what is left to spend, in thousandths of a US cent.
    """

    id: str
    name: str = "user"
    api_key: str | None = attrs.field(default=None, repr=False)
    balance: int = DEFAULT_BALANCE


def _shown(url: str | None) -> str:
    return "None" if url is None else without_path(url)


@attrs.frozen(kw_only=True)
class RegisteredBot:
    """A bot that the simulated Poe knows: run in this process, or called by its URL.

    Attributes:
        name: its name on Poe.
        access_key: the key that Poe and the bot's server share.
        url: where its server is.
        bot: the bot itself, where it has no URL.
        settings: as they were last pushed or fetched; None as long as neither has happened.
        made_up: whether nobody has registered it, and somebody has called it all the same.
    """

    name: str
    access_key: str | None = attrs.field(default=None, repr=False)
    url: str | None = attrs.field(default=None, repr=_shown)
    bot: Bot | None = None
    settings: SettingsResponse | None = None
    made_up: bool = False

    def __attrs_post_init__(self) -> None:
        if (self.url is None) == (self.bot is None):
            raise ValueError(f"the bot {self.name!r} needs either a URL or a Bot")
        if not self.name:
            raise ValueError("a bot needs a name")
        if self.access_key is not None:
            access_key_set(self.access_key)


@attrs.define
class Conversation:
    """Messages of a user and of the bots that answered, oldest first.

    A bot's message has the bot's name in its `sender`, and what the bot stored with it in its `metadata`.

    Attributes:
        id: its identifier.
        user_id: the `Account.id` of its user.
        messages: all of them; a query has the last 1,000.
    """

    id: str
    user_id: str
    messages: list[Message] = attrs.field(factory=list[Message])

    def find(self, message_id: str) -> Message | None:
        """The message of that identifier."""
        return next((message for message in reversed(self.messages) if message.message_id == message_id), None)

    def replace(self, message: Message) -> None:
        """Put this message in the place of the one with its identifier."""
        self.messages[:] = [message if old.message_id == message.message_id else old for old in self.messages]


@attrs.define
class BotQuery:
    """One query that Poe has sent to a bot: what costs are charged under, and what the bot's own calls belong to.

    Attributes:
        bot_name: which bot answers.
        user_id: the `Account.id` of the user who pays.
        request: as the bot gets it.
        authorized: what the bot has been granted and not yet charged, in thousandths of a US cent.
        captured: what it has charged.
    """

    bot_name: str
    user_id: str
    request: QueryRequest
    authorized: int = 0
    captured: int = 0


@attrs.frozen
class Charge:
    """A cost that was captured.

    Attributes:
        bot_query_id: the query it belongs to.
        bot_name: the bot that charged it, where that is known.
        user_id: the `Account.id` of the user who paid.
        items: what for.
    """

    bot_query_id: str
    bot_name: str | None
    user_id: str
    items: list[CostItem]

    @property
    def amount(self) -> int:
        """The sum, in thousandths of a US cent."""
        return sum(item.amount_usd_milli_cents for item in self.items)

    def as_json(self) -> dict[str, Any]:
        return {**attrs.asdict(self), "amount_usd_milli_cents": self.amount}


@attrs.frozen
class LogEntry:
    """Something that happened.

    Attributes:
        number: counts from 1.
        time: seconds since the epoch.
        kind: "query", "reply", "call", "refusal", "settings", "cost", "upload", "report" or "fault".
        details: what depends on the kind; JSON without keys.
    """

    number: int
    time: float
    kind: str
    details: dict[str, Any]


def author_of(message: Message) -> str | None:
    """The name of the bot that wrote a message; of a user's message the user's name."""
    return message.sender.name if message.sender else None


def messages_to_json(messages: Iterable[Message]) -> list[dict[str, Any]]:
    """Messages as a query has them."""
    return json.loads(encode_request(QueryRequest(list(messages))))["query"]


def messages_from_json(wire: list[dict[str, Any]]) -> list[Message]:
    """The inverse of `messages_to_json`."""
    request = decode_request(json.dumps({"type": "query", "query": wire}))
    assert isinstance(request, QueryRequest)
    return request.query


def settings_to_json(settings: SettingsResponse | None) -> dict[str, Any] | None:
    """Settings as a bot sends them."""
    return None if settings is None else json.loads(encode_settings(settings))


def settings_from_json(wire: dict[str, Any] | None) -> SettingsResponse | None:
    """The inverse of `settings_to_json`."""
    return None if wire is None else decode_settings(json.dumps(wire))
