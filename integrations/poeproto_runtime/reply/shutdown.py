"""Shutdown: the active replies of a server, which end together when it is about to stop."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Protocol
from weakref import WeakSet

from anyio.lowlevel import RunVar, current_token

from poeproto_runtime.reply.timers import ReplyTimers

__all__ = ["ActiveReplies"]


class ActiveReply(Protocol):
    """A reply under way."""

    def stop(self) -> None:
        """End it now, with an `error` that allows a retry; called in its own event loop."""
        ...

    def location(self) -> str:
        """The bot, and the line where it is; called from any thread."""
        ...


class ActiveReplies:
    """The replies under way of one server, in one event loop.

    Args:
        timers: tick for them.
    """

    def __init__(self, timers: ReplyTimers) -> None:
        self.timers = timers
        self._replies: set[ActiveReply] = set()
        self._stopping = False
        # Weakly, since the loop (or trio's run), which the token is, keeps this object as long as itself.
        self._token: weakref.ref[Any] = weakref.ref(current_token().native_token)

    def add(self, reply: ActiveReply) -> None:
        """Stop this reply with the others; at once, if they have been stopped."""
        self._replies.add(reply)
        if self._stopping:
            reply.stop()

    def discard(self, reply: ActiveReply) -> None:
        """Forget a reply that has ended."""
        self._replies.discard(reply)

    def stop(self) -> None:
        """End the replies under way, and each that is added later, with an `error` that allows a retry."""
        self._stopping = True
        for reply in self._replies:
            reply.stop()

    def stop_soon(self) -> None:
        """Call `stop` in the event loop of the replies, from anywhere: another thread or loop, a signal handler."""
        token = self._token()
        if token is None:
            return
        # trio's and asyncio's function, both of which may be called from any thread, and from a signal handler.
        call_soon = token.run_sync_soon if hasattr(token, "run_sync_soon") else token.call_soon_threadsafe
        with suppress(RuntimeError):  # the loop has ended, and its replies with it
            call_soon(self.stop)

    def locations(self) -> list[str]:
        """The bot of each reply, and the line where it is. May be called from any thread."""
        return [reply.location() for reply in list(self._replies)]

    def count(self) -> int:
        """How many there are. May be called from any thread."""
        return len(self._replies)

    def restart(self) -> None:
        """Accept replies again: another server starts in this loop."""
        self._stopping = False


class AllActiveReplies:
    """The `ActiveReplies` of all servers of one service, in all event loops.

    Args:
        make: makes those of one more server, in the running event loop.
    """

    def __init__(self, make: Callable[[], ActiveReplies]) -> None:
        self._make = make
        self._known: WeakSet[ActiveReplies] = WeakSet()
        self._lock = threading.RLock()  # reentrant, since a signal handler may run while it is held
        self._here: RunVar[ActiveReplies | None] = RunVar("active replies", None)

    def here(self) -> ActiveReplies:
        """The active replies of all servers in the running event loop that have no object of their own."""
        replies = self._here.get()
        if replies is None:
            replies = self.new()
            self._here.set(replies)
        return replies

    def new(self) -> ActiveReplies:
        """New active replies, for one more server in the running event loop; the server must keep the object."""
        replies = self._make()
        with self._lock:
            self._known.add(replies)
        return replies

    def stop_soon(self) -> None:
        """Stop all of them, each in its own event loop."""
        with self._lock:
            known = list(self._known)
        for replies in known:
            replies.stop_soon()

    def count(self) -> int:
        """How many replies are under way. May be called from any thread."""
        with self._lock:
            return sum(replies.count() for replies in self._known)

    def locations(self) -> list[str]:
        """The bot of each reply, and the line where it is. May be called from any thread."""
        with self._lock:
            known = list(self._known)
        return [location for replies in known for location in replies.locations()]
