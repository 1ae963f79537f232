"""The limits of an exchange, each with its source.

Poe's figures changed over the years (2023, mid-2025, late 2025); the defaults are the latest.

https://creator.poe.com/docs/server-bots/poe-protocol-specification
"""

from __future__ import annotations

import attrs

__all__ = ["Limits"]

MIB = 1024 * 1024


@attrs.frozen(kw_only=True)
class Limits:
    """The limits of one exchange: sizes, counts and timeouts. They are passed in; the environment has no influence.

    The first group limits the reading of both exchanges, the second limits `BotExchange.send` (a reader accepts more),
    the third limits tool calls. The runtime keeps the rest: timeouts, and the size of buffers. Limits with a link to a
    page are Poe's; the others are ours.

    Attributes:
        request_body: bytes of a request's body; a larger one gets 413. Poe sends at most 1,000 messages; 16 MiB leaves
            16 KiB for each.
        event_size: bytes of one event. The longest text in its longest form (512,000 characters as six-byte escapes)
            takes 3 MiB. The rest is for `json` events, which have no limit of their own.
        answer_size: bytes that a reader keeps of one response body or reply; replaced text does not count. Far above
            512,000 characters in 10,000 events, so that no legal text reaches it.
        answer_events: events that a reader accepts in one reply, so that no reply is endless. Ignored and replaced
            events count; the end does not. Poe's own limit is 10,000.
        refusal_body: bytes that are kept of an error response: enough for the message of a server or proxy, too few to
            fill a log.
        text_length: characters (Unicode code points) of a reply's text, for each index
            ([specification](https://creator.poe.com/docs/server-bots/poe-protocol-specification), late 2025; before
            10,000 and 100,000).
        events: events of a reply; `error` and `done` do not count (the same page, mid-2025; before 1,000).
        files: files of a reply
            ([guides](https://creator.poe.com/docs/server-bots/server-bots-functional-guides), "Sending files with your
            response").
        file_size: bytes of a file. The same guide says 50 MB, read as the larger of the two megabytes in use.
        messages: messages of a query. Poe sends the last 1,000 of a conversation (specification, mid-2025).
        tool_calls: tool calls of one reply. No model is known to make more.
        tool_rounds: rounds of tool calls. A model that calls tools this often in a row is in a loop.
        first_answer_seconds: seconds to the first event (specification).
        answer_seconds: seconds of a whole reply (specification, late 2025; before 120 and 600). After that a server
            ends the reply with an `error` that allows a retry.
        heartbeat_seconds: seconds between heartbeats of a server whose bot is silent. Many proxies close a stream that
            is idle for 30 or 60 seconds; half of 30.
        gap_seconds: the longest time in seconds without a byte in a reply that the lint accepts: many proxies allow a
            minute.
        send_seconds: the timeout of one write, in seconds: a peer that reads nothing for so long is treated as
            disconnected.
        cleanup_seconds: how long the cleanup of a bot may take, in seconds, after a disconnect or a stop; then it is
            cancelled. Each `on_close` function has the same time.
        write_buffer: bytes that are buffered for one slow reader. Beyond that the bot waits at its next `yield`.
        drain: bytes that a client reads after `done` to reuse the connection; after that a new connection is cheaper.

    Raises:
        ValueError: for a limit of zero or less.
    """

    request_body: int = 16 * MIB
    event_size: int = 16 * MIB
    answer_size: int = 64 * MIB
    answer_events: int = 1_000_000
    refusal_body: int = 1024

    text_length: int = 512_000
    events: int = 10_000
    files: int = 20
    file_size: int = 50 * MIB
    messages: int = 1000

    tool_calls: int = 1000
    tool_rounds: int = 10

    first_answer_seconds: float = 5.0
    answer_seconds: float = 3600.0
    heartbeat_seconds: float = 15.0
    gap_seconds: float = 60.0
    send_seconds: float = 60.0
    cleanup_seconds: float = 5.0
    write_buffer: int = 64 * 1024
    drain: int = 64 * 1024

    def __attrs_post_init__(self) -> None:
        for field in attrs.fields(type(self)):
            if not getattr(self, field.name) > 0:
                raise ValueError(f"Limits.{field.name} must be positive, got {getattr(self, field.name)!r}")
