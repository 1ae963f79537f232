"""The sizes of the cases."""

from __future__ import annotations

import attrs


@attrs.frozen(kw_only=True)
class Sizes:
    """The sizes of all cases. docs/performance.md quotes figures for the defaults.

    Attributes:
        burst: events of a reply that is sent as fast as possible.
        connections: connections of the concurrent bursts.
        paced_streams: concurrent streams with a pause after each event.
        paced: events of each paced stream.
        lone_streams: concurrent streams that a client reads, with a pause after each event.
        relayed_streams: concurrent streams that a relay forwards, as many as fastapi_poe can.
        many_relayed_streams: the same without fastapi_poe, which cannot forward so many.
        silent: concurrent streams without events.
        many: concurrent streams with an event a second.
        many_events: events of each of them.
        visits: connections that are opened for one short reply each.
        replies: events of the replies whose cost is compared; the others are compared to the first.
        client: events of a reply that a client reads.
        client_seconds: the least time that a client reads such replies for, in seconds.
        messages: messages of the longer conversation that a client sends.
        codec: events of a stream that the codec decodes.
        lengths: events of a long reply and of a short one, which are compared without a server.
        bytewise: bytes of a long event and of a short one, which are received one at a time.
    """

    burst: int = 1000
    connections: int = 32
    paced_streams: int = 256
    paced: int = 100
    lone_streams: int = 100
    relayed_streams: int = 16
    many_relayed_streams: int = 100
    silent: int = 1000
    many: int = 10_000
    many_events: int = 10
    visits: int = 1000
    replies: tuple[int, ...] = (1000, 10_000, 100_000)
    client: int = 10_000
    client_seconds: float = 0.1
    messages: int = 50
    codec: int = 5_000
    lengths: tuple[int, int] = (100_000, 1_000)
    bytewise: tuple[int, int] = (8 << 20, 1 << 20)


# For tests: every case runs, and the figures mean nothing.
SMALLEST = Sizes(
    burst=3, connections=2, paced_streams=2, paced=25, lone_streams=2, relayed_streams=2, many_relayed_streams=3,
    silent=20, many=4, many_events=1, visits=2, replies=(2, 3), client=3, client_seconds=0.0, messages=2, codec=3,
    lengths=(4, 2), bytewise=(8, 1),
)  # fmt: skip
