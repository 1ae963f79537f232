"""The limits of an exchange, each with its source.

Poe's figures changed over the years (2023, mid-2025, late 2025); the defaults are the latest. "Not published" marks a
limit of our own. Sizes are bytes, times are seconds, lengths are characters (Unicode code points).

https://creator.poe.com/docs/server-bots/poe-protocol-specification
"""

from __future__ import annotations

import attrs

__all__ = ["Limits"]

MIB = 1024 * 1024


@attrs.frozen(kw_only=True)
class Limits:
    """The limits of one exchange: sizes, counts and timeouts. They are passed in; the environment has no influence.

    The first group limits what both exchanges read, the second what `BotExchange.send` sends (a reader accepts more),
    the third what tool calls do. The runtime keeps the rest: timeouts, and the size of buffers.

    Raises:
        ValueError: for a limit of zero or less.
    """

    # Not published. Poe sends at most 1,000 messages; 16 MiB leaves 16 KiB for each.
    request_body: int = 16 * MIB
    # Not published. The longest text in its longest form (512,000 characters as six-byte escapes) takes 3 MiB. The rest
    # is for `json` events, which have no limit of their own.
    event_size: int = 16 * MIB
    # Not published. What a reader keeps of one response body or reply; replaced text does not count. Far above 512,000
    # characters in 10,000 events, so that no legal text reaches it.
    answer_size: int = 64 * MIB
    # Not published. How many events a reader accepts in one reply, so that no reply is endless. Ignored and replaced
    # events count; the end does not. Poe's own limit is 10,000.
    answer_events: int = 1_000_000
    # How much of an error response is kept: enough for the message of a server or proxy, too little to fill a log.
    refusal_body: int = 1024

    # https://creator.poe.com/docs/server-bots/poe-protocol-specification (late 2025; before 10,000 and 100,000)
    text_length: int = 512_000
    # The same page (mid-2025; before 1,000). The end of a reply, `error` and `done`, does not count.
    events: int = 10_000
    # https://creator.poe.com/docs/server-bots/server-bots-functional-guides, "Sending files with your response"
    files: int = 20
    # The same guide: "A file should not be larger than 50MB". Read as the larger of the two megabytes in use.
    file_size: int = 50 * MIB
    # The specification (mid-2025): Poe sends the last 1,000 messages of a conversation.
    messages: int = 1000

    # Not published. No model is known to make more tool calls in one reply.
    tool_calls: int = 1000
    # Not published. A model that calls tools this often in a row is in a loop.
    tool_rounds: int = 10

    # The specification: the first event must be sent within 5 seconds.
    first_answer_seconds: float = 5.0
    # The specification (late 2025; before 120 and 600).
    answer_seconds: float = 3600.0
    # Not published. The interval of heartbeats. Many proxies close a stream that is idle for 30 or 60 seconds; half of
    # 30.
    heartbeat_seconds: float = 15.0
    # Not published. The longest time without a byte in a reply that the lint accepts: many proxies allow a minute.
    gap_seconds: float = 60.0
    # Not published. The timeout of one write: a peer that reads nothing for so long is treated as disconnected.
    send_seconds: float = 60.0
    # Not published. The graceful timeout: how long the cleanup of a bot may take after a disconnect.
    cleanup_seconds: float = 5.0
    # How many bytes are buffered for one slow reader.
    write_buffer: int = 64 * 1024
    # How many bytes a client reads after `done` to reuse the connection; after that a new connection is cheaper.
    drain: int = 64 * 1024

    def __attrs_post_init__(self) -> None:
        for field in attrs.fields(type(self)):
            if not getattr(self, field.name) > 0:
                raise ValueError(f"Limits.{field.name} must be positive, got {getattr(self, field.name)!r}")
