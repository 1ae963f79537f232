"""The client without an event loop: the same calls and flows, over sockets that block."""

from __future__ import annotations

import os
import ssl
import threading
from collections.abc import Generator, Iterable
from typing import TYPE_CHECKING, NoReturn, Self, Unpack

from poeproto import (
    CostItem,
    Endpoints,
    Event,
    Limits,
    LocalProtocolError,
    PoeprotoError,
    ReplyFold,
    ReportErrorRequest,
    ReportFeedbackRequest,
    ReportReactionRequest,
    RetryPolicy,
    SettingsResponse,
)
from poeproto.flows import UploadedFile
from poeproto_h11.client.backend import Connector
from poeproto_h11.client.client import PooledClientBase
from poeproto_h11.client.proxy import ProxyOption, client_rules
from poeproto_h11.client.sync_backend import run_sync, socket_backend
from poeproto_h11.client.timeouts import Timeouts
from poeproto_runtime.client.call_hooks import CallHook, CallHookOptions, CallHooks, EventHook
from poeproto_runtime.client.client_base import name_of_bot
from poeproto_runtime.client.deferred_hooks import call_deferred
from poeproto_runtime.client.extra_headers import ExtraHeaders, HeadersOfCall
from poeproto_runtime.client.flow_runner import FlowRunner
from poeproto_runtime.client.reply import ReplyBase, close_call
from poeproto_runtime.client.uploads import BlockingSource

__all__ = ["BlockingClient", "BlockingReply"]


class BlockingReply(ReplyBase):
    """One reply as it arrives: an iterator of events, through `Done` or `Error`, and a context manager.

    The rules are those of `Reply`; a reply that is dropped before its end is closed at once. One thread may read it at
    a time: a second one that waits for an event, too, raises `LocalProtocolError`. A read that is interrupted, by
    `KeyboardInterrupt` for instance, closes the reply.

    Attributes:
        fold: the reply so far, through the events that were read.
    """

    def __init__(self, runner: FlowRunner[ReplyFold], fold: ReplyFold) -> None:
        super().__init__(runner, fold)
        self._reading = threading.Lock()
        self._guard: Generator[None] | None = None

    def text(self) -> str:
        """Read the reply to its end, and return its text. Errors as with `Reply.text`."""
        while next(self, None) is not None:
            self._runner.skip_ready()
        return self.fold.final_text()

    def close(self) -> None:
        """Close the reply: cancel its remaining events, and release or close its connection."""
        run_sync(self._close())

    def __enter__(self) -> Self:
        """Send the query, and wait for the head of the response. Errors as with `Reply`."""
        run_sync(self._enter())
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    if not TYPE_CHECKING:  # for who writes an `async` too many; a type checker says so by itself

        def __aiter__(self) -> NoReturn:
            raise TypeError("this reply is synchronous: write `for event in reply`, or use Client in async code")

        def __await__(self) -> NoReturn:
            raise TypeError("this reply is synchronous: write `reply.text()`, or use Client in async code")

        def __aenter__(self) -> NoReturn:
            raise TypeError("this reply is synchronous: write `with`, or use Client in async code")

        def __aexit__(self, *exc_info: object) -> None:
            """Never called; without it, Python would not call `__aenter__` either."""

    def __iter__(self) -> Self:
        self._warn_of_reread()
        return self

    def __next__(self) -> Event:
        try:
            for event in self._runner.ready:  # the fast path: without a lock and a coroutine
                return event
            if self._is_new:
                self._guard = _close_when_dropped(self._runner)
                next(self._guard)
            event = self._read_alone()
        except PoeprotoError:
            raise
        except BaseException:
            # An interruption may strike between any two instructions: bytes may have been read and lost.
            self.close()
            raise
        if event is None:
            raise StopIteration
        return event

    def _read_alone(self) -> Event | None:
        if not self._reading.acquire(blocking=False):
            raise LocalProtocolError("another thread is already reading this reply; read each reply in one thread")
        try:
            return run_sync(self._read())
        finally:
            self._reading.release()


def _close_when_dropped(runner: FlowRunner[ReplyFold]) -> Generator[None]:
    """Close the call of a reply that is dropped before its end: a suspended generator that only the reply refers to.

    `BlockingReply.__del__` would run for every reply, and Python swallows a `KeyboardInterrupt` that strikes there.
    """
    try:
        yield
    finally:
        run_sync(close_call(runner, None))


class BlockingClient(PooledClientBase[BlockingReply]):
    """Calls bots and Poe over HTTP/1.1, and blocks meanwhile; also in a thread with a running event loop (notebooks).

    Methods, arguments and errors are those of `Client`. Threads may share a client: each call belongs to the thread
    that makes it, and the connections to all. While a call blocks, an event loop in its thread stands still.

    Args:
        api_key: as in `Client`, like the others.
        access_key: as in `Client`.
        endpoints: as in `Client`.
        limits: as in `Client`.
        timeouts: as in `Client`.
        retry: as in `Client`.
        ssl_context: as in `Client`.
        headers: as in `Client`.
        proxy: as in `Client`.
        unix_socket: as in `Client`.
        connector: as in `Client`; its operations must block.
        on_start: as in `Client`; the hooks are called in the thread of the call.
        on_first_event: as in `Client`.
        on_event: as in `Client`.
        on_end: as in `Client`.
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
        headers: ExtraHeaders | HeadersOfCall | None = None,
        proxy: ProxyOption = None,
        unix_socket: str | os.PathLike[str] | None = None,
        connector: Connector | None = None,
        on_start: CallHook | None = None,
        on_first_event: CallHook | None = None,
        on_event: EventHook | None = None,
        on_end: CallHook | None = None,
    ) -> None:
        rules = client_rules(proxy, {"unix_socket": unix_socket, "connector": connector})
        backend = socket_backend(ssl_context, connector, rules, unix_socket)
        super().__init__(
            backend,
            timeouts,
            api_key=api_key,
            access_key=access_key,
            endpoints=endpoints,
            limits=limits,
            retry=retry,
            headers=headers,
            hooks=CallHooks(on_start=on_start, on_first_event=on_first_event, on_event=on_event, on_end=on_end),
        )

    if not TYPE_CHECKING:  # for who writes an `async` too many; a type checker says so by itself

        def __aenter__(self) -> NoReturn:
            raise TypeError("this client is synchronous: write `with BlockingClient(...)`, or use Client in async code")

        def __aexit__(self, *exc_info: object) -> None:
            """Never called; without it, Python would not call `__aenter__` either."""

    def settings(
        self,
        bot: str,
        *,
        access_key: str | None = None,
        headers: ExtraHeaders | HeadersOfCall | None = None,
        **hooks: Unpack[CallHookOptions],
    ) -> SettingsResponse:
        """A bot's settings. Errors as with `Client.settings`."""
        url, key = self._target(bot, access_key)
        return run_sync(self._calls_with(headers, hooks).settings(url, key, name_of_bot(bot)))

    def report_feedback(
        self,
        bot: str,
        request: ReportFeedbackRequest,
        *,
        access_key: str | None = None,
        headers: ExtraHeaders | HeadersOfCall | None = None,
        **hooks: Unpack[CallHookOptions],
    ) -> None:
        """Send a bot server a user's feedback on a reply (deprecated by Poe)."""
        self._report(bot, request, access_key, headers, hooks)

    def report_reaction(
        self,
        bot: str,
        request: ReportReactionRequest,
        *,
        access_key: str | None = None,
        headers: ExtraHeaders | HeadersOfCall | None = None,
        **hooks: Unpack[CallHookOptions],
    ) -> None:
        """Send a bot server a user's reaction to a reply."""
        self._report(bot, request, access_key, headers, hooks)

    def report_error(
        self,
        bot: str,
        request: ReportErrorRequest,
        *,
        access_key: str | None = None,
        headers: ExtraHeaders | HeadersOfCall | None = None,
        **hooks: Unpack[CallHookOptions],
    ) -> None:
        """Send a bot server an error that was found in one of its answers."""
        self._report(bot, request, access_key, headers, hooks)

    def sync_settings(
        self,
        bot_name: str,
        settings: SettingsResponse | None = None,
        *,
        access_key: str | None = None,
        headers: ExtraHeaders | HeadersOfCall | None = None,
        **hooks: Unpack[CallHookOptions],
    ) -> SettingsResponse | None:
        """Send a bot's settings to Poe, or have Poe fetch them from the bot. As `Client.sync_settings`."""
        return run_sync(self._calls_with(headers, hooks).sync_settings(bot_name, settings, self._own_key(access_key)))

    def upload(
        self,
        source: BlockingSource,
        *,
        name: str | None = None,
        content_type: str | None = None,
        access_key: str | None = None,
        headers: ExtraHeaders | HeadersOfCall | None = None,
        **hooks: Unpack[CallHookOptions],
    ) -> UploadedFile:
        """Upload a file to Poe: text, bytes, a path, an open binary file, or an iterable of bytes."""
        return run_sync(self._calls_with(headers, hooks).upload(source, name, content_type, self._own_key(access_key)))

    def upload_by_url(
        self,
        url: str,
        *,
        name: str | None = None,
        access_key: str | None = None,
        headers: ExtraHeaders | HeadersOfCall | None = None,
        **hooks: Unpack[CallHookOptions],
    ) -> UploadedFile:
        """Have Poe fetch a file and keep it."""
        return run_sync(self._calls_with(headers, hooks).upload_by_url(url, name, self._own_key(access_key)))

    def authorize_cost(
        self,
        items: CostItem | Iterable[CostItem],
        bot_query_id: str,
        *,
        access_key: str | None = None,
        headers: ExtraHeaders | HeadersOfCall | None = None,
        **hooks: Unpack[CallHookOptions],
    ) -> None:
        """Ask Poe whether a user can pay these costs. As `Client.authorize_cost`."""
        run_sync(self._calls_with(headers, hooks).authorize_cost(items, bot_query_id, self._own_key(access_key)))

    def capture_cost(
        self,
        items: CostItem | Iterable[CostItem],
        bot_query_id: str,
        *,
        access_key: str | None = None,
        headers: ExtraHeaders | HeadersOfCall | None = None,
        **hooks: Unpack[CallHookOptions],
    ) -> None:
        """Charge a user these costs. As `Client.authorize_cost`."""
        run_sync(self._calls_with(headers, hooks).capture_cost(items, bot_query_id, self._own_key(access_key)))

    def close(self) -> None:
        """Close the idle connections; those in use close with their replies."""
        run_sync(self._pool.aclose())
        call_deferred()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def _reply(self, runner: FlowRunner[ReplyFold], fold: ReplyFold) -> BlockingReply:
        return BlockingReply(runner, fold)

    def _report(
        self,
        bot: str,
        request: ReportFeedbackRequest | ReportReactionRequest | ReportErrorRequest,
        access_key: str | None,
        headers: ExtraHeaders | HeadersOfCall | None,
        hooks: CallHookOptions,
    ) -> None:
        url, key = self._target(bot, access_key)
        run_sync(self._calls_with(headers, hooks).report(url, request, key, name_of_bot(bot)))
