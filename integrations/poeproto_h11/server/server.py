"""A small embedded server: h11 on sockets, in front of the same runtime as the ASGI application."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterable, Mapping
from contextlib import nullcontext
from typing import Protocol

import anyio
import anyio.abc
from anyio.lowlevel import current_token

from poeproto import Bot, Endpoints, Limits
from poeproto_h11.client.outbound import make_outbound
from poeproto_h11.server.acceptor import Acceptor
from poeproto_h11.server.limits import ServerLimits
from poeproto_runtime import BotService, FetchPolicy, Hook, Hooks, Route
from poeproto_runtime.listen import address_of, listen


class HasService(Protocol):
    """What carries a service: `poeproto_asgi.BotApp` does."""

    @property
    def service(self) -> BotService:
        """The service that answers."""
        ...


async def serve(
    app: HasService | Bot | Mapping[str, Route],
    *,
    bind: str | socket.socket = "127.0.0.1:8080",
    server_limits: ServerLimits | None = None,
    access_key: str | Iterable[str] | None = None,
    allow_without_key: bool = False,
    bot_name: str | None = None,
    limits: Limits | None = None,
    endpoints: Endpoints | None = None,
    fetch_policy: FetchPolicy | None = None,
    sync_settings: bool = True,
    on_start: Hook | None = None,
    on_first_event: Hook | None = None,
    on_end: Hook | None = None,
    task_status: anyio.abc.TaskStatus[str] = anyio.TASK_STATUS_IGNORED,
) -> None:
    """Serve bots until cancelled; then open replies end with an `error` that allows a retry.

    What has not ended after `ServerLimits.grace_seconds` is cut off, in a way that no client takes for an end; a bot
    that cleans up then has `Limits.cleanup_seconds` for that.

    Args:
        app: a bot, routes by path, or an application that has been made already.
        bind: ``HOST:PORT``, or a socket that listens already, which this call takes over when the serving begins.
        server_limits: what connections may take.
        access_key: the bot's key, or several; for a single bot only.
        allow_without_key: accept requests without a key; for a single bot only.
        bot_name: the bot's name on Poe; for a single bot only.
        limits: the bounds of every exchange; like the following, not for an application, which has its own.
        endpoints: where Poe is, for calls of the bots.
        fetch_policy: which URLs `Context.fetch_attachment` may fetch; None for none.
        sync_settings: whether Poe is told the settings of bots whose name and key are known, when the serving begins.
        on_start: called when the head of a request has been read; this and the next two must be quick.
        on_first_event: called when the first event of a reply is out.
        on_end: called when a request is over, however it ended.
        task_status: for `anyio.abc.TaskGroup.start`; given the address as a URL once connections are accepted.

    Raises:
        TypeError, ValueError: when the arguments do not make a service; see `Route`.
        OSError: when the address cannot be bound.
        RuntimeError: in asyncio's default event loop on Windows, which does not tell when a socket is ready.
    """
    _refuse_proactor()
    hooks = Hooks(on_start=on_start, on_first_event=on_first_event, on_end=on_end)
    if isinstance(app, Bot):
        route = Route(app, access_key=access_key, allow_without_key=allow_without_key, bot_name=bot_name)
        routes: Mapping[str, Route] = {"/": route}
    elif access_key is not None or allow_without_key or bot_name is not None:
        raise TypeError("each Route has its own key and name; pass them there")
    else:
        routes = app if isinstance(app, Mapping) else {}
    if isinstance(app, Bot | Mapping):
        limits = limits or Limits()
        outbound = make_outbound(limits, endpoints, fetch_policy=fetch_policy)
        service = BotService(routes, limits, outbound, hooks, sync_settings=sync_settings)
    elif limits or endpoints or fetch_policy or hooks != Hooks() or not sync_settings:
        raise TypeError("an application has its own limits, endpoints, policy and hooks, and syncs as it was told")
    else:
        service = app.service
    # The acceptor closes it; but first it must come to that.
    with nullcontext(bind) if isinstance(bind, socket.socket) else listen(bind) as listening:
        address = address_of(listening)
        acceptor = Acceptor(listening, service, server_limits or ServerLimits())
        async with service.running(), anyio.create_task_group() as tasks:
            tasks.start_soon(acceptor.run)
            try:
                task_status.started(address)
                await acceptor.over.wait()
            finally:
                acceptor.stop()
    if acceptor.failure is not None:
        raise acceptor.failure


def _refuse_proactor() -> None:
    # anyio asks a thread there instead, which ends for good, and all that waits with it, when a socket is closed in it.
    if isinstance(current_token().native_token, getattr(asyncio, "ProactorEventLoop", ())):
        raise RuntimeError("this server runs on trio or in asyncio.SelectorEventLoop, not in asyncio.ProactorEventLoop")
