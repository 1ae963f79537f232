"""Who calls a bot by the simulator, and whether that is allowed: keys, dependencies, and calls that are counted."""

from __future__ import annotations

from collections import Counter
from hmac import compare_digest
from typing import TYPE_CHECKING

import attrs

from poeproto import QueryRequest
from poeproto_simulator.records import Account, BotQuery, RegisteredBot
from poeproto_simulator.refusals import Refused

if TYPE_CHECKING:
    from poeproto_simulator.engine import Poe


_STRAYS_KEPT = 1000


@attrs.define
class _MessageUnderWay:
    """A user's message while it is answered: the calls for it are counted by caller and called."""

    user_id: str
    opened_by: str  # the bot_query_id
    bots: set[str] = attrs.field(factory=set[str])  # those that were asked for its sake
    calls: Counter[tuple[str, str]] = attrs.field(factory=Counter[tuple[str, str]])


class Callers:
    """Tells by its key who calls, and keeps the bots among them to what their settings declare.

    A bot's call belongs to the message whose `metadata` it echoes, or whose `message_id` it repeats.
    """

    def __init__(self, engine: Poe) -> None:
        self._engine = engine
        self._under_way: dict[str, _MessageUnderWay] = {}
        self._strays: dict[str, _MessageUnderWay] = {}

    def bot_of_key(self, key: str) -> RegisteredBot | None:
        """The bot that this access key belongs to."""
        bots = self._engine.bots.values()
        return next((bot for bot in bots if same_key(bot.access_key, key)), None)

    def user_of_key(self, key: str) -> Account | None:
        """The user that this API key belongs to."""
        if same_key(self._engine.api_key, key):
            return self._engine.first_user
        users = self._engine.users.values()
        return next((user for user in users if same_key(user.api_key, key)), None)

    def known(
        self, key: str, request: QueryRequest | None = None, bot_name: str = ""
    ) -> Account | RegisteredBot | None:
        """The owner of a key; where the simulator is not strict, the first user owns what nobody else does.

        Args:
            key: the key.
            request: the query it came with, if any; it tells bots apart that share a key, as they do in many a test.
            bot_name: the bot that is asked.

        Raises:
            Refused: with status 401, for a key that is nobody's (strict only).
        """
        owner = self._likely_bot(key, request, bot_name) or self.user_of_key(key)
        if owner is None and self._engine.strict:
            self._engine.note("refusal", reason="unknown key")
            raise Refused(401, "the key is unknown", [("www-authenticate", "Bearer")])
        return owner

    def _likely_bot(self, key: str, request: QueryRequest | None, bot_name: str) -> RegisteredBot | None:
        owners = [bot for bot in self._engine.bots.values() if same_key(bot.access_key, key)]
        message = self._found(request) if request and len(owners) > 1 else None
        at_work: set[str] = message.bots if message else set()
        owners.sort(key=lambda bot: (bot.name not in at_work, _declared(bot, bot_name) < 1))
        return owners[0] if owners else None

    def admit(self, caller: RegisteredBot, bot_name: str, request: QueryRequest) -> Account:
        """Count one bot's call to another; gives the user for whose message it is.

        Args:
            caller: the calling bot.
            bot_name: the called one.
            request: its query.

        Raises:
            Refused: when the caller's settings do not declare the call, or all that they declare have been made, or
                there is no such message (strict only). Poe lets callers try again.
        """
        if not self._engine.strict and caller.name == bot_name and self._found(request) is None:
            return self._engine.first_user  # somebody tries the bot out, and has no other key
        message = self._message_of(request)
        if message is None and self._engine.strict:
            self._refuse(caller, bot_name, f"{caller.name} called without a message to answer")
        declared = _declared(caller, bot_name)
        what = f"message {request.message_id or '(none)'}: the settings of {caller.name} declare"
        if declared < 1:
            self._refuse(caller, bot_name, f"{what} no call to {bot_name}")
        if message is None:
            return self._engine.first_user  # nothing to count by
        pair = caller.name, bot_name
        if message.calls[pair] >= declared:
            self._refuse(caller, bot_name, f"{what} {declared} calls to {bot_name}, which have been made")
        message.calls[pair] += 1
        self._engine.note("call", caller=caller.name, bot=bot_name, number=message.calls[pair], declared=declared)
        return self._engine.users.get(message.user_id) or self._engine.first_user

    def open(self, query: BotQuery) -> None:
        """Take note of a message that is being answered from now on."""
        request = query.request
        message = self._found(request) or _MessageUnderWay(query.user_id, request.bot_query_id)
        message.bots.add(query.bot_name)
        for key in (request.metadata, request.message_id):
            self._under_way.setdefault(key, message)

    def forget(self, query: BotQuery) -> None:
        """Its reply is over. The calls of other bots, which belong to the same message, do not end it."""
        request = query.request
        for key in (request.metadata, request.message_id):
            message = self._under_way.get(key)
            if message is not None and message.opened_by == request.bot_query_id:
                del self._under_way[key]

    def _message_of(self, request: QueryRequest) -> _MessageUnderWay | None:
        found = self._found(request)
        if found is not None:
            return found
        key = request.metadata or request.message_id
        if not key or self._engine.strict:
            return None
        # A query that somebody else has sent to the bot, a test for instance. Nobody says when its reply is over.
        if len(self._strays) >= _STRAYS_KEPT:
            del self._strays[next(iter(self._strays))]
        return self._strays.setdefault(key, _MessageUnderWay(self._engine.first_user.id, ""))

    def _found(self, request: QueryRequest) -> _MessageUnderWay | None:
        return self._under_way.get(request.metadata) or self._under_way.get(request.message_id)

    def _refuse(self, caller: RegisteredBot, bot_name: str, why: str) -> None:
        self._engine.note("refusal", reason=why, caller=caller.name, bot=bot_name)
        raise Refused(400, why, allow_retry=True)


def _declared(caller: RegisteredBot, bot_name: str) -> int:
    return caller.settings.server_bot_dependencies.get(bot_name, 0) if caller.settings else 0


def same_key(key: str | None, other: str) -> bool:
    """Whether these are the same, and a key at all."""
    if not key:
        return False
    return compare_digest(key.encode("utf-8", "surrogatepass"), other.encode("utf-8", "surrogatepass"))
