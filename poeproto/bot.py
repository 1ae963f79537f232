"""What a bot author writes, and what a bot is given.

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
    """The reply of another bot, as a bot reads it.

    Iterating gives its events as they come, so that each can be yielded: without `Done`, since the server writes that
    for the whole; without events this version does not know; and with a `Meta` only as long as the bot's own reply has
    not begun; yielded once that has, it is left out. An `Error` is raised as a `BotError`, and a bot that lets it pass
    ends its own reply with the same error. What is left of the reply is given up at the end of the request; ``async
    with`` does so sooner.
    """

    @property
    def fold(self) -> ReplyFold:
        """The reply so far, with all that iterating leaves out."""
        ...

    def __aiter__(self) -> AsyncIterator[Event]: ...

    async def __anext__(self) -> Event:
        """The next event.

        Raises:
            BotError: for an `Error`.
            RequestRefused, TransportError, RemoteProtocolError: as `query_flow` raises them.
            UndeclaredDependency, CallBudgetSpent: before the call, when the settings do not cover it.
        """
        ...

    async def text(self) -> str:
        """Read the reply to its end, and return its text. Errors as above, and `IncompleteReply` for no answer."""
        ...

    async def aclose(self) -> None:
        """Close the reply; what was not read is dropped."""
        ...

    async def __aenter__(self) -> Self: ...

    async def __aexit__(self, *exc_info: object) -> None: ...


class Context(Protocol):
    """What surrounds one request. The runtime makes it; a test may make its own."""

    @property
    def http_request(self) -> RequestHead:
        """The HTTP request's method, path, query, headers and client."""
        ...

    @property
    def access_key(self) -> str | None:
        """A key of this bot, for calls to Poe in its name; None where the server runs without. Hidden in reprs."""
        ...

    @property
    def bot_name(self) -> str | None:
        """The bot's name on Poe, where the server was told."""
        ...

    @property
    def limits(self) -> Limits:
        """The bounds of this exchange."""
        ...

    @property
    def calls_left(self) -> Mapping[str, int]:
        """How often each bot may still be called for this message, as `Bot.get_settings` declares it."""
        ...

    def query_bot(self, bot_name: str, request: QueryRequest | str) -> BotReply:
        """Ask another bot on Poe, with the access key of this one. Nothing is sent before the reply is entered or read.

        Args:
            bot_name: its name; the settings must declare it in `server_bot_dependencies`.
            request: the query, in which the identifiers and `metadata` are filled in where they are empty; or the text
                of a single user message.
        """
        ...

    async def final_text(self, bot_name: str, request: QueryRequest | str) -> str:
        """Ask another bot on Poe, and return its whole answer. Errors as in `BotReply`."""
        ...

    def run_tools(
        self,
        bot_name: str,
        request: QueryRequest | str,
        tools: Iterable[ToolDefinition],
        functions: ToolFunctions,
        *,
        raise_errors: bool = False,
    ) -> BotReply:
        """Ask a model that may call tools, run what it calls, and go on until it has no more calls.

        Each round is a call that the settings must declare. The tools of a round run at once, synchronous functions in
        threads. What fails becomes an error result, which the model reads, and is logged; only a lack of funds is
        raised, be it told by a bot that a tool called, since nobody would pay for going on.

        Args:
            bot_name: the model's name.
            request: as in `query_bot`.
            tools: what it is told that it may call.
            functions: what is called; each is given the arguments by name.
            raise_errors: raise `UnknownTool` and `ToolFailed` instead of telling the model.

        Raises:
            ValueError: for functions without a name, or of the same name.
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
        """Attach a file to the reply. Its event goes out before the bot's next one; it is not to be sent again.

        Args:
            source: the file; or None, with
            url: where Poe is to fetch it.
            name: the file name; a path, a file and a URL have one of their own.
            content_type: the media type; by default what the name's suffix says, or Poe.
            inline: give it a label, so that the text can show it with `inline_reference`.

        Raises:
            FileTooLarge, TooManyFiles: when it is larger than `Limits.file_size`, or one more than `Limits.files`.
            LocalProtocolError: also when it has no name, the server has no access key, or there is no reply under way.
            UploadRefused, TransportError: when the upload fails.
            OSError: when the file cannot be read.
            TypeError: without a source or URL, or with both.
        """
        ...

    async def fetch_attachment(self, attachment: Attachment | str, *, max_size: int | None = None) -> bytes:
        """The content of an attachment, from its URL, which is good for ten minutes.

        Off unless the server was given a `FetchPolicy`: a bot's server often stands where its users must not reach.

        Args:
            attachment: the attachment, or a URL.
            max_size: in bytes; by default `Limits.file_size`.

        Raises:
            FetchForbidden: when the policy does not allow the URL; `LocalProtocolError` when it is none.
            AttachmentExpired: when the file is not there any more.
            LimitExceeded: when it is larger.
            RequestRefused, TransportError: when it cannot be had for other reasons.
        """
        ...

    async def authorize_cost(self, *items: CostItem) -> None:
        """Make sure that the user can pay this, before the work.

        Args:
            items: at least one.

        Raises:
            InsufficientFunds: when the user cannot. A bot that lets it pass ends its reply with `insufficient_fund`.
            IncompleteReply, TransportError: when it is unknown.
        """
        ...

    async def capture_cost(self, *items: CostItem) -> None:
        """Charge this, after the work. Errors as in `authorize_cost`."""
        ...

    def on_close(self, async_fn: Callable[[], Awaitable[object]]) -> None:
        """Call this function when the request is over, however it ends; the last registered is called first.

        The place for cleanup that awaits: each function runs under a shield, with `Limits.cleanup_seconds` as its own
        deadline, so one that hangs or fails takes nothing from the others. A bot's own `finally` must not await,
        because after a cancellation its first await fails again.
        """
        ...


class Bot:
    """A bot: override what it does, and serve it with an integration.

    One instance answers many requests at once, so what belongs to a request belongs into local variables.

    Attributes:
        attachment_templates: how what Poe parsed of attachments is put into messages of their own before the bot sees
            the query, see `insert_attachments`; None leaves the query as it came.
    """

    attachment_templates: AttachmentTemplates | None = AttachmentTemplates()

    def get_response(
        self, request: QueryRequest, context: Context
    ) -> AsyncIterator[Event | str] | Awaitable[str | None]:
        """The answer to a query: an async generator of events, where a string is short for `Text`.

        A coroutine function that returns a string (or None, for an empty answer) will do as well. `Done` is sent by the
        server when the generator ends. An exception becomes an `error` event with a neutral text.
        """
        return _nothing_to_say()

    async def get_settings(self, request: SettingsRequest, context: Context) -> SettingsResponse:
        """How Poe is to treat the bot."""
        return SettingsResponse()

    async def on_feedback(self, request: ReportFeedbackRequest, context: Context) -> None:
        """A user liked or disliked a reply."""

    async def on_reaction(self, request: ReportReactionRequest, context: Context) -> None:
        """A user reacted to a reply."""

    async def on_error(self, request: ReportErrorRequest, context: Context) -> None:
        """Poe found something wrong with an earlier answer."""


async def _nothing_to_say() -> AsyncIterator[Event | str]:
    yield Error(allow_retry=False, text="This bot does not answer messages.")
