"""The client without an event loop: the asynchronous one, run over sockets that block."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Iterable
from types import TracebackType
from typing import Self

from poeproto import (
    CostItem,
    Endpoints,
    Event,
    Limits,
    LocalProtocolError,
    PoeprotoError,
    QueryRequest,
    ReplyFold,
    ReportErrorRequest,
    ReportFeedbackRequest,
    ReportReactionRequest,
    RetryPolicy,
    SettingsResponse,
    ToolDefinition,
    ToolFunctions,
    UploadedFile,
)
from poeproto_h11.client.client import Client
from poeproto_h11.client.run_sync import run_sync
from poeproto_h11.client.streams import Connector
from poeproto_h11.client.sync_backend import socket_backend
from poeproto_h11.client.timeouts import Timeouts
from poeproto_runtime.client.reply import Reply, run_of
from poeproto_runtime.client.uploads import BlockingSource


class BlockingClient:
    """Calls bots and Poe over HTTP/1.1 and blocks meanwhile; also where an event loop is running, a notebook's for one.

    Methods, arguments and errors are those of `Client`. Threads may share a client: its connections are for all of
    them, and each call is its own thread's. What else a loop runs stands still while a call in its thread blocks.

    Args:
        api_key: the key for bots called by name; it goes to Poe's own origin only.
        access_key: the key for bots called by URL, where a call does not bring another; and the bot's own key for
            uploads, costs and changes of settings.
        endpoints: where Poe is.
        limits: the bounds of every exchange.
        timeouts: the deadlines of every call.
        retry: when a call is made again; by default once, and only where nothing can have been done.
        ssl_context: for https; by default certificates are checked against the system's trust store.
        connector: opens the connections, whose operations must block; for tests and tunnels.
    """

    def __init__(
        self,
        api_key: str | None = None,
        *,
        access_key: str | None = None,
        endpoints: Endpoints | None = None,
        limits: Limits | None = None,
        timeouts: Timeouts | None = None,
        retry: RetryPolicy | None = None,
        ssl_context: ssl.SSLContext | None = None,
        connector: Connector | None = None,
    ) -> None:
        self._client = Client(
            api_key,
            access_key=access_key,
            endpoints=endpoints,
            limits=limits,
            timeouts=timeouts,
            retry=retry,
            backend=socket_backend(ssl_context, connector),
        )

    @property
    def connections_opened(self) -> int:
        """How many connections were opened so far; requests beyond that number used one again."""
        return self._client.connections_opened

    def query(self, bot: str, request: QueryRequest | str, *, access_key: str | None = None) -> BlockingReply:
        """Ask a bot; enter the result with ``with`` to get the reply as it streams."""
        return BlockingReply(self._client.query(bot, request, access_key=access_key))

    def run_tools(
        self,
        bot: str,
        request: QueryRequest | str,
        tools: Iterable[ToolDefinition],
        functions: ToolFunctions,
        *,
        raise_errors: bool = False,
        access_key: str | None = None,
    ) -> BlockingReply:
        """Ask a model that may call tools, run what it calls, and go on until it has no more calls.

        Each tool of a round runs in a thread of its own, all of them at once. One that nobody waits for any more, after
        an interruption for instance, goes on, and is cut off when the program ends.

        Raises:
            TypeError: for an asynchronous function.
        """
        reply = self._client.run_tools(bot, request, tools, functions, raise_errors=raise_errors, access_key=access_key)
        return BlockingReply(reply)

    def settings(self, bot: str, *, access_key: str | None = None) -> SettingsResponse:
        """A bot's settings, asked for at its name or URL."""
        return run_sync(self._client.settings(bot, access_key=access_key))

    def report_feedback(self, bot: str, request: ReportFeedbackRequest, *, access_key: str | None = None) -> None:
        """Tell a bot server what a user thinks of a reply (deprecated by Poe)."""
        run_sync(self._client.report_feedback(bot, request, access_key=access_key))

    def report_reaction(self, bot: str, request: ReportReactionRequest, *, access_key: str | None = None) -> None:
        """Tell a bot server how a user reacted to a reply."""
        run_sync(self._client.report_reaction(bot, request, access_key=access_key))

    def report_error(self, bot: str, request: ReportErrorRequest, *, access_key: str | None = None) -> None:
        """Tell a bot server what is wrong with an answer of its."""
        run_sync(self._client.report_error(bot, request, access_key=access_key))

    def sync_settings(
        self, bot_name: str, settings: SettingsResponse | None = None, *, access_key: str | None = None
    ) -> SettingsResponse | None:
        """Tell Poe a bot's settings, or have Poe fetch them from the bot; what Poe has now, if it says so."""
        return run_sync(self._client.sync_settings(bot_name, settings, access_key=access_key))

    def upload(
        self,
        source: BlockingSource,
        *,
        name: str | None = None,
        content_type: str | None = None,
        access_key: str | None = None,
    ) -> UploadedFile:
        """Have Poe keep a file: text, bytes, a path, an open binary file, or an iterable of bytes."""
        upload = self._client.upload(source, name=name, content_type=content_type, access_key=access_key)
        return run_sync(upload)

    def upload_by_url(self, url: str, *, name: str | None = None, access_key: str | None = None) -> UploadedFile:
        """Have Poe fetch and keep a file."""
        return run_sync(self._client.upload_by_url(url, name=name, access_key=access_key))

    def authorize_cost(
        self, items: CostItem | Iterable[CostItem], bot_query_id: str, *, access_key: str | None = None
    ) -> None:
        """Ask whether a user can pay this; see `poeproto.authorize_cost_request`."""
        run_sync(self._client.authorize_cost(items, bot_query_id, access_key=access_key))

    def capture_cost(
        self, items: CostItem | Iterable[CostItem], bot_query_id: str, *, access_key: str | None = None
    ) -> None:
        """Charge a user this. Errors as in `authorize_cost`."""
        run_sync(self._client.capture_cost(items, bot_query_id, access_key=access_key))

    def close(self) -> None:
        """Close the connections that are not in use; the others close with their replies."""
        run_sync(self._client.aclose())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<{type(self).__name__}, {self.connections_opened} connections opened>"


class BlockingReply:
    """One reply as it arrives: a context manager, and within it an iterator of events, through `Done` or `Error`.

    It is read by one thread at a time; two are found out where both wait for more of it. An interruption of a read, by
    `KeyboardInterrupt` for instance, ends it.
    """

    def __init__(self, reply: Reply) -> None:
        self._reply = reply
        self._run = run_of(reply)
        self._reading = threading.Lock()

    @property
    def fold(self) -> ReplyFold:
        """The reply so far, through the events that have arrived."""
        return self._reply.fold

    def text(self) -> str:
        """Read the reply to its end, and return its text.

        Raises:
            BotError: when the bot ended the reply with an error.
            IncompleteReply: when the reply broke off, or had no answer in it.
            RemoteProtocolError, TransportError: as iteration raises them.
        """
        for _ in self:
            self._run.pass_over()
        return self.fold.final_text()

    def __enter__(self) -> Self:
        """Send the query, and wait for the head of the answer. Errors as with `Reply`."""
        run_sync(self._reply.__aenter__())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        run_sync(self._reply.__aexit__(kind, value, trace))

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Event:
        try:
            for event in self._run.ready:  # which spares it a lock and a coroutine
                return event
            return self._next_event()
        except StopAsyncIteration:
            raise StopIteration from None
        except PoeprotoError:
            raise
        except BaseException:
            # It may have struck anywhere: what was read and not yet made sense of is lost.
            run_sync(self._reply.__aexit__(None, None, None))
            raise

    def _next_event(self) -> Event:
        if not self._reading.acquire(blocking=False):
            raise LocalProtocolError("two threads read one reply")
        try:
            return run_sync(self._reply.__anext__())
        finally:
            self._reading.release()

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self.fold!r}>"
