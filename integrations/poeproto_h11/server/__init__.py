"""The embedded server: bots over h11 on plain sockets, on asyncio and on trio.

Theory of operation
===================

Tasks
-----

`serve` runs in its caller's task. It enters `BotService.running`, whose tasks send heartbeats and settings, and starts
one task, `Acceptor.run`. That starts the accept loop, and one task for each connection:

    serve (the caller's)
      Acceptor.run             shielded from cancellation: only `Acceptor.stop` ends it
        Acceptor._accept       accepts connections, and admits them within their bound
        Acceptor._close_for_waiting    closes connections for those that wait to be admitted
        Acceptor._serve        one a connection: reads a request, handles it, reads the next one
          the reply's tasks    started by the runtime, when the bot suspends for the first time

A request is handled in its connection's task, and so is the bot: `BotService.handle` calls it, and `ServerConnection`
is the `Channel` that it writes to. A bot that never suspends takes no other task. When it suspends for the first time,
the runtime starts a task that waits in `ServerConnection.wait_disconnected`; it may start another that writes. See
`poeproto_runtime.reply` for these.

At any time one task at most reads the socket: the connection's, until the body of the request is complete; then the one
that waits for a disconnect, until the response is complete. One task at most writes; the runtime sees to that.

What suspends
-------------

`PeerSocket.send` suspends only while the kernel's buffer is full. This matters: to the runtime a suspension of the
bot's task is the end of a burst, and the first one costs a task. `PeerSocket.receive` always suspends. The accept loop
suspends after 64 connections, and a connection before a pipelined request, so that neither starves the others.

A write that was cut short
--------------------------

A `send` may be cancelled after the kernel has accepted a part of it (`PeerSocket.partly_sent`). Nothing may follow such
a part, so `finish` then raises `ClientDisconnected`, and the connection is reset. It is reset whenever it closes during
a response: the client sees an error, never a response that looks complete.

A disconnect
------------

While a reply is suspended, `wait_disconnected` reads. A client may pipeline its next request, so early bytes are
buffered, up to `ServerLimits.head_size`. Beyond that the kernel is polled once a second. Either way the runtime then
cancels the bot. A write to a broken connection raises `ClientDisconnected`, with the same outcome.

At the bound
------------

At most `ServerLimits.connections` are admitted, which means that their requests are handled. Others are accepted as
well, and wait in `Acceptor._serve_admitted`, in their order. One is admitted when another has ended, and refused with
503 when it has waited for `queue_seconds`. Meanwhile `Acceptor._close_for_waiting` ends connections that have no
request: an idle one, kept alive after a response, closes; one that has long sent no complete head is refused. A
connection that has just connected, or has bytes to be read, is left alone. The rest waits in the system's queue.

Where accept fails for want of descriptors, nobody is admitted. The accept loop closes a descriptor of its reserve for
each connection that it accepts then, which waits as above. The server admits again when the reserve is full.

Shutdown
--------

A cancellation of `serve` calls `Acceptor.stop`. `Acceptor.run` then, in this order:

1. cancels the accept loop and closes the listener;
2. stops the active replies: each ends with an `error` that allows a retry, and `done`;
3. calls `ServerConnection.stop` for each connection, which ends a read of a request: an idle connection closes, and an
   incomplete request is answered with 503;
4. waits until all connections have closed, for `ServerLimits.grace_seconds` at most;
5. cancels the connections that are left. A bot then has `Limits.cleanup_seconds` for its cleanup, and the connection is
   reset.
"""

from __future__ import annotations

from poeproto_h11.server import limits, server
from poeproto_h11.server.limits import *
from poeproto_h11.server.server import *

__all__: list[str] = []
__all__ += limits.__all__
__all__ += server.__all__
