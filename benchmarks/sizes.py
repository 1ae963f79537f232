"""How much of everything is measured."""

from __future__ import annotations

import attrs


@attrs.frozen(kw_only=True)
class Sizes:
    """The sizes of all cases; the defaults are those that figures are quoted for.

    Attributes:
        burst: events of a reply that comes as fast as it can.
        connections: connections of the concurrent bursts.
        paced_streams: streams at once that have a pause after each event.
        paced: events of each of them.
        silent: streams that are open at once and say nothing.
        visits: connections that are made for one short reply each.
        replies: events of replies whose cost is compared; the first is what the others are compared to.
        client: events of a reply that a client reads.
        client_seconds: seconds that a client reads such replies for, if one does not take as long.
        messages: messages of the longer conversation that a client sends.
        codec: events of a stream that the codec reads.
        lengths: events of a long reply, and of a short one, that are compared without a server.
        bytewise: bytes of a long event, and of a short one, that arrive one by one.
    """

    burst: int = 1000
    connections: int = 32
    paced_streams: int = 256
    paced: int = 100
    silent: int = 1000
    visits: int = 1000
    replies: tuple[int, ...] = (1000, 10_000, 100_000)
    client: int = 10_000
    client_seconds: float = 0.1
    messages: int = 50
    codec: int = 5_000
    lengths: tuple[int, int] = (100_000, 1_000)
    bytewise: tuple[int, int] = (8 << 20, 1 << 20)


# To see that every case runs; the figures mean nothing.
SMALLEST = Sizes(
    burst=3, connections=2, paced_streams=2, paced=25, silent=20, visits=2, replies=(2, 3), client=3,
    client_seconds=0.0, messages=2, codec=3, lengths=(4, 2), bytewise=(8, 1),
)  # fmt: skip
