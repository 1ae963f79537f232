"""The bounds of the embedded server's connections, each with its source."""

from __future__ import annotations

import attrs

__all__ = ["ServerLimits"]


@attrs.frozen(kw_only=True)
class ServerLimits:
    """How long connections to the embedded server may take, and how much; sizes are bytes, times are seconds.

    These bound each connection. The bounds of one exchange are in `poeproto.Limits`, such as the
    size of a request's body, and `send_seconds`, after which a client that does not read is disconnected.

    Attributes:
        connections: how many are served at once. One more makes the server close the one that has been idle for
            longest: it was kept alive after a response, and nothing has arrived since. If none is idle, it waits.
        queue_seconds: how long a connection waits where `connections` are served, or where descriptors have run out;
            then it is answered with 503 and `Retry-After`. So is one that is served while others wait, and has sent no
            complete head for half as long.
        head_size: of a request's head; a larger one is answered with 431.
        head_seconds: for a request's head, from its first byte, or from the start of the connection; then 408.
        body_seconds: for a request's body, from its head on, and a second more for each `body_rate` bytes; then 408.
        body_rate: bytes a second.
        idle_seconds: how long a connection is kept alive for another request.
        linger_seconds: how long the server reads on after its last response. Closing a connection with unread bytes
            resets it, and a reset can destroy the response before the client has read it.
        linger_size: how many bytes it reads meanwhile.
        grace_seconds: how long a graceful shutdown waits for what is still under way.

    Raises:
        ValueError: when a value is not positive.
    """

    # No published source. A silent stream takes about 30 KiB; one whose client does not read, at most 256 KiB: 4 GiB.
    connections: int = 16_384
    # Poe waits as long for the first event of a reply: https://creator.poe.com/docs/server-bots-functional-guides
    queue_seconds: float = 5.0
    # As nginx, four buffers of 8 KiB: https://nginx.org/en/docs/http/ngx_http_core_module.html#large_client_header_buffers
    head_size: int = 32 * 1024
    # https://httpd.apache.org/docs/2.4/mod/mod_reqtimeout.html, for this and the next. At its rate of 500 bytes a
    # second, 16 MiB could take nine hours; at this rate, seventeen minutes.
    head_seconds: float = 20.0
    body_seconds: float = 20.0
    body_rate: float = 16 * 1024
    # Longer than httpx (5 seconds) and aiohttp (15) keep a connection, so that the client closes it, not the server.
    idle_seconds: float = 30.0
    # As Apache's short lingering close.
    linger_seconds: float = 2.0
    # Twice the largest body by default.
    linger_size: int = 32 * 1024 * 1024
    # Hypercorn's graceful_timeout: https://hypercorn.readthedocs.io/en/latest/how_to_guides/configuring.html
    grace_seconds: float = 3.0

    def __attrs_post_init__(self) -> None:
        for name, value in attrs.asdict(self).items():
            if not value > 0:
                raise ValueError(f"ServerLimits.{name} must be positive, got {value!r}")
