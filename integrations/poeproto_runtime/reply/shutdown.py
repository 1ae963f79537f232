"""Stopping: the replies of a server end together when it is about to, from whatever thread it is told."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Protocol
from weakref import WeakSet

from anyio.lowlevel import RunVar, current_token

from poeproto_runtime.reply.timers import ReplyTimers


class ActiveReply(Protocol):
    """A reply that is under way."""

    def stop(self) -> None:
        """Let it end now, with an `error` that allows a retry; called in its own event loop."""
        ...


class ActiveReplies:
    """The replies under way of one server, in one event loop.

    Args:
        watch: what looks after them.
    """

    def __init__(self, watch: ReplyTimers) -> None:
        self.watch = watch
        self._streams: set[ActiveReply] = set()
        self._stopped = False
        # Weakly, since this is kept for as long as what it belongs to, the loop or trio's run, which is the token.
        self._token: weakref.ref[Any] = weakref.ref(current_token().native_token)

    def add(self, stream: ActiveReply) -> None:
        """Stop it with the others, or at once, if that was asked for before."""
        self._streams.add(stream)
        if self._stopped:
            stream.stop()

    def discard(self, stream: ActiveReply) -> None:
        """It is over."""
        self._streams.discard(stream)

    def stop(self) -> None:
        """End those under way, and those that come yet, with an `error` that allows a retry."""
        self._stopped = True
        for stream in self._streams:
            stream.stop()

    def stop_soon(self) -> None:
        """The same from anywhere: another thread, another event loop, a signal handler."""
        token = self._token()
        if token is None:
            return
        # Both take a function and may be called from any thread, and from a signal handler.
        call_soon = token.run_sync_soon if hasattr(token, "run_sync_soon") else token.call_soon_threadsafe
        with suppress(RuntimeError):  # the loop has ended, and with it all that was under way there
            call_soon(self.stop)

    def begin(self) -> None:
        """Take streams again, where a server begins anew."""
        self._stopped = False


class AllActiveReplies:
    """The `ActiveReplies` of all servers that serve the same bots.

    Args:
        make: makes those of a server in the running event loop.
    """

    def __init__(self, make: Callable[[], ActiveReplies]) -> None:
        self._make = make
        self._known: WeakSet[ActiveReplies] = WeakSet()
        self._lock = threading.RLock()  # a signal handler may run within it
        self._here: RunVar[ActiveReplies | None] = RunVar("streams", None)

    def here(self) -> ActiveReplies:
        """Those of the servers in the running event loop that have none of their own."""
        streams = self._here.get()
        if streams is None:
            streams = self.new()
            self._here.set(streams)
        return streams

    def new(self) -> ActiveReplies:
        """Those of one more server, which is to keep them."""
        streams = self._make()
        with self._lock:
            self._known.add(streams)
        return streams

    def stop_soon(self) -> None:
        """Stop all of them, each in its own event loop."""
        with self._lock:
            known = list(self._known)
        for streams in known:
            streams.stop_soon()
