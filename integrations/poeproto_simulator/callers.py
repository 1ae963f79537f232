"""Who calls a bot: API keys, the calls that a bot's settings declare, and the rate limit."""

from __future__ import annotations

from collections import Counter

import attrs

from poeproto import QueryRequest
from poeproto_simulator.records import Account, BotQuery, RegisteredBot, same_key
from poeproto_simulator.responses import HTTPError
from poeproto_simulator.state import State

POE_REQUESTS_PER_MINUTE = 500
_WINDOW_SECONDS = 60.0
_FOREIGN_MESSAGES_KEPT = 1000


@attrs.define
class _ActiveMessage:
    """A user's message that is being answered: calls are counted for it, by caller and called bot."""

    user_id: str
    bot_query_id: str  # of the query that opened it
    bots: set[str] = attrs.field(factory=set[str])  # the bots that were asked for this message
    calls: Counter[tuple[str, str]] = attrs.field(factory=Counter[tuple[str, str]])


class Callers:
    """Authenticates callers by their keys, and limits a bot's calls to those that its settings declare.

    A bot's call belongs to the message whose `metadata` it echoes, or whose `message_id` it repeats.

    Args:
        state: the users and bots.

    Attributes:
        rate_limit: the requests of each key are counted here.
    """

    def __init__(self, state: State) -> None:
        self.rate_limit = RateLimit(POE_REQUESTS_PER_MINUTE if state.strict else None)
        self._state = state
        self._active: dict[str, _ActiveMessage] = {}
        self._foreign: dict[str, _ActiveMessage] = {}

    def authenticate(
        self, key: str, request: QueryRequest | None = None, bot_name: str = ""
    ) -> Account | RegisteredBot | None:
        """The owner of a key; None for an unknown key, which is accepted unless the simulator is strict.

        Args:
            key: the key.
            request: the query it came with, if any. It distinguishes bots that share a key, as they do in many tests.
            bot_name: the bot that is called.

        Raises:
            HTTPError: with status 401, for an unknown key (strict only).
        """
        owner = self._likely_bot(key, request, bot_name) or self._user_of_key(key)
        if owner is None and self._state.strict:
            self._state.add_log_entry("refusal", reason="unknown key")
            raise HTTPError(401, "the key is unknown", [("www-authenticate", "Bearer")])
        return owner

    def _user_of_key(self, key: str) -> Account | None:
        if same_key(self._state.api_key, key):
            return self._state.first_user
        return next((user for user in self._state.users.values() if same_key(user.api_key, key)), None)

    def _likely_bot(self, key: str, request: QueryRequest | None, bot_name: str) -> RegisteredBot | None:
        owners = [bot for bot in self._state.bots.values() if same_key(bot.access_key, key)]
        message = self._find_active(request) if request and len(owners) > 1 else None
        answering: set[str] = message.bots if message else set()
        owners.sort(key=lambda bot: (bot.name not in answering, bot.declared_calls(bot_name) < 1))
        return owners[0] if owners else None

    def admit(self, caller: RegisteredBot, bot_name: str, request: QueryRequest) -> Account:
        """Count one bot's call to another; returns the user whose message it belongs to.

        Args:
            caller: the calling bot.
            bot_name: the called bot.
            request: the query of the call.

        Raises:
            HTTPError: when the caller's settings do not declare the call, or declare fewer calls than were made, or the
                call belongs to no message (strict only). It allows a retry, as Poe's does.
        """
        if not self._state.strict and caller.name == bot_name and self._find_active(request) is None:
            return self._state.first_user  # a developer tests the bot with the bot's own key
        message = self._message_of(request)
        if message is None and self._state.strict:
            self._refuse(caller, bot_name, f"{caller.name} called without a message to answer")
        declared = caller.declared_calls(bot_name)
        what = f"message {request.message_id or '(none)'}: the settings of {caller.name} declare"
        if declared < 1:
            self._refuse(caller, bot_name, f"{what} no call to {bot_name}")
        if message is None:
            return self._state.first_user  # there is nothing to count by
        pair = caller.name, bot_name
        if message.calls[pair] >= declared:
            self._refuse(caller, bot_name, f"{what} {declared} calls to {bot_name}, which have been made")
        message.calls[pair] += 1
        number = message.calls[pair]
        self._state.add_log_entry("call", caller=caller.name, bot=bot_name, number=number, declared=declared)
        return self._state.users.get(message.user_id) or self._state.first_user

    def open(self, query: BotQuery) -> None:
        """Begin to count calls for the message of this query."""
        request = query.request
        message = self._find_active(request) or _ActiveMessage(query.user_id, request.bot_query_id)
        message.bots.add(query.bot_name)
        for key in (request.metadata, request.message_id):
            self._active.setdefault(key, message)

    def close(self, query: BotQuery) -> None:
        """Stop counting, if this query opened the message. A bot's call for the same message does not end it."""
        request = query.request
        for key in (request.metadata, request.message_id):
            message = self._active.get(key)
            if message is not None and message.bot_query_id == request.bot_query_id:
                del self._active[key]

    def _message_of(self, request: QueryRequest) -> _ActiveMessage | None:
        found = self._find_active(request)
        if found is not None:
            return found
        key = request.metadata or request.message_id
        if not key or self._state.strict:
            return None
        # The query was sent to the bot by another program, a test for instance. Nothing reports the end of its reply.
        if len(self._foreign) >= _FOREIGN_MESSAGES_KEPT:
            del self._foreign[next(iter(self._foreign))]
        return self._foreign.setdefault(key, _ActiveMessage(self._state.first_user.id, ""))

    def _find_active(self, request: QueryRequest) -> _ActiveMessage | None:
        return self._active.get(request.metadata) or self._active.get(request.message_id)

    def _refuse(self, caller: RegisteredBot, bot_name: str, reason: str) -> None:
        self._state.add_log_entry("refusal", reason=reason, caller=caller.name, bot=bot_name)
        raise HTTPError(400, reason, allow_retry=True)


class RateLimit:
    """Counts the requests of each key in windows of one minute, which begin and end for all keys at once.

    Args:
        limit: how many requests a window allows; None counts against Poe's limit of 500, and refuses none.
    """

    def __init__(self, limit: int | None) -> None:
        self._refuses = limit is not None
        self._limit = POE_REQUESTS_PER_MINUTE if limit is None else limit
        self._window_end = 0.0
        self._counts: Counter[str] = Counter()

    def count(self, key: str, now: float) -> dict[str, str]:
        """Count a request; returns the ``x-ratelimit-*`` headers of its response.

        Args:
            key: the caller's key.
            now: the time in seconds.

        Raises:
            HTTPError: with status 429, when the limit is exceeded.
        """
        if now >= self._window_end:
            self._counts.clear()
            self._window_end = now + _WINDOW_SECONDS
        self._counts[key] += 1
        left = max(self._limit - self._counts[key], 0)
        headers = {
            "x-ratelimit-limit-requests": str(self._limit),
            "x-ratelimit-remaining-requests": str(left),
            "x-ratelimit-reset-requests": f"{self._window_end - now:.3f}s",
        }
        if self._refuses and self._counts[key] > self._limit:
            retry_after = {"retry-after": f"{self._window_end - now:.0f}", **headers}
            raise HTTPError(429, "too many requests", retry_after.items(), allow_retry=True)
        return headers
