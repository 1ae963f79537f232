"""Bots as an ASGI application, and Hypercorn to serve it.

`BotApp` is an application for any ASGI server. `serve` runs it on Hypercorn in the caller's event loop; `run` is a
whole program: an event loop, signals, and worker processes if there are several.

Theory of operation of `serve`
==============================

Tasks
-----

`serve` starts four tasks in a task group, and waits for them in its caller's task:

    serve (the caller's)
      _run_hypercorn                 Hypercorn; in its task group, one task a connection and one a request
      _request_stop_when_cancelled   sleeps until the task group is cancelled
      _reset_after_grace             waits for the shutdown, then for the graceful timeout
      OpenConnections.run            resets single connections, on uvloop and trio

Hypercorn calls the application for each request in a task of its own, which is the bot's task: `BotService.handle`
calls the bot there, and writes through ASGI's `send`. See `poeproto_runtime.reply` for the tasks that the runtime adds.
In HTTP/1.1 without TLS, the parts of a reply are written to the connection itself: see `hypercorn_chunks`.

Hypercorn and `_reset_after_grace` are shielded from cancellation, and end by themselves. A cancelled Hypercorn would
leave connections behind on asyncio.

Shutdown
--------

1. The caller cancels `serve`, or Hypercorn shuts down for a reason of its own (`max_requests`).
2. `_request_stop_when_cancelled` sets an event, and `_shutdown_trigger`, which Hypercorn awaits, returns. In the same
   step it stops the active replies of this server: each ends with an `error` that allows a retry, and `done`. ASGI has
   no message that notifies the application of it; its `lifespan.shutdown` comes after all connections have ended.
3. Hypercorn closes the listener and idle connections, and waits for the others.
4. After the graceful timeout, `_reset_after_grace` resets the connections that are left. This ends the only wait that
   Hypercorn cannot end: a write that the client does not read. The runtime sees a disconnect and cancels the bot.
5. Bots clean up, for `Limits.cleanup_seconds` at most. Hypercorn's own timeout is set to end after that.
6. Hypercorn ends the application's lifespan and returns; `_run_hypercorn` cancels the remaining tasks of the task
   group.

Resets
------

A response that was cut off must not look complete, and closing its connection gracefully may block for ever on unsent
data that the client does not read. So `BotApp` asks the server to reset the connection, through the `poeproto.reset`
extension of the request's scope. Hypercorn does not report which sockets it accepted. On asyncio, `RecordingListener`
is the listening socket that Hypercorn is given, and records them; on uvloop and trio, `descriptor_scan` finds them.

A client that reads nothing is disconnected after `Limits.send_seconds`. On asyncio and uvloop the runtime cancels the
reply, and the connection is reset. On trio, Hypercorn shields its writes from cancellation, so the kernel ends the
connection (`TCP_USER_TIMEOUT`, on Linux).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from poeproto.extras import missing_extra
from poeproto.name_hints import missing_name

if (_missing := missing_extra(__name__, "asgi", ["anyio", "h11", "truststore"])) is not None:
    raise _missing

from poeproto_asgi import app, server, targets, workers
from poeproto_asgi.app import *
from poeproto_asgi.server import *
from poeproto_asgi.targets import *
from poeproto_asgi.workers import *
from poeproto_runtime import fetch_policy, hooks, routes
from poeproto_runtime.client import call_hooks
from poeproto_runtime.client.call_hooks import *
from poeproto_runtime.fetch_policy import *
from poeproto_runtime.hooks import *
from poeproto_runtime.routes import *

if not TYPE_CHECKING:  # a type checker finds missing names by itself

    def __getattr__(name: str) -> object:
        raise missing_name(__name__, name)


__all__: list[str] = []
__all__ += app.__all__
__all__ += call_hooks.__all__
__all__ += fetch_policy.__all__
__all__ += hooks.__all__
__all__ += routes.__all__
__all__ += server.__all__
__all__ += targets.__all__
__all__ += workers.__all__
