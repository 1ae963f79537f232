"""The calls of one bot: a query, attempted once, and the reports."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeAlias
from urllib.parse import unquote

import attrs

from poeproto_compat.calls import call
from poeproto_compat.errors import BotError, BotErrorNoRetry, IncompleteReply
from poeproto_compat.model import Model
from poeproto_compat.serialization import Options, Selection, dumped
from poeproto_compat.types import (
    Identifier,
    PartialResponse,
    QueryRequest,
    SettingsResponse,
    ToolCallDefinition,
    ToolDefinition,
    ToolResultDefinition,
)

if TYPE_CHECKING:
    import poeproto
    from poeproto_httpx import Session
    from poeproto_runtime.client.flow_runner import FlowRunner

__all__ = ["PROTOCOL_VERSION", "BotContext", "ErrorHandler"]

PROTOCOL_VERSION = "1.2"
# How long a bot may take to answer a report of its own error.
_REPORT_SECONDS = 10.0

# Called with an error, and a text that says what failed.
ErrorHandler: TypeAlias = Callable[[Exception, str], None]


def print_error(e: Exception, msg: str) -> None:
    """Print an error of a bot: the default of `on_error`."""
    print("Poe bot error:", msg, repr(e), sep="\n")


def shortened(obj: object, limit: int) -> str:
    """A value as text, with an ellipsis at its end if it is longer than the limit."""
    text = obj if isinstance(obj, str) else repr(obj)
    return text if len(text) <= limit else f"{text[: limit - 3]}..."


@attrs.define
class BotContext:
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
    def bot_name(self) -> str | None:
        """The bot's name, for hooks: the end of the URL, since a name is appended to the URL of Poe's API."""
        return unquote(self.endpoint.rpartition("/")[2]) or None

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
        return await call(request, self.session, kind, self.bot_name)

    async def perform_query_request(
        self,
        *,
        request: QueryRequest,
        tools: list[ToolDefinition] | None,
        tool_calls: list[ToolCallDefinition] | None,
        tool_results: list[ToolResultDefinition] | None,
    ) -> AsyncGenerator[PartialResponse]:
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
        make = ReceivedMessages(request)
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
                    name, data = shortened(event.event, 100), shortened(event.data, 500)
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
        from poeproto_compat.connections import calls_for

        flow = query_flow(query, self.endpoint, access_key=self.api_key or None, retry=RetryPolicy(attempts=1))
        calls = await calls_for(self.session, self.extra_headers)
        return calls.run_reply(flow, "query", self.endpoint, self.bot_name)

    async def _report(self, error: BotError, about: dict[str, Any]) -> BotError:
        await self.report_error(str(error), about)
        error.is_reported = self.on_error is not None
        return error


def _as_query(
    request: QueryRequest,
    tools: list[ToolDefinition] | None,
    tool_calls: list[ToolCallDefinition] | None,
    tool_results: list[ToolResultDefinition] | None,
) -> poeproto.QueryRequest:
    """The query on the wire, with the tools of this call. Keys in it are not sent."""
    import poeproto

    payload: dict[str, Any] = {**_plain(request), "type": "query"}
    for name, given in (("tools", tools), ("tool_calls", tool_calls), ("tool_results", tool_results)):
        if given is not None:
            payload[name] = given
    try:
        query = poeproto.decode_request(json.dumps(payload, default=_plain))
    except poeproto.RemoteProtocolError as exc:
        raise BotErrorNoRetry(f"the request cannot be sent: {exc}") from exc
    assert isinstance(query, poeproto.QueryRequest), "its type is query"
    return query


def _plain(value: Any) -> Any:
    """The JSON value that represents an object. Objects inside it are left, which the encoder passes here in their
    turn.
    """
    if isinstance(value, Model):
        return dict(Model.__repr_args__(value))
    plain = dumped(value, Options(False, {}), Selection())
    if plain is value:
        raise TypeError(f"a {type(value).__module__}.{type(value).__qualname__} in the request has no JSON value")
    return plain


def _error_of(event: poeproto.Error) -> BotError:
    from poeproto import encode_event

    payload = encode_event(event).partition(b"data: ")[2]
    # Spaced as fastapi_poe's servers do: a user sees this message.
    return (BotError if event.allow_retry else BotErrorNoRetry)(json.dumps(json.loads(payload)))
