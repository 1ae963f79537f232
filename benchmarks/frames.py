"""What it costs to read an event that arrives alone, from a chunk of HTTP/1.1 and from a `DATA` frame of HTTP/2.

`python -m benchmarks.frames` feeds the bytes of such events to the two parsers from memory, one event at a time. h2 is
the library for HTTP/2 that Hypercorn uses; its flow control is included.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import DataReceived

from benchmarks.measure import in_turn, report
from poeproto import Text
from poeproto.wire.codec import encode_event
from poeproto_h11.client.chunks import ChunkReader

EVENTS = 20_000
ROUNDS = 7


def main(count: int = EVENTS) -> None:
    event = encode_event(Text("hello"))
    chunks = [b"%x\r\n%b\r\n" % (len(event), event)] * count
    cases: dict[str, Callable[[], float]] = {
        "a chunk of HTTP/1.1: ChunkReader": lambda: _read_chunks(chunks),
        "a DATA frame of HTTP/2: h2": lambda: _read_frames(event, count),
    }
    report(f"reading an event of {len(event)} bytes that arrives alone", in_turn(cases, ROUNDS), "µs", 1e6)


def _read_chunks(chunks: list[bytes]) -> float:
    reader = ChunkReader()
    size = 0
    start = time.process_time()
    for chunk in chunks:
        size += len(reader.read_one(chunk) or b"")
    seconds = time.process_time() - start
    assert size
    return seconds / len(chunks)


def _read_frames(event: bytes, count: int) -> float:
    client = H2Connection(H2Configuration(client_side=True))
    server = H2Connection(H2Configuration(client_side=False))
    client.initiate_connection()
    server.initiate_connection()
    request = [(":method", "POST"), (":path", "/"), (":scheme", "https"), (":authority", "bot.example")]
    client.send_headers(1, request, end_stream=True)
    server.receive_data(client.data_to_send())
    server.send_headers(1, [(":status", "200")])
    client.receive_data(server.data_to_send())
    size = 0
    seconds = 0.0
    for _ in range(count):
        server.send_data(1, event)
        frame = server.data_to_send()
        start = time.process_time()
        for received in client.receive_data(frame):
            if isinstance(received, DataReceived):
                size += len(received.data)
                client.acknowledge_received_data(received.flow_controlled_length, 1)
        answer = client.data_to_send()
        seconds += time.process_time() - start
        if answer:
            server.receive_data(answer)
    assert size == count * len(event)
    return seconds / count


if __name__ == "__main__":
    main()
