"""The accept loop of the recording proxy and the replay."""

from __future__ import annotations

import logging
import socket
from collections.abc import Awaitable, Callable

import anyio
import anyio.abc

from poeproto_record.server.sockets import PlainSocket
from poeproto_runtime.listen import EXHAUSTED, address_of

logger = logging.getLogger("poeproto")

# How long accepting pauses when descriptors or memory have run out.
_PAUSE_SECONDS = 0.1


async def serve_connections(
    listener: socket.socket, handle: Callable[[PlainSocket], Awaitable[None]], task_status: anyio.abc.TaskStatus[str]
) -> None:
    """Accept connections until cancelled, and run a task for each; they are cancelled as well.

    Args:
        listener: the listening socket, which the caller closes.
        handle: serves a connection, and closes it.
        task_status: given the address once connections are accepted.
    """
    listener.setblocking(False)
    async with anyio.create_task_group() as tasks:
        task_status.started(address_of(listener))
        while True:
            await anyio.wait_readable(listener)
            try:
                accepted, _ = listener.accept()
            except BlockingIOError:  # a spurious wakeup
                continue
            except OSError as exc:
                if exc.errno in EXHAUSTED:
                    logger.error("new connections must wait until one closes: %s", exc.strerror)
                    await anyio.sleep(_PAUSE_SECONDS)
                else:
                    logger.debug("a connection ended before it was accepted: %s", exc)
                continue
            tasks.start_soon(_serve, handle, accepted)


async def _serve(handle: Callable[[PlainSocket], Awaitable[None]], accepted: socket.socket) -> None:
    try:
        await handle(PlainSocket(accepted))
    except Exception:
        # A fault of this server. In the task group, it would end all other connections.
        logger.exception("a connection was closed because of an internal error")
    finally:
        accepted.close()
