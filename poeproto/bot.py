"""The `Bot` that an author writes, and the `Context` that it is given with each request.

https://creator.poe.com/docs/server-bots/server-bots-functional-guides
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from typing import Protocol, Self

from poeproto.conversation import AttachmentTemplates
from poeproto.exchange.reply import ReplyFold
from poeproto.flows.tools import ToolFunctions
from poeproto.flows.uploads import UploadSource
from poeproto.limits import Limits
from poeproto.vocabulary.costs import CostItem
from poeproto.vocabulary.events import Error, Event, File
from poeproto.vocabulary.headers import HeaderPairs
from poeproto.vocabulary.http import RequestHead
from poeproto.vocabulary.messages import Attachment
from poeproto.vocabulary.requests import (
    QueryRequest,
    ReportErrorRequest,
    ReportFeedbackRequest,
    ReportReactionRequest,
    SettingsRequest,
)
from poeproto.vocabulary.settings import SettingsResponse
from poeproto.vocabulary.tools import ToolDefinition

__all__ = ["Bot", "BotReply", "Context"]


class BotReply(Protocol):
    """The reply of another bot, read event by event.

    A bot can yield each event as its own. So iteration leaves out `Done`, which the server sends at the end of the
    whole reply, and unknown events. A `Meta` is only included before the bot's own reply has begun; a `Meta` that is
    yielded later is dropped. An `Error` is raised as a `BotError`; a bot that does not catch it ends its own reply with
    the same error. An unfinished reply is aborted at the end of the request, or earlier by ``async with``.
    """

    @property
    def fold(self) -> ReplyFold:
        """The reply so far, including the events that iteration leaves out."""
        ...

    def __aiter__(self) -> AsyncIterator[Event]: ...

    async def __anext__(self) -> Event:
        """The next event.

        Raises:
            BotError: for an `Error`.
            RequestRefused, TransportError, RemoteProtocolError: if the call failed, see `query_flow`.
            UndeclaredDependency, CallBudgetSpent: before the call, if the settings do not declare it.
        """
        ...

    async def text(self) -> str:
        """Read the reply to its end, and return its text. Errors as above; `IncompleteReply` if it has no answer."""
        ...

    async def aclose(self) -> None:
        """Close the reply; unread events are dropped."""
        ...

    async def __aenter__(self) -> Self: ...

    async def __aexit__(self, *exc_info: object) -> None: ...


class Context(Protocol):
    """The context of one request: its HTTP head, its limits, and calls to Poe and other bots.

    The runtime makes it; a test may make its own.
    """

    @property
    def http_request(self) -> RequestHead:
        """The HTTP request: method, path, query, headers and client address."""
        ...

    @property
    def access_key(self) -> str | None:
        """The access key of this bot, for calls to Poe; None if the server has none. Hidden in reprs."""
        ...

    @property
    def bot_name(self) -> str | None:
        """The bot's name on Poe, if the server was given it."""
        ...

    @property
    def limits(self) -> Limits:
        """The limits of this exchange."""
        ...

    @property
    def calls_left(self) -> Mapping[str, int]:
        """How many calls to each bot are left for this message, as `Bot.get_settings` declares them."""
        ...

    def query_bot(self, bot_name: str, request: QueryRequest | str, *, headers: HeaderPairs | None = None) -> BotReply:
        """Query another bot on Poe, with this one's access key. Nothing is sent before the reply is entered or read.

        Args:
            bot_name: the name of the bot; the settings must declare it in `server_bot_dependencies`.
            request: the query, or the text of a single user message. Empty identifiers and an empty `metadata` are
                filled in from the bot's own request.
            headers: extra request headers, such as those of tracing.

        Raises:
            InvalidValue: for a header that the call sets itself, or that HTTP has no form for.
        """
        ...

    async def final_text(
        self, bot_name: str, request: QueryRequest | str, *, headers: HeaderPairs | None = None
    ) -> str:
        """Query another bot on Poe, and return the text of its whole reply. Errors as in `BotReply`."""
        ...

    def run_tools(
        self,
        bot_name: str,
        request: QueryRequest | str,
        tools: Iterable[ToolDefinition],
        functions: ToolFunctions,
        *,
        raise_errors: bool = False,
        headers: HeaderPairs | None = None,
    ) -> BotReply:
        """Query a model that may call tools, run the tools, and continue until it makes no more calls.

        Each round is a call that the settings must declare. The tools of a round run concurrently, synchronous
        functions in threads. A tool that fails is logged, and its error is the result that the model reads. Only
        insufficient funds are raised, even if a bot reports them that a tool called: nobody would pay for the next
        round.

        Args:
            bot_name: the model's name.
            request: as in `query_bot`.
            tools: the definitions of the tools, for the model.
            functions: the functions to call, with the arguments as keywords.
            raise_errors: raise `UnknownTool` and `ToolFailed` instead of returning the error to the model.
            headers: as in `query_bot`, for the query of each round.

        Raises:
            ValueError: for functions without a name, or of the same name, and for a definition without a function.
        """
        ...

    async def post_attachment(
        self,
        source: UploadSource | None = None,
        *,
        url: str | None = None,
        name: str | None = None,
        content_type: str | None = None,
        inline: bool = False,
    ) -> File:
        """Upload a file and attach it to the reply. The runtime sends its event before the bot's next one.

        The `File` that is returned need not be yielded. If it is, the event is still sent once, and the log says so.

        Args:
            source: the file; None for a `url`.
            url: the URL that Poe fetches the file from.
            name: the file name; by default that of the path, file or URL.
            content_type: the media type; by default that of the name's suffix, or as Poe determines it.
            inline: give the file a label, so that the text can show it with `inline_reference`.

        Raises:
            FileTooLarge, TooManyFiles: for a file larger than `Limits.file_size`, or more files than `Limits.files`.
            LocalProtocolError: also for a file without a name, a server without an access key, or outside of a reply.
            UploadRefused, TransportError: if the upload fails.
            OSError: if the file cannot be read.
            TypeError: without a source and a URL, or with both.
        """
        ...

    async def fetch_attachment(self, attachment: Attachment | str, *, max_size: int | None = None) -> bytes:
        """The content of an attachment, from its URL, which is valid for ten minutes.

        Disabled unless the server has a `FetchPolicy`: a bot server can often reach hosts that its users must not. A
        ``data:`` URL holds the content itself, and is read without one.

        Args:
            attachment: the attachment, or a URL.
            max_size: in bytes; by default `Limits.file_size`.

        Raises:
            FetchForbidden: if the policy does not allow the URL.
            LocalProtocolError: for an invalid URL.
            AttachmentExpired: if the URL has expired.
            LimitExceeded: if the file is larger than `max_size`.
            RequestRefused, TransportError: if the file cannot be fetched for another reason.
        """
        ...

    async def authorize_cost(self, *items: CostItem) -> None:
        """Check that the user can pay a cost, before the work.

        Args:
            items: at least one.

        Raises:
            InsufficientFunds: if not. A bot that does not catch it ends its reply with `insufficient_fund`.
            IncompleteReply, TransportError: if it is unknown.
        """
        ...

    async def capture_cost(self, *items: CostItem) -> None:
        """Charge a cost, after the work. Errors as in `authorize_cost`."""
        ...

    def on_close(self, async_fn: Callable[[], Awaitable[object]]) -> None:
        """Register an async function to call at the end of the request, however it ends; the last one is called first.

        This is the place for cleanup that awaits. Each function runs shielded from cancellation, with its own deadline
        of `Limits.cleanup_seconds`, so one that hangs or fails does not affect the others. A bot's own `finally` must
        not await: after a cancellation its first await is cancelled again.
        """
        ...


class Bot:
    """A bot: override its methods, and serve it with an integration.

    One instance handles many requests concurrently, so keep the state of a request in local variables.

    Attributes:
        attachment_templates: how the parsed content of attachments is inserted as messages before the bot sees the
            query, see `insert_attachments`; None leaves the query unchanged.
    """

    attachment_templates: AttachmentTemplates | None = AttachmentTemplates()

    def get_response(
        self, request: QueryRequest, context: Context
    ) -> AsyncIterator[Event | str] | Awaitable[str | None]:
        """Respond to a query: an async generator of events, in which a string is short for `Text`.

        A coroutine function that returns a string, or None for an empty answer, is accepted, too. The server sends
        `Done` when the generator ends. An exception becomes an `error` event with a neutral text.
        """
        return _no_response()

    async def get_settings(self, request: SettingsRequest, context: Context) -> SettingsResponse:
        """The settings of the bot."""
        return SettingsResponse()

    async def on_feedback(self, request: ReportFeedbackRequest, context: Context) -> None:
        """A user liked or disliked a reply."""

    async def on_reaction(self, request: ReportReactionRequest, context: Context) -> None:
        """A user reacted to a reply."""

    async def on_error(self, request: ReportErrorRequest, context: Context) -> None:
        """Poe found an error in an earlier response of the bot."""


async def _no_response() -> AsyncIterator[Event | str]:
    yield Error(allow_retry=False, text="This bot does not answer messages.")
