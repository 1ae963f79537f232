"""The limit of the load generator: it measures a server of ready bytes as it measures the bot."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Generator, Iterator
from contextlib import contextmanager

import attrs

from poeproto_cli.bench import canned_server
from poeproto_cli.bench.generator import LoadGenerator
from poeproto_cli.bench.measurement import Ceiling
from poeproto_cli.bench.plan import Plan
from poeproto_cli.load_query import Query
from poeproto_h11 import Origin

_SECONDS = 0.15
_TIMEOUT = 10.0
_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
_LAST_CHUNK = b"0\r\n\r\n"
_EVENT = re.compile(rb".*?(?:\r\n\r\n|\n\n|\r\r|$)", re.DOTALL)


@contextmanager
def canned_replies(body: bytes, arrivals: int) -> Generator[Origin]:
    """A server that answers each request with a reply, in a process of its own; yields its address.

    Args:
        body: the events of the reply.
        arrivals: in how many writes they are sent.
    """
    parts = list(_parts(body, max(1, arrivals)))
    with subprocess.Popen(
        [sys.executable, "-I", canned_server.__file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps([len(part) for part in parts]).encode() + b"\n" + b"".join(parts))
        process.stdin.flush()
        yield Origin("http", "127.0.0.1", int(process.stdout.readline()))
        process.stdin.close()  # the server ends at the end of its input


def measure_ceiling(origin: Origin, query: Query, connections: int) -> Ceiling | None:
    """Measure the load generator against a canned server, with the given number of connections.

    None if no reply was complete within the time, as on a machine without any CPU time to spare.
    """
    plan = Plan([attrs.evolve(query, origin=origin)], connections, _TIMEOUT, duration=_SECONDS, warm_up=_SECONDS / 10)
    measurement = LoadGenerator(plan).run()
    if measurement.is_interrupted:
        raise KeyboardInterrupt
    result = measurement.result
    return Ceiling(result.replies_per_second, result.events_per_second) if result.complete else None


def _parts(body: bytes, arrivals: int) -> Iterator[bytes]:
    """The bytes of a response, in the given number of chunks, each with whole events."""
    events = [event for event in _EVENT.findall(body) if event]
    arrivals = min(arrivals, len(events))
    for number in range(arrivals):
        events_of_part = events[number * len(events) // arrivals : (number + 1) * len(events) // arrivals]
        content = b"".join(events_of_part)
        chunk = b"%x\r\n%b\r\n" % (len(content), content)
        yield (_HEAD if not number else b"") + chunk + (_LAST_CHUNK if number == arrivals - 1 else b"")
