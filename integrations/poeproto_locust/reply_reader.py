"""Reads the reply to one query, measures it, and fires Locust's request events for it."""

from __future__ import annotations

import random
import time
from collections.abc import Mapping
from typing import Any

from poeproto import Done, Error, Event, LocalProtocolError, PoeprotoError, QueryRequest, Text
from poeproto_h11 import BlockingClient, BlockingReply
from poeproto_load import ReplySample
from poeproto_locust.failures import OUTCOMES, failure_of
from poeproto_locust.load_run import LoadRun
from poeproto_locust.locust_types import EventHook
from poeproto_locust.user_reply import UserReply
from poeproto_runtime.client.call_hooks import CallObservation
from poeproto_runtime.hooks import Outcome

_REQUEST_TYPE = "POE"


class ReplyReader:
    """Reads one reply. While it waits, gevent runs the other users.

    Args:
        run: counts the reply.
        event: Locust's `request` event.
        context: of that event.
        url: the URL of the bot.
        name: the name of the query in the event.
        is_cancelled: whether the reply is closed after its first event.
    """

    def __init__(
        self, run: LoadRun, event: EventHook, context: Mapping[str, Any], url: str, name: str, *, is_cancelled: bool
    ) -> None:
        self._run = run
        self._event = event
        self._context = context
        self._url = url
        self._name = name
        self._prefix = "" if name == "query" else f"{name} "
        self._is_cancelled = is_cancelled
        self._gap_share = run.options.gap_share
        self._start = 0.0
        self._first: CallObservation | None = None
        self._bytes = 0
        self._previous = 0.0
        self._gaps: list[float] = []
        # Gaps that are to be fired, with the lengths of the texts after them.
        self._unfired: list[tuple[float, int]] = []
        self._call: CallObservation | None = None

    def read(self, client: BlockingClient, request: QueryRequest) -> UserReply:
        """Send the query, and read the reply until it ends, fails, or is cancelled.

        Raises:
            LocalProtocolError: when the query cannot be sent.
        """
        self._start = time.time()
        reply = client.query(self._url, request, on_event=self._note_event, on_end=self._note_end)
        failure: PoeprotoError | None = None
        try:
            with reply:
                self._read_events(reply)
        except LocalProtocolError:
            raise  # a mistake in the locustfile
        except PoeprotoError as exc:
            failure = exc
        except BaseException:
            # Locust stops the user, by GreenletExit. A call that has sent nothing yet has not begun.
            if self._call is not None:
                self._run.count(self._sample(self._call), self._gaps, self._start, is_cut=True)
            raise
        assert self._call is not None, "a call that has begun has ended"
        return self._end(reply, self._call, failure)

    def _read_events(self, reply: BlockingReply) -> None:
        # Locust's listeners may raise to stop a user, so they are called here, and not in the hooks of the call.
        is_first = True
        for _ in reply:
            if is_first and self._first is not None:
                is_first = False
                self._fire(f"{self._prefix}first_event", self._first.seconds, self._first.bytes)
                if self._is_cancelled:
                    return
            if self._unfired:
                unfired, self._unfired = self._unfired, []
                for gap, length in unfired:
                    self._fire(f"{self._prefix}gap", gap, length)

    def _end(self, reply: BlockingReply, call: CallObservation, cause: PoeprotoError | None) -> UserReply:
        failure = failure_of(call)
        if failure is not None:
            failure.__cause__ = cause
        self._run.count(self._sample(call), self._gaps, self._start, failure=failure)
        result = UserReply(reply.fold, failure, call, max(self._gaps, default=None))
        self._fire(self._name, call.seconds, call.bytes, response=result, exception=failure)
        return result

    def _sample(self, call: CallObservation) -> ReplySample:
        return ReplySample(
            planned=0.0,
            started=0.0,
            outcome=OUTCOMES[call.outcome or Outcome.CANCELLED],
            first_event=None if self._first is None else self._first.seconds,
            gap=max(self._gaps, default=None),
            total=call.seconds,
            events=call.events,
            bytes=call.bytes,
        )

    def _fire(self, name: str, seconds: float, length: int, **more: object) -> None:
        """Fire Locust's `request` event: milliseconds, bytes."""
        self._event.fire(
            request_type=_REQUEST_TYPE,
            name=name,
            response_time=seconds * 1e3,
            response_length=length,
            context=self._context,
            start_time=self._start,
            url=self._url,
            **{"response": None, "exception": None, **more},
        )

    # --- hooks of the call

    def _note_event(self, call: CallObservation, event: Event) -> None:
        # Events of one read arrive together. The arrival of `done` ends a gap, as for `poeproto bench`.
        if call.bytes == self._bytes or isinstance(event, Error):
            return
        self._bytes = call.bytes
        if self._first is None:
            if isinstance(event, Done):
                return
            self._first = call
        else:
            gap = call.seconds - self._previous
            self._gaps.append(gap)
            if random.random() < self._gap_share:
                self._unfired.append((gap, len(event.text) if isinstance(event, Text) else 0))
        self._previous = call.seconds

    def _note_end(self, call: CallObservation) -> None:
        self._call = call
