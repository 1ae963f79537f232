"""The records of the simulated Poe: users, bots, conversations, queries, charges and log entries, and their JSON."""

from __future__ import annotations

import json
from collections.abc import Iterable
from hmac import compare_digest
from typing import Any, Self

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
)
from poeproto.auth import access_key_set
from poeproto.http import without_path
from poeproto.schemas import settings_payload

__all__ = ["Account", "BotQuery", "Charge", "Conversation", "LogEntry", "RegisteredBot"]

# Ten dollars, in thousandths of a cent.
DEFAULT_BALANCE = 1_000_000


@attrs.define
class Account:
    """A user of the simulated Poe.

    Attributes:
        id: the simulator's own identifier. Each bot knows the user by another one.
        name: the name that bots see.
        api_key: the key of the user's API calls.
        balance: the amount left, in thousandths of a US cent.
    """

    id: str
    name: str = "user"
    api_key: str | None = attrs.field(default=None, repr=False)
    balance: int = DEFAULT_BALANCE


def _url_for_repr(url: str | None) -> str:
    return "None" if url is None else without_path(url)


@attrs.frozen(kw_only=True)
class RegisteredBot:
    """A bot that the simulated Poe knows: run in this process, or called at its URL.

    Attributes:
        name: its name on Poe.
        access_key: the key that Poe and the bot's server share.
        url: the URL of its server; None for a bot in this process.
        bot: the bot itself; None for a bot with a URL.
        settings: as they were last pushed or fetched; None before the first time.
        placeholder: whether the simulator made it up, because a bot of this name was called and none was registered.
    """

    name: str
    access_key: str | None = attrs.field(default=None, repr=False)
    url: str | None = attrs.field(default=None, repr=_url_for_repr)
    bot: Bot | None = None
    settings: SettingsResponse | None = None
    placeholder: bool = False

    def __attrs_post_init__(self) -> None:
        if (self.url is None) == (self.bot is None):
            raise ValueError(f"the bot {self.name!r} needs either a URL or a Bot")
        if not self.name:
            raise ValueError("a bot needs a name")
        if self.access_key is not None:
            access_key_set(self.access_key)

    def declared_calls(self, bot_name: str) -> int:
        """How often its settings let it call that bot for one message of a user."""
        return self.settings.server_bot_dependencies.get(bot_name, 0) if self.settings else 0


def same_key(key: str | None, given: str) -> bool:
    """Whether there is a key, and the given one equals it. Compares in constant time."""
    if not key:
        return False
    return compare_digest(key.encode("utf-8", "surrogatepass"), given.encode("utf-8", "surrogatepass"))


@attrs.define
class Conversation:
    """The messages of users and of the bots that answered them, oldest first.

    A bot's message has the bot's name in its `sender`, and the bot's stored data in its `metadata`.

    Attributes:
        id: its identifier.
        user_id: the `Account.id` of the user who began it.
        messages: all messages; a query contains the last 1,000.
    """

    id: str
    user_id: str
    messages: list[Message] = attrs.field(factory=list[Message])

    def find(self, message_id: str) -> Message | None:
        """The message with that identifier."""
        return next((message for message in reversed(self.messages) if message.message_id == message_id), None)

    def replace(self, message: Message) -> None:
        """Replace the message that has the same identifier."""
        self.messages[:] = [message if old.message_id == message.message_id else old for old in self.messages]


@attrs.define
class BotQuery:
    """A query that Poe has sent to a bot. Costs are charged, and the bot's own calls are counted, under it.

    Attributes:
        bot_name: the bot that answers.
        user_id: the `Account.id` of the user who pays.
        request: the query as the bot gets it.
        authorized: the amount that the bot has authorised and not yet captured, in thousandths of a US cent.
    """

    bot_name: str
    user_id: str
    request: QueryRequest
    authorized: int = 0


@attrs.frozen
class Charge:
    """A cost that was captured.

    Attributes:
        bot_query_id: the query it belongs to.
        bot_name: the bot that captured it, if known.
        user_id: the `Account.id` of the user who paid.
        items: the items paid for.
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
        """The charge as JSON has it, with the sum."""
        return {**attrs.asdict(self), "amount_usd_milli_cents": self.amount}

    @classmethod
    def from_json(cls, wire: dict[str, Any]) -> Self:
        """The inverse of `as_json`."""
        known = {name: wire[name] for name in attrs.fields_dict(cls) if name != "items"}
        return cls(**known, items=[CostItem(**item) for item in wire["items"]])


@attrs.frozen
class LogEntry:
    """An event in the log of the simulated Poe.

    Attributes:
        number: counts from 1.
        time: seconds since the epoch.
        kind: "query", "reply", "call", "refusal", "settings", "cost", "upload", "report" or "fault".
        details: depends on the kind; JSON values, no keys.
    """

    number: int
    time: float
    kind: str
    details: dict[str, Any]


def author_of(message: Message) -> str | None:
    """The name of the bot or the user who wrote a message."""
    return message.sender.name if message.sender else None


def messages_to_json(messages: Iterable[Message]) -> list[dict[str, Any]]:
    """Messages as a query contains them."""
    return json.loads(encode_request(QueryRequest(list(messages))))["query"]


def messages_from_json(wire: list[dict[str, Any]]) -> list[Message]:
    """The inverse of `messages_to_json`."""
    request = decode_request(json.dumps({"type": "query", "query": wire}))
    assert isinstance(request, QueryRequest)
    return request.query


def settings_to_json(settings: SettingsResponse | None) -> dict[str, Any] | None:
    """Settings as a bot sends them, with keys that this version does not know."""
    return None if settings is None else settings_payload(settings)


def settings_from_json(wire: dict[str, Any] | None) -> SettingsResponse | None:
    """The inverse of `settings_to_json`."""
    return None if wire is None else decode_settings(json.dumps(wire))
