"""How long a client waits for what."""

from __future__ import annotations

import attrs


@attrs.frozen(kw_only=True)
class Timeouts:
    """The four deadlines of a call, in seconds.

    Attributes:
        connect: for name resolution, TCP and TLS together.
        header: from the request's last byte to the end of the response's head.
        idle: for the longest silence within the response's body, and for a write to make progress. Bots that send
            heartbeats do so every 15 seconds or so.
        total: for the whole call, with the tries and rounds of tools that it takes. Poe's own bound on an answer is an
            hour. Another try that it leaves no time to wait for is not made, and what failed before is raised.

    Raises:
        ValueError: when one is zero or negative.
    """

    connect: float = 10.0
    header: float = 30.0
    idle: float = 60.0
    total: float = 3600.0

    def __attrs_post_init__(self) -> None:
        for name, value in attrs.asdict(self).items():
            if not value > 0:
                raise ValueError(f"Timeouts.{name} must be positive, got {value!r}")


def is_deadline(exc: BaseException) -> bool:
    """Whether a deadline of ours has passed. The system gives up by itself, too, which is a failure like others."""
    return isinstance(exc, TimeoutError) and exc.errno is None
