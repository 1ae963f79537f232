"""Bots that fail, and the outcome on both sides."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

import attrs

from poeproto import Bot, BotError, Context, Event, QueryRequest, SettingsResponse
from poeproto_simulator import ReceivedReply, Simulator

from .bots import KEY
from .example_stage import Stage, playing_bot

Respond = Callable[[QueryRequest, Context], AsyncIterator[Event | str]]


class RecordingBot(Bot):
    """A bot that records the exceptions it raises."""

    def __init__(self, respond: Respond, dependencies: Mapping[str, int]) -> None:
        self.raised: list[Exception] = []
        self._respond = respond
        self._dependencies = dict(dependencies)

    async def get_response(self, request: QueryRequest, context: Context) -> AsyncIterator[Event | str]:
        try:
            async for event in self._respond(request, context):
                yield event
        except Exception as exc:
            self.raised.append(exc)
            raise

    async def get_settings(self, request: object, context: Context) -> SettingsResponse:
        return SettingsResponse(server_bot_dependencies=self._dependencies)


@attrs.frozen
class Outcome:
    """The outcome of one message.

    Attributes:
        reply: the reply that the user received.
        raised: the exception that the bot raised.
        stage: the stage, whose servers have stopped.
    """

    reply: ReceivedReply
    raised: Exception
    stage: Stage


async def outcome(
    respond: Respond,
    others: Mapping[str, Bot] | None = None,
    poe: Simulator | None = None,
    *,
    dependencies: Mapping[str, int] | None = None,
    **app_arguments: Any,
) -> Outcome:
    """Send a user's message to a bot that fails."""
    bot = RecordingBot(respond, dict.fromkeys(others or {}, 2) if dependencies is None else dependencies)
    async with playing_bot(bot, others, poe=poe, **app_arguments) as stage:
        reply = await stage.say("hello")
    [raised] = bot.raised
    return Outcome(reply, raised, stage)


def assert_neutral(seen: Outcome, *private: str, text: str = "") -> None:
    """The user learns that the bot failed, and the identifier of the failure in its log, and nothing else."""
    assert isinstance(seen.reply.failure, BotError)
    assert seen.reply.text == text
    error = seen.reply.error
    assert error is not None
    assert error.error_type is None
    assert not error.allow_retry
    assert error.text is not None
    assert error.text.startswith("Something went wrong in this bot. Error id: ")
    for word in (type(seen.raised).__name__, str(seen.raised), KEY, *private):
        assert word not in error.text
