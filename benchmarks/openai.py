"""Suite: bots behind the gateway for OpenAI's clients, and a bot of an OpenAI-compatible endpoint, beside a relay.

The gateway reads a reply from the same source as the relays of the suite `relay`, and writes chunks instead of Poe's
events. A chunk has about five times the bytes of an event. The clients only count and compare; they do not parse.

The bot of an endpoint reads chunks, and writes Poe's events.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from contextlib import ExitStack

import h11

from benchmarks.apps import PACE_SECONDS, text_of
from benchmarks.burst import replies_in_turn
from benchmarks.checking import TIMEOUT, Expected, unchunked
from benchmarks.measure import goal, in_turn, named, report
from benchmarks.paced import streaming
from benchmarks.processes import ACCESS_KEY, Server, allow_files, serving
from benchmarks.sizes import Sizes
from poeproto import SSEDecoder
from poeproto_cli.load import LoadConnection, Received
from poeproto_cli.load_query import Query
from poeproto_h11 import split_url

RELAY = "relay on Hypercorn, asyncio"
GATEWAY = "gateway on Hypercorn, asyncio"
BOT = "OpenAIBot on Hypercorn, asyncio"
SERVERS = {
    RELAY: "poeproto-relay hypercorn-asyncio",
    GATEWAY: "poeproto_openai-relay hypercorn-asyncio",
    BOT: "poeproto_openai-bot hypercorn-asyncio",
    "relay on Hypercorn, trio": "poeproto-relay hypercorn-trio",
    "gateway on Hypercorn, trio": "poeproto_openai-relay hypercorn-trio",
}
ROUNDS = 5
REPLIES = 4


class ExpectedChunks(Expected):
    """The same for a gateway: the chunks of one request, checked when this is made. Arguments as of `Expected`."""

    EVENT = b'"content":'

    def __init__(self, name: str, server: Server, wish: str, count: int) -> None:
        self.name = name
        self.server = server
        self.query = chat_query(server, wish)
        self.events = count
        connection = LoadConnection(self.query, TIMEOUT)
        response = connection.exchange().response
        connection.close()
        *records, done = [record.data for record in SSEDecoder().receive_data(unchunked(response))]
        deltas = [json.loads(record)["choices"][0]["delta"] for record in records]
        texts = [delta["content"] for delta in deltas if delta.get("content")]
        if texts != [text_of(number) for number in range(count)] or done != "[DONE]":
            sys.exit(f"{name} does not send the chunks it should")
        self._size = len(unchunked(response))

    def confirm(self, *replies: Received) -> None:
        """Check that these replies are as long; their ids differ."""
        for reply in replies:
            if len(unchunked(reply.response)) != self._size:
                sys.exit(f"{self.name} did not send the same reply each time")


def chat_query(server: Server, wish: str) -> Query:
    """A request for a chat completion, as a stream."""
    body = {"model": "source", "messages": [{"role": "user", "content": wish}], "stream": True}
    data = json.dumps(body).encode()
    origin, _ = split_url(server.url)
    headers = [
        ("host", origin.authority),
        ("authorization", f"Bearer {ACCESS_KEY}"),
        ("content-type", "application/json"),
        ("content-length", str(len(data))),
    ]
    request = h11.Request(method="POST", target="/v1/chat/completions", headers=headers)
    return Query(origin, (h11.Connection(h11.CLIENT).send(request) or b"") + data)


def main(sizes: Sizes) -> None:
    allow_files(2 * sizes.many_relayed_streams + 100)
    with ExitStack() as stack:
        source = stack.enter_context(serving("sockets sockets"))
        lone: dict[str, Callable[[], float]] = {}
        bursts: dict[str, Callable[[], float]] = {}
        firsts: dict[str, Callable[[], float]] = {}
        for name, app in SERVERS.items():
            server = stack.enter_context(serving(f"{app} {source.url}"))
            expect = ExpectedChunks if "openai-relay" in app else Expected
            paced = expect(name, server, f"crlf {sizes.paced}", sizes.paced)
            query = chat_query if "openai-relay" in app else Server.query
            lone[name] = streaming(paced, query(server, f"paced {sizes.paced}"), sizes.many_relayed_streams)
            burst = expect(name, server, f"crlf {sizes.burst}", sizes.burst)
            bursts[name] = replies_in_turn(burst, REPLIES, lambda reply: reply.whole / sizes.burst)
            firsts[name] = replies_in_turn(expect(name, server, "crlf 1", 1), REPLIES, lambda reply: reply.first)
        figures = in_turn(lone, ROUNDS, warm_up=False)
        title = f"gateway: {sizes.many_relayed_streams} streams, an event every {PACE_SECONDS * 1e3:g} ms, CPU an event"
        report(title, figures, "µs", 1e6)
        goal("gateway, lone event, CPU", named(figures, GATEWAY), named(figures, RELAY), at_most=2)
        figures = in_turn(bursts, ROUNDS)
        report(f"gateway: a burst of {sizes.burst} events", figures, "µs", 1e6, rate="events a second")
        goal("gateway, burst", named(figures, GATEWAY), named(figures, RELAY), at_most=2)
        figures = in_turn(firsts, ROUNDS)
        report("gateway: time to the first event", figures, "ms", 1e3)
