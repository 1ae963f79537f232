"""The load generator: sends queries as a plan says, in one thread over plain sockets, and adds up the replies.

Theory of operation
===================

One loop waits for sockets and for the next planned start. A reply takes one `_Connection`, which is used for one reply
after another, and waits in `_idle` in between.

In a closed model, each connection has one planned start: at once, or spread over the ramp. From then on it begins the
next reply whenever it is free.

In an open model, a planned start that is due takes an idle connection. If there is none, it waits in `_waiting`, and
another connection is opened, up to the limit; whichever connection is free first takes it. The times of a reply count
from its planned start, also if it had to wait: otherwise a bot that stalls would not be asked, and its stall would show
in one reply (coordinated omission).

Connections are opened in threads (`connector`), and responses parsed at their end (`classifier`).
"""

from __future__ import annotations

import contextlib
import random
import select
import selectors
import socket
import ssl
import time
from collections import deque
from collections.abc import Callable
from itertools import pairwise

from poeproto import ConnectFailed, ConnectionLost, PoeprotoError
from poeproto_cli.bench.classifier import Classified, ReplyClassifier
from poeproto_cli.bench.connector import Connector
from poeproto_cli.bench.measurement import Measurement
from poeproto_cli.bench.plan import Plan
from poeproto_cli.load import LoadResponse
from poeproto_cli.load_query import Query
from poeproto_load import LoadResult, ReplyOutcome, ReplySample

_READ_SIZE = 256 * 1024
# A reply to disconnect from is read in small pieces: otherwise a short one would be complete before.
_CANCEL_READ_SIZE = 64
# The shortest interval, in seconds, between two checks for idle servers, and between two updates of the progress.
_HOUSEKEEPING_SECONDS = 0.25
# How many connections an open model has before its start, at most.
_FIRST_CONNECTIONS = 32


class _Connection:
    """One connection, with the reply that it receives."""

    def __init__(self, opened: socket.socket) -> None:
        self.socket = opened
        self.response = LoadResponse()
        self.query: Query | None = None
        self.unsent = memoryview(b"")
        self.planned = 0.0
        self.started = 0.0
        self.is_cancelled = False
        self.is_used = False

    def begin(self, query: Query, planned: float, *, is_cancelled: bool) -> None:
        """Send a query.

        Raises:
            ConnectionLost: when the server has disconnected.
        """
        self.response = LoadResponse()
        self.query = query
        self.planned = planned
        self.is_cancelled = is_cancelled
        self.started = self.response.last_read = time.perf_counter()
        self.unsent = memoryview(query.data)
        self.send()

    def send(self) -> None:
        """Send as much as the operating system accepts. Raises as `begin`."""
        try:
            while self.unsent:
                self.unsent = self.unsent[self.socket.send(self.unsent) :]
        except (ssl.SSLWantWriteError, ssl.SSLWantReadError, BlockingIOError):
            pass
        except OSError as exc:
            raise ConnectionLost(f"the query could not be sent: {exc.strerror or exc}") from exc

    def receive(self) -> bool:
        """Read the available bytes; returns whether the reply is complete.

        Raises:
            ConnectionLost, RemoteProtocolError: as `LoadResponse.receive`.
        """
        while True:
            try:
                data = self.socket.recv(_CANCEL_READ_SIZE if self.is_cancelled else _READ_SIZE)
            except (ssl.SSLWantReadError, ssl.SSLWantWriteError, BlockingIOError):
                return False
            except OSError as exc:
                raise ConnectionLost(f"the connection broke within a reply: {exc.strerror or exc}") from exc
            if self.response.receive(data):
                return True
            if not (isinstance(self.socket, ssl.SSLSocket) and self.socket.pending()):
                return False

    @property
    def is_stale(self) -> bool:
        """Whether the server may have closed the connection before it read the query, as it may between replies."""
        return self.is_used and not any(self.response.parts)


class LoadGenerator:
    """One measurement.

    Args:
        plan: the load to generate.
        keep_samples: whether to keep each reply in `Measurement.samples`.
        on_progress: called now and then with the result so far, and the seconds from the start of the measurement.
    """

    def __init__(
        self,
        plan: Plan,
        *,
        keep_samples: bool = False,
        on_progress: Callable[[LoadResult, float], None] | None = None,
    ) -> None:
        self._plan = plan
        self._keep_samples = keep_samples
        self._on_progress = on_progress
        self._measurement = Measurement(
            plan.connections,
            LoadResult(plan.slo),
            rate=plan.rate,
            arrivals=None if plan.rate is None else plan.arrivals.value,
        )
        self._classifier = ReplyClassifier(plan.access_key)
        self._random = random.Random(plan.seed)
        self._selector = selectors.DefaultSelector()
        self._connector = Connector(plan.queries[0].origin, plan.timeout)
        self._selector.register(self._connector.bell, selectors.EVENT_READ)
        self._starts = plan.starts()
        self._next_start = next(self._starts, None)
        self._left = plan.replies
        self._sent = 0
        self._origin = 0.0  # the start of the measurement, by time.perf_counter
        self._active: set[_Connection] = set()
        self._idle: list[_Connection] = []
        self._waiting: deque[float] = deque()
        self._opening = 0

    def run(self) -> Measurement:
        """Measure. SIGINT ends it: the measurement then has the replies received so far.

        Raises:
            ConnectFailed: when a first connection cannot be made.
        """
        measurement, result = self._measurement, self._measurement.result
        begun = busy = 0.0
        try:
            self._open_first()
            begun = time.perf_counter()
            busy = time.thread_time()
            self._origin = begun + self._plan.lead
            result.started_at = time.time() + self._plan.lead
            self._loop()
        except KeyboardInterrupt:
            measurement.is_interrupted = True
            if self._origin:
                result.seconds = max(result.seconds, time.perf_counter() - self._origin)
        finally:
            if begun:
                measurement.busy = (time.thread_time() - busy) / (time.perf_counter() - begun)
            self._close()
        return measurement

    def _loop(self) -> None:
        housekeeping = time.perf_counter()
        while not self._is_over():
            now = time.perf_counter()
            while self._next_start is not None and self._origin + self._next_start <= now:
                self._start_planned(self._origin + self._next_start)
                self._next_start = next(self._starts, None)
            if now >= housekeeping:
                housekeeping = now + min(_HOUSEKEEPING_SECONDS, self._plan.timeout / 4)
                self._end_silent(now)
                if self._on_progress is not None:
                    self._on_progress(self._measurement.result, now - self._origin)
            until = housekeeping if self._next_start is None else min(housekeeping, self._origin + self._next_start)
            for key, mask in self._wait(until - time.perf_counter()):
                if key.data is None:
                    self._take_opened()
                else:
                    self._handle(key.data, mask)

    def _is_over(self) -> bool:
        if self._active or self._waiting or self._next_start is not None:
            return False
        return self._plan.rate is not None or not (self._opening and self._may_begin())

    def _wait(self, seconds: float) -> list[tuple[selectors.SelectorKey, int]]:
        """Wait for sockets. A selector rounds its timeout up to a millisecond, which is long for a planned start."""
        if (
            self._next_start is not None
            and seconds > 0
            and (poll := getattr(self._selector, "fileno", None)) is not None
        ):
            select.select([poll()], [], [], seconds)
            seconds = 0
        return self._selector.select(max(seconds, 0))

    def _open_first(self) -> None:
        """Open connections before the start: all of a closed model; in an open one, those of its first second."""
        count = self._plan.connections
        if self._plan.rate is not None:
            count = min(count, max(1, round(self._plan.rate)), _FIRST_CONNECTIONS)
        elif self._plan.replies is not None and not self._plan.lead:
            count = min(count, self._plan.replies)
        for _ in range(count):
            self._connector.request()
        for _ in range(count):
            opened = self._connector.next()
            if isinstance(opened, ConnectFailed):
                raise opened
            self._idle.append(self._register(opened))

    def _register(self, opened: socket.socket) -> _Connection:
        connection = _Connection(opened)
        self._selector.register(opened, selectors.EVENT_READ, connection)
        return connection

    # --- beginning replies

    def _may_begin(self) -> bool:
        """Whether a user of a closed model sends another query."""
        since = time.perf_counter() - self._origin
        if since < 0:
            return True  # the warm-up
        if self._plan.duration is not None:
            return since < self._plan.duration
        return bool(self._left)

    def _start_planned(self, planned: float) -> None:
        if self._plan.rate is None:
            self._start_connection()
        elif self._idle:
            self._begin(self._idle.pop(), planned)
        else:
            self._wait_for_connection(planned)

    def _start_connection(self) -> None:
        """In a closed model: begin the first reply of a connection."""
        if self._idle:
            self._free(self._idle.pop())
        elif self._may_begin():  # the server has closed it within the ramp
            self._open_another()

    def _wait_for_connection(self, planned: float) -> None:
        self._waiting.append(planned)
        if len(self._active) + self._opening < self._plan.connections:
            self._open_another()
        elif planned >= self._origin:
            self._measurement.waited += 1

    def _open_another(self) -> None:
        self._opening += 1
        self._connector.request()

    def _free(self, connection: _Connection) -> None:
        """Use a connection for the next reply, or keep it."""
        if self._waiting:
            self._begin(connection, self._waiting.popleft())
        elif self._plan.rate is None and self._may_begin():
            self._begin(connection, time.perf_counter())
        else:
            self._idle.append(connection)

    def _begin(self, connection: _Connection, planned: float) -> None:
        if self._plan.rate is None and self._left and planned >= self._origin:
            self._left -= 1
        query = self._plan.queries[self._sent % len(self._plan.queries)]
        self._sent += 1
        is_cancelled = self._plan.cancel > 0 and self._random.random() < self._plan.cancel
        self._send(connection, query, planned, is_cancelled)
        if self._plan.rate is not None and planned >= self._origin:
            self._measurement.delays.record(max(0.0, connection.started - planned))

    def _send(self, connection: _Connection, query: Query, planned: float, is_cancelled: bool) -> None:
        self._active.add(connection)
        try:
            connection.begin(query, planned, is_cancelled=is_cancelled)
        except ConnectionLost as exc:
            self._fail(connection, exc)
            return
        if connection.unsent:
            self._selector.modify(connection.socket, selectors.EVENT_READ | selectors.EVENT_WRITE, connection)

    # --- receiving replies

    def _handle(self, connection: _Connection, mask: int) -> None:
        if connection not in self._active:
            if connection in self._idle:  # the server has closed it
                self._idle.remove(connection)
                self._discard(connection)
            return
        try:
            if mask & selectors.EVENT_WRITE:
                connection.send()
                if not connection.unsent:
                    self._selector.modify(connection.socket, selectors.EVENT_READ, connection)
            if not mask & selectors.EVENT_READ:
                return
            is_complete = connection.receive()
        except PoeprotoError as exc:
            self._fail(connection, exc)
            return
        response = connection.response
        if is_complete:
            self._end(connection, self._classifier.classify(response))
        elif connection.is_cancelled and response.arrivals:
            response.closes = True
            self._end(connection, Classified(ReplyOutcome.DISCONNECTED, 1))

    def _fail(self, connection: _Connection, failure: PoeprotoError) -> None:
        response = connection.response
        response.closes = True
        if isinstance(failure, ConnectionLost) and connection.is_stale and connection.query is not None:
            self._retry(connection, connection.query)
            return
        if not response.arrivals:
            response.last_read = time.perf_counter()
        self._end(connection, self._classifier.classify(response, failure))

    def _retry(self, connection: _Connection, query: Query) -> None:
        """Send a query once more: the server closed the connection between two replies, before it read this one."""
        self._active.discard(connection)
        self._discard(connection)
        self._connector.request()
        opened = self._connector.next()  # rare: the loop may wait for it
        if isinstance(opened, socket.socket):
            self._send(self._register(opened), query, connection.planned, connection.is_cancelled)
        else:
            self._count_unconnected(connection.planned, opened)

    def _end_silent(self, now: float) -> None:
        """End the replies of which nothing has arrived for too long."""
        silent = [each for each in self._active if now - each.response.last_read > self._plan.timeout]
        for connection in silent:
            connection.response.closes = True
            connection.response.last_read = now
            problem = f"the server sent nothing for {self._plan.timeout:g} s"
            self._end(connection, Classified(ReplyOutcome.TIMED_OUT, len(connection.response.arrivals), problem))

    def _end(self, connection: _Connection, classified: Classified) -> None:
        """Count a reply, and use its connection for the next one."""
        self._active.discard(connection)
        response = connection.response
        self._count(connection.planned, connection.started, response, classified)
        if not response.closes:
            connection.is_used = True
            self._free(connection)
            return
        self._discard(connection)
        if self._waiting or (self._plan.rate is None and self._may_begin()):
            self._open_another()

    def _count(self, planned: float, started: float, response: LoadResponse, classified: Classified) -> None:
        if planned < self._origin:
            return  # the warm-up
        measurement, result = self._measurement, self._measurement.result
        arrivals = response.arrivals
        gaps = [after - before for before, after in pairwise(arrivals)]
        sample = ReplySample(
            planned - self._origin,
            started - self._origin,
            classified.outcome,
            arrivals[0] - planned if arrivals else None,
            max(gaps) if gaps else None,
            response.last_read - planned,
            classified.events,
            sum(map(len, response.parts)),
        )
        result.add(sample, gaps)
        result.seconds = max(result.seconds, response.last_read - self._origin)
        if classified.problem:
            measurement.problems.setdefault(classified.outcome, classified.problem)
        if self._keep_samples:
            measurement.samples.append(sample)

    # --- connections

    def _take_opened(self) -> None:
        for opened in self._connector.opened():
            self._opening -= 1
            if isinstance(opened, socket.socket):
                self._free(self._register(opened))
            elif self._waiting:
                self._count_unconnected(self._waiting.popleft(), opened)
            elif self._plan.rate is None and self._may_begin():
                if self._left and time.perf_counter() >= self._origin:
                    self._left -= 1
                self._count_unconnected(time.perf_counter(), opened)

    def _count_unconnected(self, planned: float, failure: ConnectFailed) -> None:
        response = LoadResponse()
        response.last_read = time.perf_counter()
        self._count(planned, planned, response, Classified(ReplyOutcome.NOT_CONNECTED, 0, str(failure)))
        if self._waiting or (self._plan.rate is None and self._may_begin()):
            self._open_another()

    def _discard(self, connection: _Connection) -> None:
        with contextlib.suppress(KeyError, ValueError):
            self._selector.unregister(connection.socket)
        connection.socket.close()

    def _close(self) -> None:
        self._connector.close()
        for key in list(self._selector.get_map().values()):
            if isinstance(key.data, _Connection):
                key.data.socket.close()
        self._selector.close()
