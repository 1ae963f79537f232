"""A query that is encoded once and sent many times, and the events of the responses."""

from __future__ import annotations

import attrs
import h11

from poeproto import Event, PoeExchange, QueryRequest, RemoteProtocolError, ResponseHead
from poeproto_h11 import Origin, h11_reason, split_url


@attrs.frozen
class Query:
    """An encoded query and its destination.

    Attributes:
        origin: the server.
        data: the whole HTTP request. It contains the access key.
    """

    origin: Origin
    data: bytes = attrs.field(repr=False)


def write_query(url: str, request: QueryRequest, access_key: str | None = None, *, body: bytes | None = None) -> Query:
    """Encode a query as an HTTP request.

    Args:
        url: where it goes.
        request: the query.
        access_key: the key of the bot.
        body: the body to send instead of that of the query.

    Raises:
        LocalProtocolError: when the URL, the key or the request is invalid.
    """
    origin, target = split_url(url)
    sent = PoeExchange(access_key).send(request, url)
    assert isinstance(sent.body, bytes), "only uploads are streamed"
    if body is None:
        body = sent.body
    headers = [(b"host", origin.authority.encode()), *sent.headers, (b"content-length", b"%d" % len(body))]
    writer = h11.Connection(h11.CLIENT)
    head = writer.send(h11.Request(method=sent.method, target=target, headers=headers)) or b""
    return Query(origin, head + body)


def events_of(response: bytes, access_key: str | None = None) -> list[Event]:
    """The events of one whole response.

    Args:
        response: its bytes.
        access_key: the key of the query; it is removed from the error if the response repeats it.

    Raises:
        PoeprotoError: for an error response, an incomplete reply, or one that breaks the protocol.
    """
    reader = h11.Connection(h11.CLIENT)
    reader.send(h11.Request(method="POST", target="/", headers=[("host", "bot.invalid"), ("content-length", "0")]))
    reader.send(h11.EndOfMessage())
    reader.receive_data(response)
    reader.receive_data(b"")
    exchange = PoeExchange(access_key)
    exchange.send(QueryRequest([]), "http://bot.invalid/")
    events: list[Event] = []
    failure: str | None = None
    try:
        while not isinstance(event := reader.next_event(), (h11.EndOfMessage, h11.ConnectionClosed)):
            if isinstance(event, h11.Response):
                exchange.receive_head(ResponseHead(event.status_code, event.headers.raw_items()))
            elif isinstance(event, h11.Data):
                events += exchange.receive_data(bytes(event.data))
    except h11.RemoteProtocolError as exc:
        failure = h11_reason(exc)
    if failure is not None:
        raise RemoteProtocolError(f"the peer's HTTP is invalid: {failure}")
    events += exchange.receive_eof()
    if exchange.error is not None:
        raise exchange.error
    return events
