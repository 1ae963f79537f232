"""The attempts at one query: a retry only before the first message, so that no output is repeated."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from typing import Any

from poeproto_compat.bot_context import BotContext
from poeproto_compat.closing import closing
from poeproto_compat.errors import BotError, BotErrorNoRetry, IncompleteReply
from poeproto_compat.types import PartialResponse


async def attempts(
    make_context: Callable[[], BotContext],
    query: dict[str, Any],
    bot_name: str,
    num_tries: int,
    retry_sleep_time: float,
    allow_missing_done: bool,
) -> AsyncGenerator[PartialResponse]:
    """The messages of the first attempt that succeeds.

    Args:
        make_context: makes the calls of the bot, at the first message.
        query: the arguments of `BotContext.perform_query_request`.
        bot_name: the bot's name, for errors.
        num_tries: the number of attempts.
        retry_sleep_time: seconds between two.
        allow_missing_done: whether a reply may end without `done`.

    Raises:
        BotError: when the last attempt fails, and for a failure after a message was received.
        BotErrorNoRetry: as an attempt raises it.
    """
    context = make_context()
    for number in range(num_tries):
        received = False
        try:
            async with closing(context.perform_query_request(**query)) as messages:
                async for message in messages:
                    received = True
                    yield message
            return
        except BotErrorNoRetry:
            raise
        except Exception as exc:
            if allow_missing_done and isinstance(exc, IncompleteReply):
                return
            on_error = context.on_error
            if on_error is not None and not (isinstance(exc, BotError) and exc.is_reported):
                on_error(exc, f"Bot request to {bot_name} failed on try {number}")
            if received or number == num_tries - 1:
                if isinstance(exc, BotError):
                    raise
                raise BotError(f"Error communicating with bot {bot_name}: {exc}") from exc
        await sleep(retry_sleep_time)


async def sleep(seconds: float) -> None:
    """Wait before the next attempt."""
    import anyio

    await anyio.sleep(seconds)
