"""What the embedded server lets connections take, each with its source."""

from __future__ import annotations

import attrs


@attrs.frozen(kw_only=True)
class ServerLimits:
    """How long and how much the embedded server bears; sizes are bytes, times seconds.

    This is about connections, whoever is behind them. What one exchange may take is in `poeproto.Limits`: the size of a
    request's body there, and `send_seconds`, after which a client that does not read is left.

    Attributes:
        connections: how many may be open. One more makes the server close the one that has been without a request for
            longest, and wait in the system's queue while there is none.
        head_size: of a request's head; a larger one is answered with 431.
        head_seconds: for a request's head, from its first byte, or from the start of the connection; then 408.
        body_seconds: for a request's body, from its head on, and a second more for each `body_rate` bytes; then 408.
        body_rate: bytes a second.
        idle_seconds: how long a connection is kept for another request.
        linger_seconds: how long a client that has its answer may take to close, so that what it still sends does not
            hide the answer from it.
        linger_size: how many bytes it may send meanwhile.
        grace_seconds: from the server's being told to stop to the end of what is still going on.

    Raises:
        ValueError: when one is zero or negative.
    """

    # Not published by anyone. A stream that waits takes 30 KiB or so, one that nobody reads at most 256 KiB: 1 GiB.
    connections: int = 4096
    # As nginx, four buffers of 8 KiB: https://nginx.org/en/docs/http/ngx_http_core_module.html#large_client_header_buffers
    head_size: int = 32 * 1024
    # https://httpd.apache.org/docs/2.4/mod/mod_reqtimeout.html, for this and the next. Its rate, 500 bytes a second,
    # would give 16 MiB nine hours; this one gives them seventeen minutes.
    head_seconds: float = 20.0
    body_seconds: float = 20.0
    body_rate: float = 16 * 1024
    # Longer than the clients of httpx (5 seconds) and aiohttp (15) keep one, so that it is they who close it.
    idle_seconds: float = 30.0
    # As Apache has it, where it lingers for a short time.
    linger_seconds: float = 2.0
    # Twice what a body may have by default.
    linger_size: int = 32 * 1024 * 1024
    # As Hypercorn has it: https://hypercorn.readthedocs.io/en/latest/how_to_guides/configuring.html, graceful_timeout.
    grace_seconds: float = 3.0

    def __attrs_post_init__(self) -> None:
        for name, value in attrs.asdict(self).items():
            if not value > 0:
                raise ValueError(f"ServerLimits.{name} must be positive, got {value!r}")
