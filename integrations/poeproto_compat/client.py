"""fastapi_poe's client on poeproto: the functions that query bots, upload files and synchronise settings.

How a query runs
================

`stream_request` returns an async generator, which sends nothing before it is read:

    stream_request            without tools, the result of `stream_request_base`
      stream_with_tools       with tools: one query, then the tools, then a second query with their results
        stream_request_base   the attempts at one query; a retry only before the first message
          BotContext.perform_query_request    one attempt: poeproto's `query_flow`, its events as messages

A function of this module looks up others in this module when it is called, because tests of users replace them. Each
generator closes the one that it reads: a caller that stops early closes the response by closing the outermost one.
"""

from __future__ import annotations

import warnings
from collections.abc import AsyncGenerator, Generator
from functools import partial
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from poeproto_compat.attempts import attempts
from poeproto_compat.bot_context import PROTOCOL_VERSION, ErrorHandler
from poeproto_compat.bot_context import BotContext as _BotContext
from poeproto_compat.bot_context import print_error as _default_error_handler
from poeproto_compat.bot_context import shortened as _safe_ellipsis  # noqa: F401  # pyright: ignore[reportUnusedImport]
from poeproto_compat.errors import (
    AttachmentUploadError,
    BotError,
    BotErrorNoRetry,
    IncompleteReply,
    InvalidBotSettings,
)
from poeproto_compat.poe_of_request import base_url_in_request
from poeproto_compat.settings_sync import BOT_API_URL, sync_bot_settings
from poeproto_compat.sync_utils import iterate_sync, run_sync
from poeproto_compat.tool_calls import Executables, stream_with_tools
from poeproto_compat.types import (
    NO_KEY,
    Attachment,
    ProtocolMessage,
    QueryRequest,
    SettingsResponse,
    ToolCallDefinition,
    ToolDefinition,
    ToolResultDefinition,
)
from poeproto_compat.types import MetaResponse as MetaMessage
from poeproto_compat.types import PartialResponse as BotMessage
from poeproto_compat.uploads import FILES_URL, upload_file

if TYPE_CHECKING:
    from poeproto_httpx import Session

__all__ = [
    "AttachmentUploadError",
    "BotError",
    "BotErrorNoRetry",
    "BotMessage",
    "ErrorHandler",
    "IncompleteReply",
    "InvalidBotSettings",
    "MetaMessage",
    "get_bot_response",
    "get_bot_response_sync",
    "get_final_response",
    "set_bot_settings",
    "stream_request",
    "stream_request_base",
    "sync_bot_settings",
    "upload_file",
    "upload_file_sync",
]

MESSAGE_LENGTH_LIMIT = 10_000
IDENTIFIER_LENGTH = 32
MAX_EVENT_COUNT = 1000


def stream_request(
    request: QueryRequest,
    bot_name: str,
    api_key: str = "",
    *,
    tools: list[ToolDefinition] | None = None,
    tool_executables: Executables | None = None,
    access_key: str = "",
    access_key_deprecation_warning_stacklevel: int = 2,
    session: Session | None = None,
    on_error: ErrorHandler = _default_error_handler,
    num_tries: int = 2,
    retry_sleep_time: float = 0.5,
    base_url: str = BOT_API_URL,
    extra_headers: dict[str, str] | None = None,
    allow_missing_done: bool = False,
) -> AsyncGenerator[BotMessage]:
    """Query a bot, and receive its reply message by message, as it arrives.

    Args:
        request: the query, usually the one that the calling bot received.
        bot_name: the bot's name on Poe.
        api_key: the key that pays for the call; by default that of the request.
        tools: the tools that the model may call.
        tool_executables: functions with the tools' names. They are called once, and the model is queried again with
            their results. Without them, the messages have the model's `tool_calls`.
        access_key: deprecated; pass `api_key`.
        access_key_deprecation_warning_stacklevel: the `stacklevel` of that warning.
        session: an `httpx.AsyncClient` (or httpx2's) to call through. It is not closed.
        on_error: called with each failure, and a text that says what failed.
        num_tries: the number of attempts. A call is not repeated once a message was received.
        retry_sleep_time: seconds between two attempts.
        base_url: what the bot's name is appended to. That of Poe means, within a request, where the server's calls go.
        extra_headers: further headers of the requests, which replace those of the same name.
        allow_missing_done: whether a reply may end without `done`, as in fastapi_poe.

    Raises:
        BotError: when the last attempt fails; the cause has the details.
        BotErrorNoRetry: when the bot forbids a retry, or sends invalid data.
    """
    _warn_of_access_key(access_key, access_key_deprecation_warning_stacklevel)
    options: dict[str, Any] = {"allow_missing_done": True} if allow_missing_done else {}
    options |= {
        "request": request,
        "bot_name": bot_name,
        "api_key": api_key or _key_of(request, access_key),
        "session": session,
        "on_error": on_error,
        "num_tries": num_tries,
        "retry_sleep_time": retry_sleep_time,
        "base_url": base_url,
        "extra_headers": extra_headers,
    }
    if tools is None:
        return stream_request_base(**options)
    return stream_with_tools(partial(stream_request_base, tools=tools, **options), tool_executables)


def stream_request_base(
    request: QueryRequest,
    bot_name: str,
    api_key: str = "",
    *,
    tools: list[ToolDefinition] | None = None,
    tool_calls: list[ToolCallDefinition] | None = None,
    tool_results: list[ToolResultDefinition] | None = None,
    access_key: str = "",
    access_key_deprecation_warning_stacklevel: int = 2,
    session: Session | None = None,
    on_error: ErrorHandler = _default_error_handler,
    num_tries: int = 2,
    retry_sleep_time: float = 0.5,
    base_url: str = BOT_API_URL,
    extra_headers: dict[str, str] | None = None,
    allow_missing_done: bool = False,
) -> AsyncGenerator[BotMessage]:
    """Query a bot without running tools; other arguments and errors as of `stream_request`.

    Args:
        request: as of `stream_request`, like the others.
        bot_name: the bot's name.
        api_key: the key.
        tools: the tools that the model may call.
        tool_calls: the calls that it has made.
        tool_results: their results.
        access_key: deprecated.
        access_key_deprecation_warning_stacklevel: of that warning.
        session: an `httpx.AsyncClient`.
        on_error: called with each failure.
        num_tries: the number of attempts.
        retry_sleep_time: seconds between two.
        base_url: what the bot's name is appended to.
        extra_headers: further headers.
        allow_missing_done: whether a reply may end without `done`.
    """
    _warn_of_access_key(access_key, access_key_deprecation_warning_stacklevel)
    make_context = partial(
        _BotContext,
        endpoint=base_url_in_request(base_url) + bot_name.replace("?", "%3F").replace("#", "%23"),
        session=session,
        api_key=api_key or _key_of(request, access_key),
        on_error=on_error,
        extra_headers=extra_headers,
    )
    query = {"request": request, "tools": tools, "tool_calls": tool_calls, "tool_results": tool_results}
    return attempts(make_context, query, bot_name, num_tries, retry_sleep_time, allow_missing_done)


def _warn_of_access_key(access_key: str, stacklevel: int) -> None:
    if access_key:
        warnings.warn(
            "the argument access_key is deprecated: pass the key as api_key", DeprecationWarning, stacklevel + 1
        )


def _key_of(request: QueryRequest, access_key: str) -> str:
    """The key of the bot that received the request. fastapi_poe sends it in the body, where Poe finds it too."""
    for key in (access_key, getattr(request, "access_key", NO_KEY), getattr(request, "api_key", NO_KEY)):
        if key and key != NO_KEY:
            return key
    return ""


def get_bot_response(
    messages: list[ProtocolMessage],
    bot_name: str,
    api_key: str,
    *,
    tools: list[ToolDefinition] | None = None,
    tool_executables: Executables | None = None,
    temperature: float | None = None,
    skip_system_prompt: bool | None = None,
    adopt_current_bot_name: bool | None = None,
    logit_bias: dict[str, float] | None = None,
    stop_sequences: list[str] | None = None,
    base_url: str = BOT_API_URL,
    session: Session | None = None,
) -> AsyncGenerator[BotMessage]:
    """Query a bot with a conversation; see `stream_request`, and the fields of `QueryRequest`."""
    fields = {
        "temperature": temperature,
        "skip_system_prompt": skip_system_prompt,
        "adopt_current_bot_name": adopt_current_bot_name,
        "logit_bias": logit_bias,
        "stop_sequences": stop_sequences,
    }
    request = QueryRequest(
        version=PROTOCOL_VERSION,
        type="query",
        query=messages,
        user_id="",
        conversation_id="",
        message_id="",
        **cast("dict[str, Any]", {name: value for name, value in fields.items() if value is not None}),
    )
    return stream_request(
        request=request,
        bot_name=bot_name,
        api_key=api_key,
        tools=tools,
        tool_executables=tool_executables,
        base_url=base_url,
        session=session,
    )


def get_bot_response_sync(
    messages: list[ProtocolMessage],
    bot_name: str,
    api_key: str,
    *,
    tools: list[ToolDefinition] | None = None,
    tool_executables: Executables | None = None,
    temperature: float | None = None,
    skip_system_prompt: bool | None = None,
    logit_bias: dict[str, float] | None = None,
    adopt_current_bot_name: bool | None = None,
    stop_sequences: list[str] | None = None,
    base_url: str = BOT_API_URL,
    session: Session | None = None,
) -> Generator[BotMessage]:
    """As `get_bot_response`, for synchronous code; also while an event loop is running, then without a session."""

    def make() -> AsyncGenerator[BotMessage]:
        return get_bot_response(
            messages=messages,
            bot_name=bot_name,
            api_key=api_key,
            tools=tools,
            tool_executables=tool_executables,
            temperature=temperature,
            skip_system_prompt=skip_system_prompt,
            adopt_current_bot_name=adopt_current_bot_name,
            logit_bias=logit_bias,
            stop_sequences=stop_sequences,
            base_url=base_url,
            session=session,
        )

    return iterate_sync(make, session)


async def get_final_response(
    request: QueryRequest,
    bot_name: str,
    api_key: str = "",
    *,
    access_key: str = "",
    session: Session | None = None,
    on_error: ErrorHandler = _default_error_handler,
    num_tries: int = 2,
    retry_sleep_time: float = 0.5,
    base_url: str = BOT_API_URL,
    allow_missing_done: bool = False,
) -> str:
    """Query a bot, and return the text of its reply; see `stream_request`.

    Raises:
        BotError: as `stream_request` raises it, and for a reply without any message.
    """
    options: dict[str, Any] = {"allow_missing_done": True} if allow_missing_done else {}
    texts: list[str] = []
    async for message in stream_request(
        request,
        bot_name,
        api_key,
        access_key=access_key,
        access_key_deprecation_warning_stacklevel=3,
        session=session,
        on_error=on_error,
        num_tries=num_tries,
        retry_sleep_time=retry_sleep_time,
        base_url=base_url,
        **options,
    ):
        if isinstance(message, MetaMessage) or message.is_suggested_reply:
            continue
        if message.is_replace_response:
            texts.clear()
        texts.append(message.text)
    if not texts:
        raise BotError(f"Bot {bot_name} sent no response")
    return "".join(texts)


def set_bot_settings(
    bot_name: str, access_key: str = "", settings: dict[str, Any] | SettingsResponse | None = None
) -> None:
    """As `sync_bot_settings`, under a name that programs have used."""
    warnings.warn("set_bot_settings is deprecated: use sync_bot_settings", DeprecationWarning, stacklevel=2)
    sync_bot_settings(bot_name, access_key, settings=settings)


def upload_file_sync(
    file: bytes | BinaryIO | None = None,
    file_url: str | None = None,
    file_name: str | None = None,
    api_key: str = "",
    *,
    session: Session | None = None,
    on_error: ErrorHandler = _default_error_handler,
    num_tries: int = 2,
    retry_sleep_time: float = 0.5,
    base_url: str = FILES_URL,
    extra_headers: dict[str, str] | None = None,
) -> Attachment:
    """As `upload_file`, for synchronous code; also while an event loop is running, then without a session."""
    upload = upload_file(
        file=file,
        file_url=file_url,
        file_name=file_name,
        api_key=api_key,
        session=session,
        on_error=on_error,
        num_tries=num_tries,
        retry_sleep_time=retry_sleep_time,
        base_url=base_url,
        extra_headers=extra_headers,
    )
    return run_sync(upload, session=session)


_OLD_NAMES = {"API_VERSION": "PROTOCOL_VERSION", "BotMessageWithFunction": "BotMessage"}
# Programs import these from here too.
_FROM_TYPES = frozenset({"ContentType", "FunctionCallDefinition", "Identifier", "ToolCallDefinitionDelta"})

if not TYPE_CHECKING:

    def __getattr__(name: str) -> object:
        if name in _OLD_NAMES:
            new = _OLD_NAMES[name]
            warnings.warn(f"{name} is deprecated: use {new}", DeprecationWarning, stacklevel=2)
            return globals()[new]
        if name in _FROM_TYPES:
            from poeproto_compat import types

            return getattr(types, name)
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
