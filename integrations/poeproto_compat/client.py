"""fastapi_poe's client on poeproto: queries to bots with their retries and tools, uploads, and settings sync.

How a call runs
===============

`stream_request` returns an async generator, which sends nothing before it is read:

    stream_request            without tools, what `stream_request_base` returns
      _stream_with_tools      with tools: one query, then the tools, then a second query with their results
        stream_request_base   the attempts at one query; a retry only before the first message
          _BotContext.perform_query_request    one attempt: poeproto's `query_flow`, its events as messages

Each level looks the next one up in this module when it is called, because tests of users replace them. Each closes the
generator that it reads: a caller that stops early closes the response by closing the outermost one.
"""

from __future__ import annotations

import inspect
import json
import os
import secrets
import warnings
from collections.abc import AsyncGenerator, AsyncIterable, Callable, Generator, Mapping
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, Any, BinaryIO, TypeAlias, cast

import attrs

from poeproto_compat.sync_utils import iterate_sync, run_sync
from poeproto_compat.types import (
    NO_KEY,
    Attachment,
    FunctionCallDefinition,
    Identifier,
    ProtocolMessage,
    QueryRequest,
    SettingsResponse,
    ToolCallDefinition,
    ToolCallDefinitionDelta,
    ToolDefinition,
    ToolResultDefinition,
)
from poeproto_compat.types import MetaResponse as MetaMessage
from poeproto_compat.types import PartialResponse as BotMessage

if TYPE_CHECKING:
    import poeproto
    from poeproto_httpx import Session
    from poeproto_runtime.client.flow_runner import FlowRunner
    from poeproto_runtime.client.uploads import MeasuredSource

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

PROTOCOL_VERSION = "1.2"
MESSAGE_LENGTH_LIMIT = 10_000
IDENTIFIER_LENGTH = 32
MAX_EVENT_COUNT = 1000

ErrorHandler: TypeAlias = Callable[[Exception, str], None]
# Functions of any signature, which a model calls by their names.
Executables: TypeAlias = list[Callable[..., Any]]

_API = "https://api.poe.com/bot/"
_FILES = "https://www.quora.com/poe_api/"
# How long a bot may take to answer a report of its own error.
_REPORT_SECONDS = 10.0


class AttachmentUploadError(Exception):
    """A file could not be uploaded."""


class BotError(Exception):
    """A bot could not be called, or ended its reply with an error.

    Of an `error` event, the message is its JSON.
    """

    _reported = False  # whether `on_error` was called with it


class BotErrorNoRetry(BotError):
    """An error after which a call must not be repeated."""


class InvalidBotSettings(Exception):
    """A bot returned invalid settings."""


class IncompleteReply(BotError):
    """A reply ended without `done`, so it may be incomplete. fastapi_poe takes it for complete."""


def _default_error_handler(e: Exception, msg: str) -> None:
    print("Poe bot error:", msg, repr(e), sep="\n")


def _safe_ellipsis(obj: object, limit: int) -> str:
    text = obj if isinstance(obj, str) else repr(obj)
    return text if len(text) <= limit else f"{text[: limit - 3]}..."


# --- one attempt


@attrs.define
class _BotContext:
    """How one bot is called.

    Attributes:
        endpoint: the bot's URL.
        session: an `httpx.AsyncClient` to call through, or None.
        api_key: the bearer key.
        on_error: called with each error of the bot.
        extra_headers: further headers, which replace those of the same name.
    """

    endpoint: str
    session: Session | None = attrs.field(default=None, repr=False)
    api_key: str | None = attrs.field(default=None, repr=False)
    on_error: ErrorHandler | None = attrs.field(default=None, repr=False)
    extra_headers: Mapping[str, str] | None = attrs.field(default=None, repr=False)

    @property
    def headers(self) -> dict[str, str]:
        """The headers of a request."""
        key = {} if self.api_key is None else {"Authorization": f"Bearer {self.api_key}"}
        return {"Accept": "application/json", **key, **(self.extra_headers or {})}

    async def report_error(self, message: str, metadata: dict[str, Any] | None = None) -> None:
        """Call `on_error`, and report the error to the bot. A report that fails is not an error of its own."""
        if self.on_error is not None:
            long_message = f"the bot at {self.endpoint} broke the protocol: {message}; metadata: {metadata}"
            self.on_error(BotError(message), long_message)
        import anyio

        from poeproto import PoeprotoError

        with suppress(PoeprotoError), anyio.move_on_after(_REPORT_SECONDS):
            await self._post("report_error", message=message, metadata=metadata or {})

    async def report_feedback(
        self, message_id: Identifier, user_id: Identifier, conversation_id: Identifier, feedback_type: str
    ) -> None:
        """Report a user's feedback on a message to the bot."""
        await self._post(
            "report_feedback",
            message_id=message_id,
            user_id=user_id,
            conversation_id=conversation_id,
            feedback_type=feedback_type,
        )

    async def report_reaction(
        self, message_id: Identifier, user_id: Identifier, conversation_id: Identifier, reaction: str
    ) -> None:
        """Report a user's reaction to a message to the bot."""
        await self._post(
            "report_reaction",
            message_id=message_id,
            user_id=user_id,
            conversation_id=conversation_id,
            reaction=reaction,
        )

    async def fetch_settings(self) -> SettingsResponse:
        """The bot's settings, as the dict that it answers with."""
        return json.loads((await self._post("settings")).body)

    async def _post(self, kind: str, **fields: Any) -> poeproto.HttpResponse:
        from poeproto import HttpRequest

        body = json.dumps({"version": PROTOCOL_VERSION, "type": kind, **fields}).encode()
        own_headers = {"content-type": "application/json", "accept-encoding": "identity"}
        request = HttpRequest("POST", self.endpoint, {**own_headers, **self.headers}, body)
        return await _call(request, self.session)

    async def perform_query_request(
        self,
        *,
        request: QueryRequest,
        tools: list[ToolDefinition] | None,
        tool_calls: list[ToolCallDefinition] | None,
        tool_results: list[ToolResultDefinition] | None,
    ) -> AsyncGenerator[BotMessage]:
        """Query the bot once.

        Raises:
            BotError: for an `error` event, and for a reply without `done`.
            BotErrorNoRetry: for an `error` event that allows no retry, and for an event that cannot be read.
            PoeprotoError: when the call fails otherwise.
        """
        import poeproto
        from poeproto import Done, Error, File, Json, RemoteProtocolError, ReplaceResponse, Text, UnknownEvent
        from poeproto_compat.received_messages import ReceivedMessages

        about: dict[str, Any] = {"message_id": request.message_id}
        make = ReceivedMessages(repr(request))  # once: for a long conversation it takes a while
        message_of_text = make.of_text
        unknown: set[str] = set()
        answered = False
        runner = await self._start(_as_query(request, tools, tool_calls, tool_results))
        try:
            while True:
                for event in runner.ready:  # the fast path: texts that have arrived
                    if type(event) is not Text:
                        break
                    answered = True
                    yield message_of_text(event)
                else:
                    event = await runner.next_event()
                    if event is None:
                        return
                if (message := make.of(event)) is not None:
                    answered = answered or isinstance(event, (Text, ReplaceResponse, File, Json))
                    yield message
                elif isinstance(event, Error):
                    raise _error_of(event)
                elif isinstance(event, Done):
                    if not (answered or unknown or tools):
                        await self.report_error("the reply has no text", about)
                elif isinstance(event, UnknownEvent) and event.event not in unknown:
                    unknown.add(event.event)
                    name, data = _safe_ellipsis(event.event, 100), _safe_ellipsis(event.data, 500)
                    await self.report_error(f"unknown event type: {name}", {"event_data": data, **about})
        except poeproto.IncompleteReply as exc:
            raise await self._report(IncompleteReply("the reply ended without a 'done' event"), about) from exc
        except RemoteProtocolError as exc:
            if not runner.started:
                raise
            raise await self._report(BotErrorNoRetry(f"the bot sent an invalid event: {exc}"), about) from exc
        finally:
            await runner.aclose()

    async def _start(self, query: poeproto.QueryRequest) -> FlowRunner[poeproto.ReplyFold]:
        from poeproto import RetryPolicy
        from poeproto.flows import query_flow
        from poeproto_compat.connections import transport_for
        from poeproto_runtime.client.flow_runner import FlowRunner

        flow = query_flow(query, self.endpoint, access_key=self.api_key or None, retry=RetryPolicy(attempts=1))
        return FlowRunner(flow, await transport_for(self.session, self.extra_headers))

    async def _report(self, error: BotError, about: dict[str, Any]) -> BotError:
        await self.report_error(str(error), about)
        error._reported = self.on_error is not None  # pyright: ignore[reportPrivateUsage]
        return error


def _as_query(
    request: QueryRequest,
    tools: list[ToolDefinition] | None,
    tool_calls: list[ToolCallDefinition] | None,
    tool_results: list[ToolResultDefinition] | None,
) -> poeproto.QueryRequest:
    """The query on the wire, with the tools of this call. Keys in it are not sent."""
    import poeproto

    payload = request.model_dump()
    for name, given in (("tools", tools), ("tool_calls", tool_calls), ("tool_results", tool_results)):
        if given is not None:
            payload[name] = [each if isinstance(each, Mapping) else each.model_dump() for each in given]
    try:
        query = poeproto.decode_request(json.dumps({**payload, "type": "query"}))
    except poeproto.RemoteProtocolError as exc:
        raise BotErrorNoRetry(f"the request cannot be sent: {exc}") from exc
    assert isinstance(query, poeproto.QueryRequest), "its type is query"
    return query


def _error_of(event: poeproto.Error) -> BotError:
    from poeproto import encode_event

    payload = encode_event(event).partition(b"data: ")[2]
    # Spaced as fastapi_poe's servers do: the message is what a user sees.
    return (BotError if event.allow_retry else BotErrorNoRetry)(json.dumps(json.loads(payload)))


# --- queries


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
    base_url: str = _API,
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
        base_url: what the bot's name is appended to.
        extra_headers: further headers of the requests, which replace those of the same name.
        allow_missing_done: whether a reply may end without `done`, as in fastapi_poe.

    Raises:
        BotError: when the last attempt fails; the cause has the details.
        BotErrorNoRetry: when the bot forbids a retry, or sends what cannot be read.
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
    return _stream_with_tools(partial(stream_request_base, tools=tools, **options), tool_executables)


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
    base_url: str = _API,
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
        tool_results: what they returned.
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
        endpoint=base_url + bot_name.replace("?", "%3F").replace("#", "%23"),
        session=session,
        api_key=api_key or _key_of(request, access_key),
        on_error=on_error,
        extra_headers=extra_headers,
    )
    query = {"request": request, "tools": tools, "tool_calls": tool_calls, "tool_results": tool_results}
    return _attempts(make_context, query, bot_name, num_tries, retry_sleep_time, allow_missing_done)


async def _attempts(
    make_context: Callable[[], _BotContext],
    query: dict[str, Any],
    bot_name: str,
    num_tries: int,
    retry_sleep_time: float,
    allow_missing_done: bool,
) -> AsyncGenerator[BotMessage]:
    context = make_context()
    for number in range(num_tries):
        received = False
        try:
            async with _closing(context.perform_query_request(**query)) as messages:
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
            if on_error is not None and not (isinstance(exc, BotError) and exc._reported):  # pyright: ignore[reportPrivateUsage]
                on_error(exc, f"Bot request to {bot_name} failed on try {number}")
            if received or number == num_tries - 1:
                if isinstance(exc, BotError):
                    raise
                raise BotError(f"Error communicating with bot {bot_name}: {exc}") from exc
        await _sleep(retry_sleep_time)


@asynccontextmanager
async def _closing(messages: AsyncIterable[BotMessage]) -> AsyncGenerator[AsyncIterable[BotMessage]]:
    try:
        yield messages
    finally:
        if isinstance(messages, AsyncGenerator):  # a test may have replaced it by something else
            await cast("AsyncGenerator[BotMessage]", messages).aclose()


async def _sleep(seconds: float) -> None:
    import anyio

    await anyio.sleep(seconds)


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


# --- tools


async def _stream_with_tools(
    query: Callable[..., AsyncGenerator[BotMessage]], tool_executables: Executables | None
) -> AsyncGenerator[BotMessage]:
    from poeproto import Json, PoeprotoError
    from poeproto.flows import ToolCallAggregator

    aggregator = ToolCallAggregator()
    async with _closing(query()) as messages:
        async for message in messages:
            choice = _choice(message)
            if choice is None:
                yield message
                continue
            delta = choice.get("delta")
            delta = cast("dict[str, Any]", delta) if isinstance(delta, dict) else {}
            if delta.get("tool_calls"):
                try:
                    if tool_executables is not None:
                        aggregator.add(Json(cast("dict[str, Any]", message.data), message.index))
                    deltas = [] if tool_executables is not None else _deltas(delta["tool_calls"])
                except (PoeprotoError, ValueError, TypeError, AttributeError) as exc:
                    raise BotErrorNoRetry(f"the model sent tool calls that cannot be read: {exc}") from exc
                if deltas:
                    yield BotMessage(text="", tool_calls=deltas, index=message.index)
            elif isinstance(delta.get("content"), str) and (delta["content"] or choice.get("finish_reason") is None):
                yield BotMessage(text=delta["content"], index=message.index)
    if not tool_executables:
        return
    calls = [
        ToolCallDefinition(
            id=call.id,
            type=call.type,
            function=FunctionCallDefinition(name=call.function.name, arguments=call.function.arguments),
        )
        for call in aggregator.calls
        if call.function is not None and call.function.name
    ]
    if calls:
        results = await _get_tool_results(tool_executables, calls)
        async with _closing(query(tool_calls=calls, tool_results=results)) as messages:
            async for message in messages:
                yield message


def _choice(message: BotMessage) -> dict[str, Any] | None:
    """The first choice of an OpenAI chunk; None if the message is none."""
    choices: Any = None if message.data is None else message.data.get("choices")
    if isinstance(choices, list) and choices and isinstance(choices[0], dict):
        return cast("dict[str, Any]", choices[0])
    return None


def _deltas(listed: list[dict[str, Any]]) -> list[ToolCallDefinitionDelta]:
    """The parts of tool calls. A part without a function or arguments, as some models send, has empty arguments."""
    deltas: list[ToolCallDefinitionDelta] = []
    for given in listed:
        function: dict[str, Any] = given.get("function") or {}
        arguments = function.get("arguments") or ""
        fields: dict[str, Any] = {**given, "function": {**function, "arguments": arguments}}
        deltas.append(ToolCallDefinitionDelta(**fields))
    return deltas


async def _get_tool_results(
    tool_executables: Executables, tool_calls: list[ToolCallDefinition]
) -> list[ToolResultDefinition]:
    """Run the tools that the model calls. A call that fits no tool has an error result; a tool's error is raised."""
    functions = {executable.__name__: executable for executable in tool_executables}
    results: list[ToolResultDefinition] = []
    for call in tool_calls:
        name = call.function.name
        content: Any
        try:
            arguments: Any = json.loads(call.function.arguments) if call.function.arguments.strip() else {}
        except ValueError as exc:
            arguments = exc
        function = functions.get(name)
        if function is None:
            content = {"error": f"there is no tool called {name!r}"}
        elif not isinstance(arguments, dict):
            content = {"error": "the arguments are not a JSON object"}
        else:
            content = function(**arguments)
            content = await content if inspect.isawaitable(content) else content
        result = ToolResultDefinition(role="tool", tool_call_id=call.id, name=name, content=json.dumps(content))
        results.append(result)
    return results


# --- shortcuts


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
    base_url: str = _API,
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
    base_url: str = _API,
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
    base_url: str = _API,
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


# --- Poe itself


async def _call(request: poeproto.HttpRequest, session: Session | None) -> poeproto.HttpResponse:
    """Make a call once, and return the whole response."""
    from poeproto import RetryPolicy
    from poeproto.flows import call_flow
    from poeproto_compat.connections import transport_for
    from poeproto_runtime.client.flow_runner import FlowRunner

    flow = call_flow(request, retry=RetryPolicy(attempts=1))
    return await FlowRunner(flow, await transport_for(session, None)).run()


def sync_bot_settings(
    bot_name: str,
    access_key: str = "",
    *,
    settings: dict[str, Any] | SettingsResponse | None = None,
    base_url: str = _API,
) -> None:
    """Send a bot's settings to Poe, or have Poe fetch them from the running bot; prints Poe's answer.

    Args:
        bot_name: the bot's name.
        access_key: its key.
        settings: the settings; without them, Poe fetches them.
        base_url: where Poe is.

    Raises:
        BotError: when Poe cannot be reached, or refuses.
    """
    from poeproto import DeadlineExceeded, PoeprotoError
    from poeproto.http import HttpRequest

    if isinstance(settings, SettingsResponse):
        settings = settings.model_dump(exclude_none=True)
    call = "fetch_settings" if settings is None else "update_settings"
    url = f"{base_url}{call}/{bot_name}/{access_key}/{PROTOCOL_VERSION}"
    body = b"" if settings is None else json.dumps(settings).encode()
    headers = {} if settings is None else {"content-type": "application/json"}
    try:
        response = run_sync(_call(HttpRequest("POST", url, {**headers, "accept-encoding": "identity"}, body), None))
    except DeadlineExceeded as exc:
        advice = " Is the bot's server running?" if settings is None else ""
        raise BotError(f"Timeout syncing settings for bot {bot_name}.{advice}") from exc
    except PoeprotoError as exc:
        raise BotError(f"Error syncing settings for bot {bot_name}: {exc}") from exc
    text = response.body.decode(errors="replace")
    if access_key:
        text = text.replace(access_key, "…")
    if response.status != 200:
        raise BotError(f"Error syncing settings for bot {bot_name}: {text}")
    print(text)


def set_bot_settings(
    bot_name: str, access_key: str = "", settings: dict[str, Any] | SettingsResponse | None = None
) -> None:
    """As `sync_bot_settings`, under a name that programs have used."""
    warnings.warn("set_bot_settings is deprecated: use sync_bot_settings", DeprecationWarning, stacklevel=2)
    sync_bot_settings(bot_name, access_key, settings=settings)


async def upload_file(
    file: bytes | BinaryIO | None = None,
    file_url: str | None = None,
    file_name: str | None = None,
    api_key: str = "",
    *,
    session: Session | None = None,
    on_error: ErrorHandler = _default_error_handler,
    num_tries: int = 2,
    retry_sleep_time: float = 0.5,
    base_url: str = _FILES,
    extra_headers: dict[str, str] | None = None,
) -> Attachment:
    """Upload a file to Poe, or have Poe fetch it from a URL.

    Args:
        file: bytes, or a binary file.
        file_url: the URL; pass one of both.
        file_name: the file's name, required for bytes and for a file without a name.
        api_key: an API key, or a bot's access key.
        session: as of `stream_request`, like the others.
        on_error: called with each failure.
        num_tries: the number of attempts.
        retry_sleep_time: seconds between two.
        base_url: where Poe's file service is.
        extra_headers: further headers.

    Raises:
        ValueError: for arguments that do not fit.
        AttachmentUploadError: when the last attempt fails.
    """
    file_name = _check_upload(file, file_url, file_name, api_key)
    async with _upload_request(file, file_url, file_name, api_key, base_url) as request:
        for number in range(num_tries):
            try:
                return await _upload(request, file_name or "file", api_key, session, extra_headers)
            except Exception as exc:
                on_error(exc, f"upload attempt {number + 1}/{num_tries} failed")
                if number == num_tries - 1:
                    raise
            await _sleep(retry_sleep_time)
    raise ValueError(f"num_tries must be at least 1, not {num_tries}")


def _check_upload(file: object, file_url: str | None, file_name: str | None, api_key: str) -> str | None:
    """The file's name, given or its own."""
    if not api_key:
        raise ValueError("`api_key` is required: https://poe.com/api_key shows yours")
    if (file is None) == (not file_url):
        raise ValueError("pass either `file` or `file_url`")
    if file is None or file_name:
        return file_name
    if isinstance(file, bytes | bytearray):
        raise ValueError("`file_name` is required for bytes")
    if not callable(getattr(file, "read", None)):
        raise ValueError(f"`file` must be bytes or a binary file, not {type(file).__name__}")
    own = getattr(file, "name", "")
    if not isinstance(own, str) or not own:
        raise ValueError("`file_name` is required: this file has no name")
    return os.path.basename(own)


@asynccontextmanager
async def _upload_request(
    file: bytes | BinaryIO | None, file_url: str | None, file_name: str | None, api_key: str, base_url: str
) -> AsyncGenerator[poeproto.HttpRequest]:
    """The request that uploads the file. It may be sent more than once."""
    from poeproto import Limits, LocalProtocolError
    from poeproto.flows import upload_by_url_request, upload_request
    from poeproto_runtime.client.uploads import measure

    url = f"{base_url.rstrip('/')}/file_upload_3RD_PARTY_POST"
    measured: MeasuredSource | None = None
    try:
        if file is None:
            request = upload_by_url_request(file_url or "", access_key=api_key, name=file_name or None)
        else:
            measured = await measure(file, file_name, None, Limits(), _in_worker_thread)
            request = upload_request(
                measured,
                size=measured.size,
                name=measured.name,
                content_type=measured.content_type,
                access_key=api_key,
                boundary=secrets.token_hex(16),
                repeatable=True,
            )
        yield attrs.evolve(request, url=url)
    except LocalProtocolError as exc:
        raise AttachmentUploadError(str(exc)) from exc
    finally:
        if measured is not None:
            measured.close()


async def _upload(
    request: poeproto.HttpRequest,
    name: str,
    api_key: str,
    session: Session | None,
    extra_headers: Mapping[str, str] | None,
) -> Attachment:
    from poeproto import PoeprotoError, RetryPolicy
    from poeproto.flows import upload_flow
    from poeproto_compat.connections import transport_for
    from poeproto_runtime.client.flow_runner import FlowRunner

    flow = upload_flow(request, name=name, access_key=api_key, retry=RetryPolicy(attempts=1))
    try:
        uploaded = await FlowRunner(flow, await transport_for(session, extra_headers)).run()
    except PoeprotoError as exc:
        raise AttachmentUploadError(str(exc)) from exc
    return Attachment(url=uploaded.url, content_type=uploaded.content_type, name=name)


async def _in_worker_thread(function: Callable[..., Any], *args: Any) -> Any:
    import anyio.to_thread

    return await anyio.to_thread.run_sync(partial(function, *args))


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
    base_url: str = _FILES,
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


if not TYPE_CHECKING:

    def __getattr__(name: str) -> object:
        if name == "BotMessageWithFunction":
            warnings.warn("BotMessageWithFunction is deprecated: use BotMessage", DeprecationWarning, stacklevel=2)
            return BotMessage
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
