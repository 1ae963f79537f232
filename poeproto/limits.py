"""The bounds of an exchange, each with its source.

Poe's own figures changed over the years (2023 -> mid-2025 -> late 2025); the defaults are the latest. Bounds that Poe
does not publish say so. Sizes are bytes, times are seconds, lengths are characters (Unicode code points).

https://creator.poe.com/docs/server-bots/poe-protocol-specification
"""

from __future__ import annotations

import attrs

__all__ = ["Limits"]

MIB = 1024 * 1024


@attrs.frozen(kw_only=True)
class Limits:
    """How much one exchange may hold, send or take; made once and passed in, so nothing depends on the environment.

    The first group bounds what is read, in both exchanges; the second what `BotExchange.send` lets out, while a reader
    takes more; the third is kept by those who run an exchange.

    Raises:
        ValueError: when a bound is zero or negative.
    """

    # Not published. Poe cuts a conversation at 1,000 messages; 16 MiB leaves 16 KiB for each.
    request_body: int = 16 * MIB
    # Not published. The longest text in its longest spelling (512,000 characters as six-byte escapes) takes 3 MiB;
    # the rest is for `json` events, which have no bound of their own.
    event_size: int = 16 * MIB
    # Not published. What a reader keeps of one answer; text that was replaced does not count. Far above 512,000
    # characters in 10,000 events, so that no legal text meets it.
    answer_size: int = 64 * MIB
    # Not published. What a reader takes of one answer, those events too that say nothing and those that were replaced,
    # so that no answer goes on for ever; but not its end. Poe's own bound is 10,000.
    answer_events: int = 1_000_000
    # Enough to read what a refusing server or proxy has to say, too little to fill a log.
    refusal_body: int = 1024

    # https://creator.poe.com/docs/server-bots/poe-protocol-specification (late 2025; before 10,000 and 100,000)
    text_length: int = 512_000
    # The same page (mid-2025; before 1,000). The end of a reply, `error` and `done`, does not count.
    events: int = 10_000
    # https://creator.poe.com/docs/server-bots/server-bots-functional-guides, "Sending files with your response"
    files: int = 20
    # The same guide: "A file should not be larger than 50MB". Read as the larger of the two megabytes in use.
    file_size: int = 50 * MIB
    # The specification (mid-2025): Poe cuts what is before the last 1,000 messages of a conversation.
    messages: int = 1000

    # Not published. No model is known to ask for more tool calls in one reply ...
    tool_calls: int = 1000
    # ... and one that asks for tools this often in a row is going in circles.
    tool_rounds: int = 10

    # The specification: the first answer is due within 5 seconds.
    first_answer_seconds: float = 5.0
    # The specification (late 2025; before 120 and 600).
    answer_seconds: float = 3600.0
    # Not published. Proxies commonly cut a stream that is silent for 30 or 60 seconds; half of the shorter one.
    heartbeat_seconds: float = 15.0
    # Not published. What a peer may take to read what fills the buffers, before it counts as gone.
    send_seconds: float = 60.0
    # Not published. What a bot may take to clean up after its peer has gone.
    cleanup_seconds: float = 5.0
    # What waits in the process for one slow reader.
    write_buffer: int = 64 * 1024
    # What a client takes after `done` for the sake of using the connection again; more is not worth waiting for.
    drain: int = 64 * 1024

    def __attrs_post_init__(self) -> None:
        for field in attrs.fields(type(self)):
            if not getattr(self, field.name) > 0:
                raise ValueError(f"Limits.{field.name} must be positive, got {getattr(self, field.name)!r}")
